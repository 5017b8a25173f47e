/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h - one program, run to its end: as a process, or in a micro-VM.
 *
 *  struct program_run run = {.argv = {"/usr/bin/python3.11", "-I", file}};
 *  program_outside(&run, why) && program_inside(&run, why)
 *
 * An argument below `folder` is named there as the guest sees it (/script).
 */
#ifndef BENCH_MICROVM_PROGRAM_H
#define BENCH_MICROVM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/program.h"

#define PROGRAM_ARGUMENTS  6
#define PROGRAM_TEXT_BYTES 65536u

struct program_run {
    const char *argv[PROGRAM_ARGUMENTS]; /* argv[0] is a path */
    const char *folder;                  /* of the host, or NULL */

    /* What came of it. */
    uint64_t wall_ns; /* from its first instruction, or its spawn, to its end */
    uint64_t cpu_ns;  /* of it and of all that was done for it meanwhile */
    char text[PROGRAM_TEXT_BYTES]; /* what it printed */
    size_t text_bytes;
};

/* Each returns false, and says why, unless it exited with 0. */
bool program_outside(struct program_run *run, char why[GBX_ERROR_TEXT_MAX]);
bool program_inside(struct program_run *run, char why[GBX_ERROR_TEXT_MAX]);

#endif
