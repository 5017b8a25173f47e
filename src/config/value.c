/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/text/amount.h"
#include "config/text/near.h"
#include "config/value.h"

static const char *const isolations[] = {"auto", "process", "microvm", "wasm",
                                         "remote"};
#define ISOLATION_WORDS (sizeof(isolations) / sizeof(isolations[0]))

int value_fail(const struct reader *reader, const char *format, ...)
{
    char text[GBX_ERROR_TEXT_MAX];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (reader->has_no_lines)
        return fail(reader->err, GBX_EFORMAT, "%s: %s", reader->config->name,
                    text);
    return fail(reader->err, GBX_EFORMAT, "%s, line %u: %s",
                reader->config->name, reader->line, text);
}

int config_no_memory(const struct reader *reader)
{
    return fail(reader->err, GBX_EHOST, "no memory for a configuration");
}

int value_keep(struct reader *reader, const char **to, const json_t *value)
{
    *to = scratch_text(&reader->config->texts, json_string_value(value),
                       json_string_length(value));
    return *to != NULL ? 0 : config_no_memory(reader);
}

/* The value as one would find it, for an error. */
static void show(char text[48], const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        snprintf(text, 48, "\"%.40s\"", json_string_value(value));
        return;
    case JSON_INTEGER:
        snprintf(text, 48, "%lld", (long long)json_integer_value(value));
        return;
    case JSON_REAL:
        snprintf(text, 48, "%g", json_real_value(value));
        return;
    case JSON_OBJECT:
        strcpy(text, "an object");
        return;
    case JSON_ARRAY:
        strcpy(text, "a list");
        return;
    default:
        strcpy(text, json_is_true(value)    ? "true"
                     : json_is_false(value) ? "false"
                                            : "null");
    }
}

static int unexpected(const struct reader *reader, const struct config_key *key,
                      const json_t *value, const char *expected)
{
    char shown[48];

    show(shown, value);
    return value_fail(reader, "\"%s\" is %s; it must be %s", key->name, shown,
                      expected);
}

/* Of a list of words: its number, or -1 with what is wrong said. */
static int take_word(const struct reader *reader, const struct config_key *key,
                     const json_t *value, const char *const *words,
                     size_t count)
{
    char expected[128] = "";
    const char *nearest;

    if (json_is_string(value))
        for (size_t i = 0; i < count; i++)
            if (strcmp(json_string_value(value), words[i]) == 0)
                return (int)i;
    for (size_t i = 0, at = 0; i < count && at < sizeof(expected); i++)
        at += (size_t)snprintf(expected + at, sizeof(expected) - at, "%s\"%s\"",
                               i == 0           ? ""
                               : i + 1 == count ? " or "
                                                : ", ",
                               words[i]);
    nearest = json_is_string(value)
                  ? near_word(json_string_value(value), words, count)
                  : NULL;
    if (nearest != NULL && strlen(expected) + 40 < sizeof(expected))
        snprintf(expected + strlen(expected),
                 sizeof(expected) - strlen(expected), "; you may mean \"%s\"",
                 nearest);
    unexpected(reader, key, value, expected);
    return -1;
}

static int read_word(struct reader *reader, struct config_values *values,
                     const struct config_key *key, const json_t *value)
{
    int number, count = 0;

    while (key->words[count] != NULL)
        count++;
    number = take_word(reader, key, value, key->words, (size_t)count);
    if (number < 0)
        return GBX_EFORMAT;
    number++;
    memcpy((char *)values + key->off, &number, sizeof(number));
    return 0;
}

static int add_isolation(struct reader *reader, struct config_values *values,
                         const struct config_key *key, const json_t *value,
                         bool is_alone)
{
    enum gbx_isolation *all = values->script.route.allowed;
    int number = take_word(reader, key, value, isolations + !is_alone,
                           ISOLATION_WORDS - !is_alone);
    uint32_t i = 0;

    if (number < 0)
        return GBX_EFORMAT;
    number += !is_alone; /* "auto" is no part of a list */
    while (i < GBX_ISOLATIONS && all[i] != GBX_ISOLATION_AUTO &&
           all[i] != (enum gbx_isolation)number)
        i++;
    if (i == GBX_ISOLATIONS || (number != 0 && all[i] != GBX_ISOLATION_AUTO))
        return value_fail(reader, "\"%s\" has \"%s\" twice", key->name,
                          isolations[number]);
    all[i] = (enum gbx_isolation)number;
    return 0;
}

static int read_isolations(struct reader *reader, struct config_values *values,
                           const struct config_key *key, const json_t *value)
{
    json_t *item;
    size_t i;
    int rc = 0;

    if (!json_is_array(value))
        return add_isolation(reader, values, key, value, true);
    if (json_array_size(value) == 0)
        return unexpected(reader, key, value, "\"auto\", or name at least one");
    place_enter(&reader->place);
    json_array_foreach(value, i, item)
    {
        place_next(&reader->place);
        reader->line = reader->place.line;
        rc = add_isolation(reader, values, key, item, false);
        if (rc < 0)
            return rc;
        place_skip(&reader->place);
    }
    return 0;
}

static bool take_amount(enum amount_kind kind, const json_t *value,
                        uint64_t *amount)
{
    char text[48];

    if (json_is_string(value))
        return kind != AMOUNT_NUMBER &&
               strlen(json_string_value(value)) == json_string_length(value) &&
               amount_read(kind, json_string_value(value), amount);
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        snprintf(text, sizeof(text), "%lld",
                 (long long)json_integer_value(value));
    else if (kind == AMOUNT_TIME && json_is_real(value) &&
             json_real_value(value) >= 0 && json_real_value(value) < 1e9) {
        *amount = (uint64_t)(json_real_value(value) * 1e9);
        return true;
    } else
        return false;
    return amount_read(kind, text, amount);
}

bool value_time(const json_t *value, uint64_t *ns)
{
    return take_amount(AMOUNT_TIME, value, ns);
}

static int read_amount(struct reader *reader, struct config_values *values,
                       const struct config_key *key, const json_t *value)
{
    static const char *const expected[] = {"a size as \"256M\", or bytes",
                                           "a time as \"5s\", or seconds",
                                           "a whole number"};
    const enum amount_kind kind = key->kind == SIZE   ? AMOUNT_SIZE
                                  : key->kind == TIME ? AMOUNT_TIME
                                                      : AMOUNT_NUMBER;
    const uint64_t least = config_least(key), most = config_most(key);
    char shown[48], bound[32];
    uint64_t amount = 0;
    uint32_t small;

    if (!take_amount(kind, value, &amount))
        return unexpected(reader, key, value, expected[kind]);
    if (amount < least || amount > most) {
        show(shown, value);
        amount_show(kind, amount < least ? least : most, bound);
        return value_fail(reader, "\"%s\" is %s; it must be at %s %s",
                          key->name, shown, amount < least ? "least" : "most",
                          bound);
    }
    if (key == config_key(CONFIG_SPIN) && amount == 0)
        amount = 1; /* which means none there */
    small = (uint32_t)amount;
    memcpy((char *)values + key->off,
           key->bytes == 4 ? (const void *)&small : &amount, key->bytes);
    return 0;
}

static int read_names(struct reader *reader, struct config_values *values,
                      const struct config_key *key, const json_t *value)
{
    const char **names;
    json_t *item;
    size_t i;

    if (!json_is_array(value) || json_array_size(value) > CONFIG_NAMES_MAX)
        return unexpected(reader, key, value, "a list of at most 64 names");
    names = scratch_take(&reader->config->texts,
                         (json_array_size(value) + 1) * sizeof(*names));
    if (names == NULL)
        return config_no_memory(reader);
    place_enter(&reader->place);
    json_array_foreach(value, i, item)
    {
        place_next(&reader->place);
        reader->line = reader->place.line;
        if (!json_is_string(item) || json_string_length(item) == 0 ||
            json_string_length(item) > 63)
            return unexpected(reader, key, item,
                              "a list of names, of 1 to 63 bytes each");
        if (value_keep(reader, &names[i], item) < 0)
            return GBX_EHOST;
        place_skip(&reader->place);
    }
    names[i] = NULL;
    values->script.host_calls = names;
    return 0;
}

int value_refuse_near(const struct reader *reader, const char *key)
{
    if (!reader->config->is_near)
        return 0;
    return value_fail(reader,
                      "\"%s\" may not be set by a file that was only found in "
                      "the working directory: name it (--config FILE, "
                      "GLOVEBOX_CONFIG)",
                      key);
}

int value_path(struct reader *reader, const char **to, const char *key,
               const char *text)
{
    char path[4096];
    const int bytes = text[0] == '/' ? snprintf(path, sizeof(path), "%s", text)
                                     : snprintf(path, sizeof(path), "%s/%s",
                                                reader->config->folder, text);

    if ((size_t)bytes >= sizeof(path))
        return value_fail(reader, "\"%s\" is longer than a path can be", key);
    *to = scratch_text(&reader->config->texts, path, (size_t)bytes);
    return *to != NULL ? 0 : config_no_memory(reader);
}

/* What is in a template runs in our processes: so not by the word of a file
 * that happens to lie where somebody works. */
static int read_path(struct reader *reader, struct config_values *values,
                     const struct config_key *key, const json_t *value)
{
    const char *text = json_string_value(value);
    int rc;

    if (text == NULL || text[0] == '\0')
        return unexpected(reader, key, value, "a folder");
    rc = value_refuse_near(reader, key->name);
    return rc < 0 ? rc : value_path(reader, &values->cache, key->name, text);
}

static int read_flag(struct reader *reader, struct config_values *values,
                     const struct config_key *key, const json_t *value)
{
    const int flag = json_is_true(value);

    if (!json_is_boolean(value))
        return unexpected(reader, key, value, "true or false");
    memcpy((char *)values + key->off, &flag, sizeof(flag));
    return 0;
}

static int read_text(struct reader *reader, struct config_values *values,
                     const struct config_key *key, const json_t *value)
{
    const char *text = json_string_value(value), *kept;

    if (text == NULL || text[0] == '\0' ||
        strlen(text) != json_string_length(value) || strlen(text) > 1000)
        return unexpected(reader, key, value,
                          key->off ==
                                  offsetof(struct config_values, script.user)
                              ? "a user, as \"app\" or \"1000:1000\""
                              : "the name of an image, as "
                                "\"python:3.11-slim\"");
    if (value_keep(reader, &kept, value) < 0)
        return GBX_EHOST;
    memcpy((char *)values + key->off, &kept, sizeof(kept));
    return 0;
}

/* Kept as text, as a script's configuration is given to the runtime. */
static int read_config(struct reader *reader, struct config_values *values,
                       const struct config_key *key, const json_t *value)
{
    char *text = json_is_object(value) ? json_dumps(value, JSON_COMPACT) : NULL;
    const char *kept = NULL;

    if (!json_is_object(value))
        return unexpected(reader, key, value, "an object, {...}");
    if (text != NULL)
        kept = scratch_text(&reader->config->texts, text, strlen(text));
    free(text);
    if (kept == NULL)
        return config_no_memory(reader);
    memcpy((char *)values + key->off, &kept, sizeof(kept));
    return 0;
}

int value_read(struct reader *reader, struct config_settings *settings,
               enum config_field field, json_t *value)
{
    const struct config_key *key = config_key(field);

    settings->given |= 1u << field;
    switch (key->kind) {
    case WORD:
        return read_word(reader, &settings->values, key, value);
    case ISOLATIONS:
        return read_isolations(reader, &settings->values, key, value);
    case NAMES:
        return read_names(reader, &settings->values, key, value);
    case PATH:
        return read_path(reader, &settings->values, key, value);
    case TEXT:
        return read_text(reader, &settings->values, key, value);
    case MOUNTS:
        return mounts_read_value(reader, &settings->values, value);
    case SECRETS:
        return secrets_read_value(reader, &settings->values, value);
    case OBJECT:
        return read_config(reader, &settings->values, key, value);
    case FLAG:
        return read_flag(reader, &settings->values, key, value);
    default:
        return read_amount(reader, &settings->values, key, value);
    }
}
