/* SPDX-License-Identifier: Apache-2.0 */
/* glovebox/program.h, as an embedder uses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/count_test.h"
#include "glovebox/program.h"

#define SECOND_NS 1000000000ull

struct heard {
    char text[3][256]; /* of streams 1 and 2 */
    unsigned lines;    /* of a trace */
};

static struct heard heard;
static struct gbx_error err;

static void hear(void *context, int stream, const void *text, size_t bytes)
{
    struct heard *to = context;

    assert_in_range(stream, 1, 2);
    strncat(to->text[stream], text,
            bytes < 200 - strlen(to->text[stream]) ? bytes : 0);
}

static void count_line(void *context, const char *line)
{
    struct heard *to = context;

    assert_null(strchr(line, '\n'));
    to->lines++;
}

static struct gbx_program_config plain(void)
{
    memset(&heard, 0, sizeof(heard));
    memset(&err, 0, sizeof(err));
    return (struct gbx_program_config){.struct_bytes =
                                           sizeof(struct gbx_program_config),
                                       .output = hear,
                                       .output_context = &heard};
}

/* `sh -c line`, opened. */
static struct gbx_program *open_shell(const char *line)
{
    const char *const argv[] = {"sh", "-c", line, NULL};
    struct gbx_program_config config = plain();
    struct gbx_program *program;

    config.argv = argv;
    if (gbx_program_open(&program, "sh", &config, &err) < 0)
        fail_msg("%s", err.what);
    return program;
}

static void what_it_writes_comes_to_the_callback(void **state)
{
    struct gbx_program *program =
        open_shell("echo out; echo err >&2; read line; echo $?; exit 5");
    int status;

    (void)state;
    assert_int_equal(gbx_program_run(program, 0, &status, &err), 0);
    assert_int_equal(status, 5);
    assert_string_equal(heard.text[1], "out\n1\n");
    assert_string_equal(heard.text[2], "err\n");
    assert_null(gbx_program_lacked(program));
    gbx_program_close(program);
}

static void it_can_be_run_on_when_the_time_was_over(void **state)
{
    static const char *const argv[] = {"sleep", "0.3", NULL};
    struct gbx_program_config config = plain();
    struct gbx_program *program;
    int status = 7, turns = 0, rc;

    (void)state;
    config.argv = argv;
    assert_int_equal(gbx_program_open(&program, "sleep", &config, &err), 0);
    do {
        rc = gbx_program_run(program, clock_now_ns() + SECOND_NS / 20, &status,
                             &err);
        turns++;
        if (rc == GBX_ETIME)
            assert_int_equal(status, -1);
    } while (rc == GBX_ETIME);
    assert_int_equal(rc, 0);
    assert_int_equal(status, 0);
    assert_true(turns > 1);
    gbx_program_close(program);
}

static void *kill_soon(void *context)
{
    usleep(100000);
    gbx_program_kill(context);
    return NULL;
}

static void it_can_be_killed_at_any_time(void **state)
{
    struct gbx_program *program;
    pthread_t thread;
    int status;

    (void)state;
    program = open_shell("exit 0");
    gbx_program_kill(program);
    assert_int_equal(gbx_program_run(program, 0, &status, &err), GBX_ECANCELED);
    assert_int_equal(status, -1);
    gbx_program_close(program);

    program = open_shell("while :; do :; done");
    assert_int_equal(pthread_create(&thread, NULL, kill_soon, program), 0);
    assert_int_equal(gbx_program_run(program, clock_now_ns() + 20 * SECOND_NS,
                                     &status, &err),
                     GBX_ECANCELED);
    pthread_join(thread, NULL);
    gbx_program_close(program);
}

static void a_signal_is_told_as_a_shell_does(void **state)
{
    struct gbx_program *program = open_shell("kill -9 $$");
    int status;

    (void)state;
    assert_int_equal(gbx_program_run(program, 0, &status, &err), GBX_ESIGNAL);
    assert_int_equal(status, 137);
    assert_non_null(strstr(err.what, "signal 9"));
    gbx_program_close(program);
}

static void what_it_lacked_is_told(void **state)
{
    struct gbx_program *program = open_shell("ls | cat");
    int status;

    (void)state;
    assert_int_equal(gbx_program_run(program, 0, &status, &err), 0);
    assert_int_not_equal(status, 0);
    assert_non_null(strstr(gbx_program_lacked(program), "processes"));
    gbx_program_close(program);
}

static void what_it_lacked_is_told_at_status_0_too(void **state)
{
    static const char *const argv[] = {"awk", "BEGIN { \"ls\" | getline }",
                                       NULL};
    struct gbx_program_config config = plain();
    struct gbx_program *program;
    int status;

    (void)state;
    config.argv = argv;
    assert_int_equal(gbx_program_open(&program, "awk", &config, &err), 0);
    assert_int_equal(gbx_program_run(program, 0, &status, &err), 0);
    assert_int_equal(status, 0);
    assert_non_null(strstr(gbx_program_lacked(program), "processes"));
    gbx_program_close(program);
}

static void system_calls_are_lines(void **state)
{
    struct gbx_program_config config = plain();
    struct gbx_program *program;
    int status;

    (void)state;
    config.trace = count_line;
    config.trace_context = &heard;
    assert_int_equal(gbx_program_open(&program, "true", &config, &err), 0);
    assert_int_equal(gbx_program_run(program, 0, &status, &err), 0);
    assert_true(heard.lines > 10);
    gbx_program_close(program);
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const char *const none[] = {NULL};
    struct gbx_program_config config = plain();
    struct gbx_program *program = (struct gbx_program *)&config;

    (void)state;
    config.struct_bytes--;
    assert_int_equal(gbx_program_open(&program, "true", &config, &err),
                     GBX_EARGUMENT);
    assert_null(program);
    config = plain();
    config.working_dir = "tmp";
    assert_int_equal(gbx_program_open(&program, "true", &config, &err),
                     GBX_EARGUMENT);
    config = plain();
    config.argv = none;
    assert_int_equal(gbx_program_open(&program, "true", &config, &err),
                     GBX_EARGUMENT);
    config = plain();
    config.limits.memory_bytes = 1;
    assert_int_equal(gbx_program_open(&program, "true", &config, NULL),
                     GBX_EARGUMENT);
    config = plain();
    assert_int_equal(gbx_program_open(&program, NULL, &config, &err),
                     GBX_EARGUMENT);
    assert_null(program);
    assert_int_equal(gbx_program_open(NULL, "true", &config, &err),
                     GBX_EARGUMENT);
    assert_int_equal(gbx_program_open(NULL, NULL, NULL, NULL), GBX_EARGUMENT);
    gbx_program_close(NULL);
}

static void an_end_is_told_as_often_as_one_asks(void **state)
{
    static const struct {
        const char *line;
        int want, status;
    } cases[] = {{"exit 3", 0, 3}, {"kill -9 $$", GBX_ESIGNAL, 137}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct gbx_program *program = open_shell(cases[i].line);

        for (int turn = 0; turn < 3; turn++) {
            int status = -7;

            assert_int_equal(gbx_program_run(program, 0, &status, &err),
                             cases[i].want);
            assert_int_equal(status, cases[i].status);
        }
        gbx_program_close(program);
    }
}

static void nothing_is_left_behind(void **state)
{
    int fds = count_open_files();
    int threads = count_names("/proc/self/task");
    int status;

    (void)state;
    for (int i = 0; i < 10; i++) {
        struct gbx_program *program = open_shell("exec 5>/tmp/x; read line");

        if (i % 3 != 0)
            gbx_program_run(program, i % 3 == 1 ? clock_now_ns() + 1 : 0,
                            &status, &err);
        gbx_program_close(program);
    }
    assert_int_equal(count_open_files(), fds);
    assert_int_equal(count_names("/proc/self/task"), threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_writes_comes_to_the_callback),
        cmocka_unit_test(it_can_be_run_on_when_the_time_was_over),
        cmocka_unit_test(it_can_be_killed_at_any_time),
        cmocka_unit_test(a_signal_is_told_as_a_shell_does),
        cmocka_unit_test(what_it_lacked_is_told),
        cmocka_unit_test(what_it_lacked_is_told_at_status_0_too),
        cmocka_unit_test(system_calls_are_lines),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(an_end_is_told_as_often_as_one_asks),
        cmocka_unit_test(nothing_is_left_behind),
    };
    struct gbx_program *program;

    if (gbx_program_open(&program, "true", NULL, &err) == GBX_EUNSUPPORTED) {
        printf("no micro-VM here: %s\n", err.what);
        return 77;
    }
    gbx_program_close(program);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
