/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.c - secrets that are in the environment of who says `up`: the daemon
 * is handed them as files in memory, so that no environment of what stays has
 * them, where each process of the user could read them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/project/run/run.h"

/* The next one's value, or NULL: it is a file's. */
static const char *value_of(const json_t *where)
{
    const char *variable = json_string_value(json_object_get(where, "env"));

    return variable != NULL ? getenv(variable) : NULL;
}

static int make_file(const char *value, struct gbx_error *err)
{
    const size_t bytes = strlen(value);
    const int fd = memfd_create("secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && write(fd, value, bytes) == (ssize_t)bytes &&
        fcntl(fd, F_ADD_SEALS,
              F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) == 0)
        return fd;
    project_fail(err, GBX_EHOST, "a file in memory, for a secret: %s",
                 strerrordesc_np(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

int secret_open(struct secret_files *files, const struct project *project,
                struct gbx_error *err)
{
    const char *name;
    json_t *where;

    files->count = 0;
    json_object_foreach(project->secrets, name, where)
    {
        const char *value = value_of(where);
        int fd;

        if (value == NULL)
            continue;
        fd = make_file(value, err);
        if (fd < 0) {
            secret_close(files);
            return GBX_EHOST;
        }
        files->fds[files->count++] = fd;
    }
    return 0;
}

void secret_close(struct secret_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        close(files->fds[i]);
    files->count = 0;
}

void secret_forget(const struct project *project)
{
    const char *name;
    json_t *where;

    json_object_foreach(project->secrets, name, where)
    {
        /* It lies where /proc/PID/environ is read from. */
        char *value = (char *)(uintptr_t)value_of(where);

        if (value == NULL)
            continue;
        explicit_bzero(value, strlen(value));
        unsetenv(json_string_value(json_object_get(where, "env")));
    }
}

static bool has_value(pid_t daemon, int number, const char *value)
{
    const size_t bytes = strlen(value);
    char path[64], *text = malloc(bytes + 2);
    ssize_t n;
    bool is_same;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)daemon, number);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 && text != NULL ? pread(fd, text, bytes + 1, 0) : -1;
    is_same = n == (ssize_t)bytes && memcmp(text, value, bytes) == 0;
    if (text != NULL)
        explicit_bzero(text, bytes + 2);
    free(text);
    if (fd >= 0)
        close(fd);
    return is_same;
}

void secret_differs(const struct project *project, pid_t daemon, char text[400])
{
    int number = PROJECT_SECRET_FD;
    const char *name;
    json_t *where;
    size_t at = 0;

    text[0] = '\0';
    json_object_foreach(project->secrets, name, where)
    {
        const char *value = value_of(where);

        if (value == NULL)
            continue;
        if (!has_value(daemon, number++, value) && at < 400)
            at += (size_t)snprintf(text + at, 400 - at, "%ssecret %s",
                                   at > 0 ? ", " : "", name);
    }
}
