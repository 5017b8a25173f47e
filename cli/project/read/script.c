/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.c - [scripts.NAME]: a script, and what it may have.
 *
 * It becomes a rule of the configuration, for its file; so it holds for nodes
 * of flows, too, that run this file.  Where two scripts have the same file, the
 * rule is for the file under this name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/project/read/read.h"

/* A name of the file's as a pattern that matches it alone. */
static json_t *pattern_of(const char *path)
{
    char *pattern = malloc(2 * strlen(path) + 1), *to = pattern;
    json_t *json;

    if (pattern == NULL)
        return NULL;
    for (; *path != '\0'; *to++ = *path++)
        if (strchr("*?[\\", *path) != NULL)
            *to++ = '\\';
    *to = '\0';
    json = json_string(pattern);
    free(pattern);
    return json;
}

/* A file that is there, under its real name, with its digest. */
static int read_file(struct reading *reading, void *to, const char *key,
                     json_t *node)
{
    char *path, *real, digest[17];
    int rc = read_path(reading, key, node, &path);

    (void)to;
    if (rc < 0)
        return rc;
    real = realpath(path, NULL);
    if (real == NULL)
        rc = node_fail(reading, node, "\"%s\": %s: %s", key, path,
                       strerrordesc_np(errno));
    if (rc == 0 && digest_file(real, digest, reading->err) < 0) {
        const struct gbx_error why = *reading->err;

        rc = node_fail(reading, node, "\"%s\": %.160s", key, why.what);
    }
    if (rc == 0) {
        json_object_set_new(reading->facts, "path", json_string(real));
        json_object_set_new(reading->facts, "digest", json_string(digest));
        if (json_object_get(reading->facts, "path") == NULL)
            rc = node_fail(reading, node, "\"%s\" is not UTF-8", key);
    }
    free(real);
    free(path);
    return rc;
}

static int read_memory(struct reading *reading, void *to, const char *key,
                       json_t *node)
{
    if (json_object_get(json_object_get(to, "limits"), key) != NULL)
        return node_fail(reading, node,
                         "\"memory\" stands in \"limits\" already");
    return setting_put(reading, to, "limits", key, node);
}

static bool is_variable(const char *name, size_t bytes)
{
    return bytes > 0 && (name[0] < '0' || name[0] > '9') &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_") >= bytes;
}

/* "NAME=VALUE" */
static int add_line(struct reading *reading, json_t *env, const char *key,
                    const json_t *node)
{
    const char *text, *sign;
    char name[PROJECT_NAME_BYTES];
    int rc = read_text(reading, key, node, &text);

    if (rc < 0)
        return rc;
    sign = strchr(text, '=');
    if (sign == NULL || !is_variable(text, (size_t)(sign - text)) ||
        (size_t)(sign - text) >= sizeof(name))
        return node_fail(reading, node,
                         "\"%s\" has \"%.40s\"; it must be NAME=VALUE", key,
                         text);
    snprintf(name, sizeof(name), "%.*s", (int)(sign - text), text);
    json_object_set_new(env, name, json_string(sign + 1));
    return 0;
}

static int add_member(struct reading *reading, json_t *env, const char *name,
                      const json_t *node)
{
    if (!is_variable(name, strlen(name)))
        return node_fail(reading, node, "\"%.40s\" is no name of a variable",
                         name);
    if (!json_is_string(node_value(node)))
        return node_fail(reading, node, "\"%s\" must be a text", name);
    json_object_set(env, name, node_value(node));
    return 0;
}

static int read_env(struct reading *reading, void *to, const char *key,
                    json_t *node)
{
    json_t *config = json_object_get(to, "config"), *env, *value, *member;
    const char *name;
    size_t i;
    int rc = 0;

    value = node_value(node);
    if (json_object_get(config, "env") != NULL)
        return node_fail(reading, node,
                         "\"%s\" becomes config.env, which is there already",
                         key);
    if (!json_is_object(value) && !json_is_array(value))
        return node_fail(reading, node,
                         "\"%s\" must be {NAME = \"VALUE\"}, or a list of "
                         "\"NAME=VALUE\"",
                         key);
    if (config == NULL) {
        config = json_object();
        json_object_set_new(to, "config", config);
    }
    env = json_object();
    json_object_set_new(config, "env", env);
    json_array_foreach(value, i, member) rc =
        rc < 0 ? rc : add_line(reading, env, key, member);
    json_object_foreach(value, name, member) rc =
        rc < 0 ? rc : add_member(reading, env, name, member);
    return rc;
}

static int read_secrets(struct reading *reading, void *to, const char *key,
                        json_t *node)
{
    json_t *member;
    const char *text;
    size_t i;
    int rc = 0;

    (void)to;
    if (!json_is_array(node_value(node)))
        return node_fail(reading, node,
                         "\"%s\" must be a list of names of [secrets.NAME]",
                         key);
    json_array_foreach(node_value(node), i, member)
    {
        rc = read_text(reading, key, member, &text);
        if (rc < 0)
            return rc;
    }
    json_object_set_new(reading->facts, key, node_plain(node));
    return 0;
}

static int read_script(struct reading *reading, void *to, const char *name,
                       json_t *node)
{
    static const char program[] = "a script is a file: path = \"x.py\"";
    static const char network[] =
        "nothing listens in a sandbox; calls come in by [serve]";
    static const struct key keys[] = {
        {"path", read_file, NULL},
        SETTING_KEYS,
        {"memory", read_memory, NULL},
        {"env", read_env, NULL},
        {"envs", read_env, NULL},
        {"secrets", read_secrets, NULL},
        {"cpus", NULL,
         "a sandbox has one processor; pool.total is how many there are at "
         "once, and limits.cpu how long a call may compute"},
        {"ports", NULL, network},
        {"scope", NULL, network},
        {"depends_on", NULL,
         "all scripts are loaded before the first call is taken"},
        {"workdir", NULL,
         "a script starts in its own folder, and sees files below it"},
        {"command", NULL, program},
        {"exec", NULL, program},
        {"scripts", NULL, program},
        {"shell", NULL, program},
        {NULL, NULL, NULL}};
    char what[PROJECT_NAME_BYTES + 16];
    json_t *rule = json_object();
    int rc;

    (void)to;
    snprintf(what, sizeof(what), "[scripts.%s]", name);
    reading->facts = json_object();
    json_object_set_new(reading->project->scripts, name, reading->facts);
    json_object_set_new(reading->facts, "rule", rule);
    rc = read_table(reading, what, keys, rule, node);
    if (rc < 0)
        return rc;
    if (json_object_get(reading->facts, "path") == NULL)
        return node_fail(reading, node, "%s must have a \"path\", its file",
                         what);
    return 0;
}

int section_scripts(struct reading *reading, void *to, const char *key,
                    json_t *node)
{
    (void)to;
    return read_sections(reading, key, read_script, node);
}

static unsigned count_of(json_t *scripts, const char *path)
{
    unsigned count = 0;
    const char *name;
    json_t *facts;

    json_object_foreach(scripts, name, facts) count +=
        strcmp(json_string_value(json_object_get(facts, "path")), path) == 0;
    return count;
}

/* What is to be there before it is up, of its own or by default.  Where each
 * key keeps a sandbox of its own, none is made ahead. */
static void note_needs(const struct project *project, json_t *facts,
                       const json_t *rule)
{
    const json_t *all[] = {json_object_get(project->config, "defaults"), rule};
    const char *wipe = "";

    for (size_t i = 0; i < 2; i++) {
        json_t *image = json_object_get(all[i], "image"),
               *ready =
                   json_object_get(json_object_get(all[i], "pool"), "ready"),
               *policy = json_object_get(all[i], "wipe");

        if (image != NULL)
            json_object_set(facts, "image", image);
        if (ready != NULL)
            json_object_set(facts, "ready", ready);
        if (policy != NULL)
            wipe = json_string_value(policy);
    }
    if (strcmp(wipe, "never") == 0)
        json_object_del(facts, "ready");
}

int scripts_settle(struct reading *reading, json_t *sections)
{
    json_t *scripts = reading->project->scripts, *rules = json_array(), *facts;
    const char *name, *path;
    int rc = 0;

    json_object_set_new(reading->project->config, "rules", rules);
    json_object_foreach(scripts, name, facts)
    {
        json_t *rule = json_object_get(facts, "rule");

        path = json_string_value(json_object_get(facts, "path"));
        json_object_set_new(rule, "match", pattern_of(path));
        if (count_of(scripts, path) > 1)
            json_object_set_new(rule, "actor", json_string(name));
        json_array_append(rules, rule);
        note_needs(reading->project, facts, rule);
        if (rc == 0)
            rc = secrets_grant(reading, rule, json_object_get(facts, "secrets"),
                               json_object_get(sections, name));
        json_object_del(facts, "rule");
    }
    return rc;
}
