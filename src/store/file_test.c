/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept in a file is there again; and what a call could not write, not.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/file.h"
#include "store/store_ask.h"

static struct gbx_state *file;
static struct gbx_error err;
static char path[64];

static void open_file(uint64_t bytes_max)
{
    if (gbx_state_open(&file, path, bytes_max, &err) < 0)
        fail_msg("%s", err.what);
}

static void attach(const char *name)
{
    store_init(&store);
    journal = &store.alone;
    if (file_attach(file, &store, name, &err) < 0)
        fail_msg("%s", err.what);
}

/* As if another process went on. */
static void again(const char *name)
{
    store_fini(&store);
    gbx_state_close(file);
    open_file(0);
    attach(name);
}

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "/tmp/glovebox-state-%d", (int)getpid());
    open_file(0);
    attach("one");
    return 0;
}

static int remove_path(void **state)
{
    char log[80];

    (void)state;
    store_fini(&store);
    gbx_state_close(file);
    snprintf(log, sizeof(log), "%s-wal", path);
    unlink(log);
    return unlink(path);
}

static void all_kinds_of_values_are_there_again(void **state)
{
    (void)state;
    RUN({"set", "['n', 5]", "null"}, {"set", "['t', 'text']", "null"},
        {"set", "['o', {'a': [1, {'b': null}]}]", "null"},
        {"set", "['a', [1, 2]]", "null"}, {"push", "['l', 1]", "1"},
        {"extend", "['l', ['x', [2]]]", "3"}, {"extend", "['e', []]", "0"},
        {"set", "['gone', 1]", "null"}, {"delete", "['gone']", "true"});
    again("one");
    RUN({"get_all", "[]",
         "{'a':[1,2],'e':[],'l':[1,'x',[2]],'n':5,'o':{'a':[1,{'b':null}]},"
         "'t':'text'}"},
        {"pop", "['l']", "[1]"}, {"increment", "['n', 1]", "6"},
        {"push", "['e', 1]", "1"});
    again("one");
    RUN({"get", "['l']", "[['x',[2]]]"}, {"get", "['n']", "[6]"},
        {"get", "['e']", "[[1]]"}, {"set_all", "[{'new': 1}]", "null"});
    again("one");
    RUN({"get_all", "[]", "{'new':1}"}, {"clear", "[]", "null"});
    again("one");
    RUN({"size", "[]", "0"});
}

static void each_name_has_its_own(void **state)
{
    struct store other;

    (void)state;
    RUN({"set", "['n', 1]", "null"});
    store_init(&other);
    assert_int_equal(file_attach(file, &other, "one", &err), GBX_EARGUMENT);
    assert_non_null(strstr(err.what, "the state of one open already"));
    store_fini(&other);
    again("two");
    RUN({"size", "[]", "0"}, {"set", "['n', 2]", "null"},
        {"clear", "[]", "null"});
    again("one");
    RUN({"get_all", "[]", "{'n':1}"});
}

static void what_failed_is_not_there(void **state)
{
    struct store_journal call = {.store = &store};

    (void)state;
    RUN({"set", "['n', 1]", "null"});
    journal = &call;
    RUN({"set", "['n', 2]", "null"}, {"set", "['new', 2]", "null"});
    store_journal_end(&call, false);
    again("one");
    RUN({"get_all", "[]", "{'n':1}"});
    /* Nor what had not ended. */
    journal = &call;
    RUN({"set", "['n', 2]", "null"}, {"clear", "[]", "null"});
    store_journal_end(&call, false);
    journal = &call;
    RUN({"set", "['n', 3]", "null"}, {"delete", "['n']", "true"},
        {"set", "['m', 4]", "null"});
    assert_int_equal(store_journal_commit(&call, &err), 0);
    again("one");
    RUN({"get_all", "[]", "{'m':4}"});
}

static void seconds_go_on_meanwhile(void **state)
{
    (void)state;
    RUN({"set", "['long', 1]", "null"}, {"set", "['short', 1]", "null"},
        {"expire", "['long', 100]", "true"},
        {"expire", "['short', 0.05]", "true"});
    store_fini(&store);
    gbx_state_close(file);
    usleep(100000);
    open_file(0);
    attach("one");
    RUN({"exists", "['short']", "false"}, {"ttl", "['long']", "100"});
}

static int set_large(size_t bytes)
{
    struct gbx_builder in, out;
    struct gbx_message message;
    char *value = calloc(1, bytes);
    int rc;

    assert_non_null(value);
    gbx_builder_init(&in);
    gbx_builder_init(&out);
    gbx_build_array(&in, 2);
    gbx_build_text(&in, "large", 5);
    gbx_build_bytes(&in, value, bytes);
    assert_int_equal(gbx_builder_message(&in, GBX_ARRAY, &message), 0);
    rc = ask("set", &message, &out);
    gbx_builder_fini(&in);
    gbx_builder_fini(&out);
    free(value);
    return rc;
}

static void a_full_file_refuses_and_loses_nothing(void **state)
{
    int rc;

    (void)state;
    store_fini(&store);
    gbx_state_close(file);
    open_file(256u << 10);
    attach("one");
    RUN({"set", "['n', 1]", "null"});
    assert_int_equal(set_large(100000), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(set_large(300000), GBX_EDISK);
        assert_non_null(strstr(why.what, "the file or its disk is full"));
        free(ask_json("increment", "['n', 1]", &rc));
        assert_int_equal(rc, 0);
    }
    RUN({"keys", "['*']", "['large','n']"});
    again("one");
    RUN({"keys", "['*']", "['large','n']"}, {"get", "['n']", "[4]"});
    assert_true(store.table.bytes > 100000 && store.table.bytes < 110000);
}

static void what_is_no_state_file_is_refused(void **state)
{
    struct gbx_state *other;
    char name[80];
    FILE *out;

    (void)state;
    snprintf(name, sizeof(name), "%s-other", path);
    out = fopen(name, "w");
    assert_non_null(out);
    for (int i = 0; i < 1000; i++)
        assert_true(fwrite("no database ", 12, 1, out) == 1);
    fclose(out);
    assert_int_equal(gbx_state_open(&other, name, 0, &err), GBX_EFORMAT);
    assert_non_null(strstr(err.what, "it is no state file"));
    assert_null(other);
    unlink(name);
    assert_int_equal(gbx_state_open(&other, "/nothing/here", 0, &err),
                     GBX_EFILE);
    /* And one that somebody else has. */
    assert_int_equal(gbx_state_open(&other, path, 0, &err), GBX_EFILE);
    assert_non_null(strstr(err.what, "another process has it open"));
}

/* Says each sum that is kept. */
static void count_up(int fd)
{
    struct gbx_error ignored;
    int rc;

    if (gbx_state_open(&file, path, 0, &ignored) < 0)
        _exit(1);
    store_init(&store);
    journal = &store.alone;
    if (file_attach(file, &store, "one", &ignored) < 0)
        _exit(2);
    for (;;) {
        char *text = ask_json("increment", "['n', 1]", &rc);

        if (rc < 0 || dprintf(fd, "%s\n", text) < 0)
            _exit(3);
        free(text);
    }
}

static void a_killed_process_has_lost_nothing_that_it_said(void **state)
{
    long said = 0, sum;
    char *text;
    int rc;

    (void)state;
    RUN({"set", "['n', 0]", "null"});
    for (int turn = 0; turn < 15; turn++) {
        char line[32];
        int fds[2], status;
        FILE *in;
        pid_t pid;

        store_fini(&store);
        gbx_state_close(file);
        assert_int_equal(pipe(fds), 0);
        pid = fork();
        if (pid == 0)
            count_up(fds[1]);
        close(fds[1]);
        usleep(20000 + (unsigned)turn * 3000);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        in = fdopen(fds[0], "r");
        while (fgets(line, sizeof(line), in) != NULL)
            if (strchr(line, '\n') != NULL)
                said = atol(line);
        fclose(in);
        open_file(0);
        attach("one");
        text = ask_json("increment", "['n', 0]", &rc);
        sum = atol(text);
        free(text);
        assert_true(sum == said || sum == said + 1);
        said = sum;
    }
    assert_true(said > 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define FACT(fact) cmocka_unit_test_setup_teardown(fact, make_path, remove_path)
        FACT(all_kinds_of_values_are_there_again),
        FACT(each_name_has_its_own),
        FACT(what_failed_is_not_there),
        FACT(seconds_go_on_meanwhile),
        FACT(a_full_file_refuses_and_loses_nothing),
        FACT(what_is_no_state_file_is_refused),
        FACT(a_killed_process_has_lost_nothing_that_it_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
