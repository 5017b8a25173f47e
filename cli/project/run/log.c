/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - the log: a file of whole lines, and the one before.
 *
 *   2026-11-27T18:30:00.123Z NAME TEXT
 *
 * A line that cannot be written, as on a full disk, is counted, and nothing of
 * it is left; that some are lost is the next line that can.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/project/run/run.h"

#define LINE_BYTES_MAX 4400 /* as a pipe brings it, and what is before it */
#define LINE_BYTES_MIN 28   /* a time, a name */
#define LOOK_MS        100
#define END_LINES      20

/* ---- written ---- */

static void reopen(struct log *log)
{
    struct stat st;

    if (log->fd >= 0)
        close(log->fd);
    log->fd = openat(log->folder, "log",
                     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log->bytes =
        log->fd >= 0 && fstat(log->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void log_open(struct log *log, int folder)
{
    *log = (struct log){.folder = folder, .fd = -1};
    reopen(log);
}

void log_close(struct log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

static bool put(struct log *log, const char *line, size_t bytes)
{
    ssize_t n;

    if (log->bytes + bytes > LOG_BYTES_MAX) {
        renameat(log->folder, "log", log->folder, "log.1");
        reopen(log);
    } else if (log->fd < 0) {
        reopen(log);
    }
    n = log->fd >= 0 ? write(log->fd, line, bytes) : -1;
    if (n == (ssize_t)bytes) {
        log->bytes += bytes;
        return true;
    }
    if (log->lost++ == 0)
        log->why = n < 0 ? errno : ENOSPC;
    if (n > 0)
        (void)!ftruncate(log->fd, (off_t)log->bytes);
    return false;
}

static size_t stamp(char *line)
{
    struct timespec now;
    struct tm tm;
    size_t bytes;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    bytes = strftime(line, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    return bytes +
           (size_t)sprintf(line + bytes, ".%03ldZ ", now.tv_nsec / 1000000);
}

/* Lines of scripts say whose they are, "NAME: ..."; all others are the
 * daemon's, as what the library says when it gives up. */
static size_t name_bytes(const char *text, size_t bytes)
{
    size_t at = 0;

    while (at < bytes && at < PROJECT_NAME_BYTES &&
           strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                  "0123456789_.-",
                  text[at]) != NULL)
        at++;
    return at > 0 && at + 1 < bytes && text[at] == ':' && text[at + 1] == ' '
               ? at
               : 0;
}

void log_line(struct log *log, const char *text, size_t bytes)
{
    char line[LINE_BYTES_MAX + 100], name[PROJECT_NAME_BYTES + 1] = "gloveboxd";
    const size_t named = name_bytes(text, bytes);
    const uint64_t lost = log->lost;
    size_t at = stamp(line);

    if (named > 0) {
        memcpy(name, text, named);
        name[named] = '\0';
        text += named + 2, bytes -= named + 2;
    }
    if (lost > 0) {
        const size_t more = (size_t)sprintf(
            line + at, "gloveboxd %llu lines were lost: %s\n",
            (unsigned long long)lost, strerrordesc_np(log->why));

        if (!put(log, line, at + more))
            return;
        log->lost = 0;
    }
    bytes = bytes < LINE_BYTES_MAX - 200 ? bytes : LINE_BYTES_MAX - 200;
    at += (size_t)sprintf(line + at, "%s ", name);
    for (size_t i = 0; i < bytes; i++)
        line[at++] = text[i] != '\0' ? text[i] : '?';
    line[at++] = '\n';
    put(log, line, at);
}

/* ---- read ---- */

static bool is_wanted(const char *line, const char *name)
{
    const char *space = strchr(line, ' ');
    const size_t bytes = name != NULL ? strlen(name) : 0;

    return name == NULL ||
           (space != NULL && strncmp(space + 1, name, bytes) == 0 &&
            space[1 + bytes] == ' ');
}

struct lines {
    char **all; /* owned: a ring of the last ones */
    uint64_t count, room;
};

static void keep(struct lines *lines, const char *line)
{
    char **place = &lines->all[lines->count++ % lines->room];

    free(*place);
    *place = strdup(line);
}

/* Whole lines only; what is behind them comes later. */
static void read_lines(FILE *file, const char *name, struct lines *lines)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;

    while ((bytes = getline(&line, &room, file)) > 0) {
        if (line[bytes - 1] != '\n') {
            fseek(file, -bytes, SEEK_CUR);
            break;
        }
        if (!is_wanted(line, name))
            continue;
        if (lines != NULL)
            keep(lines, line);
        else
            cli_print(stdout, line, (size_t)bytes, false);
    }
    clearerr(file);
    free(line);
}

static FILE *open_file(const struct place *place, const char *name)
{
    const int fd = openat(place->fd, name, O_RDONLY | O_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

    if (file == NULL && fd >= 0)
        close(fd);
    return file;
}

static void print_lines(FILE *to, struct lines *lines)
{
    const uint64_t some =
        lines->count < lines->room ? lines->count : lines->room;

    for (uint64_t i = lines->count - some; i < lines->count; i++) {
        char **line = &lines->all[i % lines->room];

        if (*line != NULL)
            cli_print(to, *line, strlen(*line), false);
        free(*line);
        *line = NULL;
    }
    free(lines->all);
}

/* Prints the last of both files.  Returns the one that is written, or NULL. */
static FILE *print_last(FILE *to, const struct place *place,
                        const struct log_wanted *wanted)
{
    const uint64_t most = 2 * LOG_BYTES_MAX / LINE_BYTES_MIN;
    struct lines lines = {.room = wanted->last < most ? wanted->last : most};
    FILE *before = open_file(place, "log.1"), *file = open_file(place, "log");

    lines.all = calloc(lines.room + 1, sizeof(*lines.all));
    lines.room += lines.room == 0;
    if (lines.all == NULL) {
        lines.room = 0;
    } else {
        if (before != NULL)
            read_lines(before, wanted->name, &lines);
        if (file != NULL)
            read_lines(file, wanted->name, &lines);
        if (wanted->last == 0)
            lines.count = 0;
        print_lines(to, &lines);
    }
    if (before != NULL)
        fclose(before);
    return file;
}

/* Another file has its name: it was full. */
static bool is_old(const struct place *place, FILE *file)
{
    struct stat here, there;

    return fstat(fileno(file), &here) < 0 ||
           (fstatat(place->fd, "log", &there, 0) == 0 &&
            (here.st_ino != there.st_ino || here.st_dev != there.st_dev));
}

static void follow(const struct place *place, FILE *file,
                   const struct log_wanted *wanted)
{
    bool is_last = false;

    while (file != NULL) {
        struct pollfd ended = {.events = POLLIN};
        pid_t pid;

        read_lines(file, wanted->name, NULL);
        fflush(stdout);
        if (is_old(place, file)) {
            read_lines(file, wanted->name, NULL);
            fclose(file);
            file = open_file(place, "log");
            continue;
        }
        if (is_last)
            break;
        ended.fd = place_daemon(place, &pid);
        is_last = ended.fd < 0 || poll(&ended, 1, LOOK_MS) != 0;
        if (ended.fd >= 0)
            close(ended.fd);
        if (is_last) {
            char text[160];

            watch_ended(place, text); /* its last words are there by then */
        }
    }
    if (file != NULL)
        fclose(file);
}

int log_print(const struct place *place, const struct log_wanted *wanted,
              struct gbx_error *err)
{
    FILE *file = print_last(stdout, place, wanted);

    if (file == NULL)
        return project_fail(err, GBX_EFILE,
                            "there is no log: glovebox up has not run yet");
    if (wanted->follow)
        follow(place, file, wanted);
    else
        fclose(file);
    return 0;
}

void log_print_end(const struct place *place)
{
    const struct log_wanted wanted = {.last = END_LINES};
    FILE *file = print_last(stderr, place, &wanted);

    if (file != NULL)
        fclose(file);
}
