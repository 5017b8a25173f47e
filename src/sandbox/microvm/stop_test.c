/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop_test.c - an endless guest ends: at its deadline, by another thread; and
 * the embedder's signals stay the embedder's.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "sandbox/microvm/guest_test.h"

static const uint8_t forever[] = {0xeb, 0xfe};           /* 1: jmp 1b */
static const uint8_t calls[] = {0x0f, 0x05, 0xeb, 0xfc}; /* 1: syscall; jmp */
static struct guest guest;
static _Atomic int urgent, alarms;

static void count_urgent(int number)
{
    (void)number;
    urgent++;
}

static void count_alarm(int number)
{
    (void)number;
    alarms++;
}

/* Run what `code` is; answer system calls; until something else. */
static void open_and_run(const uint8_t *code, size_t bytes, uint64_t wait_ns)
{
    guest_open(&guest, code, bytes);
    run_deadline(&guest.machine, clock_now_ns() + wait_ns);
    while (guest_run(&guest) == RUN_SYSCALL)
        ;
}

static void an_endless_loop_ends_at_its_deadline(void **state)
{
    (void)state;
    open_and_run(forever, sizeof(forever), 3000000);
    assert_int_equal(guest.exit.kind, RUN_TIME);
    /* It has not been given a new one. */
    assert_int_equal(guest_run(&guest), RUN_TIME);
    run_deadline(&guest.machine, clock_now_ns() + 1000000);
    assert_int_equal(guest_run(&guest), RUN_TIME);
    assert_int_equal(guest_registers(&guest)->rip, GUEST_CODE);
    guest_close(&guest);
}

static void endless_system_calls_end_at_the_deadline(void **state)
{
    (void)state;
    open_and_run(calls, sizeof(calls), 3000000);
    assert_int_equal(guest.exit.kind, RUN_TIME);
    guest_close(&guest);
}

static void a_deadline_of_the_past_is_over_at_once(void **state)
{
    (void)state;
    guest_open(&guest, calls, sizeof(calls));
    run_deadline(&guest.machine, 1);
    assert_int_equal(guest_run(&guest), RUN_TIME);
    guest_close(&guest);
}

static void *stop_soon(void *context)
{
    (void)context;
    usleep(2000);
    run_stop(&guest.machine);
    return NULL;
}

static void another_thread_stops_an_endless_loop(void **state)
{
    pthread_t thread;

    (void)state;
    for (int i = 0; i < 20; i++) {
        guest_open(&guest, i % 2 == 0 ? forever : calls,
                   i % 2 == 0 ? sizeof(forever) : sizeof(calls));
        assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
        while (guest_run(&guest) == RUN_SYSCALL)
            ;
        pthread_join(thread, NULL);
        assert_int_equal(guest.exit.kind, RUN_STOPPED);
        guest_close(&guest);
    }
}

static void a_stop_before_the_run_is_not_lost_and_counts_once(void **state)
{
    (void)state;
    guest_open(&guest, calls, sizeof(calls));
    run_leave(&guest.machine);
    run_stop(&guest.machine);
    run_stop(&guest.machine);
    assert_int_equal(run_enter(&guest.machine, 0, NULL), 0);
    assert_int_equal(guest_run(&guest), RUN_STOPPED);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    guest_close(&guest);
}

static void *run_elsewhere(void *context)
{
    (void)context;
    if (run_enter(&guest.machine, clock_now_ns() + 2000000, NULL) < 0)
        return NULL;
    while (guest_run(&guest) == RUN_SYSCALL)
        ;
    run_leave(&guest.machine);
    return &guest;
}

static void any_thread_may_run_it(void **state)
{
    pthread_t thread;
    void *ran;

    (void)state;
    guest_open(&guest, calls, sizeof(calls));
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    run_leave(&guest.machine);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&thread, NULL, run_elsewhere, NULL), 0);
        pthread_join(thread, &ran);
        assert_ptr_equal(ran, &guest);
        assert_int_equal(guest.exit.kind, RUN_TIME);
    }
    assert_int_equal(run_enter(&guest.machine, 0, NULL), 0);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    guest_close(&guest);
}

static void *run_and_tell(void *context)
{
    *(pid_t *)context = (pid_t)syscall(SYS_gettid);
    return run_elsewhere(NULL);
}

/* Start a thread, with number `tid` if the kernel lets us say so. */
static pid_t run_in_thread(pid_t tid)
{
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    pthread_t thread;
    void *ran;

    if (tid != 0 && fd >= 0)
        dprintf(fd, "%d", (int)tid - 1);
    if (fd >= 0)
        close(fd);
    assert_int_equal(pthread_create(&thread, NULL, run_and_tell, &tid), 0);
    pthread_join(thread, &ran);
    assert_ptr_equal(ran, &guest);
    assert_int_equal(guest.exit.kind, RUN_TIME);
    return tid;
}

/* A timer is a thread's, and goes with it, even if its number comes back. */
static void a_thread_with_an_old_number_has_a_deadline(void **state)
{
    pid_t tid;
    bool same = false;

    (void)state;
    guest_open(&guest, forever, sizeof(forever));
    run_leave(&guest.machine);
    tid = run_in_thread(0);
    for (int i = 0; i < 100 && !same; i++)
        same = run_in_thread(tid) == tid;
    assert_int_equal(run_enter(&guest.machine, 0, NULL), 0);
    guest_close(&guest);
    if (!same)
        skip();
}

/* Whatever the embedder does with SIGURG: kill would end this process. */
static void a_deadline_runs_no_handler_and_leaves_nothing_behind(void **state)
{
    static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN, count_urgent};
    sigset_t before, after, pending;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        signal(SIGURG, handlers[i]);
        sigprocmask(SIG_SETMASK, NULL, &before);
        open_and_run(forever, sizeof(forever), 1000000);
        assert_int_equal(guest.exit.kind, RUN_TIME);
        run_stop(&guest.machine);
        assert_int_equal(guest_run(&guest), RUN_STOPPED);
        guest_close(&guest);
        sigprocmask(SIG_SETMASK, NULL, &after);
        assert_memory_equal(&before, &after, 8);
        sigpending(&pending);
        assert_false(sigismember(&pending, SIGURG));
        assert_int_equal(urgent, 0);
    }
    signal(SIGURG, SIG_DFL);
}

static void the_embedder_gets_its_own_signals(void **state)
{
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};

    (void)state;
    urgent = alarms = 0;
    signal(SIGURG, count_urgent);
    signal(SIGALRM, count_alarm);
    guest_open(&guest, forever, sizeof(forever));
    pthread_kill(pthread_self(), SIGURG); /* not ours */
    setitimer(ITIMER_REAL, &often, NULL);
    do { /* however long the machine needs for two alarms */
        run_deadline(&guest.machine, clock_now_ns() + 20000000);
        assert_int_equal(guest_run(&guest), RUN_TIME);
    } while (alarms < 2);
    setitimer(ITIMER_REAL, &never, NULL);
    assert_int_equal(urgent, 0);
    guest_close(&guest);
    assert_int_equal(urgent, 1);
    signal(SIGURG, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endless_loop_ends_at_its_deadline),
        cmocka_unit_test(endless_system_calls_end_at_the_deadline),
        cmocka_unit_test(a_deadline_of_the_past_is_over_at_once),
        cmocka_unit_test(another_thread_stops_an_endless_loop),
        cmocka_unit_test(a_stop_before_the_run_is_not_lost_and_counts_once),
        cmocka_unit_test(any_thread_may_run_it),
        cmocka_unit_test(a_thread_with_an_old_number_has_a_deadline),
        cmocka_unit_test(a_deadline_runs_no_handler_and_leaves_nothing_behind),
        cmocka_unit_test(the_embedder_gets_its_own_signals),
    };

    return guest_tests(tests);
}
