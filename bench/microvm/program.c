/* SPDX-License-Identifier: Apache-2.0 */
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"
#include "microvm/program.h"

static void keep(void *context, int stream, const void *text, size_t bytes)
{
    struct program_run *run = context;
    size_t room = sizeof(run->text) - 1 - run->text_bytes;

    if (stream != 1)
        return;
    bytes = bytes < room ? bytes : room;
    memcpy(run->text + run->text_bytes, text, bytes);
    run->text_bytes += bytes;
    run->text[run->text_bytes] = '\0';
}

static void start_over(struct program_run *run)
{
    run->text_bytes = 0;
    run->text[0] = '\0';
}

static uint64_t time_of(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000000u +
           (uint64_t)time->tv_usec * 1000;
}

static pid_t spawn(const struct program_run *run, const int ends[2])
{
    posix_spawn_file_actions_t actions;
    char *argv[PROGRAM_ARGUMENTS + 1] = {NULL};
    pid_t pid;
    int rc;

    memcpy(argv, run->argv, sizeof(run->argv));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    rc = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return rc == 0 ? pid : -1;
}

bool program_outside(struct program_run *run, char why[GBX_ERROR_TEXT_MAX])
{
    struct rusage usage = {0};
    char text[4096];
    uint64_t from_ns;
    int ends[2], status = -1;
    ssize_t got;
    pid_t pid;

    start_over(run);
    if (pipe(ends) < 0)
        return snprintf(why, GBX_ERROR_TEXT_MAX, "no pipe") < 0;
    from_ns = measure_now_ns();
    pid = spawn(run, ends);
    close(ends[1]);
    while ((got = read(ends[0], text, sizeof(text))) > 0)
        keep(run, 1, text, (size_t)got);
    if (pid > 0 && wait4(pid, &status, 0, &usage) != pid)
        status = -1;
    run->wall_ns = measure_now_ns() - from_ns;
    close(ends[0]);
    run->cpu_ns = time_of(&usage.ru_utime) + time_of(&usage.ru_stime);
    if (status != 0)
        snprintf(why, GBX_ERROR_TEXT_MAX, "%s does not run", run->argv[0]);
    return status == 0;
}

/* The guest runs on the thread that calls, and no other. */
static uint64_t thread_cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* As it is called in there. */
static void name_inside(const struct program_run *run, const char *argument,
                        char inside[4300])
{
    size_t length = run->folder == NULL ? 0 : strlen(run->folder);

    if (length > 0 && strncmp(argument, run->folder, length) == 0)
        snprintf(inside, 4300, "/script%s", argument + length);
    else
        snprintf(inside, 4300, "%s", argument);
}

bool program_inside(struct program_run *run, char why[GBX_ERROR_TEXT_MAX])
{
    static char names[PROGRAM_ARGUMENTS][4300];
    const char *argv[PROGRAM_ARGUMENTS + 1] = {NULL};
    struct gbx_program_config config = {.struct_bytes = sizeof(config),
                                        .argv = argv,
                                        .folder = run->folder,
                                        .output = keep,
                                        .output_context = run};
    struct gbx_program *program = NULL;
    struct gbx_error err = {0};
    uint64_t from_ns, from_cpu_ns;
    int rc, status = -1;

    start_over(run);
    for (size_t i = 0; i < PROGRAM_ARGUMENTS && run->argv[i] != NULL; i++) {
        name_inside(run, run->argv[i], names[i]);
        argv[i] = names[i];
    }
    rc = gbx_program_open(&program, run->argv[0], &config, &err);
    from_ns = measure_now_ns();
    from_cpu_ns = thread_cpu_ns();
    if (rc == 0)
        rc = gbx_program_run(program, 0, &status, &err);
    run->cpu_ns = thread_cpu_ns() - from_cpu_ns;
    run->wall_ns = measure_now_ns() - from_ns;
    gbx_program_close(program);
    if (rc < 0)
        snprintf(why, GBX_ERROR_TEXT_MAX, "%s", err.what);
    else if (status != 0)
        snprintf(why, GBX_ERROR_TEXT_MAX, "%s exits with status %d",
                 run->argv[0], status);
    return rc == 0 && status == 0;
}
