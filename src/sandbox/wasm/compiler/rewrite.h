/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite.h - wasm2c's C as we compile it.
 *
 * wasm2c (wabt 1.0.32, Debian 12's) writes memory accesses as macros and small
 * functions at the beginning of its text; those lines give way to runtime.h's.
 * Behind each loop's label a check is put in.  And some is read off the text:
 * the names that it gave to functions and globals.
 */
#ifndef SANDBOX_WASM_COMPILER_REWRITE_H
#define SANDBOX_WASM_COMPILER_REWRITE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct rewritten {
    char **functions; /* the module's own, in their order; owned */
    uint32_t function_count;
    char **globals; /* "u32 w2c_g0"; owned */
    uint32_t global_count;
    char *memory;       /* the field that is the module's memory, or NULL */
    bool keeps_tables;  /* no instruction changes one */
    bool keeps_globals; /* each is in globals */
    char error[200];
};

/* Returns 0, or -1 and error: not the text that this was written for. */
int rewrite(struct rewritten *text, FILE *header, FILE *in, FILE *out);
void rewritten_fini(struct rewritten *text);

#endif
