/* SPDX-License-Identifier: Apache-2.0 */
/*
 * language.h - which guest program runs a script: by the end of its name.
 */
#ifndef RUNTIME_PROGRAM_LANGUAGE_H
#define RUNTIME_PROGRAM_LANGUAGE_H

#include "glovebox/error.h"

struct language {
    const char *name;    /* for people */
    const char *argv[2]; /* the program, in libexec */
    const char *suffixes[4];
};

/* Returns the language, static; or NULL, and GBX_EARGUMENT in err. */
const struct language *language_of(const char *path, struct gbx_error *err);

#endif
