/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.c - [secrets.NAME]: where a secret is, and what it is.
 *
 * Its value is never in the project, nor in what is made of it: a secret is
 * read when it is needed, into pages of its own, and those are zeroed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/project/read/read.h"

#define SECRET_BYTES_MAX (64u << 10)

static int read_env(struct reading *reading, void *to, const char *key,
                    json_t *node)
{
    const char *text;
    int rc = read_text(reading, key, node, &text);

    if (rc == 0)
        json_object_set_new(to, key, json_string(text));
    return rc;
}

static int read_file(struct reading *reading, void *to, const char *key,
                     json_t *node)
{
    char *path;
    int rc = read_path(reading, key, node, &path);

    if (rc == 0)
        json_object_set_new(to, key, json_string(path));
    free(path);
    return rc;
}

static int read_secret(struct reading *reading, void *to, const char *name,
                       json_t *node)
{
    static const char literal[] =
        "it would stand in this file; \"env\" names a variable, \"file\" a "
        "file";
    static const struct key keys[] = {
        {"env", read_env, NULL},
        {"file", read_file, NULL},
        {"value", NULL, literal},
        {"command", NULL,
         "no program is started for it; \"file\" may be what one has written"},
        {NULL, NULL, NULL}};
    char what[PROJECT_NAME_BYTES + 16];
    json_t *secret = json_object();
    int rc;

    (void)to;
    snprintf(what, sizeof(what), "[secrets.%s]", name);
    json_object_set_new(reading->project->secrets, name, secret);
    rc = read_table(reading, what, keys, secret, node);
    if (rc == 0 && json_object_size(secret) != 1)
        rc = node_fail(reading, node,
                       "%s must have either \"env\", a variable's name, or "
                       "\"file\"",
                       what);
    json_object_set_new(secret, "line", json_integer(node_line(node)));
    return rc;
}

int section_secrets(struct reading *reading, void *to, const char *key,
                    json_t *node)
{
    json_t *table = node_value(node), *member;
    const char *name;

    (void)to;
    if (json_is_object(table))
        json_object_foreach(table, name, member)
        {
            if (json_is_string(node_value(member)))
                return node_fail(reading, member,
                                 "\"%.60s\" must be a section, [secrets.%.60s],"
                                 " with \"env\" or \"file\": a secret never "
                                 "stands in this file",
                                 name, name);
        }
    return read_sections(reading, key, read_secret, node);
}

int secrets_check(struct reading *reading, const json_t *names, json_t *node)
{
    json_t *one;
    size_t i;

    json_array_foreach(names, i, one)
    {
        const char *name = json_string_value(one);

        if (json_object_get(reading->project->secrets, name) == NULL)
            return node_fail(reading, node,
                             "\"secrets\" has \"%.60s\": there is no "
                             "[secrets.%.60s]",
                             name, name);
    }
    return 0;
}

/* ---- their values ---- */

static int open_pages(struct project_secret *secret, struct gbx_error *err)
{
    secret->room = SECRET_BYTES_MAX + 4096;
    secret->value = mmap(NULL, secret->room, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (secret->value == MAP_FAILED) {
        secret->value = NULL;
        return project_fail(err, GBX_EHOST, "no memory for a secret");
    }
    madvise(secret->value, secret->room, MADV_DONTDUMP);
    (void)!mlock(secret->value, secret->room); /* where that is allowed */
    return 0;
}

static int take_variable(struct project_secret *secret, const char *variable,
                         struct gbx_error *err)
{
    const char *value = getenv(variable);

    if (value == NULL || value[0] == '\0')
        return project_fail(err, GBX_EFILE,
                            "secret %s: the variable %s is not set",
                            secret->name, variable);
    secret->bytes = strlen(value);
    if (secret->bytes > SECRET_BYTES_MAX)
        return project_fail(err, GBX_ELIMIT, "secret %s: more than 64 KiB",
                            secret->name);
    memcpy(secret->value, value, secret->bytes);
    return 0;
}

/* The end of its last line is not part of it. */
static int take_file(struct project_secret *secret, const char *path,
                     struct gbx_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    ssize_t n = 1;
    int rc = 0;

    if (fd < 0 || fstat(fd, &st) < 0)
        rc = project_fail(err, GBX_EFILE, "secret %s: %s: %s", secret->name,
                          path, strerrordesc_np(errno));
    else if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
        rc = project_fail(
            err, GBX_EFILE, "secret %s: %s: %s", secret->name, path,
            S_ISREG(st.st_mode) ? "others may read it: chmod 600 it first"
                                : "not a file");
    while (rc == 0 && n > 0 && secret->bytes <= SECRET_BYTES_MAX) {
        n = read(fd, secret->value + secret->bytes,
                 SECRET_BYTES_MAX + 1 - secret->bytes);
        secret->bytes += n > 0 ? (size_t)n : 0;
    }
    if (rc == 0 && (n < 0 || secret->bytes > SECRET_BYTES_MAX))
        rc = project_fail(err, n < 0 ? GBX_EFILE : GBX_ELIMIT,
                          "secret %s: %s: %s", secret->name, path,
                          n < 0 ? strerrordesc_np(errno) : "more than 64 KiB");
    if (fd >= 0)
        close(fd);
    if (rc == 0 && secret->bytes > 0 &&
        secret->value[secret->bytes - 1] == '\n')
        secret->bytes--;
    return rc;
}

int project_open_secrets(const struct project *project,
                         struct project_secret **all, struct gbx_error *err)
{
    const size_t count = json_object_size(project->secrets);
    struct project_secret *next;
    const char *name, *text;
    json_t *where;
    int rc = 0;

    *all = next = calloc(count + 1, sizeof(**all));
    if (next == NULL)
        return project_fail(err, GBX_EHOST, "no memory for secrets");
    json_object_foreach(project->secrets, name, where)
    {
        next->name = name;
        rc = open_pages(next, err);
        text = json_string_value(json_object_get(where, "env"));
        if (rc == 0)
            rc = text != NULL ? take_variable(next, text, err)
                              : take_file(next,
                                          json_string_value(
                                              json_object_get(where, "file")),
                                          err);
        next++;
        if (rc < 0)
            break;
    }
    if (rc < 0) {
        project_close_secrets(project, *all);
        *all = NULL;
    }
    return rc;
}

void project_close_secrets(const struct project *project,
                           struct project_secret *all)
{
    for (size_t i = 0; i < json_object_size(project->secrets); i++) {
        if (all[i].value == NULL)
            continue;
        explicit_bzero(all[i].value, all[i].room);
        munmap(all[i].value, all[i].room);
    }
    free(all);
}
