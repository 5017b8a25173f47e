/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing outlives its owner: not a killed caller, not a full disk. */
#include "story.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Processes that descend from nobody of ours but run our programs: those whose
 * environment or name says so.  Counted by the name of what they execute. */
static int count_guests(void)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    int count = 0;

    assert_non_null(proc);
    while ((entry = readdir(proc)) != NULL) {
        char path[300], name[64] = "";
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
        file = fopen(path, "re");
        if (file == NULL)
            continue;
        if (fgets(name, sizeof(name), file) != NULL)
            count += strncmp(name, "glovebox-", 9) == 0 &&
                     strncmp(name, "glovebox-bench", 14) != 0;
        fclose(file);
    }
    closedir(proc);
    return count;
}

/* In a process of its own: open a script, say so, and never come back. */
static pid_t caller_in_a_call(struct story *s, const char *text)
{
    int pipes[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    if (pid == 0) {
        struct gbx_script *script;
        struct gbx_call *call;

        if (story_try(s, text, &script) == 0 &&
            gbx_call_begin(&call, script, 0, &s->err) == 0 &&
            write(pipes[1], "x", 1) == 1)
            gbx_call_run(call, 0, &s->err);
        _exit(1);
    }
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    close(pipes[0]);
    usleep(20000); /* into the call */
    return pid;
}

static void nothing_survives_a_caller_that_is_killed(void **state)
{
    struct story *s = *state;
    int before = count_guests();
    pid_t pid;

    if (!story_is("process")) {
        print_message("it is no process: it ends with its caller's\n");
        skip();
    }
    pid = caller_in_a_call(s, "import os, time\n"
                              "def process(c):\n"
                              "    os.fork()\n"
                              "    while True: pass\n");
    assert_true(count_guests() > before);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (int i = 0; i < 500 && count_guests() > before; i++)
        usleep(10000);
    assert_true(count_guests() <= before);
}

struct opener {
    struct story *story;
    struct gbx_script *script;
};

static void *open_it(void *context)
{
    struct opener *o = context;

    if (story_try(o->story, "def process(c): return {'out': 1}\n", &o->script) <
        0)
        o->script = NULL;
    return NULL;
}

static void the_thread_that_opened_a_script_may_end(void **state)
{
    struct opener o = {.story = *state};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, open_it, &o), 0);
    pthread_join(thread, NULL);
    assert_non_null(o.script);
    usleep(50000);
    assert_string_equal(story_ask(o.story, o.script, NULL),
                        "{\"out\":{\"type\":\"Integer\",\"data\":1}}");
    story_close(o.story, o.script);
}

static void a_full_dev_shm_is_nothing_to_a_region(void **state)
{
    struct story *s = *state;
    char path[] = "/dev/shm/glovebox-full-XXXXXX";
    char byte = 1;
    pid_t pid;
    int status;

    /* A small one of our own, in a namespace of our own, filled to the brim. */
    pid = fork();
    if (pid == 0) {
        int fd;

        if (unshare(CLONE_NEWNS) < 0 ||
            mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", "/dev/shm", "tmpfs", 0, "size=64k") < 0)
            _exit(77);
        fd = mkstemp(path);
        while (write(fd, &byte, 1) == 1)
            ;
        if (errno != ENOSPC)
            _exit(1);
        _exit(strcmp(story_ask_once(s, "def process(c): return {'out': 1}\n",
                                    NULL),
                     "{\"out\":{\"type\":\"Integer\",\"data\":1}}") != 0);
    }
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("mounting needs root\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void a_file_size_limit_is_named_and_kills_nobody(void **state)
{
    struct story *s = *state;
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct rlimit small = {.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY};
        struct gbx_script *script;

        setrlimit(RLIMIT_FSIZE, &small);
        _exit(story_try(s, "def process(c): pass\n", &script) == GBX_ELIMIT &&
                      strstr(s->err.what, "RLIMIT_FSIZE") != NULL
                  ? 0
                  : 1);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

/* It holds a region, but no template: that is more than a region. */
static void what_a_file_size_limit_forbids_is_only_slower(void **state)
{
    struct story *s = *state;
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct rlimit small = {.rlim_cur = 8 << 20, .rlim_max = RLIM_INFINITY};
        struct gbx_script *script;

        setrlimit(RLIMIT_FSIZE, &small);
        s->config.pool.total_max = 2;
        if (story_try(s, "def process(c): return {'out': 1}\n", &script) < 0)
            _exit(2);
        story_ask(s, script, NULL);
        story_ask(s, script, NULL);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void opening_and_closing_leaves_nothing(void **state)
{
    struct story *s = *state;
    int before;

    /* The second one may leave a language that others are copied from. */
    for (int i = 0; i < 2; i++)
        story_close(s, story_open(s, "def process(c): pass\n"));
    usleep(100000);
    before = count_guests();
    for (int i = 0; i < 30; i++)
        story_close(s, story_open(s, "def process(c): pass\n"));
    for (int i = 0; i < 100 && count_guests() > before; i++)
        usleep(10000);
    assert_true(count_guests() <= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(nothing_survives_a_caller_that_is_killed),
        story_test(the_thread_that_opened_a_script_may_end),
        story_test(a_full_dev_shm_is_nothing_to_a_region),
        story_test(a_file_size_limit_is_named_and_kills_nobody),
        story_test(what_a_file_size_limit_forbids_is_only_slower),
        story_test(opening_and_closing_leaves_nothing),
    };

    return story_main("life", tests);
}
