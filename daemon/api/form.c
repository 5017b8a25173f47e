/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "daemon/api/form.h"
#include "glovebox/body.h"
#include "net/body/append.h"

#define PART_BYTES 256u /* that each costs beside its own */

/* Fields that are no inputs. */
static const char *const texts[] = {"script", "actor", "language", NULL},
                         *const values[] = {"inputs", "timeout_ms", NULL};

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

int form_open(struct form *form, const char *type, const char *port,
              uint64_t most, struct gbx_error *err)
{
    memset(form, 0, sizeof(*form));
    form->most = most;
    form->members = json_object();
    form->inputs = json_object();
    if (form->members == NULL || form->inputs == NULL)
        return fail(err, GBX_EHOST, "no memory");
    if (type == NULL) {
        form->is_bytes = true;
        form->reader.state = MULTIPART_IN_PART;
        strcpy(form->reader.part.name, port);
        return 0;
    }
    if (multipart_open(&form->reader, type) == 0)
        return 0;
    return fail(err, GBX_EFORMAT,
                "no form: multipart/form-data with its boundary, and parts "
                "with names");
}

void form_close(struct form *form)
{
    for (size_t i = 0; i < form->stream_count; i++)
        free(form->streams[i].data);
    free(form->data);
    json_decref(form->members);
    json_decref(form->inputs);
}

/* ---- a part is there ---- */

static const char *shown(const struct form *form)
{
    return form->data != NULL ? (const char *)form->data : "";
}

static json_t *text_of(const struct form *form)
{
    return json_stringn(shown(form), form->bytes);
}

static json_t *json_of(const struct form *form)
{
    return json_loadb(shown(form), form->bytes,
                      JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static bool ends_with(const char *file, const char *dot)
{
    const size_t bytes = strlen(file), most = strlen(dot);

    return bytes > most && strcmp(file + bytes - most, dot) == 0;
}

/* A part that is no input. */
static int take_member(struct form *form, struct gbx_error *err)
{
    const struct multipart_part *part = &form->reader.part;
    const bool is_text = is_one_of(part->name, texts);

    if (is_text && form->call != NULL)
        return fail(err, GBX_EARGUMENT,
                    "%s: it is too late for that, the inputs have a sandbox: "
                    "script, actor and language stand before files",
                    part->name);
    json_object_set_new(form->members, part->name,
                        is_text ? text_of(form) : json_of(form));
    if (strcmp(part->name, "script") == 0 &&
        (ends_with(part->file, ".js") || ends_with(part->file, ".mjs")))
        json_object_set_new(form->members, "language",
                            json_string("javascript"));
    return 0;
}

static int take_value(struct form *form, struct gbx_error *err)
{
    const struct multipart_part *part = &form->reader.part;
    const bool is_json = strncmp(part->type, "application/json", 16) == 0;

    if (json_object_set_new(form->inputs, part->name,
                            is_json ? json_of(form) : text_of(form)) == 0)
        return 0;
    return fail(err, GBX_EARGUMENT,
                "input \"%s\" is neither text in UTF-8 nor JSON", part->name);
}

static int take_stream(struct form *form, struct gbx_error *err)
{
    struct form_stream *stream = &form->streams[form->stream_count];

    if (form->stream_count == FORM_STREAMS_MAX)
        return fail(err, GBX_EARGUMENT, "there are more than %u files",
                    FORM_STREAMS_MAX);
    form->stream_count++;
    strcpy(stream->port, form->reader.part.name);
    stream->data = form->data;
    stream->bytes = form->bytes;
    form->data = NULL;
    form->room = 0;
    return 0;
}

static int end_part(struct form *form, struct gbx_error *err)
{
    int rc;

    if (form->place != NULL) {
        form->place = NULL;
        rc = gbx_call_trim(form->call, form->bytes, err);
    } else {
        rc = form->is_member  ? take_member(form, err)
             : form->is_bytes ? take_stream(form, err)
                              : take_value(form, err);
    }
    form->bytes = 0;
    return rc;
}

/* ---- it comes ---- */

static int begin_part(struct form *form, struct gbx_error *err)
{
    const struct multipart_part *part = &form->reader.part;

    form->is_member =
        is_one_of(part->name, texts) || is_one_of(part->name, values);
    form->is_bytes = !form->is_member &&
                     strncmp(part->type, "application/json", 16) != 0 &&
                     (part->file[0] != '\0' ||
                      strcmp(part->type, "application/octet-stream") == 0);
    if (PART_BYTES > form->most - form->kept)
        return fail(err, GBX_ELIMIT, "it has too many parts");
    form->kept += PART_BYTES;
    return 0;
}

/* It is known by now whose sandbox that would be. */
static bool is_placeable(const struct form *form)
{
    return json_object_get(form->members, "script") != NULL ||
           json_object_get(form->members, "actor") != NULL;
}

static int take_data(struct form *form, const uint8_t *data, size_t bytes,
                     struct gbx_error *err)
{
    const size_t before = form->bytes;
    int rc;

    if (form->place != NULL) {
        if (bytes > form->place_bytes - before)
            return fail(err, GBX_EFORMAT, "it is longer than it said");
        memcpy(form->place + before, data, bytes);
        form->bytes += bytes;
        return 0;
    }
    rc = net_append(&form->data, &form->bytes, &form->room,
                    before + (form->most - form->kept), data, bytes);
    if (rc == GBX_ELIMIT)
        return fail(err, rc,
                    "it is more than the %llu bytes that are kept (--body): "
                    "only files that come behind the script or the actor may "
                    "be longer",
                    (unsigned long long)form->most);
    if (rc < 0)
        return fail(err, rc, "no memory for \"%s\"", form->reader.part.name);
    form->kept += bytes;
    return form->is_bytes && before < GBX_BODY_SHOWN &&
                   form->bytes >= GBX_BODY_SHOWN && is_placeable(form)
               ? FORM_LARGE
               : 0;
}

static int take_event(struct form *form, int event, struct gbx_error *err)
{
    switch (event) {
    case MULTIPART_PART:
        return begin_part(form, err);
    case MULTIPART_DATA:
        return take_data(form, form->reader.data, form->reader.bytes, err);
    case MULTIPART_PART_END:
        return end_part(form, err);
    default:
        return 0;
    }
}

int form_take(struct form *form, const uint8_t **at, const uint8_t *end,
              struct gbx_error *err)
{
    const uint8_t *from = *at;
    int event, rc = 0;

    if (form->reader.delimiter_bytes == 0) { /* one input */
        *at = end;
        return from < end ? take_data(form, from, (size_t)(end - from), err)
                          : 0;
    }
    while (rc == 0 && (event = multipart_next(&form->reader, at, end)) != 0)
        rc = event > 0 ? take_event(form, event, err)
                       : fail(err, GBX_EFORMAT,
                              "what comes behind part \"%s\" is no part with "
                              "a name",
                              form->reader.part.name);
    return rc;
}

int form_place(struct form *form, struct gbx_call *call, uint64_t left,
               struct gbx_error *err)
{
    /* What seems to be a delimiter may be data. */
    const size_t most = form->bytes + form->reader.matched + left;
    void *place;
    int rc = gbx_call_room(call, form->reader.part.name, GBX_STREAM, most,
                           &place, err);

    form->call = call;
    if (rc < 0)
        return rc;
    memcpy(place, form->data, form->bytes);
    form->place = place;
    form->place_bytes = most;
    form->kept -= form->bytes;
    free(form->data);
    form->data = NULL;
    form->room = 0;
    return 0;
}

int form_end(struct form *form, struct gbx_error *err)
{
    json_t *more;
    int rc = 0;

    if (form->reader.delimiter_bytes == 0)
        rc = end_part(form, err);
    else if (form->reader.state != MULTIPART_OVER)
        rc = fail(err, GBX_EFORMAT, "the form's end is missing");
    more = json_object_get(form->members, "inputs");
    if (json_is_object(more))
        json_object_update_missing(form->inputs, more);
    if (more == NULL || json_is_object(more))
        json_object_set(form->members, "inputs", form->inputs);
    return rc;
}
