/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.h - the parts of glovebox-init.  All of it is single-threaded, allocates
 * nothing, and stops at the first failure with a report to the host.
 */
#ifndef PROCESS_INIT_H
#define PROCESS_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdnoreturn.h>
#include <sys/types.h>

#include "sandbox/process/plan.h"

/* ---- report.c ---- */

/* Tell the host which step failed, with errno; the latter exits. */
void init_report(int fd, enum init_step step, uint32_t detail);
noreturn void init_fail(enum init_step step, uint32_t detail);

/* Did it come as it was sent? */
bool plan_is_whole(const struct plan *plan, size_t got);

/* ---- first.c: pid 1 ---- */

struct init_duty {
    pid_t guest;
    const char *cgroup; /* to be removed at last, or NULL */
    bool spares;        /* others outlive the guest */
};

/* Until the caller is gone, which the latter takes for granted: leaves no
 * process and no cgroup.  All signals are blocked. */
noreturn void init_stay(const struct init_duty *duty);
noreturn void init_leave(const char *cgroup);

/* Of a copy, from its exec. */
noreturn void init_first(const uint64_t *stack);

/* ---- guest.c: pid 2 ---- */

/* From a copy of pid 1 to the guest program. */
noreturn void guest_start(const struct plan *plan, const char *cgroup);

/* ---- overlay.c ---- */

/* Make the plan's stage, if it has one, and what is changed there. */
void stage_open(const struct plan *plan);

/* Of operation number `index`: STAGE (its /tmp), ROOT or COW; not yet attached,
 * the caller's to close.  Or -1: there is none. */
int stage_take(uint32_t index);

/* Is it what was granted?  Else errno is ESTALE. */
bool is_granted(int tree, const struct operation *operation);

/* ---- root.c ---- */

/* Build the root that the plan lists, and move into it. */
void root_build(const struct plan *plan);

/* What the plan lists is put into the root we are in. */
void root_add(const struct plan *plan);

/* ---- seal.c, landlock.c ---- */

void leave_cgroup_namespace(void);

/* The list of allowed system calls comes through a socket. */
void filter_read(int fd);
void filter_install(void);

/* Keep no right but what a guest has.  The filter has been read. */
void seal(const struct plan *plan);
void rlimits_lower(const struct plan *plan); /* a part of it */

/* No file but what the root is meant to give, best effort. */
void landlock_restrict(const struct plan *plan);

/* Have no capabilities but those in `keep`, now or after any exec. */
void capabilities_drop(uint64_t keep);

/* Have this one alone after the next exec. */
void capabilities_pass_on(int cap);

/* Have no other from now on. */
void capabilities_keep(int cap);

/* ---- zygote.c ---- */

/* Was this program started as one? */
bool zygote_is_this(void);

/* Serve orders.  Returns in each copy, which is a sealed guest then, with the
 * descriptors that any is born with; never in the zygote. */
void zygote_serve(void);

#endif
