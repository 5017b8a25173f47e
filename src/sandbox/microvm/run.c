/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - into ring 3 and out again, and being stopped.
 *
 * The way back.  Whatever the exit, machine_registers() shows ring 3: after a
 * system call RIP is RCX and RFLAGS is R11, after an exception they are what
 * the processor pushed.  How they get there depends on where it stands:
 *
 *   in ring 3 (kvm_pvm's gate, a bell)   the registers are simply set
 *   in ring 0, at the gate               sysretq, if RCX and R11 still say so
 *   in ring 0, elsewhere                 a frame on the kernel's stack, iretq
 *
 * Which ring that is, the interrupt flag tells: ring 3 has it set, always, and
 * cannot clear it (IOPL is 0), while the gate and the stubs are entered with it
 * clear.  (The segment registers would tell, too, but to have KVM read them all
 * at each exit costs a fifth of it where that means vmread.)  kvm_pvm clears it
 * on the way to the gate and stays in ring 3; whether it does so is asked once.
 *
 * An `out` that KVM has not completed is no trouble when RIP is set: KVM moves
 * it on only if it still is where the `out` was.
 *
 * Stopping.  A processor in the guest leaves it for a signal to its thread, and
 * the signals are the embedder's.  SIGURG is used, and its disposition is left
 * alone, whatever it is: the thread blocks it while it is inside, and KVM is
 * told to unblock it in the guest (KVM_SET_SIGNAL_MASK).  Then it ends KVM_RUN,
 * stays pending, and is taken with sigtimedwait: no handler runs, and one that
 * comes between two runs is not lost, as with ppoll.  A deadline is a timer
 * that sends it to the thread.  All other signals are treated as the embedder
 * wants: they end KVM_RUN, their handlers run, and the guest goes on.
 *
 * SIGURG, because its default is to be ignored and because runtimes that use it
 * themselves (Go does) expect ones without a reason: if ever one slips through,
 * it does no harm.  One that was not ours is raised again at leave.  (Refused:
 * a real-time signal with a handler of ours, which takes something of the whole
 * process and kills it when it comes at the wrong time; a thread that watches
 * the clock, which needs the signal just the same.)  KVM switches the mask at
 * each run, 0.1 us: cheap against an exit.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "sandbox/microvm/boot.h"
#include "sandbox/microvm/run.h"

#define KICK         SIGURG
#define PAGE_FAULT   14
#define SIGSET_BYTES 8 /* the kernel's */

#define RFLAGS_FREE   0x240dd5 /* ID AC OF DF TF SF ZF AF PF CF */
#define RFLAGS_ALWAYS 0x202    /* IF, and a bit that is always set */
#define RFLAGS_IF     0x200

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* Unlike a tid, never that of another thread, which has ended. */
static uint64_t this_thread(void)
{
    static _Atomic uint64_t last;
    static _Thread_local uint64_t mine;

    if (mine == 0)
        mine = atomic_fetch_add(&last, 1) + 1;
    return mine;
}

static int make_timer(struct machine *machine)
{
    struct sigevent event = {
        .sigev_notify = SIGEV_THREAD_ID,
        .sigev_signo = KICK,
        .sigev_value.sival_ptr = machine,
    };
    pid_t tid;

    if (machine->timer_thread == this_thread())
        return 0;
    tid = (pid_t)syscall(SYS_gettid);
    event.sigev_notify_thread_id = tid;
    if (machine->timer_thread != 0)
        timer_delete(machine->timer);
    machine->timer_thread = 0;
    if (timer_create(CLOCK_MONOTONIC, &event, &machine->timer) < 0)
        return GBX_EHOST;
    machine->timer_thread = this_thread();
    machine->timer_tid = tid;
    return 0;
}

void run_deadline(struct machine *machine, uint64_t deadline_ns)
{
    struct itimerspec when = {.it_value = clock_timespec(deadline_ns)};

    if (machine->deadline_ns != deadline_ns)
        must(timer_settime(machine->timer, TIMER_ABSTIME, &when, NULL) == 0);
    if (deadline_ns != 0 && deadline_ns < machine->first_ns)
        machine->first_ns = deadline_ns;
    machine->deadline_ns = deadline_ns;
}

/* The thread's mask, without KICK. */
static int tell_mask(struct machine *machine)
{
    struct {
        struct kvm_signal_mask head;
        uint8_t bytes[SIGSET_BYTES];
    } mask = {.head.len = SIGSET_BYTES};
    sigset_t inside = machine->outside;

    sigdelset(&inside, KICK);
    if (machine->inside_told &&
        memcmp(&inside, &machine->inside, SIGSET_BYTES) == 0)
        return 0;
    memcpy(mask.head.sigset, &inside, SIGSET_BYTES);
    if (ioctl(machine->cpu_fd, KVM_SET_SIGNAL_MASK, &mask) < 0)
        return GBX_EHOST;
    machine->inside = inside;
    machine->inside_told = true;
    return 0;
}

int run_enter(struct machine *machine, uint64_t deadline_ns,
              struct gbx_error *err)
{
    sigset_t kick;

    must(machine->tid == 0);
    sigemptyset(&kick);
    sigaddset(&kick, KICK);
    pthread_sigmask(SIG_BLOCK, &kick, &machine->outside);
    if (make_timer(machine) < 0 || tell_mask(machine) < 0) {
        int sys = errno;

        pthread_sigmask(SIG_SETMASK, &machine->outside, NULL);
        errno = sys;
        return fail(err, GBX_EHOST,
                    "the guest's time cannot be limited; raise ulimit -i");
    }
    machine->deadline_ns = 0;
    machine->first_ns = UINT64_MAX;
    run_deadline(machine, deadline_ns);
    machine->strangers = false;
    pthread_mutex_lock(&machine->lock);
    machine->tid = machine->timer_tid;
    machine->kicked = false;
    pthread_mutex_unlock(&machine->lock);
    return 0;
}

/* Take one pending KICK, and see whose it was.  False where there is none. */
static bool take_kick(struct machine *machine)
{
    static const struct timespec now;
    siginfo_t info;
    sigset_t kick;

    sigemptyset(&kick);
    sigaddset(&kick, KICK);
    if (sigtimedwait(&kick, &info, &now) != KICK)
        return false;
    if ((info.si_code != SI_TIMER && info.si_code != SI_QUEUE) ||
        info.si_value.sival_ptr != machine)
        machine->strangers = true;
    return true;
}

void run_leave(struct machine *machine)
{
    bool kicks;

    run_deadline(machine, 0);
    pthread_mutex_lock(&machine->lock);
    machine->tid = 0; /* from here on nobody sends one */
    kicks = machine->kicked;
    pthread_mutex_unlock(&machine->lock);
    /* A deadline's and a stop's may both be there.  To know that there is none
     * is cheaper than to ask; of the timer, the clock knows. */
    if (machine->first_ns != UINT64_MAX)
        kicks = kicks || clock_is_past(machine->first_ns);
    while (kicks && take_kick(machine))
        ;
    if (machine->strangers)
        syscall(SYS_tgkill, getpid(), machine->timer_tid, KICK);
    pthread_sigmask(SIG_SETMASK, &machine->outside, NULL);
}

void run_stop(struct machine *machine)
{
    siginfo_t info = {.si_code = SI_QUEUE};

    info.si_value.sival_ptr = machine;
    pthread_mutex_lock(&machine->lock);
    atomic_store(&machine->stop, true);
    if (machine->tid != 0) {
        machine->kicked = true;
        syscall(SYS_rt_tgsigqueueinfo, getpid(), machine->tid, KICK, &info);
    }
    pthread_mutex_unlock(&machine->lock);
}

static void broken(struct machine *machine, struct run_exit *exit,
                   const char *what)
{
    machine->place = MACHINE_BROKEN;
    machine->broken = what;
    *exit = (struct run_exit){.kind = RUN_BROKEN};
    snprintf(exit->text, sizeof(exit->text), "%s", what);
}

/* Bring ring 3 back as machine_registers() says it. */
static int put_back(struct machine *machine)
{
    struct kvm_regs *regs = machine_registers(machine);

    if (machine->place == MACHINE_RING3 || machine->place == MACHINE_ANYWHERE)
        return 0;
    if (regs->rip >= TABLES_USER_END)
        return GBX_EBROKEN;
    regs->rflags = (regs->rflags & RFLAGS_FREE) | RFLAGS_ALWAYS;
    machine->cpu->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
    if (machine->place == MACHINE_FRESH)
        return 0;
    if (machine->place == MACHINE_GATE && regs->rcx == regs->rip &&
        ((regs->r11 & RFLAGS_FREE) | RFLAGS_ALWAYS) == regs->rflags) {
        regs->r11 = regs->rflags;
        regs->rip = machine->kernel_rip;
        regs->rflags = machine->kernel_rflags;
        return 0;
    }
    *(struct boot_frame *)machine->frame = (struct boot_frame){
        .rip = regs->rip,
        .cs = BOOT_USER_CODE,
        .rflags = regs->rflags,
        .rsp = regs->rsp,
        .ss = BOOT_USER_DATA,
    };
    regs->rip = BOOT_IRETQ_AT;
    regs->rsp = BOOT_FRAME_AT + offsetof(struct boot_frame, rip);
    regs->rflags = machine->kernel_rflags;
    return 0;
}

static bool is_out_at(const struct kvm_regs *regs, uint64_t at)
{
    return regs->rip == at || regs->rip == at + BOOT_OUT_BYTES;
}

/* At the gate.  With interrupts on, ring 3 has jumped there by itself. */
static bool gate_is_ring3(struct machine *machine)
{
    struct kvm_sregs *sregs;

    if ((machine_registers(machine)->rflags & RFLAGS_IF) != 0)
        return true;
    if (machine->gate == MACHINE_GATE_UNKNOWN &&
        machine_sregs(machine, &sregs) == 0)
        machine->gate = (sregs->cs.selector & 3) == 3 ? MACHINE_GATE_RING3
                                                      : MACHINE_GATE_RING0;
    return machine->gate == MACHINE_GATE_RING3;
}

/* After it sysretq or the host goes on behind the `syscall`. */
static void read_gate(struct machine *machine, struct run_exit *exit)
{
    struct kvm_regs *regs = machine_registers(machine);

    if (!is_out_at(regs, BOOT_GATE_AT))
        return broken(machine, exit, "it wrote to the port of the gate");
    if (gate_is_ring3(machine))
        machine->place = MACHINE_FRESH;
    else if (machine->gate == MACHINE_GATE_RING0)
        machine->place = MACHINE_GATE;
    else
        return broken(machine, exit, "KVM does not tell its registers");
    machine->kernel_rip = regs->rip;
    machine->kernel_rflags = regs->rflags;
    regs->rip = regs->rcx;
    regs->rflags = regs->r11;
    exit->kind = RUN_SYSCALL;
}

static void read_exception(struct machine *machine, struct run_exit *exit,
                           unsigned vector)
{
    struct kvm_regs *regs = machine_registers(machine);
    const struct boot_frame *frame = machine->frame;
    bool has_error = regs->rsp == BOOT_FRAME_AT;
    struct kvm_sregs *sregs;

    if (!is_out_at(regs, BOOT_STUBS_AT + vector * BOOT_STUB_BYTES) ||
        (!has_error && regs->rsp != BOOT_FRAME_AT + sizeof(frame->error)) ||
        (frame->cs & 3) != 3)
        return broken(machine, exit, "an exception in its kernel");
    if (vector == PAGE_FAULT) {
        if (machine_sregs(machine, &sregs) < 0)
            return broken(machine, exit, "KVM does not tell its registers");
        exit->address = sregs->cr2;
    }
    machine->place = MACHINE_FAULT;
    machine->kernel_rflags = regs->rflags;
    regs->rip = frame->rip;
    regs->rsp = frame->rsp;
    regs->rflags = frame->rflags;
    exit->kind = RUN_EXCEPTION;
    exit->vector = (uint8_t)vector;
    exit->error = has_error ? (uint32_t)frame->error : 0;
}

static void read_port(struct machine *machine, struct run_exit *exit)
{
    const struct kvm_run *cpu = machine->cpu;
    unsigned port = cpu->io.port;

    machine->pending = false;
    if (cpu->io.direction == KVM_EXIT_IO_OUT && cpu->io.size == 1 &&
        cpu->io.count == 1) {
        if (port == BOOT_PORT_GATE)
            return read_gate(machine, exit);
        if (port - BOOT_PORT_EXCEPTION < BOOT_VECTORS)
            return read_exception(machine, exit, port - BOOT_PORT_EXCEPTION);
        if (port == BOOT_PORT_BELL) {
            machine->place = MACHINE_FRESH;
            machine->pending = true;
            exit->kind = RUN_BELL;
            return;
        }
    }
    broken(machine, exit, "it used a port that is none");
    snprintf(exit->text, sizeof(exit->text), "it used port 0x%x, which is none",
             port);
}

static void read_exit(struct machine *machine, struct run_exit *exit)
{
    const struct kvm_run *cpu = machine->cpu;

    switch (cpu->exit_reason) {
    case KVM_EXIT_IO:
        return read_port(machine, exit);
    case KVM_EXIT_SHUTDOWN:
        return broken(machine, exit, "a fault in its fault handling");
    case KVM_EXIT_MMIO:
        broken(machine, exit, "it used memory that is none");
        snprintf(exit->text, sizeof(exit->text),
                 "it %s physical address 0x%llx, which is no memory of its",
                 cpu->mmio.is_write ? "wrote to" : "read",
                 (unsigned long long)cpu->mmio.phys_addr);
        return;
    case KVM_EXIT_INTERNAL_ERROR:
        return broken(machine, exit, "KVM cannot run an instruction of its");
    case KVM_EXIT_FAIL_ENTRY:
        return broken(machine, exit, "the processor refuses its registers");
    default:
        broken(machine, exit, "it left the guest in an unknown way");
        snprintf(exit->text, sizeof(exit->text),
                 "it left the guest in an unknown way: KVM exit %u",
                 cpu->exit_reason);
    }
}

static bool is_over(struct machine *machine, struct run_exit *exit)
{
    if (atomic_load(&machine->stop)) {
        atomic_store(&machine->stop, false);
        exit->kind = RUN_STOPPED;
        return true;
    }
    if (clock_is_past(machine->deadline_ns)) {
        exit->kind = RUN_TIME;
        return true;
    }
    return false;
}

/*
 * KVM_RUN was interrupted, by us or by somebody else.  The registers are not
 * touched unless machine_load does: an exception may be on its way.
 */
static void read_interrupted(struct machine *machine)
{
    const struct kvm_regs *regs = machine_registers(machine);
    /* In ring 3, but for kvm_pvm's gate, whose `out` is still to come. */
    bool ring3 = (regs->rflags & RFLAGS_IF) != 0 && regs->rip < TABLES_USER_END;

    machine->pending = false;
    machine->place = ring3 ? MACHINE_RING3 : MACHINE_ANYWHERE;
    take_kick(machine);
}

void run(struct machine *machine, struct run_exit *exit)
{
    *exit = (struct run_exit){.kind = RUN_BROKEN};
    must(machine->tid != 0);
    if (machine->place == MACHINE_BROKEN)
        return broken(machine, exit, machine->broken);
    /* The one signal of a deadline may have been taken long ago. */
    if (is_over(machine, exit))
        return;
    if (put_back(machine) < 0)
        return broken(machine, exit, "it returns to where no code can be");
    machine->sregs_known = false;
    while (ioctl(machine->cpu_fd, KVM_RUN, 0) < 0) {
        if (errno != EINTR && errno != EAGAIN)
            return broken(machine, exit, "KVM does not run it any more");
        read_interrupted(machine);
        if (is_over(machine, exit))
            return;
    }
    read_exit(machine, exit);
}
