/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.c - what a signal handler finds on its stack, as x86-64 Linux puts it
 * there (arch/x86/include/uapi/asm/sigcontext.h), and the way back from it.
 *
 *  rsp  +----------------------+
 *       | address of restorer  |
 *       | struct ucontext      |   registers, mask, stack
 *       | struct siginfo       |
 *       | (64-byte aligned)    |
 *       | XSAVE area           |   as the processor has it, and a mark
 *       +----------------------+  below the red zone, or top of sigaltstack
 *
 * What comes back (rt_sigreturn) is the guest's word: only what ring 3 may set
 * anyway is taken from it; run.c sees to flags and segments.
 */
#include <errno.h>
#include <string.h>

#include "sandbox/microvm/linux/kernel.h"
#include "sandbox/microvm/linux/space/user.h"

#define RED_ZONE        128u
#define XSAVE_LEGACY    512u
#define XSAVE_HEADER    64u
#define XSAVE_SAYS      464u /* software's bytes in the legacy area */
#define MXCSR_AT        24u
#define MXCSR_MASK_AT   28u
#define MXCSR_BITS      0xffbfu /* where the processor does not say */
#define MAGIC1          0x46505853u
#define MAGIC2          0x46505845u
#define UC_FP_XSTATE    1u
#define UC_STRICT       6u /* SS is saved and restored */
#define FLAG_ONSTACK    0x08000000u
#define FLAG_RESTORER   0x04000000u
#define STACK_DISABLE   2u
#define STACK_BYTES_MIN 2048u

struct context {
    uint64_t flags, link;
    struct {
        uint64_t at;
        uint32_t flags, zero;
        uint64_t bytes;
    } stack;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, old_mask, cr2, fpstate, reserved[8];
    uint64_t mask;
};

struct frame {
    uint64_t restorer;
    struct context context;
    siginfo_t info;
};

_Static_assert(sizeof(struct frame) == 440, "as the kernel's rt_sigframe");

static uint64_t features(const struct kernel *kernel)
{
    return kernel->cpu.xsave_bytes > 832   ? 0xe7
           : kernel->cpu.xsave_bytes > 576 ? 7
                                           : 3;
}

static void save_registers(struct context *to, const struct kvm_regs *regs)
{
    to->r8 = regs->r8, to->r9 = regs->r9, to->r10 = regs->r10;
    to->r11 = regs->r11, to->r12 = regs->r12, to->r13 = regs->r13;
    to->r14 = regs->r14, to->r15 = regs->r15;
    to->rdi = regs->rdi, to->rsi = regs->rsi, to->rbp = regs->rbp;
    to->rbx = regs->rbx, to->rdx = regs->rdx, to->rax = regs->rax;
    to->rcx = regs->rcx, to->rsp = regs->rsp, to->rip = regs->rip;
    to->rflags = regs->rflags;
    to->cs = 0x33, to->ss = 0x2b;
}

static void load_registers(struct kvm_regs *regs, const struct context *from)
{
    regs->r8 = from->r8, regs->r9 = from->r9, regs->r10 = from->r10;
    regs->r11 = from->r11, regs->r12 = from->r12, regs->r13 = from->r13;
    regs->r14 = from->r14, regs->r15 = from->r15;
    regs->rdi = from->rdi, regs->rsi = from->rsi, regs->rbp = from->rbp;
    regs->rbx = from->rbx, regs->rdx = from->rdx, regs->rax = from->rax;
    regs->rcx = from->rcx, regs->rsp = from->rsp, regs->rip = from->rip;
    regs->rflags = from->rflags;
}

static bool is_on_stack(const struct task *task, uint64_t rsp)
{
    return task->stack_bytes != 0 && rsp > task->stack_at &&
           rsp - task->stack_at <= task->stack_bytes;
}

/* The XSAVE area with the words by which handlers know it. */
static int push_extended(struct kernel *kernel, uint64_t at)
{
    struct task *task = kernel->current;
    uint32_t bytes = kernel->cpu.xsave_bytes, magic2 = MAGIC2;
    uint8_t *area = (uint8_t *)task->state.xsave.region;
    struct {
        uint32_t magic1, extended_bytes;
        uint64_t features;
        uint32_t bytes, zero[7];
    } says = {MAGIC1, bytes + 4, features(kernel), bytes, {0}};
    int rc;

    memcpy(area + XSAVE_SAYS, &says, sizeof(says));
    rc = user_write(&kernel->space, at, area, bytes);
    if (rc == 0)
        rc = user_write(&kernel->space, at + bytes, &magic2, sizeof(magic2));
    return rc;
}

int frame_push(struct kernel *kernel, int number, const siginfo_t *info,
               const struct signal_action *action, uint64_t mask)
{
    struct task *task = kernel->current;
    struct kvm_regs *regs = kernel->cpu.regs;
    uint64_t rsp = regs->rsp - RED_ZONE, extended;
    struct frame frame = {.restorer = action->restorer, .info = *info};
    struct context *context = &frame.context;
    int rc;

    if ((action->flags & FLAG_RESTORER) == 0)
        return -EFAULT; /* x86-64 has no other way back */
    if ((action->flags & FLAG_ONSTACK) != 0 && task->stack_bytes != 0 &&
        !is_on_stack(task, regs->rsp))
        rsp = task->stack_at + task->stack_bytes;
    if (kernel->cpu.save(kernel->cpu.context, &task->state) < 0)
        return -EFAULT;
    extended = (rsp - kernel->cpu.xsave_bytes - 4) & ~63ull;
    rsp = ((extended - sizeof(frame)) & ~15ull) - 8u;

    context->flags = UC_FP_XSTATE | UC_STRICT;
    context->stack.at = task->stack_at;
    context->stack.bytes = task->stack_bytes;
    context->stack.flags = task->stack_bytes == 0         ? STACK_DISABLE
                           : is_on_stack(task, regs->rsp) ? 1
                                                          : 0;
    save_registers(context, regs);
    context->error = kernel->end.error;
    context->trap =
        kernel->end.vector == KERNEL_NO_VECTOR ? 0 : kernel->end.vector;
    context->cr2 = kernel->end.address;
    context->fpstate = extended;
    context->mask = context->old_mask = mask;
    frame.info.si_signo = number;
    if ((rc = push_extended(kernel, extended)) < 0 ||
        (rc = user_write(&kernel->space, rsp, &frame, sizeof(frame))) < 0)
        return rc;
    regs->rip = action->handler;
    regs->rsp = rsp;
    regs->rdi = (unsigned)number;
    regs->rsi = rsp + offsetof(struct frame, info);
    regs->rdx = rsp + offsetof(struct frame, context);
    regs->rax = 0;
    regs->rflags &= ~(uint64_t)0x10500; /* DF, TF, RF */
    return 0;
}

/* The processor refuses reserved bits: none are let through. */
static int pop_extended(struct kernel *kernel, uint64_t at)
{
    struct machine_state *state = &kernel->current->state;
    uint8_t *area = (uint8_t *)state->xsave.region;
    uint32_t bytes = kernel->cpu.xsave_bytes, mxcsr, mask;
    uint64_t has;
    int rc;

    memcpy(&mask, area + MXCSR_MASK_AT, sizeof(mask)); /* the processor's */
    if ((rc = user_read(&kernel->space, area, at, bytes)) < 0)
        return rc;
    memcpy(&mxcsr, area + MXCSR_AT, sizeof(mxcsr));
    mxcsr &= mask != 0 ? mask : MXCSR_BITS;
    memcpy(area + MXCSR_AT, &mxcsr, sizeof(mxcsr));
    memcpy(area + MXCSR_MASK_AT, &mask, sizeof(mask));
    memcpy(&has, area + XSAVE_LEGACY, sizeof(has));
    has &= features(kernel);
    memset(area + XSAVE_LEGACY, 0, XSAVE_HEADER);
    memcpy(area + XSAVE_LEGACY, &has, sizeof(has));
    return 0;
}

int frame_pop(struct kernel *kernel)
{
    struct task *task = kernel->current;
    struct kvm_regs *regs = kernel->cpu.regs;
    struct context context;
    int rc;

    /* The handler's return has taken the restorer's address off. */
    rc = user_read(&kernel->space, &context, regs->rsp, sizeof(context));
    if (rc < 0)
        return rc;
    if (kernel->cpu.save(kernel->cpu.context, &task->state) < 0)
        return -EFAULT;
    if (context.fpstate != 0 &&
        (rc = pop_extended(kernel, context.fpstate)) < 0)
        return rc;
    load_registers(&task->state.regs, &context);
    task->mask = context.mask & ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
    if ((context.stack.flags & STACK_DISABLE) != 0) {
        task->stack_bytes = 0;
    } else if (context.stack.bytes >= STACK_BYTES_MIN &&
               !is_on_stack(task, context.rsp)) {
        task->stack_at = context.stack.at;
        task->stack_bytes = context.stack.bytes;
    }
    return kernel->cpu.load(kernel->cpu.context, &task->state);
}
