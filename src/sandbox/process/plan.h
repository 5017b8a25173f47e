/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - what the host tells glovebox-init to do, and what comes back.
 *
 * Host and init are of one build, but two programs: a wrong or truncated init
 * must be noticed, so each record starts with its magic and has one length.
 *
 *   host                                   glovebox-init (pid 1)
 *    | clone + exec, fds at fixed numbers --> |
 *    | uid_map, gid_map of the new namespace  |
 *    | plan ---------- control socket ------> |
    | <-------------- control socket: hello  | fork pid 2: it builds the root
 *    | filter -------- control socket ------> | (pid 2) seals itself, exec
 *    | <-- start pipe: a report, when a step fails
 *    | <-------------- control socket: hello  | the guest program runs
 *    |                                        |
 *    | <-------------- control socket: ended  | when pid 2 is gone
 *
 * A template's guest is a zygote: it is not sealed, runs nothing of a script,
 * and makes copies of itself, each with an init of its own (zygote.c):
 *
 *   host                                   zygote
 *    | filters -------- orders socket ------> | its own, and what its copies
 *    |                                        | have besides
 *    | <------------------ bell: a ring       | its language is ready
 *    |                                        |
 *    | order, fds ----- orders socket ------> | clone a pid 1
 *    | <----- copy's control socket: born     |   | it forks pid 2
 *    | plan, fds ---- copy's control socket > |   | pid 2 does as it says
 *    | <-- copy's start pipe: a report, when a step fails
 *    | <----- copy's control socket: hello    |   | it is sealed: a guest
 *    | <----- copy's control socket: ended    |   | when pid 2 is gone
 *
 * So a copy is being born while the host makes what it will be given.
 */
#ifndef SANDBOX_PROCESS_PLAN_H
#define SANDBOX_PROCESS_PLAN_H

#include <linux/filter.h>
#include <stdint.h>

#define PLAN_MAGIC   0x316e6c7078626767ull /* "ggbxpln1" */
#define FILTER_MAGIC 0x31746c6678626767ull
#define ENDED_MAGIC  0x31646e6578626767ull
#define REPORT_MAGIC 0x3174707278626767ull
#define HELLO_MAGIC  0x316f6c6878626767ull /* init: the guest runs */
#define BORN_MAGIC   0x316e726278626767ull /* a copy: with a pidfd of pid 1 */
#define ORDER_MAGIC  0x3172647278626767ull

/*
 * File descriptors init is born with.  0 is closed, but for a program's input;
 * 1 to 5 are the guest's own: its output and what abi/region.h names.
 */
enum {
    INIT_FD_IN = 0,
    INIT_FD_OUT = 1,
    INIT_FD_ERR = 2,
    INIT_FD_HOST_HALF = 3,
    INIT_FD_GUEST_HALF = 4,
    INIT_FD_BELL = 5,
    INIT_FD_CONTROL = 6, /* socket, SOCK_SEQPACKET */
    INIT_FD_START = 7,   /* pipe, for one report */
    INIT_FD_CALLER = 8,  /* pidfd of the process that embeds the library */
    INIT_FD_PROGRAM = 9, /* detached mount, or absent */
    INIT_FD_FOLDER = 10, /* detached mount, or absent */
    INIT_FD_ROOT = 11,   /* detached mount, or absent */
    INIT_FD_CGROUP = 12, /* directories in which argv[1] is our cgroup */
    INIT_FD_SELF = INIT_FD_CGROUP + 3, /* init's own file */
    INIT_FD_GRANT, /* detached mounts of what is granted, or absent */
    INIT_FD_COUNT = INIT_FD_GRANT + 16 /* GBX_MOUNTS_MAX */
};

#define PLAN_CGROUPS (INIT_FD_SELF - INIT_FD_CGROUP)

/*
 * A zygote has no region, so it finds other things there.  /proc is the host's,
 * and no copy keeps it: pid 1 of a copy says in it who it is.
 */
#define ZYGOTE_FD_ORDERS INIT_FD_HOST_HALF  /* socket, SOCK_SEQPACKET */
#define ZYGOTE_FD_PROC   INIT_FD_GUEST_HALF /* O_PATH */

/*
 * With an order come the descriptors INIT_FD_CONTROL to INIT_FD_CALLER of a
 * copy; init's own file; and, for cgroups v2, the directory it is born in.
 */
#define ORDER_FD_INIT   (INIT_FD_CALLER + 1)
#define ORDER_FD_CGROUP (ORDER_FD_INIT + 1)
#define ORDER_FDS       (ORDER_FD_CGROUP - INIT_FD_CONTROL)
#define ORDER_FDS_MAX   (ORDER_FDS + 1)

/*
 * With a copy's plan come INIT_FD_OUT to INIT_FD_BELL; the mounts that the host
 * brings, in the order of the plan's operations; and, for cgroups v1, their
 * "tasks" files.
 */
#define COPY_FDS      INIT_FD_BELL
#define COPY_FD_MOUNT ORDER_FD_CGROUP /* which is closed by then */
#define COPY_MOUNTS   2
#define COPY_FDS_MAX  (COPY_FDS + COPY_MOUNTS + PLAN_CGROUPS)

/* One step in building the root.  Paths in the root have no leading slash. */
enum operation_kind {
    OPERATION_NONE,
    OPERATION_DIR,   /* target */
    OPERATION_LINK,  /* target becomes a symbolic link to source */
    OPERATION_TEXT,  /* target becomes a file; source is its content */
    OPERATION_BIND,  /* host path source, read-only, at target */
    OPERATION_MOUNT, /* detached mount number `fd`, as it is, at target */
    OPERATION_TMPFS, /* at target: size_bytes, inodes */
    OPERATION_STAGE, /* the first, if at all: size_bytes and inodes for all that
                        is changed in the next two, and at target its /tmp */
    OPERATION_ROOT,  /* host path source, or mount `fd`, is the root, and what
                        is changed there lies in the stage */
    OPERATION_COW,   /* the same of what is at target; or nothing is changed */
};

#define OPERATION_OPTIONAL 1u /* a source that is not there is no error */
#define OPERATION_FILE     2u /* source is a file, not a directory */
#define OPERATION_DEVICE   4u /* source is a device node, and shall work */
#define OPERATION_PUBLIC   8u /* a tmpfs of mode 1777, as /tmp is */
/* Of the embedder's: source must still be dev and ino, if it is a path.  What
 * is missing on the way to target is made, and links there are followed. */
#define OPERATION_GRANT  16u
#define OPERATION_SEALED 32u /* of OPERATION_COW: nothing can be changed */

struct operation {
    uint32_t kind; /* enum operation_kind */
    uint32_t flags;
    uint32_t source, target; /* offsets in text */
    int32_t fd;
    uint32_t inodes;
    uint64_t size_bytes;
    uint64_t dev, ino;
};

#define PLAN_OPERATIONS_MAX 56
#define PLAN_RLIMITS_MAX    16
#define PLAN_ARGS_MAX       512 /* of argv, and of envp */
#define PLAN_TEXT_MAX       65536
#define PLAN_NAME_MAX       64 /* of a cgroup, with its end */

#define PLAN_SET_GROUPS 1u  /* may, and must, leave all other groups */
#define PLAN_CGROUP_V1  2u  /* pid 2 joins by writing to "tasks" */
#define PLAN_CGROUP_V2  4u  /* pid 2 is born in it */
#define PLAN_ZYGOTE     8u  /* pid 2 becomes one, in cgroup NAME/zygote */
#define PLAN_STAGE      16u /* the first operation is OPERATION_STAGE */
#define PLAN_OWN_ROOT   32u /* and the second OPERATION_ROOT */
#define PLAN_STREAMS    64u /* a filter for what a program holds comes first */

#define PLAN_ZYGOTE_CGROUP "zygote"

struct plan {
    uint64_t magic;
    uint32_t flags;
    uint32_t uid, gid;    /* inside */
    uint32_t program;     /* text: path in the root */
    uint32_t working_dir; /* the same */
    uint32_t cgroups;     /* bit i: INIT_FD_CGROUP + i is to be joined (v1) */
    uint32_t operation_count, rlimit_count, arg_count, env_count;
    uint32_t text_bytes;
    uint32_t mounts; /* of a copy: how many come with it */
    uint32_t args[PLAN_ARGS_MAX], envs[PLAN_ARGS_MAX]; /* offsets in text */
    struct {
        uint32_t resource, reserved;
        uint64_t soft, hard;
    } rlimits[PLAN_RLIMITS_MAX];
    struct operation operations[PLAN_OPERATIONS_MAX];
    char text[PLAN_TEXT_MAX]; /* strings; only text_bytes of it are sent */
};

/* To a zygote: make a copy, which is called this, and let its host speak to it.
 */
struct order {
    uint64_t magic;
    uint32_t in_cgroup; /* v2: its directory came with it */
    uint32_t uid, gid;
    uint32_t reserved;
    char name[PLAN_NAME_MAX]; /* for who lists processes */
};

#define FILTER_CODE_MAX 1024

struct filter {
    uint64_t magic;
    uint32_t count, reserved;
    struct sock_filter code[FILTER_CODE_MAX]; /* only count of it are sent */
};

/* Where starting a guest can fail; the host has the words. */
#define INIT_STEPS(X)                                                          \
    X(EXEC_INIT, "start glovebox-init")                                        \
    X(READ_PLAN, "read the plan")                                              \
    X(FORK, "fork the guest")                                                  \
    X(COPY, "clone the zygote")                                                \
    X(JOIN_CGROUP, "join the cgroup")                                          \
    X(CGROUP_NAMESPACE, "leave the host's cgroup namespace")                   \
    X(IDENTITY, "become the sandbox's user")                                   \
    X(HOSTNAME, "set the host name")                                           \
    X(ROOT, "make the sandbox's root")                                         \
    X(FOLDER, "show the folder that is the root")                              \
    X(OVERLAY, "lay the guest's changes over its root (overlayfs)")            \
    X(COW, "lay the sandbox's changes over what is mounted at")                \
    X(OPERATION, "put into the sandbox's root")                                \
    X(PIVOT, "move into the sandbox's root")                                   \
    X(WORKING_DIR, "enter the working directory")                              \
    X(FDS, "set up file descriptors")                                          \
    X(RLIMIT, "set a resource limit")                                          \
    X(CAPABILITIES, "drop all capabilities")                                   \
    X(LANDLOCK, "restrict file access (Landlock)")                             \
    X(READ_FILTER, "read the system call filter")                              \
    X(SECCOMP, "restrict system calls (seccomp)")                              \
    X(EXEC_GUEST, "start the guest program")

enum init_step {
#define X(name, text) STEP_##name,
    INIT_STEPS(X)
#undef X
        STEP_COUNT
};

struct report {
    uint64_t magic;
    uint32_t step;   /* enum init_step */
    int32_t sys;     /* errno */
    uint32_t detail; /* the operation's or the limit's number */
    uint32_t reserved;
};

struct ended {
    uint64_t magic;
    int32_t signal; /* that killed it, or 0 */
    int32_t status; /* that it exited with */
    uint64_t cpu_ns;
};

_Static_assert(sizeof(struct operation) == 48, "no padding");
_Static_assert(sizeof(struct order) == 24 + PLAN_NAME_MAX, "no padding");
_Static_assert(sizeof(struct report) == 24, "no padding");
_Static_assert(sizeof(struct ended) == 24, "no padding");

#endif
