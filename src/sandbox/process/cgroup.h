/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h - a cgroup for one sandbox, where this host lets us have one.
 *
 * All of it is best effort: rlimits hold without it.  What a cgroup adds is a
 * limit over all processes together, and the word that memory was the reason.
 *
 *  v1: one directory per controller, below the caller's own.
 *  v2: one directory, below the caller's own where its controllers are handed
 *      down, else beside it when the parent was delegated to us.
 *
 * Threads: a struct belongs to one thread at a time.
 */
#ifndef SANDBOX_PROCESS_CGROUP_H
#define SANDBOX_PROCESS_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "glovebox/error.h"
#include "sandbox/process/plan.h"

enum cgroup_controller { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU };

struct cgroup {
    int version; /* 0: there is none, 1, 2 */

    /* Owned directories in which ours is made; v2 has only the first.  v1's
     * are numbered by enum cgroup_controller. */
    int parent[PLAN_CGROUPS];
    char name[PLAN_NAME_MAX]; /* ours */

    /* A zygote's: it is in a part of it, its copies in others. */
    bool nests;
};

#define CGROUP_NONE                                                            \
    {                                                                          \
        .parent = { -1, -1, -1 }                                               \
    }

struct cgroup_limits {
    uint64_t memory_bytes;
    uint32_t processes;
};

/* Find where; makes nothing. */
void cgroup_open(struct cgroup *cgroup);
void cgroup_close(struct cgroup *cgroup); /* idempotent */

/* A name that nobody else uses; the next make uses it. */
void cgroup_choose_name(struct cgroup *cgroup);

/* Choose a name inside of one that nests; the descriptors stay the outer's. */
void cgroup_choose_inside(struct cgroup *cgroup, const struct cgroup *outer);

/* Returns 0, or GBX_EHOST; nothing is left over then. */
int cgroup_make(const struct cgroup *cgroup, struct gbx_error *err);

/* Not one that nests.  Returns 0 or GBX_EHOST. */
int cgroup_limit(const struct cgroup *cgroup,
                 const struct cgroup_limits *limits, struct gbx_error *err);

/*
 * v2: this user may join it.  Of one that nests, and of one inside of it, who
 * is in one part may then move to the other.  Returns 0 or GBX_EHOST.
 */
int cgroup_hand_over(const struct cgroup *cgroup, uid_t uid, gid_t gid,
                     struct gbx_error *err);

/* What a zygote's copy joins it by: v1, a file to write "0" to, of controller
 * i; v2, a directory to be born in.  An owned fd, or -1. */
int cgroup_entry(const struct cgroup *cgroup, int i);

/* Its processes must be dead; what is not there is no error. */
void cgroup_remove(const struct cgroup *cgroup);

/* How many processes died for lack of memory. */
uint64_t cgroup_oom_kills(const struct cgroup *cgroup);
/* CPU time of all its processes, dead or alive; 0 when it is not known. */
uint64_t cgroup_cpu_ns(const struct cgroup *cgroup);

#endif
