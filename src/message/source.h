/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - JSON text that somebody wrote, as jansson's values.
 *
 * jansson reads the text: it says line and column of a fault, and refuses keys
 * that come twice, strings that are no UTF-8, and integers beyond 2^63-1.  It
 * reads nested values by recursion, though; so the brackets are counted before,
 * which bounds the recursion of all that walk the values.
 *
 * Its weak side is a host without memory: when an allocation of its own fails,
 * it may blame the text, or lose a character of a string.  fault_test.c has it.
 *
 * Threads: any.
 */
#ifndef MESSAGE_SOURCE_H
#define MESSAGE_SOURCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gbx_error;

struct source {
    const char *name; /* "JSON", or a file's, for people */
    const char *text;
    size_t bytes;
    uint32_t depth_max;
    bool refuses_nul; /* its strings will be C's */
};

/* Returns 0 and a value to json_decref; GBX_EFORMAT or GBX_EHOST, and NULL. */
int source_load(json_t **value, const struct source *source,
                struct gbx_error *err);

/* "an object", "a string", for people. */
const char *source_kind(const json_t *value);

#endif
