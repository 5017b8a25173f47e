/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - a KVM virtual machine with one processor.
 *
 *  machine_open(&machine, &err);
 *  machine_memory(&machine, &range, &err);
 *  tables_init(...); tables_map(...);
 *  boot_open(&machine, &tables, physical, &err);
 *  machine_load(&machine, &state, &err);
 *  run_enter(&machine, deadline_ns, &err); run(&machine, &exit) ...  run.h
 *  machine_close(&machine);
 *
 * The ring-3 registers are in place, in machine_registers(), between two runs.
 *
 * Threads: one at a time, any, but run_stop: any at any time.
 */
#ifndef SANDBOX_MICROVM_MACHINE_H
#define SANDBOX_MICROVM_MACHINE_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include <linux/kvm.h>

#include "glovebox/error.h"

#include "sandbox/microvm/memory.h"

/* Where the processor stands, and so how it is brought back to ring 3. */
enum machine_place {
    MACHINE_FRESH,    /* in ring 3; registers may be set */
    MACHINE_GATE,     /* in ring 0 at the gate: sysretq, or iretq */
    MACHINE_FAULT,    /* in ring 0 in an exception's stub: iretq */
    MACHINE_RING3,    /* interrupted in ring 3: run on, or load another */
    MACHINE_ANYWHERE, /* interrupted in ring 0: only run on */
    MACHINE_BROKEN,
};

/* In which ring `syscall` arrives at the gate: 3 where ring 0 is emulated. */
enum machine_gate {
    MACHINE_GATE_UNKNOWN,
    MACHINE_GATE_RING0,
    MACHINE_GATE_RING3
};

struct machine {
    int kvm_fd, vm_fd, cpu_fd;
    struct kvm_run *cpu; /* owned mapping */
    size_t cpu_bytes;
    uint64_t xcr0;
    struct memory memory;
    uint32_t slot_count;         /* of KVM, for memory */
    void *frame;                 /* struct boot_frame, in guest memory */
    struct kvm_sregs boot_sregs; /* of ring 3, as boot.c set them */

    /* run.c's */
    enum machine_place place;
    enum machine_gate gate;
    bool is_started;
    bool is_counted;  /* by machine_count */
    bool pending;     /* the last `out` may not have been completed */
    bool sregs_known; /* cpu->s.regs.sregs are those of now */
    uint64_t kernel_rip, kernel_rflags;
    const char *broken;
    uint64_t deadline_ns;
    timer_t timer;
    uint64_t timer_thread; /* whose timer it is; 0: there is none */
    pid_t timer_tid;       /* the same thread's */
    sigset_t outside, inside;
    bool inside_told;  /* KVM knows `inside` */
    bool strangers;    /* somebody else's signal was taken, and is due */
    uint64_t first_ns; /* the soonest the timer was set to since it was
                          entered; UINT64_MAX: never */
    bool kicked;       /* with the lock: it was sent a signal since */

    pthread_mutex_t lock; /* of tid */
    bool lock_open;
    pid_t tid; /* the thread inside, or 0 */
    _Atomic bool stop;
};

#define MACHINE_NONE                                                           \
    {                                                                          \
        .kvm_fd = -1, .vm_fd = -1, .cpu_fd = -1                                \
    }

/* All that a thread of the guest has in the processor. */
struct machine_state {
    struct kvm_regs regs;
    uint64_t fs_base, gs_base;
    struct kvm_xsave xsave;
};

/*
 * Returns 0; or GBX_EUNSUPPORTED, GBX_EHOST, and err names what is missing and
 * the remedy; the machine is as after close.
 */
int machine_open(struct machine *machine, struct gbx_error *err);

/*
 * The same in two steps: init has no virtual machine yet, but may be given its
 * memory.  halt ends the virtual machine, whose registers must have been saved,
 * and the memory stays; start makes a new one, in which boot and load come
 * next.  An idle one costs all others time: the kernel tells each virtual
 * machine of a process of every change of its mappings.
 * start returns as open, and the machine is as after halt.
 */
void machine_init(struct machine *machine);
int machine_start(struct machine *machine, struct gbx_error *err);
void machine_halt(struct machine *machine); /* idempotent */

/* Could one be made?  As open, without making one. */
int machine_check(struct gbx_error *err);

/* How many are started in this process.  Any thread. */
unsigned machine_count(void);

/* Idempotent; on MACHINE_NONE, too.  Nobody is inside. */
void machine_close(struct machine *machine);

/*
 * Give it memory; borrowed until close.  Returns 0, GBX_EARGUMENT, GBX_ELIMIT
 * or GBX_EHOST.
 */
int machine_memory(struct machine *machine, const struct memory_range *range,
                   struct gbx_error *err);

/* The registers of ring 3; changes count at the next run, unless it returned
 * TIME or STOPPED.  NULL of one that has not started. */
static inline struct kvm_regs *machine_registers(struct machine *machine)
{
    return machine->cpu == NULL ? NULL : &machine->cpu->s.regs.regs;
}

/*
 * The registers of ring 0, asked from KVM unless they are known.  Changes count
 * at the next run if KVM_SYNC_X86_SREGS is among cpu->kvm_dirty_regs.
 * Returns 0 or GBX_EHOST; *sregs is borrowed until the next run.
 */
int machine_sregs(struct machine *machine, struct kvm_sregs **sregs);

/* Counts at the next run.  It must be below TABLES_USER_END. */
void machine_set_fs(struct machine *machine, uint64_t fs_base);

/* A state to start from: zero, with the extended registers' initial values. */
void machine_state_init(struct machine_state *state, uint64_t rip,
                        uint64_t rsp);

/*
 * Take out, or put in, everything of one thread of the guest.  (But for the
 * selectors in DS, ES, FS and GS: there is one that fits, and null.)
 * Returns 0; GBX_EAGAIN where the processor is between rings, or an exception
 * is on its way: run on; GBX_EHOST.
 */
int machine_save(struct machine *machine, struct machine_state *state);
int machine_load(struct machine *machine, const struct machine_state *state);

/*
 * Wherever it stands: it is in ring 3 then, as after boot, with nothing on its
 * way to it, and takes registers.  Returns 0 or GBX_EHOST; the latter also
 * where it will not run again, or its memory is stale.
 */
int machine_reset(struct machine *machine);

#endif
