/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glue.h - the part of an artefact's source that joins a module to its host:
 * a function for each import and export, and the struct wasm_artefact.
 */
#ifndef SANDBOX_WASM_COMPILER_GLUE_H
#define SANDBOX_WASM_COMPILER_GLUE_H

#include <stdio.h>

#include "parse.h"
#include "rewrite.h"

/*
 * module: the file that has the module's bytes, for the assembler.
 * Returns 0, or -1 and error: the module has what no artefact can have.
 */
int glue_write(FILE *out, const struct parsed *parsed,
               const struct rewritten *text, const char *module,
               char error[200]);

#endif
