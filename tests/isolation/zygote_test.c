/* SPDX-License-Identifier: Apache-2.0 */
/* One zygote, many copies: what they share is that they began alike. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "sandbox/process/process.h"
#include "tests/isolation/box.h"

#define MANY    20
#define THREADS 4

static struct box boxes[MANY], *const first = &boxes[0],
                                      *const second = &boxes[1];
static struct snapshot *snapshot;

static void prepare(const char *kind, const char *folder)
{
    int rc;

    box_begin(first, kind, "");
    first->bundle.folder = folder;
    rc = box_backend->prepare(&first->bundle, clock_now_ns() + BOX_WAIT_NS,
                              &snapshot, &first->err);
    if (rc < 0)
        fail_msg("%s", first->err.what);
    box_close(first);
}

/* Without asserts: for any thread. */
static int begin_copy(struct box *box)
{
    box_begin(box, "", "");
    return box_clone(box, snapshot);
}

static void copy(struct box *box)
{
    if (begin_copy(box) < 0)
        fail_msg("%s", box->err.what);
}

static bool echoes(struct box *box)
{
    struct gbx_half_head *head = (void *)box->region.base;

    head->bell++;
    box_backend->ring(box->self);
    return box_run(box, BOX_WAIT_NS) == 0;
}

/* Of the zygote: the only child of its init, which is our child. */
static pid_t zygote_pid(void)
{
    char path[64], text[64] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
             snapshot->zygote.cell.pidfd);
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(text, sizeof(text), file) != NULL &&
           strncmp(text, "Pid:", 4) != 0)
        ;
    fclose(file);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", atoi(text + 4),
             atoi(text + 4));
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    return atoi(text);
}

static void end_zygote(void)
{
    char byte;

    assert_int_equal(kill(zygote_pid(), SIGKILL), 0);
    /* Its init tells when it is gone. */
    assert_true(recv(snapshot->zygote.cell.control, &byte, 1, MSG_PEEK) > 0);
}

static void nothing_is_left(int fds)
{
    assert_int_equal(count_fds(), fds);
    assert_int_equal(count_strays(), 0);
    assert_int_equal(count_children(), 0);
    assert_int_equal(count_cgroups(), 0);
}

static void a_zygote_makes_as_many_as_are_wanted(void **state)
{
    const int fds = count_fds();

    (void)state;
    prepare("echo", NULL);
    for (int i = 0; i < MANY; i++)
        copy(&boxes[i]);
    strays_become(2 + 2 * MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(box_run(&boxes[i], BOX_WAIT_NS), 0);
        assert_true(echoes(&boxes[i]));
    }
    for (int i = 0; i < MANY; i++)
        box_close(&boxes[i]);
    assert_int_equal(count_strays(), 2);
    box_backend->put(snapshot);
    nothing_is_left(fds);
}

static void *copy_share(void *context)
{
    const int from = (int)(intptr_t)context;
    bool well = true;

    for (int round = 0; round < 10; round++)
        for (int i = from; i < MANY; i += THREADS) {
            well = well && begin_copy(&boxes[i]) == 0 &&
                   box_run(&boxes[i], BOX_WAIT_NS) == 0 && echoes(&boxes[i]);
            box_close(&boxes[i]);
        }
    return well ? context : NULL;
}

static void any_thread_may_ask_at_any_time(void **state)
{
    const int fds = count_fds();
    pthread_t threads[THREADS];

    (void)state;
    prepare("echo", NULL);
    for (intptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, copy_share, (void *)i);
    for (intptr_t i = 0; i < THREADS; i++) {
        void *well;

        pthread_join(threads[i], &well);
        assert_ptr_equal(well, (void *)i);
    }
    box_backend->put(snapshot);
    nothing_is_left(fds);
}

static void it_lives_as_long_as_its_copies(void **state)
{
    const int fds = count_fds();

    (void)state;
    prepare("echo", NULL);
    copy(first);
    box_backend->put(snapshot);
    assert_int_equal(box_run(first, BOX_WAIT_NS), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(box_backend->wipe(first->self, &first->err), 0);
        assert_int_equal(box_run(first, BOX_WAIT_NS), 0);
        strays_become(4);
    }
    box_close(first);
    nothing_is_left(fds);
}

static void a_dead_zygote_takes_nothing_with_it(void **state)
{
    const int fds = count_fds();

    (void)state;
    prepare("echo", NULL);
    copy(first);
    assert_int_equal(box_run(first, BOX_WAIT_NS), 0);
    end_zygote();
    assert_int_equal(begin_copy(second), GBX_ESTALE);
    assert_string_equal(second->err.what, "the template's process has ended");
    box_close(second);
    for (int i = 0; i < 20; i++)
        assert_true(echoes(first));
    assert_int_equal(box_backend->wipe(first->self, &first->err), GBX_ESTALE);
    box_close(first);
    box_backend->put(snapshot);
    nothing_is_left(fds);
}

/* It is stopped, and dies with the order before it. */
static void *end_stopped(void *context)
{
    usleep(50000);
    kill(*(pid_t *)context, SIGKILL);
    return NULL;
}

static void an_order_dies_with_its_zygote(void **state)
{
    const int fds = count_fds();
    pthread_t thread;
    pid_t zygote;

    (void)state;
    prepare("echo", NULL);
    zygote = zygote_pid();
    kill(zygote, SIGSTOP);
    pthread_create(&thread, NULL, end_stopped, &zygote);
    assert_int_equal(begin_copy(first), GBX_ESTALE);
    pthread_join(thread, NULL);
    box_close(first);
    box_backend->put(snapshot);
    nothing_is_left(fds);
}

static void what_is_no_order_is_ignored(void **state)
{
    static char nonsense[sizeof(struct plan) + 100];
    static const size_t bytes[] = {1,
                                   24,
                                   sizeof(struct plan) - PLAN_TEXT_MAX,
                                   sizeof(struct plan) - PLAN_TEXT_MAX + 4,
                                   sizeof(struct plan),
                                   sizeof(nonsense)};
    struct plan *plan = (void *)nonsense;
    int orders;

    (void)state;
    prepare("echo", NULL);
    orders = snapshot->zygote.cell.orders;
    for (int good = 0; good < 2; good++) /* with no descriptors, though */
        for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
            plan->magic = good ? PLAN_MAGIC : 7;
            plan->text_bytes = 4;
            assert_int_equal(send(orders, nonsense, bytes[i], 0), bytes[i]);
        }
    copy(first);
    assert_int_equal(box_run(first, BOX_WAIT_NS), 0);
    box_close(first);
    box_backend->put(snapshot);
}

static int copy_with_folder(struct box *box, const char *folder)
{
    box_begin(box, "", "");
    box->bundle.folder = folder;
    return box_clone(box, snapshot);
}

static void it_is_of_one_program(void **state)
{
    (void)state;
    prepare("echo", NULL);
    box_begin(first, "", "");
    first->bundle.program = "/usr/bin/env";
    assert_int_equal(box_clone(first, snapshot), GBX_ESTALE);
    assert_non_null(strstr(first->err.what, "the template is of"));
    box_close(first);
    box_backend->put(snapshot);
}

static void expect_in_folder(struct box *box, const char *folder,
                             const char *want)
{
    if (copy_with_folder(box, folder) < 0)
        fail_msg("%s", box->err.what);
    assert_int_equal(box_end(box), GBX_EEXIT);
    for (int i = 0; i < 2; i++) { /* and after a wipe */
        assert_non_null(strstr(box->text, want));
        assert_int_equal(strstr(box->text, "/script/a") != NULL,
                         strcmp(want, "/script/a\n") == 0);
        box->text_bytes = 0;
        assert_int_equal(box_backend->wipe(box->self, &box->err), 0);
        assert_int_equal(box_end(box), GBX_EEXIT);
    }
    box_close(box);
}

static void make_folder(char *folder, const char *name)
{
    char path[64];

    assert_non_null(mkdtemp(folder));
    assert_int_equal(chmod(folder, 0755),
                     0); /* not all can be shown to others */
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    close(open(path, O_CREAT | O_WRONLY, 0644));
}

static void remove_folder(const char *folder, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* Who may bring mounts, shows each copy another one; else it is the one that
 * the template shows. */
static void each_copy_may_have_a_folder_of_its_own(void **state)
{
    char a[] = "/tmp/glovebox-test-XXXXXX", b[] = "/tmp/glovebox-test-XXXXXX";
    const int fds = count_fds();

    (void)state;
    make_folder(a, "a");
    make_folder(b, "b");
    for (int i = 0; i < 2; i++) {
        prepare("look", i == 0 ? NULL : a);
        if (snapshot->zygote.brings_mounts || i == 1)
            expect_in_folder(first, a, "/script/a\n");
        if (snapshot->zygote.brings_mounts)
            expect_in_folder(second, b, "/script/b\n");
        else
            assert_int_equal(copy_with_folder(second, b), GBX_ESTALE);
        if (!snapshot->zygote.brings_mounts)
            box_close(second);
        if (i == 1) { /* what it shows cannot be hidden */
            assert_int_equal(copy_with_folder(second, NULL), GBX_ESTALE);
            box_close(second);
        }
        box_backend->put(snapshot);
    }
    remove_folder(a, "a");
    remove_folder(b, "b");
    nothing_is_left(fds);
}

/* It ends before it says that it is ready. */
static void a_program_that_makes_no_copies_is_no_template(void **state)
{
    const int fds = count_fds();

    (void)state;
    box_begin(first, "", "");
    first->bundle.program = "/usr/bin/env";
    assert_int_equal(box_backend->prepare(&first->bundle,
                                          clock_now_ns() + BOX_WAIT_NS,
                                          &snapshot, &first->err),
                     GBX_EUNSUPPORTED);
    assert_null(snapshot);
    box_close(first);
    nothing_is_left(fds);
}

static void each_has_a_seed_of_its_own(void **state)
{
    const struct gbx_half_head *one, *other;

    (void)state;
    prepare("echo", NULL);
    copy(first);
    copy(second);
    one = (void *)first->region.base;
    other = (void *)second->region.base;
    assert_true(one->copy != other->copy && one->copy != 0);
    assert_memory_not_equal(one->seed, other->seed, sizeof(one->seed));
    box_close(second);
    box_close(first);
    box_backend->put(snapshot);
}

/* Prints what the one before it changed. */
static void run_twice(const char *kind, const char *want)
{
    prepare(kind, NULL);
    copy(first);
    assert_int_equal(box_run(first, BOX_WAIT_NS), 0); /* it is done, and rang */
    copy(second);
    assert_int_equal(box_run(second, BOX_WAIT_NS), 0);
    assert_int_equal(box_run(second, 100000000), GBX_ETIME);
    assert_string_equal(first->text, want);
    assert_string_equal(second->text, want);
    box_close(second);
    box_close(first);
    box_backend->put(snapshot);
}

static void siblings_share_no_file_and_no_open_file(void **state)
{
    (void)state;
    run_twice("leave_traces", "traces 0\n");
}

/* With all the processes that it may have. */
static void siblings_do_not_count_each_others_processes(void **state)
{
    (void)state;
    run_twice("fill_up", "processes 31\n");
}

static void a_copy_that_kills_all_it_can_reaches_no_other(void **state)
{
    (void)state;
    prepare("kill_all", NULL);
    copy(first);
    assert_int_equal(box_end(first), GBX_ESIGNAL);
    copy(second);
    assert_int_equal(box_end(second), GBX_ESIGNAL);
    box_close(second);
    box_close(first);
    box_backend->put(snapshot);
}

static void nothing_survives_a_killed_caller(void **state)
{
    int tell[2], left = 1;
    char byte;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(tell), 0);
    pid = fork();
    if (pid == 0) {
        prepare("hang", NULL);
        for (int i = 0; i < 5; i++)
            copy(&boxes[i]);
        (void)!write(tell[1], "x", 1);
        box_run(first, BOX_WAIT_NS);
        _exit(0);
    }
    assert_int_equal(read(tell[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    box_caller = pid;
    for (int i = 0; i < 5000 && left > 0; i++, usleep(1000))
        left = count_strays() + count_cgroups();
    box_caller = 0;
    assert_int_equal(left, 0);
    close(tell[0]);
    close(tell[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zygote_makes_as_many_as_are_wanted),
        cmocka_unit_test(any_thread_may_ask_at_any_time),
        cmocka_unit_test(it_lives_as_long_as_its_copies),
        cmocka_unit_test(a_dead_zygote_takes_nothing_with_it),
        cmocka_unit_test(an_order_dies_with_its_zygote),
        cmocka_unit_test(what_is_no_order_is_ignored),
        cmocka_unit_test(it_is_of_one_program),
        cmocka_unit_test(each_copy_may_have_a_folder_of_its_own),
        cmocka_unit_test(a_program_that_makes_no_copies_is_no_template),
        cmocka_unit_test(each_has_a_seed_of_its_own),
        cmocka_unit_test(siblings_share_no_file_and_no_open_file),
        cmocka_unit_test(siblings_do_not_count_each_others_processes),
        cmocka_unit_test(a_copy_that_kills_all_it_can_reaches_no_other),
        cmocka_unit_test(nothing_survives_a_killed_caller),
    };

    return cmocka_run_group_tests(tests, box_possible, NULL);
}
