/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.h - the personality: what a guest takes for its Linux kernel.
 *
 * It is one process with threads (tasks), of which one at a time has the
 * processor.  Nothing here knows how the processor runs: its registers are
 * reached through struct kernel_cpu, so tests and fuzzers drive it without one.
 *
 *  kernel_open(&kernel, &config, &err);
 *  kernel_exec(&kernel, &program, &err);
 *  while (!kernel.ended) {
 *      if (!kernel_schedule(&kernel, now_ns)) { ... wait; continue; }
 *      kernel_resume(&kernel);              signals, calls that waited
 *      ... run, until it leaves ring 3 ...
 *      kernel_call(&kernel)  or  kernel_fault(&kernel, ...)
 *  }
 *  kernel_close(&kernel);
 *
 * Threads: one at a time.
 * Memory:  all in a heap of its own (heap/heap.h).
 */
#ifndef SANDBOX_MICROVM_LINUX_KERNEL_H
#define SANDBOX_MICROVM_LINUX_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/error.h"

#include "sandbox/microvm/linux/event/event.h"
#include "sandbox/files/tree/tree.h"
#include "sandbox/microvm/linux/space/space.h"
#include "sandbox/microvm/linux/task/signal.h"
#include "sandbox/microvm/linux/task/task.h"
#include "sandbox/microvm/linux/wake.h"
#include "sandbox/microvm/machine.h"

#define KERNEL_STACK_BYTES (8ull << 20) /* counted with the memory */
#define KERNEL_NO_VECTOR   0xffu
#define KERNEL_PID                                                             \
    2 /* and first tid, as in a process sandbox;                               \
         of a copy: its group and session */

/* Answers of a system call that are none, below all errors. */
#define KERNEL_WAIT (-5000) /* the task waits, and then calls again */
#define KERNEL_KEEP (-5001) /* the registers are as they shall be */
#define KERNEL_ON   (-5002) /* a part is done; it goes on at the next resume */

/* The processor of the task that has it. */
struct kernel_cpu {
    struct kvm_regs *regs; /* of ring 3 */
    void *context;
    void (*set_fs)(void *context, uint64_t base);
    void (*set_gs)(void *context, uint64_t base);
    uint64_t (*get_fs)(void *context);
    uint64_t (*get_gs)(void *context);
    /* All of a task; negative: the machine is of no more use. */
    int (*save)(void *context, struct machine_state *state);
    int (*load)(void *context, const struct machine_state *state);
    uint32_t xsave_bytes; /* that the processor has in use */
};

struct descriptor {
    struct file *file; /* counted, or NULL: free */
    bool close_on_exec;
};

/* How all of it ended. */
struct kernel_end {
    int status; /* of exit, or */
    int signal; /* that nobody handled, or 0 */
    uint64_t rip, address;
    unsigned vector, error; /* of the exception behind it; or NO_VECTOR */
};

/* One line for people, without its end. */
typedef void kernel_trace_fn(void *context, const char *line);

struct kernel_config {
    uint64_t memory_bytes, file_bytes; /* limits of space.h */
    uint64_t disk_bytes;
    uint32_t tasks_max, files_max;
    uint32_t uid, gid;
    struct memory *memory;   /* borrowed; with slots for tables and frames */
    struct handles *handles; /* borrowed: of files of the host */
    struct seen *seen;       /* the same: what is found there; or NULL */
    uint64_t tables_at, tables_bytes, frames_at, frames_bytes;
    struct kernel_cpu cpu;
    kernel_trace_fn *trace; /* or NULL */
    void *trace_context;
};

struct kernel {
    struct heap *heap; /* owned: all of this is in it */
    struct space space;
    struct tree *tree;       /* owned */
    struct event_sets *sets; /* owned */
    struct waker waker;
    struct kernel_cpu cpu;

    struct descriptor *descriptors; /* owned, files_max */
    uint32_t files_max;
    uint64_t file_bytes_max; /* RLIMIT_FSIZE */
    struct node *cwd;        /* counted */
    unsigned umask;
    uint32_t uid, gid;

    struct task **tasks; /* owned, tasks_max, NULL: free */
    uint32_t tasks_max, task_count;
    struct task *current; /* who has the processor; or NULL */
    int last_tid;
    int pid;          /* a copy's is another one; tids stay */
    uint64_t waits;   /* counts them, for first come first served */
    bool fresh_slice; /* another one's turn, if there is another */
    uint64_t slice_from_ns;
    bool stirred; /* somebody may have become ready, or has a signal */

    struct signals signals;
    int forced; /* a signal of the last fault, not delivered yet; or 0 */

    char *arguments, *environment; /* owned, of /proc/self, NUL between */
    size_t argument_bytes, environment_bytes;
    char program[4096];  /* path in the tree */
    uint64_t image_base; /* of the program; for symbols */
    uint64_t stack_top;

    bool rang;  /* the guest wrote to its bell */
    bool ended; /* see end */
    struct kernel_end end;
    bool met_task_limit, met_file_limit;
    const char *unsupported; /* the last call that we do not have */
    const char *lacks;       /* the same, of the call that is made now */
    int stopped;             /* GBX_E: an output refused, ... */
    uint64_t started_ns, ran_ns;

    kernel_trace_fn *trace;
    void *trace_context;
    void *owner;             /* of the backend, for the files that it makes */
    struct file *streams[3]; /* the same: its 0 to 2, while they are open */
};

/* Returns 0 or a GBX_E code; close is called even then. */
int kernel_open(struct kernel **kernel, const struct kernel_config *config,
                struct gbx_error *err);
/* NULL is allowed.  What it has of config.handles is the owner's to end. */
void kernel_close(struct kernel *kernel);

/* Make the first task run a program of the tree (load.c). */
struct kernel_program {
    const char *path;
    const char *const *argv, *const *envp; /* NULL-terminated */
    uint64_t vdso_at;                      /* AT_SYSINFO_EHDR, or 0 */
    uint64_t hwcap, hwcap2;
};
int kernel_exec(struct kernel *kernel, const struct kernel_program *program,
                struct gbx_error *err);

/* A system call was made: its answer, in the registers or later. */
void kernel_call(struct kernel *kernel);

/* An exception of ring 3. */
void kernel_fault(struct kernel *kernel, unsigned vector, unsigned error,
                  uint64_t address);

/*
 * Give the processor to a task that can run.  False: none can, before
 * kernel_due_ns.  Negative when the processor fails.
 */
int kernel_schedule(struct kernel *kernel, uint64_t now_ns);

/* The task that has the processor runs on, and nobody else wants it: no need to
 * schedule or resume. */
bool kernel_goes_on(const struct kernel *kernel);

/* When the next task's wait is over by itself; 0: never. */
uint64_t kernel_due_ns(const struct kernel *kernel);

/* True when more than one task could run, so that time is to be shared. */
bool kernel_is_shared(const struct kernel *kernel);

/*
 * Of the task that has the processor: its call that waited is made again, its
 * signals are delivered.  False: it does not run on (or has more of a long call
 * to do, which takes some milliseconds each time): schedule anew.
 */
bool kernel_resume(struct kernel *kernel);

/* calls.c: what happened between two exits. */
void kernel_note_unsupported(struct kernel *kernel, const char *what);
const char *kernel_call_name(uint64_t number);

/* descriptor.c */
struct file *kernel_file(const struct kernel *kernel, uint64_t number);
/* Takes the reference over, also when it fails. Lowest from `first` on. */
int kernel_install(struct kernel *kernel, struct file *file, uint32_t first,
                   bool close_on_exec);
int kernel_close_file(struct kernel *kernel, uint64_t number);

#endif
