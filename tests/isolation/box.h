/* SPDX-License-Identifier: Apache-2.0 */
/*
 * box.h - one sandbox without the core above it: a region, a bundle around
 * tests/isolation/guest.c, and what it printed.  GLOVEBOX_TEST_ISOLATION says
 * of which isolation: "process", the default, "microvm", or "clone": a process
 * that is a copy of a zygote of its own.
 *
 *  box_begin(&box, "end", "x3");
 *  ... spoil box.bundle ...
 *  box_open(&box);
 *  box_end(&box)                   run to the guest's end: its code
 *  box_close(&box);
 */
#ifndef TESTS_ISOLATION_BOX_H
#define TESTS_ISOLATION_BOX_H

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
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

#define BOX_WAIT_NS UINT64_C(60000000000)

void box_begin(struct box *box, const char *kind, const char *argument);
int box_open(struct box *box); /* the backend's code */
int box_clone(struct box *box, struct snapshot *snapshot); /* likewise */
int box_run(struct box *box, uint64_t wait_ns);
int box_end(struct box *box); /* runs over rings */
void box_close(struct box *box);

/* Open, run to the end, close; returns the code. */
int box_try(struct box *box, const char *kind, const char *argument);

/* A fact of one isolation alone: the other skips its test, and says why. */
void only_process(const char *reason);
void only_microvm(const char *reason);
bool is_microvm(void);
bool is_clone(void);

/* For leak checks.  The latter two: what belongs to box_caller's sandboxes. */
int count_fds(void);
int count_maps(void); /* of the kernel's: KVM's, shared, of files */
int count_threads(void);
int count_mib(void); /* of addresses in use */
int count_children(void);
int count_strays(void);        /* processes */
void strays_become(int count); /* in a moment, at most: one may be in an exec */
int count_cgroups(void);
extern pid_t box_caller; /* 0: this process */

/* How many processes an open sandbox has. */
int box_processes(void);

/* Group setup: skips everything, with a reason, where no sandbox can be. */
int box_possible(void **state);

/* A name below a test's folder; static, one of four by turns. */
const char *box_at(const char *top, const char *name);

extern const struct backend *box_backend;

/* Where the programs under test lie. */
extern const char *box_libexec, *box_guest;

#endif
