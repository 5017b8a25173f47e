/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets.c - "secrets": names of what a script may know, and where that is.
 *
 * A value never stands there; and a file that was only found in the working
 * directory may not have a script told what lies elsewhere.
 */
#include <string.h>

#include "base/secret.h"
#include "config/value.h"

struct list {
    struct gbx_secret *all;
    size_t count;
};

/* A file's name starts at the configuration's folder. */
static int read_source(struct reader *reader, struct gbx_secret *secret,
                       const json_t *value)
{
    const char *text = json_string_value(value), *path;
    char *joined;
    int rc;

    if (text != NULL && strncmp(text, "env:", 4) == 0 && text[4] != '\0')
        return value_keep(reader, &secret->source, value);
    if (text == NULL || strncmp(text, "file:", 5) != 0 || text[5] == '\0')
        return value_fail(reader,
                          "secret \"%s\" must be \"file:PATH\" or "
                          "\"env:VARIABLE\", where its value is",
                          secret->name);
    rc = value_path(reader, &path, secret->name, text + 5);
    if (rc < 0)
        return rc;
    joined = scratch_take(&reader->config->texts, strlen(path) + 6);
    if (joined == NULL)
        return config_no_memory(reader);
    strcpy(joined, "file:");
    strcpy(joined + 5, path);
    secret->source = joined;
    return 0;
}

static int add(struct reader *reader, struct list *list, const char *name,
               const json_t *value)
{
    struct gbx_secret *secret = &list->all[list->count];

    if (!secret_is_name(name))
        return value_fail(reader, SECRET_NAME_RULE, name, GBX_SECRET_NAME_MAX);
    secret->name = scratch_text(&reader->config->texts, name, strlen(name));
    if (secret->name == NULL)
        return config_no_memory(reader);
    list->count++;
    return read_source(reader, secret, value);
}

int secrets_read_value(struct reader *reader, struct config_values *values,
                       json_t *value)
{
    const size_t count = json_object_size(value);
    struct list list = {.count = 0};
    const char *name;
    json_t *source;
    int rc = value_refuse_near(reader, "secrets");

    if (rc < 0)
        return rc;
    if (!json_is_object(value) || count > GBX_SECRETS_MAX)
        return value_fail(reader,
                          "\"secrets\" must be an object of at most %d, "
                          "{\"NAME\": \"file:PATH\"}",
                          GBX_SECRETS_MAX);
    list.all =
        scratch_take(&reader->config->texts, (count + 1) * sizeof(*list.all));
    if (list.all == NULL)
        return config_no_memory(reader);
    memset(list.all, 0, (count + 1) * sizeof(*list.all));
    place_enter(&reader->place);
    json_object_foreach(value, name, source)
    {
        place_next(&reader->place);
        reader->line = reader->place.line;
        place_value(&reader->place);
        rc = add(reader, &list, name, source);
        if (rc < 0)
            return rc;
        place_skip(&reader->place);
    }
    values->script.secrets = list.all;
    values->script.secret_count = count;
    return 0;
}
