/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls.h - the system calls: one function each, named in calls.def.
 *
 * A function gets the six arguments as the guest's registers had them, decodes
 * and checks them, and does it.  Returns Linux's answer, KERNEL_WAIT or
 * KERNEL_KEEP.  What it does before KERNEL_WAIT is done again when the call is
 * made again.
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

/* Nanoseconds of a clock of the host. */
uint64_t calls_now(clockid_t clock);

/* A struct timespec, checked, in nanoseconds (saturated). */
int calls_read_time(struct kernel *kernel, uint64_t address, uint64_t *ns);

/* A path, copied; to has PATH_MAX bytes. */
int calls_read_path(struct kernel *kernel, uint64_t address, char *to);

/* Where a relative path starts: of AT_FDCWD or a descriptor; borrowed. */
int calls_from(struct kernel *kernel, uint64_t number, const char *path,
               struct node **from);

/* Read or write by descriptor, moved through the guest's pages; position NULL:
 * the file's own. */
int64_t calls_transfer(struct kernel *kernel, struct file *file,
                       uint64_t address, uint64_t bytes, bool writes,
                       uint64_t *position);

/* Two files get numbers, told at address; taken over, also on failure. */
int calls_install_pair(struct kernel *kernel, struct file *ends[2],
                       bool close_on_exec, uint64_t address);

/* A would-block answer becomes a wait, unless the file is not to wait. */
int64_t calls_wait_for(struct kernel *kernel, struct file *file, int64_t rc,
                       bool never);

#endif
