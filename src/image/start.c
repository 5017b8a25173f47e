/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c - glovebox-image is started, and heard: pull and verify.
 *
 * Archives, JSON from elsewhere and skopeo are that program's; so a fault in
 * what reads them is not one in the embedder's process, and the library links
 * none of it.  It ends with the thread that waits here.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/store/store.h"

#define PROGRAM    "glovebox-image"
#define WORDS      16
#define TEXT_BYTES 5000 /* of all options */
#define LINE_BYTES 1024

/* A run of the program. */
struct run {
    const char *libexec_dir;
    char *words[WORDS + 1]; /* the last is NULL */
    size_t count, used;
    char text[TEXT_BYTES]; /* where they lie */

    gbx_image_progress_fn progress;
    const char *name; /* for it */
    void (*damage)(void *context, const char *text);
    void *context;

    bool is_cancelled, has_failed, has_damage;
    struct gbx_error err; /* what it reported */
};

static void add(struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What does not fit is seen by start. */
static void add(struct run *run, const char *format, ...)
{
    va_list ap;
    int bytes;

    if (run->count == WORDS)
        return;
    run->words[run->count++] = run->text + run->used;
    va_start(ap, format);
    bytes =
        vsnprintf(run->text + run->used, TEXT_BYTES - run->used, format, ap);
    va_end(ap);
    run->used += (size_t)bytes + 1;
    if (run->used > TEXT_BYTES)
        run->used = TEXT_BYTES;
}

static int spawn(pid_t *child, struct run *run, int out)
{
    const char *dir = run->libexec_dir;
    char program[4096];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    int rc;

    if (dir == NULL)
        dir = secure_getenv("GLOVEBOX_LIBEXEC");
    snprintf(program, sizeof(program), "%s/" PROGRAM,
             dir != NULL ? dir : GLOVEBOX_LIBEXEC_DIR);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    rc = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, out, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, 0, 2);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(&files, 3);
    if (rc == 0)
        rc = posix_spawn(child, program, &files, &how, run->words, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    return rc;
}

static void hear_line(struct run *run, char *line)
{
    unsigned long long bytes, all;
    int phase, code, sys, at = 0;

    if (sscanf(line, "progress %d %llu %llu", &phase, &bytes, &all) == 3) {
        const struct gbx_image_progress now = {(enum gbx_image_phase)phase,
                                               run->name, bytes, all};

        if (run->progress != NULL && !run->progress(run->context, &now))
            run->is_cancelled = true;
    } else if (sscanf(line, "error %d %d %n", &code, &sys, &at) == 2 &&
               code < 0) {
        run->has_failed = true;
        run->err.code = code;
        run->err.sys = sys;
        snprintf(run->err.what, sizeof(run->err.what), "%s", line + at);
    } else if (strncmp(line, "damage ", 7) == 0) {
        run->has_damage = true;
        if (run->damage != NULL)
            run->damage(run->context, line + 7);
    }
}

/* Until it has ended, or is to end. */
static void hear(struct run *run, int fd)
{
    char line[LINE_BYTES];
    size_t count = 0;

    while (!run->is_cancelled) {
        ssize_t n = read(fd, line + count, sizeof(line) - 1 - count);
        char *at = line, *end;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        count += (size_t)n;
        line[count] = '\0';
        while ((end = strchr(at, '\n')) != NULL) {
            *end = '\0';
            hear_line(run, at);
            at = end + 1;
        }
        count -= (size_t)(at - line);
        memmove(line, at, count);
        if (count == sizeof(line) - 1) /* no line of ours is so long */
            count = 0;
    }
}

static int judge(struct run *run, int status, struct gbx_error *err)
{
    if (run->is_cancelled)
        return fail(err, GBX_ECANCELED, "image %.100s: the pull was ended",
                    run->name);
    if (run->has_failed) {
        if (err != NULL)
            *err = run->err;
        return run->err.code;
    }
    if (WIFSIGNALED(status))
        return fail(err, GBX_EBROKEN,
                    "what unpacks images was killed by signal %d",
                    WTERMSIG(status));
    return WEXITSTATUS(status) == 0
               ? 0
               : fail(err, GBX_EBROKEN, "what unpacks images failed");
}

static int start(struct run *run, struct gbx_error *err)
{
    auto_fd int in = -1, out = -1;
    int fds[2], status = 0;
    pid_t child = 0;

    if (run->used >= TEXT_BYTES || run->count == WORDS)
        return fail(err, GBX_ELIMIT, "the options of a pull are too long");
    if (pipe2(fds, O_CLOEXEC) < 0)
        return fail(err, GBX_EHOST, "a pipe");
    in = fds[0];
    out = fds[1];
    errno = spawn(&child, run, out);
    if (errno != 0)
        return fail(err, GBX_EFILE, "%s: %s; is Glovebox installed?", PROGRAM,
                    strerrordesc_np(errno));
    close_fd(&out);
    hear(run, in);
    if (run->is_cancelled)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) /* the embedder was faster */
            break;
    return judge(run, status, err);
}

static void add_options(struct run *run,
                        const struct gbx_image_pull_config *config)
{
    if (config->platform != NULL)
        add(run, "platform=%s", config->platform);
    if (config->auth_file != NULL)
        add(run, "auth=%s", config->auth_file);
    if (config->name != NULL)
        add(run, "name=%s", config->name);
    if (config->is_insecure)
        add(run, "insecure=1");
    if (config->deadline_ns != 0)
        add(run, "deadline=%llu", (unsigned long long)config->deadline_ns);
    if (config->silence_ns != 0)
        add(run, "silence=%llu", (unsigned long long)config->silence_ns);
    if (config->size_max != 0)
        add(run, "size=%llu", (unsigned long long)config->size_max);
    if (config->ratio_max != 0)
        add(run, "ratio=%u", config->ratio_max);
}

int gbx_image_pull(struct gbx_images *images, const char *reference,
                   const struct gbx_image_pull_config *config,
                   struct gbx_error *err)
{
    static const struct gbx_image_pull_config none = {
        .struct_bytes = sizeof(struct gbx_image_pull_config)};
    struct run run = {.name = reference};
    int rc;

    config = config != NULL ? config : &none;
    rc = error_check_bytes("gbx_image_pull_config", config->struct_bytes,
                           sizeof(*config), err);
    if (rc < 0)
        return rc;
    if (reference == NULL)
        return fail(err, GBX_EARGUMENT, "an image has no name");
    run.libexec_dir = config->libexec_dir;
    run.progress = config->progress;
    run.context = config->progress_context;
    add(&run, PROGRAM);
    add(&run, "pull");
    add(&run, "%s", images->path);
    add(&run, "%s", reference);
    add_options(&run, config);
    return start(&run, err);
}

int gbx_images_verify(struct gbx_images *images, const char *libexec_dir,
                      void (*fn)(void *context, const char *text),
                      void *context, struct gbx_error *err)
{
    struct run run = {.libexec_dir = libexec_dir,
                      .name = "",
                      .damage = fn,
                      .context = context};
    int rc;

    add(&run, PROGRAM);
    add(&run, "verify");
    add(&run, "%s", images->path);
    rc = start(&run, err);
    if (rc == 0 && run.has_damage)
        rc = fail(err, GBX_EFORMAT,
                  "%.140s is damaged; what was found is put away: pull those "
                  "images again",
                  images->path);
    return rc;
}
