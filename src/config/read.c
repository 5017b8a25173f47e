/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read.c - the text of a file: objects, and their keys.
 *
 * jansson reads it whole, so that what follows only meets JSON without keys
 * that come twice; then each object is walked along with its text (place.h).
 * Whatever is wrong is an error: a key that nobody knows may be a limit that
 * somebody relies on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "config/text/near.h"
#include "config/value.h"

enum { COMMENT, LIMITS, POOL, MATCH, ACTOR };
#define ALL UINT32_MAX

static const char *const top_keys[] = {"comment", "defaults", "rules", "hosts",
                                       NULL};
static const char *const setting_keys[] = {"comment", "limits", "pool", NULL};
static const char *const rule_keys[] = {"comment", "limits", "pool",
                                        "match",   "actor",  NULL};
static const char *const group_keys[] = {"comment", NULL};

static bool is_key_of(const struct object *object, enum config_field field)
{
    return object->group != NULL &&
           strcmp(config_key(field)->group, object->group) == 0 &&
           (object->fields & 1u << field) != 0;
}

static int unknown(const struct reader *reader, const struct object *object,
                   const char *name)
{
    const char *words[CONFIG_FIELDS + 5], *nearest;
    char known[GBX_ERROR_TEXT_MAX] = "";
    size_t count = 0, at = 0;

    for (const char *const *other = object->others; *other != NULL; other++)
        words[count++] = *other;
    for (enum config_field i = 0; i < CONFIG_FIELDS; i++)
        if (is_key_of(object, i))
            words[count++] = config_key(i)->name;
    nearest = near_word(name, words, count);
    for (size_t i = 0; i < count && at < sizeof(known); i++)
        at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s",
                               i > 0 ? ", " : "", words[i]);
    return value_fail(
        reader, "%s has no \"%.40s\"%s%s%s; it may have %s", object->what, name,
        nearest != NULL ? "; you may mean \"" : "",
        nearest != NULL ? nearest : "", nearest != NULL ? "\"" : "", known);
}

static int read_member(struct reader *reader, const struct object *object,
                       void *to, const char *name, json_t *value)
{
    for (size_t i = 0; object->others[i] != NULL; i++)
        if (strcmp(name, object->others[i]) == 0) {
            if (i != COMMENT)
                return object->read_other(reader, to, i, value);
            return json_is_string(value) || object->is_open
                       ? 0
                       : value_fail(reader, "\"comment\" must be a text");
        }
    for (enum config_field i = 0; i < CONFIG_FIELDS; i++)
        if (is_key_of(object, i) && strcmp(name, config_key(i)->name) == 0)
            return value_read(reader, to, i, value);
    return object->is_open ? 0 : unknown(reader, object, name);
}

int read_object(struct reader *reader, const struct object *object, void *to,
                json_t *value)
{
    struct reader inner = *reader;
    const char *name;
    json_t *member;

    if (!json_is_object(value))
        return value_fail(reader, "%s must be an object, {...}", object->what);
    place_enter(&inner.place);
    json_object_foreach(value, name, member)
    {
        struct place behind;
        int rc;

        place_next(&inner.place);
        inner.line = inner.place.line;
        place_value(&inner.place);
        behind = inner.place;
        rc = read_member(&inner, object, to, name, member);
        if (rc < 0)
            return rc;
        inner.place = behind;
        place_skip(&inner.place);
    }
    return 0;
}

int read_group(struct reader *reader, void *to, size_t number, json_t *value)
{
    static const struct object limits = {.what = "\"limits\"",
                                         .group = "limits",
                                         .fields = ALL,
                                         .others = group_keys};
    static const struct object pool = {.what = "\"pool\"",
                                       .group = "pool",
                                       .fields = ALL,
                                       .others = group_keys};

    return read_object(reader, number == LIMITS ? &limits : &pool, to, value);
}

static int read_match(struct reader *reader, struct config_rule *rule,
                      json_t *value)
{
    const char *text = json_string_value(value);

    if (text == NULL || text[0] == '\0' ||
        json_string_length(value) > CONFIG_PATTERN_MAX)
        return value_fail(reader,
                          "\"match\" must be a pattern of paths, as "
                          "\"**/trusted/*.py\", of at most %u bytes",
                          CONFIG_PATTERN_MAX);
    if (text[0] == '~' || strncmp(text, "../", 3) == 0 ||
        strstr(text, "/../") != NULL)
        return value_fail(reader,
                          "\"match\" is \"%.60s\"; it starts at the file's own "
                          "folder, or at /, and has no \"..\" and no ~",
                          text);
    return value_keep(reader, &rule->match, value);
}

static int read_actor(struct reader *reader, struct config_rule *rule,
                      json_t *value)
{
    if (!json_is_string(value) || json_string_length(value) == 0 ||
        json_string_length(value) > CONFIG_ACTOR_MAX)
        return value_fail(reader,
                          "\"actor\" must be the name that an actor has, of 1 "
                          "to %u bytes",
                          CONFIG_ACTOR_MAX);
    return value_keep(reader, &rule->actor, value);
}

static int read_rule_other(struct reader *reader, void *to, size_t number,
                           json_t *value)
{
    struct config_rule *rule =
        (void *)((char *)to - offsetof(struct config_rule, settings));

    if (number == ACTOR)
        return read_actor(reader, rule, value);
    return number == MATCH ? read_match(reader, rule, value)
                           : read_group(reader, to, number, value);
}

/* Where it is written what a script may run in. */
static int set_from(struct reader *reader, struct config_settings *settings)
{
    const uint32_t routes =
        1u << CONFIG_TRUST | 1u << CONFIG_ISOLATION | 1u << CONFIG_FLOOR;
    char text[160];
    int bytes;

    if ((settings->given & routes) == 0)
        return 0;
    bytes = snprintf(text, sizeof(text), "%s, line %u", reader->config->name,
                     reader->line);
    settings->from = scratch_text(&reader->config->texts, text, (size_t)bytes);
    return settings->from != NULL ? 0 : config_no_memory(reader);
}

static int check_pool(const struct reader *reader,
                      const struct config_settings *settings)
{
    const struct gbx_pool_config *pool = &settings->values.script.pool;
    const uint32_t both = 1u << CONFIG_READY | 1u << CONFIG_TOTAL;

    if ((settings->given & both) == both && pool->ready_min > pool->total_max)
        return value_fail(reader,
                          "\"pool\" has %u \"ready\", more than its \"total\" "
                          "of %u",
                          pool->ready_min, pool->total_max);
    return 0;
}

int read_settings(struct reader *reader, const struct object *object,
                  struct config_settings *settings, json_t *value)
{
    int rc = read_object(reader, object, settings, value);

    if (rc == 0)
        rc = check_pool(reader, settings);
    return rc < 0 ? rc : set_from(reader, settings);
}

int read_list(struct reader *reader, json_t *list,
              int (*fn)(struct reader *reader, size_t i, json_t *item))
{
    json_t *item;
    size_t i;

    place_enter(&reader->place);
    json_array_foreach(list, i, item)
    {
        struct place here;
        int rc;

        place_next(&reader->place);
        reader->line = reader->place.line;
        here = reader->place;
        rc = fn(reader, i, item);
        if (rc < 0)
            return rc;
        reader->place = here;
        place_skip(&reader->place);
    }
    return 0;
}

static int read_rule(struct reader *reader, size_t i, json_t *value)
{
    static const struct object object = {.what = "a rule",
                                         .group = "",
                                         .fields = ~(1u << CONFIG_CACHE),
                                         .others = rule_keys,
                                         .read_other = read_rule_other};
    struct config_rule *rule = &reader->config->rules[i];
    int rc = read_settings(reader, &object, &rule->settings, value);

    if (rc == 0 && rule->match == NULL && rule->actor == NULL)
        rc = value_fail(reader, "a rule must say what it is for: "
                                "\"match\": \"**/*.py\", or \"actor\"");
    reader->config->rule_count += rc == 0;
    return rc;
}

static int read_rules(struct reader *reader, json_t *value)
{
    struct gbx_config *config = reader->config;

    if (!json_is_array(value) || json_array_size(value) > CONFIG_RULES_MAX)
        return value_fail(reader,
                          "\"rules\" must be a list of at most %u objects",
                          CONFIG_RULES_MAX);
    config->rules = calloc(json_array_size(value) + 1, sizeof(*config->rules));
    if (config->rules == NULL)
        return config_no_memory(reader);
    return read_list(reader, value, read_rule);
}

static int read_top(struct reader *reader, void *to, size_t number,
                    json_t *value)
{
    static const struct object object = {.what = "\"defaults\"",
                                         .group = "",
                                         .fields = ALL,
                                         .others = setting_keys,
                                         .read_other = read_group};

    (void)to;
    if (strcmp(top_keys[number], "hosts") == 0)
        return hosts_read(reader, value);
    return strcmp(top_keys[number], "rules") == 0
               ? read_rules(reader, value)
               : read_settings(reader, &object, &reader->config->defaults,
                               value);
}

/* jansson reads nested values by recursion. */
static int check_depth(struct reader *reader, const char *text, size_t bytes)
{
    uint32_t depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < bytes; i++) {
        reader->line += text[i] == '\n';
        if (quoted) {
            quoted = text[i] != '"';
            i += text[i] == '\\';
        } else if (text[i] == '"') {
            quoted = true;
        } else if (text[i] == '[' || text[i] == '{') {
            if (depth++ == CONFIG_DEPTH_MAX)
                return value_fail(reader, "nested more than %u deep",
                                  CONFIG_DEPTH_MAX);
        } else if (depth > 0 && (text[i] == ']' || text[i] == '}')) {
            depth--;
        }
    }
    return 0;
}

json_t *read_json(struct reader *reader, const char *text, size_t bytes,
                  int *rc)
{
    json_error_t why = {0};
    json_t *value = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &why);

    *rc = 0;
    if (value != NULL)
        return value;
    if (json_error_code(&why) == json_error_out_of_memory ||
        why.text[0] == '\0')
        *rc = config_no_memory(reader);
    else if (reader->has_no_lines)
        *rc = value_fail(reader, "%s", why.text);
    else
        *rc = fail(reader->err, GBX_EFORMAT, "%s, line %d, column %d: %s",
                   reader->config->name, why.line, why.column, why.text);
    return NULL;
}

int config_read(struct gbx_config *config, const char *text, size_t bytes,
                struct gbx_error *err)
{
    static const struct object object = {
        .what = "a configuration", .others = top_keys, .read_other = read_top};
    struct reader reader = {.config = config,
                            .err = err,
                            .line = 1,
                            .place = {text, text + bytes, 1}};
    json_t *value;
    int rc;

    if (bytes > CONFIG_BYTES_MAX)
        return fail(err, GBX_ELIMIT, "%s: more than %u bytes", config->name,
                    CONFIG_BYTES_MAX);
    if ((rc = check_depth(&reader, text, bytes)) < 0)
        return rc;
    value = read_json(&reader, text, bytes, &rc);
    if (value != NULL)
        rc = read_object(&reader, &object, NULL, value);
    json_decref(value);
    return rc;
}
