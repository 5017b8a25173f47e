/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.h - the parts of glovebox-init.  All of it is single-threaded, allocates
 * nothing, and stops at the first failure with a report to the host.
 */
#ifndef PROCESS_INIT_H
#define PROCESS_INIT_H

#include <stdnoreturn.h>

#include "sandbox/process/plan.h"

/* Tell the host which step failed, with errno, and exit. */
noreturn void init_fail(enum init_step step, uint32_t detail);

/* pid 2: from a copy of pid 1 to the guest program. */
noreturn void guest_start(const struct plan *plan, const char *cgroup);

/* Build the root that the plan lists, and move into it. */
void root_build(const struct plan *plan);

/* No file but what the root is meant to give, best effort. */
void landlock_restrict(void);

/* Have no capabilities but those in `keep`, now or after any exec. */
void capabilities_drop(uint64_t keep);

#endif
