/* SPDX-License-Identifier: Apache-2.0 */
/*
 * language.h - which guest program runs a script: by the end of its name; or
 * the script is one itself: a program (glovebox/native.h), by how the file
 * begins, or a module of WebAssembly.
 */
#ifndef RUNTIME_PROGRAM_LANGUAGE_H
#define RUNTIME_PROGRAM_LANGUAGE_H

#include <stdbool.h>

#include "glovebox/error.h"

struct language {
    const char *name;    /* for people */
    const char *argv[2]; /* the program, in libexec; or the script is one */
    const char *module;  /* the same as WebAssembly; or NULL: there is none */
    const char *suffixes[4];
    bool is_program, is_module; /* the script is one itself */
};

/* Returns the language, static; or NULL, and GBX_EARGUMENT in err. */
const struct language *language_of(const char *path, struct gbx_error *err);

/* Is it one of WebAssembly, by its name? */
bool language_is_module(const char *path);

/* Can it run behind this door?  Else GBX_EARGUMENT or GBX_EUNSUPPORTED, and err
 * names those that can. */
int language_check(const struct language *language, bool is_wasm,
                   struct gbx_error *err);

#endif
