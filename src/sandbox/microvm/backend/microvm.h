/* SPDX-License-Identifier: Apache-2.0 */
/*
 * microvm.h - a guest as a KVM virtual machine of this process: the private
 * part of the backend.
 *
 *   open    memory, machine, personality, files, program   open.c, root.c
 *   run     the caller's thread is the guest's processor   drive.c, microvm.c
 *           or waits for one that is                       runner.c
 *   output  what the guest writes to 1 and 2, its bell     streams.c
 *
 *  guest-physical:
 *  0           16 MiB ...      1 GiB                  2 MiB-aligned
 *  | boot | tables |           | frames ... |         | host half | guest half
 * |
 *
 * Who has the processor: `who`, changed under the lock.  All of machine and
 * kernel belongs to that thread; while nobody has it, to who holds the lock.
 */
#ifndef SANDBOX_MICROVM_BACKEND_MICROVM_H
#define SANDBOX_MICROVM_BACKEND_MICROVM_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "sandbox/backend.h"
#include "sandbox/microvm/boot.h"
#include "sandbox/microvm/dirty.h"
#include "sandbox/microvm/linux/snapshot.h"
#include "sandbox/microvm/linux/vdso.h"
#include "sandbox/microvm/machine.h"
#include "sandbox/microvm/run.h"

#define MICROVM_OUTPUT_BYTES 65536u
#define MICROVM_END_BYTES    400u

/* Guest-physical; the frames have a range of their own. */
#define MICROVM_VDSO_AT   BOOT_BYTES
#define MICROVM_TABLES_AT (MICROVM_VDSO_AT + VDSO_BYTES)
#define MICROVM_FRAMES_AT (1ull << 30)

/* Memory of the host that the guest has: an owned mapping. */
struct microvm_memory {
    uint8_t *host; /* or NULL */
    uint64_t bytes, at;
};

enum microvm_who { MICROVM_NOBODY, MICROVM_CALLER, MICROVM_RUNNER };

/* What a stretch of running came to, beside codes below 0. */
enum microvm_stop {
    MICROVM_RANG = 0,
    MICROVM_IDLE = 1, /* all tasks wait, and only the host can change that */
    MICROVM_ON = 2,   /* nothing yet */
};

/* When nobody can run: */
enum microvm_idling {
    MICROVM_WAIT,    /* sleep until somebody can */
    MICROVM_LEAVE,   /* return IDLE, where only the host can change that */
    MICROVM_SETTLED, /* return IDLE, also where time alone will */
};

/* A template's part of a micro-VM: nothing changes in it. */
struct snapshot {
    atomic_uint references;
    int fd;            /* owned: a sealed memfd */
    uint8_t *image;    /* owned mapping of it, to read */
    uint64_t off;      /* of all in it */
    uint64_t until_ns; /* a file that is held still so long; 0: for ever */
    uint64_t system_bytes, frames_bytes; /* one after the other */
    struct seen seen;                    /* what its guest found on the host */
    struct kernel_snapshot kernel;
    uint64_t vdso_at;
    struct gbx_limits limits;
    bool has_folder;                   /* its guest saw a script's */
    bool has_grants;                   /* and what was mounted */
    _Atomic(struct touched *) touched; /* owned: frames that clones need */
};

/* What a clone has of its own, while there is nothing else of it. */
struct suspended {
    struct kernel_snapshot kernel;
    struct dirty_pages system, frames;
    uint64_t system_there, frames_there; /* that were the guest's */
    pid_t owner; /* the process: in a child of it, there would be two */
};

struct microvm {
    bool is_open;
    char *mark; /* owned: a byte that is 1, and 0 in a child of the process */
    struct gbx_limits limits;
    struct region *shared;       /* borrowed, or NULL */
    struct snapshot *snapshot;   /* counted: what it is a clone of; or NULL */
    const struct suspended *was; /* borrowed while it opens, or NULL */
    const char *libexec_dir;
    int folder_fd; /* owned, of a clone whose template has no folder; or -1 */

    struct microvm_memory system, frames, halves[2];
    struct machine machine;
    struct kernel *kernel;  /* owned, or NULL */
    struct handles handles; /* of its files of the host */
    struct seen seen;       /* what it found there, if it is watched */
    struct vdso vdso;
    uint64_t vdso_at; /* in the guest, or 0 */
    bool has_machine, has_run;
    bool is_loose;     /* nothing of it is mapped from the snapshot any more */
    bool unsettled;    /* the registers may not be changed yet */
    int wake_fd;       /* eventfd: ends a wait of whoever waits for the guest */
    uint64_t until_ns; /* its time is counted up to this moment; 0: it rests */

    bool wants[3]; /* a stream's end in the host was not ready when asked */

    /* Until close, from the bundle. */
    struct bundle what;                          /* with strings of our own */
    char *program, *folder, *root, *working_dir; /* owned */
    char **argv, **envp;                         /* owned */
    int (*output)(void *context, int stream, const void *text, size_t bytes);
    void *output_context;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool lock_open;
    _Atomic enum microvm_who who; /* written with the lock held */
    bool has_thread, quits;       /* the runner's */
    pthread_t thread;
    bool wanted;        /* the runner is to take the processor */
    bool rang;          /* while the runner had it */
    bool parked;        /* nothing to do before the host rings */
    int outcome;        /* the code of its end, or 0 */
    int event_fd;       /* eventfd: readable when run would return */
    bool told;          /* it has been written to, and not read */
    uint64_t parked_ns; /* when the runner let go of it */
    bool rests;         /* the last call is over */
    uint64_t rested_ns; /* since when; 0: the runner had it */
    struct {
        uint32_t rings;   /* in a row, soon after each other, to the caller */
        uint32_t enough;  /* after so many the runner takes over; 0: FEW */
        uint64_t rang_ns; /* the last of them */
        bool is_on;       /* it has the processor because of that */
        uint32_t naps;    /* of the caller since, soon after each other */
        uint64_t woke_ns; /* from the last of them */
    } chat;
    bool quick;   /* and the one before it was not long ago */
    char *buffer; /* owned: output of the runner, as records */
    size_t buffer_bytes;
    char *spare; /* owned, the caller's: what is handed on just now */

    /* Any thread sets them; who is the processor hears of the latter two. */
    atomic_bool killed, host_rang, has_room;
    atomic_bool yields; /* the runner is to let go of the processor */
    uint64_t spin_ns;
    int last;                 /* what run returned */
    struct dirty_count wiped; /* by the last wipe */
    char end_text[MICROVM_END_BYTES];
};

/* open.c; from vm->snapshot, where it has one */
int microvm_start(struct microvm *vm, const struct bundle *what,
                  struct gbx_error *err);
/* Before it runs: a virtual machine, where it has none. */
int microvm_wake(struct microvm *vm, struct gbx_error *err);
struct kernel_config microvm_kernel_config(struct microvm *vm);
void microvm_bind(struct microvm *vm); /* its kernel is another one */
/* Of the door: bytes of another file in the host's half. */
int microvm_borrow(struct microvm *vm, uint64_t off, uint64_t bytes, int fd,
                   uint64_t at);
void microvm_stop(struct microvm *vm);
void microvm_leave(struct microvm *vm); /* the same in a child: its copies */

/* root.c: the files that the guest sees. */
int root_build(struct microvm *vm, struct gbx_error *err);
/* Of a clone: the script's folder and mounts, where its template had none. */
int root_add(struct microvm *vm, struct gbx_error *err);

/* streams.c: descriptors 0 to 5. */
int streams_open(struct microvm *vm, const int stdio[3], struct gbx_error *err);
/* The host's descriptors that the guest has found not to be ready; and what
 * poll says of them. */
size_t streams_wanted(struct microvm *vm, struct pollfd waits[3]);
void streams_came(struct microvm *vm, const struct pollfd *waits, size_t count);
/* Hand on records that the runner has kept. */
int streams_deliver(const struct microvm *vm, const char *records,
                    size_t bytes);
void streams_have_room(struct microvm *vm); /* for more of them */

/* processor.c: the personality's way to the machine. */
struct kernel_cpu processor_of(struct microvm *vm);
bool processor_can_switch(struct microvm *vm);

/*
 * drive.c: be the guest's processor until the deadline.
 * Returns MICROVM_RANG, MICROVM_IDLE, or a code: GBX_ETIME, GBX_ECANCELED,
 * GBX_EEXIT, ...
 */
int drive(struct microvm *vm, uint64_t deadline_ns, enum microvm_idling idling);

/* What was interrupted can be taken out of the processor.  0, or a code. */
int drive_settle(struct microvm *vm, uint64_t deadline_ns);

/* snapshot/: of the door */
int snapshot_take(struct microvm *vm, struct snapshot **snapshot,
                  struct gbx_error *err);
void snapshot_get(struct snapshot *snapshot);
int snapshot_save(const struct snapshot *snapshot, struct bytes_out *out,
                  int *fd, uint64_t *bytes);
int snapshot_load(struct snapshot **snapshot, struct bytes_in *in, int fd,
                  uint64_t off, struct gbx_error *err);
void snapshot_put(struct snapshot *snapshot); /* NULL is allowed */
int snapshot_restore(struct microvm *vm, struct gbx_error *err);
/* When a clone must be loose, which this makes it; 0: never, or it is. */
uint64_t snapshot_until_ns(const struct microvm *vm);
void snapshot_let_go(struct microvm *vm);
/* A clone is about to end, or to be wiped: what did it touch? */
void snapshot_learn(struct microvm *vm);
bool microvm_park(struct microvm *vm);
/* How much of the frames anybody can have written. */
uint64_t snapshot_written(const struct microvm *vm);
/* suspend.c: of the door; as they say there. */
int microvm_suspend(struct microvm *vm, struct suspended **suspended,
                    struct gbx_error *err);
void microvm_discard(struct suspended *suspended);
/* One that has nothing yet; and its pages, to read. */
struct snapshot *snapshot_begin(void);
int snapshot_map(struct snapshot *snapshot, struct gbx_error *err);

/* runner.c */
/* The caller gets the processor, and the guest comes to rest: all its tasks
 * wait, or are stopped where they are.  0, or a code: GBX_ETIME, and it goes
 * on.
 */
int runner_settle(struct microvm *vm);
/* Nobody has the processor then.  0, or GBX_ETIME. */
int runner_release(struct microvm *vm);
int runner_run(struct microvm *vm, uint64_t deadline_ns);
void runner_rest(struct microvm *vm);
void runner_stop(struct microvm *vm);
/* Run would return now: whoever waits for that shall see. */
void runner_tell_locked(struct microvm *vm);
/* Who is the processor, if somebody is, shall look up.  Any thread. */
void runner_nudge(struct microvm *vm);

/* ending.c: why it ended, into end_text. */
int ending_tell(struct microvm *vm, int code, const char *text); /* code */
void ending_explain(struct microvm *vm, int code, const struct run_exit *exit);

/* probe.c */
size_t microvm_probe(struct probe_item *items, size_t max);

#endif
