/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/link/load.h"

static int refuse(struct gbx_error *err, int code, const char *what)
{
    if (err != NULL) {
        *err = (struct gbx_error){.code = code};
        snprintf(err->what, sizeof(err->what), "%s", what);
    }
    return code;
}

/* What lies in an item that was read.  Its depth is bounded by the reader. */
static int skip(struct gbx_reader *r, const struct gbx_item *item)
{
    uint64_t left = item->kind == GBX_ITEM_ARRAY ? item->count
                    : item->kind == GBX_ITEM_MAP ? 2 * item->count
                                                 : 0;
    struct gbx_item inner;
    int rc = 0;

    while (rc == 0 && left-- > 0) {
        rc = gbx_read(r, &inner);
        if (rc == 0)
            rc = skip(r, &inner);
    }
    return rc;
}

/* The next one, a text, in place of what was there. */
static int take_text(struct gbx_reader *r, char **text, size_t *bytes)
{
    struct gbx_item item;
    int rc = gbx_read(r, &item);

    if (rc < 0 || item.kind != GBX_ITEM_TEXT)
        return GBX_EFORMAT;
    free(*text);
    *text = malloc(item.count + 1);
    if (*text == NULL)
        return GBX_EHOST;
    memcpy(*text, item.bytes, item.count);
    (*text)[item.count] = '\0';
    if (bytes != NULL)
        *bytes = item.count;
    else if (strlen(*text) != item.count)
        return GBX_EFORMAT; /* a zero in it */
    return 0;
}

static int take_config(struct gbx_reader *r, struct load *load)
{
    const size_t from = r->at;
    struct gbx_item item;
    struct gbx_message message = {.type = GBX_OBJECT};
    int rc = gbx_read(r, &item);

    if (rc == 0)
        rc = skip(r, &item);
    if (rc < 0 || item.kind != GBX_ITEM_MAP)
        return GBX_EFORMAT;
    message.body = r->bytes + from;
    message.body_bytes = r->at - from;
    free(load->config_json);
    load->config_json = NULL;
    return gbx_message_to_json(&load->config_json, &message, GBX_JSON_PLAIN,
                               NULL);
}

static int take_limits(struct gbx_reader *r, struct load *load)
{
    static const struct {
        const char *name;
        size_t off, bytes;
    } limits[] = {
#define X(field, least, most)                                                  \
    {#field, offsetof(struct gbx_limits, field), sizeof(load->limits.field)},
        GBX_LIMITS(X)
#undef X
    };
    struct gbx_item item, value;

    if (gbx_read(r, &item) < 0 || item.kind != GBX_ITEM_MAP)
        return GBX_EFORMAT;
    for (uint64_t left = item.count; left > 0; left--) {
        struct gbx_item key;

        if (gbx_read(r, &key) < 0 || gbx_read(r, &value) < 0 ||
            value.kind != GBX_ITEM_INTEGER || value.value.integer < 0)
            return GBX_EFORMAT;
        for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
            char *to = (char *)&load->limits + limits[i].off;
            const uint64_t large = (uint64_t)value.value.integer;
            const uint32_t small =
                large > UINT32_MAX ? UINT32_MAX : (uint32_t)large;

            if (gbx_item_is(&key, limits[i].name))
                memcpy(to, limits[i].bytes == 8 ? (const void *)&large : &small,
                       limits[i].bytes);
        }
    }
    return 0;
}

static int take_floor(struct gbx_reader *r, struct load *load)
{
    struct gbx_item item;

    if (gbx_read(r, &item) < 0)
        return GBX_EFORMAT;
    for (int i = GBX_ISOLATION_AUTO; i < GBX_ISOLATION_REMOTE; i++)
        if (gbx_item_is(&item, gbx_isolation_name(i))) {
            load->floor = (enum gbx_isolation)i;
            return 0;
        }
    return GBX_EFORMAT;
}

static int take_map(struct gbx_reader *r, struct load *load, bool is_inner);

/* What belongs to a key, of the outer map or of the one it has at "load". */
static int take(struct gbx_reader *r, struct load *load, bool is_inner,
                const struct gbx_item *key)
{
    struct gbx_item item;
    int rc;

    if (is_inner && gbx_item_is(key, "file"))
        return take_text(r, &load->file, NULL);
    if (is_inner && gbx_item_is(key, "source"))
        return take_text(r, &load->source, &load->source_bytes);
    if (is_inner && gbx_item_is(key, "actor_id"))
        return take_text(r, &load->actor_id, NULL);
    if (is_inner && gbx_item_is(key, "config"))
        return take_config(r, load);
    if (!is_inner && gbx_item_is(key, "load"))
        return take_map(r, load, true);
    if (!is_inner && gbx_item_is(key, "limits"))
        return take_limits(r, load);
    if (!is_inner && gbx_item_is(key, "floor"))
        return take_floor(r, load);
    rc = gbx_read(r, &item);
    return rc < 0 ? GBX_EFORMAT : skip(r, &item);
}

static int take_map(struct gbx_reader *r, struct load *load, bool is_inner)
{
    struct gbx_item item;
    int rc = 0;

    if (gbx_read(r, &item) < 0 || item.kind != GBX_ITEM_MAP)
        return GBX_EFORMAT;
    for (uint64_t left = item.count; rc == 0 && left > 0; left--) {
        struct gbx_item key;

        rc = gbx_read(r, &key);
        if (rc == 0)
            rc = key.kind == GBX_ITEM_TEXT ? take(r, load, is_inner, &key)
                                           : GBX_EFORMAT;
    }
    return rc;
}

/* It is to be made below a folder of ours. */
static bool is_good_name(const char *file)
{
    static const char *const dots[] = {".py", ".js", ".mjs"};
    const char *dot = strrchr(file, '.');

    if (dot == NULL || dot == file || file[0] == '.' ||
        strlen(file) > LOAD_FILE_MAX || strchr(file, '/') != NULL)
        return false;
    for (const char *at = file; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 127)
            return false;
    for (size_t i = 0; i < sizeof(dots) / sizeof(dots[0]); i++)
        if (strcmp(dot, dots[i]) == 0)
            return true;
    return false;
}

int load_read(struct load *load, const void *body, size_t bytes,
              struct gbx_error *err)
{
    struct gbx_reader r;
    int rc;

    *load = (struct load){0};
    gbx_reader_init(&r, body, bytes);
    rc = take_map(&r, load, false);
    if (rc == GBX_EHOST)
        return refuse(err, rc, "no memory for a script");
    if (rc < 0 || r.at != bytes)
        return refuse(err, GBX_EFORMAT, "LOAD carries no map of a script");
    if (load->file == NULL || load->source == NULL)
        return refuse(err, GBX_EFORMAT, "LOAD has no file or no source");
    if (!is_good_name(load->file))
        return refuse(err, GBX_EARGUMENT,
                      "a script that is brought has a plain name that ends "
                      "with .py, .js or .mjs");
    return 0;
}

void load_fini(struct load *load)
{
    free(load->file);
    free(load->source);
    free(load->actor_id);
    free(load->config_json);
    *load = (struct load){0};
}
