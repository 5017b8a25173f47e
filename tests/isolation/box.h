/* SPDX-License-Identifier: Apache-2.0 */
/*
 * box.h - one sandbox of the process isolation, without the core above it: a
 * region, a bundle around tests/isolation/guest.c, and what it printed.
 *
 *  box_begin(&box, "end", "x3");
 *  ... spoil box.bundle ...
 *  box_open(&box);
 *  box_end(&box)                   run to the guest's end: its code
 *  box_close(&box);                also fails when something is left over
 */
#ifndef TESTS_ISOLATION_BOX_H
#define TESTS_ISOLATION_BOX_H

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/types.h>

#include "channel/region.h"
#include "sandbox/backend.h"

struct box {
    struct region region;
    struct bundle bundle;
    const char *argv[4];
    void *self;
    struct gbx_error err;
    char text[1 << 16]; /* printed, both streams, terminated */
    size_t text_bytes;
    uint64_t printed_bytes; /* all, also what did not fit */
    int output_code;        /* what the output callback returns */
};

#define BOX_WAIT_NS UINT64_C(20000000000)

void box_begin(struct box *box, const char *kind, const char *argument);
int box_open(struct box *box); /* the backend's code */
int box_run(struct box *box, uint64_t wait_ns);
int box_end(struct box *box); /* runs over rings */
void box_close(struct box *box);

/* Open, run to the end, close; returns the code. */
int box_try(struct box *box, const char *kind, const char *argument);

/* For leak checks.  The latter two: what belongs to box_caller's sandboxes. */
int count_fds(void);
int count_children(void);
int count_strays(void); /* processes */
int count_cgroups(void);
extern pid_t box_caller; /* 0: this process */

/* Group setup: skips everything, with a reason, where no sandbox can be. */
int box_possible(void **state);

/* Where the programs under test lie. */
extern const char *box_libexec, *box_guest;

#endif
