/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "flow/builtin/options.h"

static int take_text(const struct option *option, const json_t *value)
{
    const char *text = json_string_value(value);

    /* A NUL in it would be its end. */
    if (text == NULL || text[0] == '\0' ||
        strlen(text) != json_string_length(value))
        return GBX_EARGUMENT;
    *(char **)option->value = strdup(text);
    return *(char **)option->value != NULL ? 0 : GBX_EHOST;
}

static int take_number(const struct option *option, const json_t *value)
{
    const json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 ||
        (uint64_t)number < option->min || (uint64_t)number > option->max)
        return GBX_EARGUMENT;
    *(uint64_t *)option->value = (uint64_t)number;
    return 0;
}

static int take_word(const struct option *option, const json_t *value)
{
    const char *text = json_string_value(value);

    for (unsigned i = 0; text != NULL && option->words[i] != NULL; i++)
        if (strcmp(option->words[i], text) == 0) {
            *(unsigned *)option->value = i;
            return 0;
        }
    return GBX_EARGUMENT;
}

static int take(const struct option *option, const json_t *value)
{
    switch (option->kind) {
    case OPTION_TEXT:
        return take_text(option, value);
    case OPTION_NUMBER:
        return take_number(option, value);
    case OPTION_WORD:
        return take_word(option, value);
    case OPTION_BOOLEAN:
        break;
    }
    if (!json_is_boolean(value))
        return GBX_EARGUMENT;
    *(bool *)option->value = json_is_true(value);
    return 0;
}

/* What it may be. */
static void describe(const struct option *option, char *text, size_t room)
{
    size_t at = 0;

    switch (option->kind) {
    case OPTION_TEXT:
        snprintf(text, room, "a text that is not empty");
        return;
    case OPTION_NUMBER:
        snprintf(text, room, "a whole number from %llu to %llu",
                 (unsigned long long)option->min,
                 (unsigned long long)option->max);
        return;
    case OPTION_BOOLEAN:
        snprintf(text, room, "true or false");
        return;
    case OPTION_WORD:
        break;
    }
    for (unsigned i = 0; option->words[i] != NULL && at < room; i++)
        at += (size_t)snprintf(text + at, room - at, "%s\"%s\"",
                               i > 0 ? " or " : "", option->words[i]);
}

int options_read(const struct option *options, size_t count,
                 const struct gbx_actor_config *config, struct gbx_error *err)
{
    json_t *json = json_loads(config->config_json, 0, NULL);
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct option *option = &options[i];
        const json_t *value = json_object_get(json, option->name);
        char what[128];

        if (value == NULL && !option->is_needed)
            continue;
        rc = value == NULL ? GBX_EARGUMENT : take(option, value);
        describe(option, what, sizeof(what));
        if (rc == GBX_EHOST)
            fail(err, rc, "no memory for node %s", config->node);
        else if (rc < 0)
            fail(err, rc, "node %s: metadata.%s: %s%s", config->node,
                 option->name, value == NULL ? "it is missing: " : "", what);
    }
    json_decref(json);
    return rc;
}
