/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - a guest as a sealed process: the private part of the backend.
 *
 *   open    looks for what will be needed, writes the plan   open.c, draft.c
 *   start   pipes, cgroup, clone, identity, plan, filter     start.c
 *           or: an order to a zygote, pipes, cgroup, plan    zygote.c
 *   run     waits for a bell, some output, or an end         process.c
 *   stop    kills, buries, removes the cgroup                start.c
 *
 * wipe is stop and start: nothing of a process can be left but its absence.
 */
#ifndef SANDBOX_PROCESS_PROCESS_H
#define SANDBOX_PROCESS_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "sandbox/backend.h"
#include "sandbox/grants/grants.h"
#include "sandbox/process/cgroup.h"
#include "sandbox/process/plan.h"

#define OUTPUT_BYTES 65536
#define NOBODY       BUNDLE_NOBODY /* who the guest of a root is, outside */

/* What lives from start to stop. */
struct cell {
    int pidfd;       /* of init; changed under the lock of kill */
    int control;     /* socket to init; likewise */
    int start;       /* pipe from init, until the guest runs */
    int orders;      /* socket to a zygote */
    int bell;        /* eventfd, never read: epoll tells of each ring once */
    int output[2];   /* read ends of the guest's stdout and stderr */
    bool has_cgroup; /* made, to be removed */
};

#define CELL_NONE                                                              \
    {                                                                          \
        .pidfd = -1, .control = -1, .start = -1, .orders = -1, .bell = -1,     \
        .output = {                                                            \
            -1,                                                                \
            -1                                                                 \
        }                                                                      \
    }

/* A folder (or file) of the host that the guest is shown. */
struct shown {
    int fd;       /* O_PATH, or -1: none */
    int tree;     /* its mount for the next start, if there is one yet */
    int idmap_fd; /* user namespace that shows it as the guest's */
};

#define SHOWN_NONE                                                             \
    {                                                                          \
        .fd = -1, .tree = -1, .idmap_fd = -1                                   \
    }

/* The other ends, which die with the start. */
struct ends {
    int output[2], control, start, caller, program, folder, root, tmp;
    int orders, proc; /* of a zygote */
    int grants[GBX_MOUNTS_MAX];
};

/* Owner thread; but `killed` and, under `lock`, the cell's control also belong
 * to whoever kills. */
struct process {
    bool is_open;
    bool is_zygote;        /* a template's: never run once it is ready */
    bool is_program;       /* no guest program: it has no region */
    int stdio[3];          /* borrowed: its streams; -1: none */
    struct snapshot *from; /* counted: whose copy it is, or NULL */
    pthread_mutex_t lock;
    atomic_bool killed;

    /* Until close. */
    struct gbx_limits limits;
    int (*output)(void *context, int stream, const void *text, size_t bytes);
    void *output_context;
    struct region *shared;
    struct plan *plan; /* owned */
    int init_fd;       /* glovebox-init */
    int program_fd;    /* O_PATH; -1: what runs lies in its root */
    struct shown folder, root;
    const struct grants *grants; /* what is mounted, borrowed; or NULL */
    struct shown granted[GBX_MOUNTS_MAX];
    int epoll_fd;
    bool brings_mounts;   /* the host clones program and folders, not init */
    struct guest_ids ids; /* the guest's, inside */
    uid_t uid;            /* and outside */
    gid_t gid;
    struct cgroup cgroup;

    struct cell cell;
    int end;            /* 0 while it runs, else the code of its end */
    struct ended ended; /* what init said */
    int last;           /* what run returned */
    char buffer[OUTPUT_BYTES];
};

/* zygote.c: a template's part. */
struct snapshot {
    atomic_uint references;
    char *program, *folder; /* what it shows; folder may be NULL */
    struct process zygote;  /* of its cell, only orders is used, by anybody */

    /* Copies' folders often have one owner; below it, any thread. */
    pthread_mutex_t lock;
    int idmap_fd; /* owned, or -1 */
    uid_t idmap_uid;
    gid_t idmap_gid;
};

/* open.c: the parts of opening and closing one, but for its cell. */
void process_init(struct process *self);
int process_take(struct process *self, const struct bundle *what,
                 struct gbx_error *err); /* limits and callbacks */
int process_find(struct process *self, const struct bundle *what,
                 struct gbx_error *err); /* files, and a plan */
void process_fini(struct process *self);

/*
 * mount.c: can the host bring mounts; find a folder that is shown, with what
 * is mounted below it (AT_RECURSIVE) or without (0); the same of all that is
 * granted; a user namespace that shows this user's files as the guest's (owned,
 * or -1); the mounts for one start.
 */
void mount_see(struct process *self);
int mount_find(struct process *self, struct shown *shown, const char *path,
               unsigned how, struct gbx_error *err);
int mount_find_granted(struct process *self, struct gbx_error *err);
int mount_idmap(uid_t uid, gid_t gid);
int mount_bring(struct process *self, struct ends *ends, struct gbx_error *err);

static inline size_t grant_count(const struct process *self)
{
    return self->grants != NULL ? self->grants->count : 0;
}

/* Is it seen through an overlay? */
bool mount_is_overlaid(const struct process *self, const struct grant *grant);

/* Does the host make its /tmp, and not init? */
static inline bool mount_brings_tmp(const struct process *self)
{
    return self->from != NULL && self->from->zygote.brings_mounts;
}

/* draft.c: write self->plan.  GBX_ELIMIT for too many or too long texts. */
int draft_plan(struct process *self, const struct bundle *what,
               struct gbx_error *err);
/* The same of what a zygote's copy has besides. */
int draft_copy(struct process *self, const struct bundle *what,
               struct gbx_error *err);

void plan_set_processes(struct plan *plan, uint64_t count); /* the limit */

/* How many files a /tmp of this size may have. */
uint32_t plan_inodes(uint64_t bytes);

/* How many bytes of the plan are to be sent. */
size_t plan_bytes(const struct plan *plan);

/* start.c: from nothing to a guest program that runs; and back, always. */
int cell_start(struct process *self, struct gbx_error *err);
void cell_stop(struct process *self);

/* What can be done before there is a region; of a zygote's copy, only. */
int cell_order(struct process *self, struct gbx_error *err);

/* Tell init to end everything; locked or by the owner.  Never waits. */
void cell_end(const struct process *self);

/* Parts of it, where there is a cgroup at all. */
int cell_make_cgroup(struct process *self, struct gbx_error *err);
int cell_limit(struct process *self, struct gbx_error *err);

/* zygote.c: the door's functions, and steps of cell_order and cell_start. */
int process_prepare(const struct bundle *what, uint64_t deadline_ns,
                    struct snapshot **snapshot, struct gbx_error *err);
int process_begin(void *self, const struct bundle *what,
                  struct snapshot *snapshot, struct gbx_error *err);
int process_clone(void *self, const struct bundle *what,
                  struct snapshot *snapshot, struct region *shared,
                  struct gbx_error *err);
void process_put(struct snapshot *snapshot);
int zygote_idmap(struct snapshot *snapshot, uid_t uid, gid_t gid);
int zygote_order(struct process *self, const struct ends *ends,
                 struct gbx_error *err);
int zygote_tell(struct process *self, const struct ends *ends,
                struct gbx_error *err);
int process_run(void *self, uint64_t deadline_ns);

/* explain.c: fail() with what init reported, and the remedy. */
int explain_report(const struct process *self, const struct report *report,
                   struct gbx_error *err);
int explain_clone(int sys, struct gbx_error *err);
void explain_end(const struct process *self, struct gbx_error *err);

#endif
