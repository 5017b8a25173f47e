/* SPDX-License-Identifier: Apache-2.0 */
/* How a sandbox lives and ends, and that nothing of it stays behind. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "sandbox/process/process.h"
#include "tests/isolation/box.h"

static struct box box;

static void open_kind(const char *kind)
{
    box_begin(&box, kind, "");
    if (box_open(&box) < 0)
        fail_msg("%s", box.err.what);
}

/* The dying need a moment. */
static void nothing_is_left_of(pid_t caller)
{
    int processes = 0, cgroups = 0;

    box_caller = caller;
    for (int i = 0; i < 5000; i++) {
        processes = count_strays();
        cgroups = count_cgroups();
        if (processes == 0 && cgroups == 0)
            break;
        usleep(1000);
    }
    box_caller = 0;
    if (processes != 0 || cgroups != 0)
        fail_msg("%d processes, %d cgroups are left", processes, cgroups);
}

static void each_end_has_its_code_and_its_last_words(void **state)
{
    static const struct {
        const char *how;
        int want;
        const char *words, *text;
    } ends[] = {
        {"x3", GBX_EEXIT, "last words\n", "exited with status 3"},
        {"x0", GBX_EEXIT, "last words\n", "exited with status 0"},
        {"s11", GBX_ESIGNAL, "", "signal 11 (Segmentation fault)"},
        {"s9", GBX_ESIGNAL, "", "signal 9 (Killed)"},
        {"s31", GBX_ESIGNAL, "", "signal 31 (Bad system call)"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        assert_int_equal(box_try(&box, "end", ends[i].how), ends[i].want);
        assert_string_equal(box.text, ends[i].words);
        assert_non_null(strstr(box.err.what, ends[i].text));
    }
}

static void an_end_is_told_again(void **state)
{
    (void)state;
    open_kind("look");
    assert_int_equal(box_end(&box), GBX_EEXIT);
    assert_int_equal(box_run(&box, 1), GBX_EEXIT);
    box_close(&box);
}

static void a_guest_that_closes_everything_is_still_held(void **state)
{
    (void)state;
    open_kind("close_all");
    assert_int_equal(box_run(&box, 200000000), GBX_ETIME);
    box_close(&box);
    assert_int_equal(count_strays(), 0);
}

static void children_die_with_the_guest(void **state)
{
    (void)state;
    assert_int_equal(box_try(&box, "orphan", ""), GBX_EEXIT);
    assert_int_equal(count_strays(), 0);
}

static void each_ring_ends_one_run(void **state)
{
    struct gbx_half_head *head;

    (void)state;
    open_kind("echo");
    head = (void *)box.region.base;
    assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
    for (int i = 0; i < 1000; i++) {
        head->bell++;
        box_backend->ring(box.self);
        assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
    }
    assert_int_equal(box_run(&box, 1000), GBX_ETIME);
    box_close(&box);
}

static void the_fd_is_readable_when_run_would_return(void **state)
{
    struct pollfd waits = {.events = POLLIN};
    struct gbx_half_head *head;

    (void)state;
    open_kind("echo");
    head = (void *)box.region.base;
    waits.fd = box_backend->fd(box.self);
    assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
    assert_int_equal(poll(&waits, 1, 0), 0);
    head->bell++;
    box_backend->ring(box.self);
    if (box_run(&box, 1) != 0) { /* else it has rung already */
        assert_int_equal(poll(&waits, 1, 10000), 1);
        assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
    }
    box_backend->kill(box.self);
    assert_int_equal(poll(&waits, 1, 10000), 1);
    assert_int_equal(box_run(&box, 1), GBX_ECANCELED);
    box_close(&box);
}

static void a_spoiled_bell_does_not_hold_the_host(void **state)
{
    uint64_t deadline_ns = clock_now_ns() + 1000000000;
    int rc;

    (void)state;
    open_kind("spoil_bell");
    while ((rc = box_backend->run(box.self, deadline_ns)) == 0)
        ;
    assert_int_equal(rc, GBX_ETIME);
    box_close(&box);
}

static void a_wipe_leaves_nothing_of_the_past(void **state)
{
    (void)state;
    open_kind("echo");
    for (int i = 0; i < 5; i++) {
        box.text_bytes = 0;
        assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
        assert_string_equal(box.text, "copied_bytes 0\n");
        assert_int_equal(box_backend->wipe(box.self, &box.err), 0);
        strays_become(box_processes());
    }
    box_close(&box);
}

static void what_was_killed_can_be_wiped(void **state)
{
    (void)state;
    open_kind("echo");
    box_backend->kill(box.self);
    assert_int_equal(box_run(&box, BOX_WAIT_NS), GBX_ECANCELED);
    assert_int_equal(box_backend->wipe(box.self, &box.err), 0);
    assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
    box_close(&box);
}

static void *kill_later(void *context)
{
    (void)context;
    usleep(50000);
    box_backend->kill(box.self);
    return NULL;
}

static void another_thread_can_kill(void **state)
{
    pthread_t thread;

    (void)state;
    open_kind("hang");
    assert_int_equal(pthread_create(&thread, NULL, kill_later, NULL), 0);
    assert_int_equal(box_backend->run(box.self, 0), GBX_ECANCELED);
    pthread_join(thread, NULL);
    box_close(&box);
}

static atomic_bool enough;

static void *kill_always(void *context)
{
    (void)context;
    while (!atomic_load(&enough)) {
        box_backend->kill(box.self);
        usleep((unsigned)rand() % 3000);
    }
    return NULL;
}

/* Whenever it comes, the sandbox is killed or started anew, and no other
 * process is hit. */
static void a_kill_may_come_at_any_time(void **state)
{
    pthread_t thread;

    (void)state;
    open_kind("hang");
    atomic_store(&enough, false);
    assert_int_equal(pthread_create(&thread, NULL, kill_always, NULL), 0);
    for (int i = 0; i < 60; i++)
        box_backend->wipe(box.self, NULL);
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
    box_close(&box);
    assert_int_equal(count_strays(), 0);
}

static void *open_echo(void *context)
{
    (void)context;
    open_kind("echo");
    return NULL;
}

static void it_outlives_the_thread_that_opened_it(void **state)
{
    struct gbx_half_head *head;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, open_echo, NULL), 0);
    pthread_join(thread, NULL);
    usleep(100000);
    assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
    head = (void *)box.region.base;
    head->bell++;
    box_backend->ring(box.self);
    assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
    box_close(&box);
}

/* In a process of its own: open, tell by the pipe, wait to be killed. */
static pid_t fork_caller(const char *kind, int tell, bool again)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    do {
        open_kind(kind);
        (void)!write(tell, "x", 1);
        if (again)
            box_close(&box);
    } while (again);
    box_end(&box);
    _exit(0);
}

static void nothing_survives_a_killed_caller(void **state)
{
    static const char *const kinds[] = {"hang", "wild_bomb", "orphan", "flood"};
    int tell[2];
    char byte;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        pid_t pid;

        assert_int_equal(pipe(tell), 0);
        pid = fork_caller(kinds[i], tell[1], false);
        assert_int_equal(read(tell[0], &byte, 1), 1);
        usleep(20000);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        nothing_is_left_of(pid);
        close(tell[0]);
        close(tell[1]);
    }
}

/* At whatever point of opening and closing. */
static void nothing_survives_a_caller_killed_at_any_time(void **state)
{
    int tell[2];

    (void)state;
    srand(1);
    assert_int_equal(pipe(tell), 0);
    for (int i = 0; i < 60; i++) {
        pid_t pid = fork_caller("hang", tell[1], true);

        usleep(1000 + (unsigned)rand() % 12000);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        nothing_is_left_of(pid);
    }
    close(tell[0]);
    close(tell[1]);
}

static void a_caller_that_becomes_another_program_leaves_nothing(void **state)
{
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        open_kind("hang");
        execl("/bin/sleep", "sleep", "20", NULL);
        _exit(1);
    }
    usleep(50000);
    nothing_is_left_of(pid);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void the_first_process_may_be_killed_from_outside(void **state)
{
    struct process *process;

    (void)state;
    only_process("a micro-VM has no process");
    open_kind("hang");
    process = box.self;
    assert_int_equal(
        syscall(SYS_pidfd_send_signal, process->cell.pidfd, SIGKILL, NULL, 0),
        0);
    assert_int_equal(box_end(&box), GBX_EBROKEN);
    box_close(&box);
    assert_int_equal(count_strays(), 0);
}

static void a_hundred_leave_nothing(void **state)
{
    int fds;

    (void)state;
    assert_int_equal(box_try(&box, "end", "x0"), GBX_EEXIT);
    fds = count_fds();
    for (int i = 0; i < 100; i++)
        assert_int_equal(box_try(&box, "end", "x0"), GBX_EEXIT);
    assert_int_equal(count_fds(), fds);
    assert_int_equal(count_children(), 0);
    assert_int_equal(count_strays(), 0);
    assert_int_equal(count_cgroups(), 0);
}

static void other_children_of_the_caller_are_left_alone(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0)
        _exit(5);
    assert_int_equal(box_try(&box, "end", "x0"), GBX_EEXIT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 5);
}

static void a_caller_may_ignore_its_children(void **state)
{
    (void)state;
    signal(SIGCHLD, SIG_IGN);
    open_kind("echo");
    assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
    box_close(&box);
    signal(SIGCHLD, SIG_DFL);
    assert_int_equal(count_strays(), 0);
}

/* The numbers of our descriptors and those that a guest gets may overlap. */
static void a_caller_may_have_closed_its_standard_files(void **state)
{
    int saved[3], rc;

    (void)state;
    for (int i = 0; i < 3; i++) {
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
        close(i);
    }
    rc = box_try(&box, "born", "a");
    for (int i = 0; i < 3; i++) {
        dup2(saved[i], i);
        close(saved[i]);
    }
    assert_int_equal(rc, GBX_EEXIT);
    assert_memory_equal(box.text, "odd signals 0, stdin 0,", 23);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_end_has_its_code_and_its_last_words),
        cmocka_unit_test(an_end_is_told_again),
        cmocka_unit_test(a_guest_that_closes_everything_is_still_held),
        cmocka_unit_test(children_die_with_the_guest),
        cmocka_unit_test(each_ring_ends_one_run),
        cmocka_unit_test(the_fd_is_readable_when_run_would_return),
        cmocka_unit_test(a_spoiled_bell_does_not_hold_the_host),
        cmocka_unit_test(a_wipe_leaves_nothing_of_the_past),
        cmocka_unit_test(what_was_killed_can_be_wiped),
        cmocka_unit_test(another_thread_can_kill),
        cmocka_unit_test(a_kill_may_come_at_any_time),
        cmocka_unit_test(it_outlives_the_thread_that_opened_it),
        cmocka_unit_test(nothing_survives_a_killed_caller),
        cmocka_unit_test(nothing_survives_a_caller_killed_at_any_time),
        cmocka_unit_test(a_caller_that_becomes_another_program_leaves_nothing),
        cmocka_unit_test(the_first_process_may_be_killed_from_outside),
        cmocka_unit_test(a_hundred_leave_nothing),
        cmocka_unit_test(other_children_of_the_caller_are_left_alone),
        cmocka_unit_test(a_caller_may_ignore_its_children),
        cmocka_unit_test(a_caller_may_have_closed_its_standard_files),
    };

    return cmocka_run_group_tests(tests, box_possible, NULL);
}
