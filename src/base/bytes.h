/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.h - values one after the other, to a file of our own and back.
 *
 *  bytes_put(&out, &limits, sizeof(limits));
 *  bytes_put_text(&out, path);
 *  if (out.failed) ...
 *
 *  bytes_take(&in, &limits, sizeof(limits));
 *  path = bytes_take_text(&in);             borrowed from what is read
 *  if (in.failed) ...
 *
 * Errors stick: who reads or writes many looks once.  What was read after one
 * is zero.
 *
 * Threads: none.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes_out {
    uint8_t *bytes; /* owned */
    size_t count, room;
    bool failed; /* there was no memory */
};

struct bytes_in {
    const uint8_t *at, *end; /* borrowed */
    bool failed;             /* it ended too early */
};

void bytes_put(struct bytes_out *out, const void *value, size_t count);
void bytes_put_number(struct bytes_out *out, uint64_t number);
void bytes_put_text(struct bytes_out *out, const char *text); /* or NULL */
/* Its length first. */
void bytes_put_block(struct bytes_out *out, const void *block, size_t count);
void bytes_out_fini(struct bytes_out *out);

void bytes_take(struct bytes_in *in, void *value, size_t count);
uint64_t bytes_take_number(struct bytes_in *in);
const char *bytes_take_text(struct bytes_in *in);
/* Where it lies, and its length; NULL and 0 after an error. */
const void *bytes_take_block(struct bytes_in *in, size_t *count);

#endif
