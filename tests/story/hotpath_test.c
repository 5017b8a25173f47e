/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The call path allocates nothing and, while both sides spin, makes no system
 * call.  Both are counted, not believed.
 *
 * Allocations: malloc and its kin are wrapped by the linker.  System calls: the
 * kernel's syscall user dispatch (Linux 5.11) sends each of this thread to a
 * SIGSYS handler, which counts it, steps aside and lets it through.
 */
#include "story.h"

#include <errno.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF          0
#define PR_SYS_DISPATCH_ON           1
#endif

#define CALLS 2000

static unsigned long allocations;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    allocations++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    allocations++;
    return __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    allocations++;
    return __real_realloc(old, bytes);
}

static volatile char dispatch; /* 1: system calls of this thread are trapped */
static volatile unsigned long syscalls;

static void count_syscall(int signal, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    greg_t *r = u->uc_mcontext.gregs;

    (void)signal;
    (void)info;
    dispatch = 0;
    syscalls++;
    r[REG_RAX] = syscall(r[REG_RAX], r[REG_RDI], r[REG_RSI], r[REG_RDX],
                         r[REG_R10], r[REG_R8], r[REG_R9]);
    if (r[REG_RAX] == -1)
        r[REG_RAX] = -errno;
    dispatch = 1;
}

/* What the kernel keeps of a handler; libc hides the last member. */
struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    char *restorer;
    uint64_t mask;
};

/* The way out of a signal handler is a system call too: the few bytes of code
 * that make it, libc's restorer, are exempt. */
static bool start_counting(void)
{
    struct sigaction action = {.sa_sigaction = count_syscall,
                               .sa_flags = SA_SIGINFO};
    struct kernel_sigaction known;

    sigaction(SIGSYS, &action, NULL);
    if (syscall(SYS_rt_sigaction, SIGSYS, NULL, &known, 8) < 0)
        return false;
    return prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON,
                 known.restorer, 32ul, &dispatch) == 0;
}

static void echo(struct story *s, struct gbx_script *script)
{
    struct gbx_message message;
    struct gbx_call *call;
    const char *port;
    void *data;

    assert_int_equal(gbx_call_begin(&call, script, 0, &s->err), 0);
    assert_int_equal(gbx_call_room(call, "in", GBX_STREAM, 64, &data, &s->err),
                     0);
    memset(data, 1, 64);
    assert_int_equal(gbx_call_run(call, 0, &s->err), 0);
    assert_int_equal(gbx_call_next(call, &port, &message), 0);
    gbx_call_finish(call);
}

static struct gbx_script *open_echo(struct story *s)
{
    struct gbx_script *script;

    s->config.spin_ns = 1000000000;
    script =
        story_open(s, "def process(c): return {'out': c.get_input('in')}\n");
    for (int i = 0; i < 100; i++)
        echo(s, script);
    return script;
}

static void a_call_allocates_nothing(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_echo(s);
    unsigned long before = allocations;

    for (int i = 0; i < CALLS; i++)
        echo(s, script);
    assert_int_equal(allocations, before);
    story_close(s, script);
    assert_true(before > 0); /* the wrapping works at all */
}

static void a_spinning_call_makes_no_system_call(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) < 2) {
        print_message("one CPU: nobody spins\n");
        skip();
    }
    if (!start_counting()) {
        print_message("no syscall user dispatch (Linux 5.11)\n");
        skip();
    }
    script = open_echo(s);
    dispatch = 1;
    getppid();
    dispatch = 0;
    assert_int_equal(syscalls, 1); /* the counting works at all */
    /* The scheduler may take a CPU away for longer than anybody spins; a path
     * with a system call in it would make at least one a call, each time. */
    for (int round = 0; round == 0 || (round < 20 && syscalls >= CALLS / 100);
         round++) {
        syscalls = 0;
        dispatch = 1;
        for (int i = 0; i < CALLS; i++)
            echo(s, script);
        dispatch = 0;
    }
    assert_true(syscalls < CALLS / 100);
    story_close(s, script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(a_call_allocates_nothing),
        story_test(a_spinning_call_makes_no_system_call),
    };

    return story_main("hotpath", tests);
}
