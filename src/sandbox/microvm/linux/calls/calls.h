/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls.h - the system calls: one function each, named in calls.def.
 *
 * A function gets the six arguments as the guest's registers had them, decodes
 * and checks them, and does it.  Returns Linux's answer, or KERNEL_WAIT,
 * KERNEL_KEEP, KERNEL_ON.  What it does before KERNEL_WAIT is done again when
 * the call is made again.
 *
 * Threads: the machine's.
 */
#ifndef SANDBOX_MICROVM_LINUX_CALLS_CALLS_H
#define SANDBOX_MICROVM_LINUX_CALLS_CALLS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "sandbox/microvm/linux/kernel.h"

typedef int64_t call_fn(struct kernel *kernel, const uint64_t a[6]);

struct call_entry {
    const char *name;
    call_fn *fn;
    const char *format; /* of the arguments: trace.c */
    const char *why;    /* where fn is NULL: what is refused */
    int refusal;        /* and with which errno */
    bool may_restart;   /* after a handler with SA_RESTART */
    bool is_missed;     /* where fn is NULL: a program may die of it */
};

#define CALL(number, name, format)  call_fn call_##name;
#define AGAIN(number, name, format) call_fn call_##name;
#define REFUSE(number, name, no, why)
#define LIVE_WITHOUT(number, name, no, why)
#include "sandbox/microvm/linux/calls/calls.def"
#undef CALL
#undef AGAIN
#undef REFUSE
#undef LIVE_WITHOUT

/* NULL: there is no such number. */
const struct call_entry *calls_find(uint64_t number);
bool calls_may_restart(uint64_t number);

/* trace.c: one line, as strace prints them. */
void trace_call(struct kernel *kernel, const uint64_t call[7], int64_t answer);
void trace_signal(struct kernel *kernel, int number);

/* A struct timespec, checked, in nanoseconds (saturated). */
int calls_read_time(struct kernel *kernel, uint64_t address, uint64_t *ns);

/* A path, copied; to has PATH_MAX bytes. */
int calls_read_path(struct kernel *kernel, uint64_t address, char *to);

/* Where a relative path starts: of AT_FDCWD or a descriptor; borrowed. */
int calls_from(struct kernel *kernel, uint64_t number, const char *path,
               struct node **from);

/* Buffers of the guest's, and the host memory behind a part of them. */
struct calls_buffers {
    const struct iovec *given; /* copied; addresses of the guest */
    uint64_t count, bytes;     /* in all */
    struct iovec *pieces;
    int room, piece_count;
    void *owned; /* all of it, where it is a list; or NULL */
};

#define CALLS_VECTORS_MAX 1024u      /* Linux's UIO_MAXIOV */
#define CALLS_SLICE_BYTES (1u << 20) /* of buffers, at once */

/* A single buffer, which needs no list; the caller's memory. */
struct calls_single {
    struct iovec given, pieces[CALLS_SLICE_BYTES / SPACE_PAGE_BYTES + 2];
};
void calls_set_single(struct calls_buffers *buffers,
                      struct calls_single *single, uint64_t address,
                      uint64_t bytes);

/* Copy and check a list.  Returns 0 or -errno; close it even then. */
int calls_buffers_open(struct kernel *kernel, struct calls_buffers *buffers,
                       uint64_t address, uint64_t count);
void calls_buffers_close(struct calls_buffers *buffers);

/*
 * Set pieces to what begins `from` bytes after the first.  Returns how many
 * bytes they have: a slice, or all, or fewer where the next may not be
 * accessed; -EFAULT where there are none.
 */
int64_t calls_gather(struct kernel *kernel, struct calls_buffers *buffers,
                     uint64_t from, unsigned access);

/* A reader that is gone kills the writer, unless it catches that. */
void calls_broken_pipe(struct kernel *kernel);

/* Two files get numbers, told at address; taken over, also on failure. */
int calls_install_pair(struct kernel *kernel, struct file *ends[2],
                       bool close_on_exec, uint64_t address);

/* A would-block answer becomes a wait, unless the file is not to wait. */
int64_t calls_wait_for(struct kernel *kernel, struct file *file, int64_t rc,
                       bool never);

#endif
