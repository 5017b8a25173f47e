/* SPDX-License-Identifier: Apache-2.0 */
/*
 * birth.h - new processes in new namespaces, from a caller of any size and any
 * number of threads.
 *
 * Threads: all functions, any thread.
 */
#ifndef SANDBOX_PROCESS_BIRTH_H
#define SANDBOX_PROCESS_BIRTH_H

#include <stdbool.h>
#include <sys/types.h>

#include "sandbox/process/plan.h"

/* What runs in a child that shares our memory: no sanitizer's notes there. */
#define CHILD_CODE                                                             \
    __attribute__((noinline, no_sanitize("address", "thread", "undefined")))

/* What a new init gets. */
struct birth {
    int fd[INIT_FD_COUNT]; /* what shall be number i there; -1: closed */
    const char *name;      /* its argv[1]: of the cgroup, if there is one */
    bool has_stage;        /* it makes overlays (init/overlay.c) */
};

/*
 * Start fd[INIT_FD_SELF] as pid 1 of new namespaces; it has no identity yet.
 * Returns its pid and *pidfd, owned; or -1 with errno.  *execed tells whether
 * it was clone or exec that failed.
 */
pid_t birth_init(const struct birth *birth, int *pidfd, bool *execed);

struct birth_ids {
    uid_t uid;
    gid_t gid;
};

/*
 * Give pid's user namespace one user and one group, under their names inside.
 * Unprivileged, only the own can be given, and groups cannot be left any more.
 * Returns 0, or -1 with errno.
 */
int birth_map(pid_t pid, const struct birth_ids *inside,
              const struct birth_ids *outside, bool privileged);

/*
 * A user namespace for mounts: what belongs to `files` on the disk is shown as
 * belonging to `shown`.  `caller` is a pidfd of this process.
 * Returns an owned fd, or -1 with errno.
 */
int birth_idmap(int caller, const struct birth_ids *files,
                const struct birth_ids *shown);

/* Wait, so long at most, for the death of the process behind pidfd.  Returns
 * whether it is dead. */
bool birth_await(int pidfd, int wait_ms);

/* End the process behind pidfd, a child of ours, and bury it. */
void birth_end(int pidfd);

/*
 * Run fn in a new child that shares our memory while we wait: it may only make
 * system calls.  Returns its exit status, or -1 with errno.  For probing.
 */
int birth_try(int (*fn)(void *), void *context, int namespaces);

#endif
