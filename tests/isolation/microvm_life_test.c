/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Micro-VMs live in the caller's process: many at once, on any thread, killed
 * at any time, beside its own threads and its children.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/isolation/box.h"

#define MANY    100
#define THREADS 4
#define ROUNDS  60

static struct box box, *boxes;

static void open_in(struct box *b, const char *kind)
{
    box_begin(b, kind, "");
    if (box_open(b) < 0)
        fail_msg("%s", b->err.what);
}

/* One ring, there and back.  Without asserts: for any thread. */
static bool echoes(struct box *b)
{
    struct gbx_half_head *head = (void *)b->region.base;

    head->bell++;
    box_backend->ring(b->self);
    return box_run(b, BOX_WAIT_NS) == 0;
}

static bool polls_echo(struct box *b)
{
    struct gbx_half_head *head = (void *)b->region.base;
    struct pollfd waits = {.fd = box_backend->fd(b->self), .events = POLLIN};
    int rc;

    head->bell++;
    box_backend->ring(b->self);
    while ((rc = box_run(b, 1)) == GBX_ETIME)
        if (poll(&waits, 1, 20000) != 1 && errno != EINTR)
            return false;
    return rc == 0;
}

/* Each thread, each box of its share; at times it lets a runner have it. */
static void *call_share(void *context)
{
    const int first = (int)(intptr_t)context;
    bool well = true;

    for (int round = 0; round < 5; round++)
        for (int i = first; i < MANY; i += THREADS) {
            well = well && (round % 2 ? polls_echo : echoes)(&boxes[i]);
            if ((i + round) % 3 == 0)
                box_backend->rest(boxes[i].self);
        }
    return well ? context : NULL;
}

/* The next time each has another share. */
static void a_hundred_live_at_once_on_any_thread(void **state)
{
    int fds, maps, threads;

    (void)state;
    fds = count_fds();
    maps = count_maps();
    threads = count_threads();
    boxes = calloc(MANY, sizeof(*boxes));
    for (int i = 0; i < MANY; i++) {
        open_in(&boxes[i], "echo");
        assert_int_equal(box_run(&boxes[i], BOX_WAIT_NS), 0);
    }
    for (int turn = 0; turn < 2; turn++) {
        pthread_t callers[THREADS];

        for (int i = 0; i < THREADS; i++)
            pthread_create(&callers[i], NULL, call_share,
                           (void *)(intptr_t)((i + turn) % THREADS));
        for (int i = 0; i < THREADS; i++) {
            void *well;

            pthread_join(callers[i], &well);
            assert_int_equal((intptr_t)well, (i + turn) % THREADS);
        }
    }
    for (int i = 0; i < MANY; i++)
        box_close(&boxes[i]);
    free(boxes);
    assert_int_equal(count_fds(), fds);
    assert_int_equal(count_maps(), maps);
    assert_int_equal(count_threads(), threads);
}

struct killer {
    pthread_t thread;
    unsigned after_us;
    atomic_bool done;
};

static void *kill_later(void *context)
{
    struct killer *killer = context;

    usleep(killer->after_us);
    box_backend->kill(box.self);
    atomic_store(&killer->done, true);
    return NULL;
}

/* However it is waited for and whatever it does: 0 waits, 1 polls, 2 comes
 * when it is over. */
static void run_until_killed(const char *kind, int how, unsigned after_us)
{
    struct killer killer = {.after_us = after_us};
    struct pollfd waits = {.events = POLLIN};
    int rc = 0;

    open_in(&box, kind);
    waits.fd = box_backend->fd(box.self);
    assert_int_equal(pthread_create(&killer.thread, NULL, kill_later, &killer),
                     0);
    if (how == 2)
        pthread_join(killer.thread, NULL);
    while (how == 1 && (rc = box_run(&box, 1)) != GBX_ECANCELED)
        if (rc == GBX_ETIME)
            assert_int_equal(poll(&waits, 1, 10000), 1);
    while (how != 1 && (rc = box_run(&box, BOX_WAIT_NS)) == 0)
        ;
    assert_int_equal(rc, GBX_ECANCELED);
    if (how != 2)
        pthread_join(killer.thread, NULL);
    assert_true(atomic_load(&killer.done));
    box_close(&box);
}

static void a_kill_ends_it_at_any_time(void **state)
{
    static const char *const kinds[] = {"spin", "hang",          "echo",
                                        "race", "spin_in_calls", "flood"};

    (void)state;
    srand(3);
    for (int i = 0; i < ROUNDS; i++)
        for (int how = 0; how < 3; how++)
            run_until_killed(kinds[i % 6], how,
                             (unsigned)rand() % (i % 2 ? 300u : 6000u));
}

static atomic_bool enough;

static void *kill_always(void *context)
{
    (void)context;
    while (!atomic_load(&enough)) {
        box_backend->kill(box.self);
        usleep((unsigned)rand() % 200);
    }
    return NULL;
}

/* While it is wiped, handed over, or run: the code is one of two. */
static void kills_and_wipes_may_race(void **state)
{
    pthread_t killer;

    (void)state;
    open_in(&box, "echo");
    atomic_store(&enough, false);
    pthread_create(&killer, NULL, kill_always, NULL);
    for (int i = 0; i < 150; i++) {
        int rc = box_run(&box, i % 3 ? 1 : BOX_WAIT_NS);

        if (rc != 0 && rc != GBX_ETIME && rc != GBX_ECANCELED)
            fail_msg("%d", rc);
        if (i % 2)
            box_backend->rest(box.self);
        assert_int_equal(box_backend->wipe(box.self, &box.err), 0);
    }
    atomic_store(&enough, true);
    pthread_join(killer, NULL);
    assert_int_equal(box_backend->wipe(box.self, &box.err), 0);
    assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
    box_close(&box);
}

/* The runner may be inside, or just about to be. */
static void a_close_may_come_at_any_time(void **state)
{
    static const char *const kinds[] = {"spin", "echo", "flood", "chatter"};
    const int threads = count_threads(), fds = count_fds();

    (void)state;
    for (int i = 0; i < 80; i++) {
        open_in(&box, kinds[i % 4]);
        box_run(&box, 1);
        if (i % 3 == 0)
            usleep((unsigned)rand() % 500);
        if (i % 5 == 0)
            box_run(&box, 1);
        box_close(&box);
    }
    assert_int_equal(count_threads(), threads);
    assert_int_equal(count_fds(), fds);
}

/* A child has the parent's machines, and may close them; it cannot run them.
 * The parent's go on. */
static void the_caller_may_fork(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    for (int runs = 0; runs < 2; runs++) {
        open_in(&box, "echo");
        assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
        if (runs) /* a runner has it while the process is copied */
            assert_int_equal(box_run(&box, 1), GBX_ETIME);
        pid = fork();
        if (pid == 0) {
            struct snapshot *snapshot;
            int rc = box_run(&box, 1000000000);

            if (rc == GBX_EHOST) /* nor is there what a template is made of */
                rc = box_backend->snapshot(box.self, &snapshot, &box.err);
            box_backend->kill(box.self);
            box_close(&box);
            _exit(rc == GBX_EHOST && snapshot == NULL ? 0 : 1);
        }
        for (int i = 0; i < 20; i++)
            assert_true(echoes(&box));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        for (int i = 0; i < 20; i++)
            assert_true(polls_echo(&box));
        assert_int_equal(box_backend->wipe(box.self, &box.err), 0);
        assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
        box_close(&box);
    }
}

/* The embedder's signals are its own, and go to its own threads. */
static atomic_int alarms;
static pthread_t alarm_thread;
static atomic_bool elsewhere;

static void on_alarm(int number)
{
    (void)number;
    atomic_fetch_add(&alarms, 1);
    if (!pthread_equal(pthread_self(), alarm_thread))
        atomic_store(&elsewhere, true);
}

static void signals_of_the_caller_are_handled_by_the_caller(void **state)
{
    struct sigaction action = {.sa_handler = on_alarm}, before;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGALRM};
    const struct itimerspec often = {{0, 300000}, {0, 300000}};
    timer_t timer;

    (void)state;
    alarm_thread = pthread_self();
    sigaction(SIGALRM, &action, &before);
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    open_in(&box, "echo");
    assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
    timer_settime(timer, 0, &often, NULL);
    for (int i = 0; i < 400 || atomic_load(&alarms) < 20; i++)
        assert_true(i % 2 ? echoes(&box) : polls_echo(&box));
    timer_delete(timer);
    sigaction(SIGALRM, &before, NULL);
    assert_false(atomic_load(&elsewhere));
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_live_at_once_on_any_thread),
        cmocka_unit_test(a_kill_ends_it_at_any_time),
        cmocka_unit_test(kills_and_wipes_may_race),
        cmocka_unit_test(a_close_may_come_at_any_time),
        cmocka_unit_test(the_caller_may_fork),
        cmocka_unit_test(signals_of_the_caller_are_handled_by_the_caller),
    };

    return cmocka_run_group_tests(tests, box_possible, NULL);
}
