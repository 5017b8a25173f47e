/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - tables of a project file: known keys, and errors with lines. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/project/read/read.h"

unsigned node_line(const json_t *node)
{
    return (unsigned)json_integer_value(json_array_get(node, 0));
}

json_t *node_value(const json_t *node)
{
    return json_array_get(node, 1);
}

json_t *node_plain(const json_t *node)
{
    json_t *value = node_value(node), *member, *plain;
    const char *key;
    size_t i;

    if (json_is_array(value)) {
        plain = json_array();
        json_array_foreach(value, i, member)
            json_array_append_new(plain, node_plain(member));
        return plain;
    }
    if (!json_is_object(value))
        return json_incref(value);
    plain = json_object();
    json_object_foreach(value, key, member)
        json_object_set_new(plain, key, node_plain(member));
    return plain;
}

int node_fail(const struct reading *reading, const json_t *node,
              const char *format, ...)
{
    char text[GBX_ERROR_TEXT_MAX];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    return project_fail(reading->err, GBX_EFORMAT, "%s, line %u: %s",
                        reading->project->shown, node_line(node), text);
}

static int unknown(const struct reading *reading, const char *what,
                   const struct key *keys, const char *name, const json_t *node)
{
    char known[GBX_ERROR_TEXT_MAX] = "";
    size_t at = 0;

    for (const struct key *key = keys; key->name != NULL; key++)
        if (key->instead == NULL && at < sizeof(known))
            at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s",
                                   at > 0 ? ", " : "", key->name);
    return node_fail(reading, node, "%s has no \"%.40s\"; it may have %s", what,
                     name, known);
}

int read_table(struct reading *reading, const char *what,
               const struct key *keys, void *to, json_t *node)
{
    json_t *table = node_value(node), *member;
    const char *name;
    int rc = 0;

    if (!json_is_object(table))
        return node_fail(reading, node, "%s must be a table, as %s", what,
                         what[0] == '[' ? what : "{...}");
    json_object_foreach(table, name, member)
    {
        const struct key *key = keys;

        while (key->name != NULL && strcmp(key->name, name) != 0)
            key++;
        if (key->name == NULL)
            return unknown(reading, what, keys, name, member);
        if (key->instead != NULL)
            return node_fail(reading, member, "%s has no \"%s\": %s", what,
                             name, key->instead);
        rc = key->read(reading, to, name, member);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool is_name(const char *name)
{
    const size_t bytes = strlen(name);

    return bytes > 0 && bytes < PROJECT_NAME_BYTES &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_-") == bytes &&
           strcmp(name, "gloveboxd") != 0;
}

int read_sections(struct reading *reading, const char *what, key_fn *fn,
                  json_t *node)
{
    json_t *table = node_value(node), *member;
    const char *name;
    int rc = 0;

    if (!json_is_object(table))
        return node_fail(reading, node, "\"%s\" must be sections, as [%s.NAME]",
                         what, what);
    json_object_foreach(table, name, member)
    {
        if (!is_name(name))
            return node_fail(reading, member,
                             "[%s.%.64s]: a name is 1 to 63 letters, digits, - "
                             "and _, and not gloveboxd",
                             what, name);
        rc = fn(reading, NULL, name, member);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int read_text(struct reading *reading, const char *key, const json_t *node,
              const char **text)
{
    *text = json_string_value(node_value(node));
    return *text != NULL && (*text)[0] != '\0'
               ? 0
               : node_fail(reading, node, "\"%s\" must be a text", key);
}

int read_path(struct reading *reading, const char *key, const json_t *node,
              char **path)
{
    const char *text;
    int rc = read_text(reading, key, node, &text);

    *path = NULL;
    if (rc < 0)
        return rc;
    if (text[0] == '~')
        return node_fail(reading, node,
                         "\"%s\" is \"%.60s\"; it starts at the project's "
                         "folder or at /, and has no ~",
                         key, text);
    rc = text[0] == '/'
             ? asprintf(path, "%s", text)
             : asprintf(path, "%s/%s", reading->project->folder, text);
    if (rc >= 0)
        return 0;
    *path = NULL;
    return project_fail(reading->err, GBX_EHOST, "no memory for a project");
}

/* FNV-1a: whether a file is as it was, not whether somebody made it so. */
int digest_file(const char *path, char digest[17], struct gbx_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    unsigned long long hash = 0xcbf29ce484222325u;
    unsigned char some[4096];
    struct stat st;
    ssize_t n = fd >= 0 && fstat(fd, &st) == 0 ? 1 : -1;
    const bool is_file = n > 0 && S_ISREG(st.st_mode);

    while (is_file && n > 0) {
        n = read(fd, some, sizeof(some));
        for (ssize_t i = 0; i < n; i++)
            hash = (hash ^ some[i]) * 0x100000001b3u;
    }
    if (!is_file || n < 0)
        project_fail(err, GBX_EFILE, "%s: %s", path,
                     n < 0 ? strerrordesc_np(errno) : "not a file");
    snprintf(digest, 17, "%016llx", hash);
    if (fd >= 0)
        close(fd);
    return is_file && n == 0 ? 0 : GBX_EFILE;
}
