/* SPDX-License-Identifier: Apache-2.0 */
/*
 * language.h - which guest program runs a script: by the end of its name; or
 * the script is one itself (glovebox/native.h), by how the file begins.
 */
#ifndef RUNTIME_PROGRAM_LANGUAGE_H
#define RUNTIME_PROGRAM_LANGUAGE_H

#include <stdbool.h>

#include "glovebox/error.h"

struct language {
    const char *name;    /* for people */
    const char *argv[2]; /* the program, in libexec */
    const char *suffixes[4];
};

/* Returns the language, static; or NULL, and GBX_EARGUMENT in err. */
const struct language *language_of(const char *path, struct gbx_error *err);

/* Is the script its own guest program? */
bool language_is_native(const struct language *language);

#endif
