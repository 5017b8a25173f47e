/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "runtime/report.h"
#include "runtime/runtime.h"

/* A private copy of the event's body, or NULL. */
static uint8_t *copy_body(const struct sandbox_event *event,
                          struct scratch *scratch)
{
    uint8_t *copy;

    if (!event->has_message || event->message.type != GBX_OBJECT ||
        event->message.body_bytes == 0 ||
        event->message.body_bytes > GBX_METADATA_MAX)
        return NULL;
    copy = scratch_take(scratch, event->message.body_bytes);
    if (copy != NULL)
        memcpy(copy, event->message.body, event->message.body_bytes);
    return copy;
}

/* Room for n pointers and `bytes` of text behind them, in one block. */
static char **ports_alloc(uint64_t n, size_t bytes)
{
    return calloc(1, (n + 1) * sizeof(char *) + bytes);
}

/* The reader stands behind the array's head. */
static int read_ports(struct gbx_reader *r, const struct gbx_item *array,
                      char ***inports)
{
    struct gbx_item item;
    char **ports, *text;

    if (array->kind != GBX_ITEM_ARRAY || array->count > SCRIPT_PORTS_MAX)
        return GBX_EFORMAT;
    if (array->count == 0)
        return 0;
    ports = ports_alloc(array->count, r->count + array->count);
    if (ports == NULL)
        return GBX_EHOST;
    text = (char *)(ports + array->count + 1);
    for (uint64_t i = 0; i < array->count; i++) {
        if (gbx_read(r, &item) < 0 || item.kind != GBX_ITEM_TEXT ||
            item.count > GBX_NAME_BYTES_MAX) {
            free(ports);
            return GBX_EFORMAT;
        }
        memcpy(text, item.bytes, item.count);
        ports[i] = text;
        text += item.count + 1; /* calloc terminated it */
    }
    free(*inports); /* a key given twice */
    *inports = ports;
    return 0;
}

static int find_ports(const uint8_t *body, size_t bytes, char ***inports)
{
    struct gbx_reader r;
    struct gbx_item item;
    bool key = true, wanted = false;
    int rc;

    gbx_reader_init(&r, body, bytes);
    while ((rc = gbx_read(&r, &item)) == 0) {
        if (item.depth == 0 && item.kind != GBX_ITEM_MAP)
            return GBX_EFORMAT;
        if (item.depth != 1)
            continue;
        if (key)
            wanted = gbx_item_is(&item, "inports");
        else if (wanted && (rc = read_ports(&r, &item, inports)) < 0)
            return rc;
        key = !key;
    }
    return rc == GBX_EAGAIN ? 0 : rc;
}

int report_metadata(const struct sandbox_event *event, char **json,
                    char ***inports, struct gbx_error *err)
{
    struct gbx_message message = event->message;
    struct scratch scratch = {0};
    uint8_t *body = copy_body(event, &scratch);
    int rc;

    *json = NULL;
    *inports = NULL;
    if (body == NULL)
        return fail(err, GBX_EBROKEN, "the guest sent no metadata");
    message.body = body;
    rc = find_ports(body, message.body_bytes, inports);
    if (rc == 0)
        rc = gbx_message_to_json(json, &message, GBX_JSON_PLAIN, err);
    else
        fail(err, rc, "the script's metadata are malformed");
    if (rc < 0) {
        free(*inports);
        *inports = NULL;
    }
    scratch_close(&scratch);
    return rc;
}

static int limit_code(const char *limit)
{
    static const struct {
        const char *name;
        int code;
    } limits[] = {
        {"memory", GBX_EMEMORY},
        {"processes", GBX_EPROCESSES},
        {"files", GBX_EFILES},
        {"disk", GBX_EDISK},
    };

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        if (strcmp(limit, limits[i].name) == 0)
            return limits[i].code;
    return GBX_ESCRIPT;
}

int report_failure(const struct sandbox_event *event, struct scratch *scratch,
                   struct gbx_failure *failure)
{
    struct gbx_reader r;
    struct gbx_item item;
    const char **place = NULL, *limit = "", *ignored;
    bool key = true;
    uint8_t *body;
    int rc;

    *failure = (struct gbx_failure){"", "", ""};
    body = copy_body(event, scratch);
    if (body == NULL)
        return GBX_EBROKEN;
    gbx_reader_init(&r, body, event->message.body_bytes);
    while ((rc = gbx_read(&r, &item)) == 0) {
        if (item.depth == 0 && item.kind != GBX_ITEM_MAP)
            return GBX_EBROKEN;
        if (item.depth != 1)
            continue;
        if (key)
            place = gbx_item_is(&item, "type")        ? &failure->type
                    : gbx_item_is(&item, "message")   ? &failure->message
                    : gbx_item_is(&item, "traceback") ? &failure->traceback
                    : gbx_item_is(&item, "limit")     ? &limit
                                                      : &ignored;
        else if (item.kind == GBX_ITEM_TEXT)
            *place = scratch_text(scratch, item.bytes, item.count);
        key = !key;
    }
    if (rc != GBX_EAGAIN || failure->type == NULL || failure->message == NULL ||
        failure->traceback == NULL || limit == NULL)
        return GBX_EBROKEN;
    return limit_code(limit);
}
