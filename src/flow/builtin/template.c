/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.c - a text with gaps, which is cut into parts once:
 *
 *   "Dear {{name}}, ..."     [Dear ][][, ...]
 *                                 name
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "flow/builtin/builtin.h"
#include "flow/builtin/options.h"

#define PARTS_MAX  4096u
#define FIELD_MAX  256u /* bytes of a field's name, with its dots */
#define TEXT_BYTES (1u << 20)
#define INPUT_MAX  (4u << 20) /* it takes many times as much to be looked at */

struct part {
    const char *text; /* in the template: what stands there */
    size_t bytes;
    char *path; /* owned: and the field behind it; NULL: none */
};

struct template
{
    char *text; /* owned */
    struct part *parts;
    size_t count;
    uint64_t bytes_max;
    unsigned missing; /* 0 fail, 1 empty */
};

/* What comes out. */
struct text {
    char *bytes; /* owned */
    size_t count, room, max;
};

static int bad_template(const struct gbx_actor_config *config, const char *why,
                        struct gbx_error *err)
{
    return fail(err, GBX_EARGUMENT, "node %s: metadata.template: %s",
                config->node, why);
}

/* Without the blanks around it. */
static char *copy_path(const char *from, const char *to)
{
    while (from < to && *from == ' ')
        from++;
    while (to > from && to[-1] == ' ')
        to--;
    return strndup(from, (size_t)(to - from));
}

static int cut(struct template *t, const struct gbx_actor_config *config,
               struct gbx_error *err)
{
    const char *at = t->text;

    while (at != NULL) {
        const char *open = strstr(at, "{{"), *shut;
        struct part *part = &t->parts[t->count++];

        part->text = at;
        part->bytes = open != NULL ? (size_t)(open - at) : strlen(at);
        if (open == NULL)
            return 0;
        shut = strstr(open, "}}");
        if (shut == NULL)
            return bad_template(config, "a {{ has no }}", err);
        part->path = copy_path(open + 2, shut);
        if (part->path == NULL)
            return fail(err, GBX_EHOST, "no memory for node %s", config->node);
        if (part->path[0] == '\0' || strlen(part->path) > FIELD_MAX)
            return bad_template(config,
                                "between {{ and }} stands a field's name", err);
        if (t->count == PARTS_MAX)
            return bad_template(config, "it has too many fields", err);
        at = shut + 2;
    }
    return 0;
}

static void close_template(void *self)
{
    struct template *t = self;

    for (size_t i = 0; t != NULL && i < t->count; i++)
        free(t->parts[i].path);
    if (t != NULL) {
        free(t->parts);
        free(t->text);
    }
    free(t);
}

static int begin(struct template *t, const struct gbx_actor_config *config,
                 struct gbx_error *err)
{
    static const char *const missing[] = {"fail", "empty", NULL};
    int rc;

    if (t == NULL || (t->parts = calloc(PARTS_MAX, sizeof(*t->parts))) == NULL)
        return fail(err, GBX_EHOST, "no memory for node %s", config->node);
    t->bytes_max = TEXT_BYTES;
    rc = options_read(
        (const struct option[]){
            {"template", OPTION_TEXT, &t->text, .is_needed = true},
            {"missing", OPTION_WORD, &t->missing, .words = missing},
            {"bytes_max", OPTION_NUMBER, &t->bytes_max, .min = 1,
             .max = 1u << 30},
        },
        3, config, err);
    return rc < 0 ? rc : cut(t, config, err);
}

static int open_template(void **self, const struct gbx_actor_config *config,
                         struct gbx_error *err)
{
    *self = calloc(1, sizeof(struct template));
    return builtin_opened(self, begin(*self, config, err), close_template);
}

static int put(struct text *out, const char *bytes, size_t count)
{
    if (count > out->max - out->count)
        return GBX_ELIMIT;
    if (out->count + count > out->room) {
        size_t room = 2 * (out->count + count);
        char *more = realloc(out->bytes, room);

        if (more == NULL)
            return GBX_EHOST;
        out->bytes = more;
        out->room = room;
    }
    if (count > 0)
        memcpy(out->bytes + out->count, bytes, count);
    out->count += count;
    return 0;
}

static int put_json(struct text *out, const json_t *value)
{
    char *text;
    int rc;

    if (json_is_null(value))
        return 0;
    if (json_is_string(value))
        return put(out, json_string_value(value), json_string_length(value));
    text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    rc = text == NULL ? GBX_EHOST : put(out, text, strlen(text));
    free(text);
    return rc;
}

/* A field with a dot in its name is found before a field in a field. */
static const json_t *find(const json_t *value, const char *path)
{
    char name[FIELD_MAX + 1];
    const json_t *whole;
    const char *dot;

    if (strcmp(path, ".") == 0)
        return value;
    while ((whole = json_object_get(value, path)) == NULL &&
           (dot = strchr(path, '.')) != NULL) {
        memcpy(name, path, (size_t)(dot - path));
        name[dot - path] = '\0';
        value = json_object_get(value, name);
        path = dot + 1;
    }
    return whole;
}

static int fill(const struct template *t, struct gbx_actor *actor,
                const json_t *value, struct text *out)
{
    int rc = 0;

    for (size_t i = 0; i < t->count && rc == 0; i++) {
        const struct part *part = &t->parts[i];
        const json_t *field = NULL;

        rc = put(out, part->text, part->bytes);
        if (rc == 0 && part->path != NULL)
            field = find(value, part->path);
        if (field != NULL)
            rc = put_json(out, field);
        else if (rc == 0 && part->path != NULL && t->missing == 0)
            return gbx_actor_fail(actor, "there is no field %s", part->path);
    }
    if (rc == GBX_ELIMIT)
        gbx_actor_fail(actor, "the text has more than %llu bytes (bytes_max)",
                       (unsigned long long)t->bytes_max);
    return rc;
}

static int run_template(void *self, struct gbx_actor *actor)
{
    const struct template *t = self;
    struct text out = {.max = (size_t)t->bytes_max};
    struct gbx_message message;
    struct gbx_error err = {.what = ""};
    json_t *value = NULL;
    char *json;
    int rc;

    if (gbx_actor_input(actor, "in", &message) < 0)
        return 0;
    if (message.body_bytes > INPUT_MAX)
        return gbx_actor_fail(actor, "a message of more than %u bytes",
                              INPUT_MAX);
    rc = gbx_message_to_json(&json, &message, GBX_JSON_PLAIN, &err);
    if (rc < 0) {
        gbx_actor_fail(actor, "%s", err.what);
        return rc;
    }
    value = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    free(json);
    rc = value == NULL ? GBX_EFORMAT : fill(t, actor, value, &out);
    json_decref(value);
    message = (struct gbx_message){
        .type = GBX_STRING, .body = out.bytes, .body_bytes = out.count};
    if (rc == 0)
        rc = gbx_actor_send_at(actor, 0, &message);
    free(out.bytes);
    return rc;
}

const struct gbx_actor_type builtin_template = {
    .struct_bytes = sizeof(builtin_template),
    .component = "template",
    .description = "A text with what an Object holds.",
    .inports = PORTS("in"),
    .outports = PORTS("out"),
    .open = open_template,
    .run = run_template,
    .close = close_template,
};
