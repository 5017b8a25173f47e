/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.h - a WebAssembly module's outside: what it imports and exports, with
 * types, and what its functions are called.  The code between is wasm2c's.
 *
 * Format: WebAssembly Core Specification 2.0, chapter 5 (binary format), and
 * its appendix on the name section.
 *
 * A module's names are anybody's bytes, and wasm2c writes them into comments of
 * its C as they are: a name with an end of comment in it would be compiled.  So
 * what wasm2c is given is the same module with names of ours, i.f0 for its
 * first import, e0 for its first export, and without custom sections; what it
 * was called stays here.
 *
 * Memory:  texts and lists are owned, until parsed_fini; names point into the
 *          module's bytes.
 */
#ifndef SANDBOX_WASM_COMPILER_PARSE_H
#define SANDBOX_WASM_COMPILER_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct name {
    const uint8_t *text; /* in the module; not terminated */
    uint32_t bytes;
};

struct function_type {
    const uint8_t *parameters, *results; /* as the module writes types */
    uint32_t parameter_count, result_count;
};

enum extern_kind {
    EXTERN_FUNCTION,
    EXTERN_TABLE,
    EXTERN_MEMORY,
    EXTERN_GLOBAL,
};

struct parsed_import {
    struct name module, name;
    uint8_t kind;
    uint32_t type;              /* of a function */
    const uint8_t *description; /* of its kind, as the module writes it */
    uint32_t description_bytes;
};

struct parsed_export {
    struct name name;
    uint8_t kind;
    uint32_t index;
};

#define PARSED_SECTIONS 64u

struct parsed_section {
    uint8_t id;
    const uint8_t *bytes;
    uint32_t count;
};

struct parsed {
    struct parsed_section sections[PARSED_SECTIONS]; /* but custom ones */
    uint32_t section_count;
    struct function_type *types;
    struct parsed_import *imports;
    struct parsed_export *exports;
    uint32_t *functions; /* the types of its own ones */
    struct name *names;  /* of all functions; bytes 0: it has none */
    uint32_t type_count, import_count, export_count, function_count;
    uint32_t imported_functions;
    char error[200];
};

/*
 * Returns 0, or -1 and error says what is wrong and where: a module that passes
 * here may still be refused by wasm2c.
 */
int parse(struct parsed *parsed, const uint8_t *bytes, size_t count);

/* The module with names of ours.  Returns 0, or -1: it could not be written. */
int parsed_write(const struct parsed *parsed, FILE *out);
void parsed_fini(struct parsed *parsed); /* also after an error */

/* The type of a function by its index, imported ones first; or NULL. */
const struct function_type *parsed_type(const struct parsed *parsed,
                                        uint32_t function);

#endif
