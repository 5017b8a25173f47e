/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.c - [secrets.NAME]: where a secret is, and what it is.
 *
 * Its value is never in the project, nor in what is made of it: a secret is
 * read when it is needed, into pages of its own, and those are zeroed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/project/read/read.h"

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
    struct stat st;
    char *path;
    int rc = read_path(reading, key, node, &path);

    if (rc == 0)
        json_object_set_new(to, key, json_string(path));
    if (rc == 0 && stat(path, &st) == 0) /* another value, most likely */
        json_object_set_new(
            to, "changed",
            json_integer((json_int_t)st.st_mtim.tv_sec * 1000000000 +
                         st.st_mtim.tv_nsec));
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
    if (rc == 0 && (json_object_get(secret, "env") != NULL) ==
                       (json_object_get(secret, "file") != NULL))
        rc = node_fail(reading, node,
                       "%s must have either \"env\", a variable's name, or "
                       "\"file\"",
                       what);
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
    if (json_object_size(table) > PROJECT_SECRETS)
        return node_fail(reading, node, "more than %d secrets",
                         PROJECT_SECRETS);
    return read_sections(reading, key, read_secret, node);
}

/* Where the daemon finds it. */
static json_t *source_of(json_t *secrets, const char *wanted)
{
    int fd = PROJECT_SECRET_FD;
    const char *name;
    json_t *where;

    json_object_foreach(secrets, name, where)
    {
        const char *file = json_string_value(json_object_get(where, "file"));

        if (strcmp(name, wanted) == 0)
            return file != NULL ? json_sprintf("file:%s", file)
                                : json_sprintf("file:/dev/fd/%d", fd);
        fd += file == NULL;
    }
    return NULL;
}

int secrets_grant(struct reading *reading, json_t *rule, const json_t *names,
                  json_t *node)
{
    json_t *granted = json_object(), *one, *source;
    size_t i;

    if (json_array_size(names) > 0)
        json_object_set(rule, "secrets", granted);
    json_decref(granted);
    json_array_foreach(names, i, one)
    {
        const char *name = json_string_value(one);

        source = source_of(reading->project->secrets, name);
        if (source == NULL)
            return node_fail(reading, node,
                             "\"secrets\" has \"%.60s\": there is no "
                             "[secrets.%.60s]",
                             name, name);
        json_object_set_new(granted, name, source);
    }
    return 0;
}

/* ---- are they there? ---- */

static int check_variable(const char *name, const char *variable,
                          struct gbx_error *err)
{
    const char *value = getenv(variable);

    if (value == NULL || value[0] == '\0')
        return project_fail(err, GBX_EFILE,
                            "secret %s: the variable %s is not set", name,
                            variable);
    return strlen(value) <= GBX_SECRET_BYTES_MAX
               ? 0
               : project_fail(err, GBX_ELIMIT, "secret %s: more than 64 KiB",
                              name);
}

static int check_file(const char *name, const char *path, struct gbx_error *err)
{
    struct stat st;

    if (stat(path, &st) < 0 || access(path, R_OK) < 0)
        return project_fail(err, GBX_EFILE, "secret %s: %s: %s", name, path,
                            strerrordesc_np(errno));
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
        return project_fail(err, GBX_EFILE, "secret %s: %s: %s", name, path,
                            S_ISREG(st.st_mode)
                                ? "others may read it: chmod 600 it first"
                                : "not a file");
    return st.st_size <= GBX_SECRET_BYTES_MAX + 1
               ? 0
               : project_fail(err, GBX_ELIMIT, "secret %s: more than 64 KiB",
                              name);
}

int project_check_secrets(const struct project *project, struct gbx_error *err)
{
    const char *name, *variable;
    json_t *where;
    int rc = 0;

    json_object_foreach(project->secrets, name, where)
    {
        variable = json_string_value(json_object_get(where, "env"));
        rc = variable != NULL
                 ? check_variable(name, variable, err)
                 : check_file(name,
                              json_string_value(json_object_get(where, "file")),
                              err);
        if (rc < 0)
            return rc;
    }
    return 0;
}
