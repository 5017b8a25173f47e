/* SPDX-License-Identifier: Apache-2.0 */
/*
 * to_json.c - a message as JSON text, in one of Reflow's three forms.
 *
 * The text is written straight from the CBOR, without a tree in between: a
 * 16 MiB Stream would be a tree of half a gigabyte.  jansson, which reads JSON
 * for us, is not used to write it for that reason, and because it has no
 * integers above 2^63-1 and prints 0.1 as 0.10000000000000001.
 *
 * SERDE is TYPED with structured values folded: {"data":[bytes of JSON]}.
 * Folding happens in place, after the value was written.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "message/inner.h"
#include "message/value.h"

struct job {
    struct value_writer values;
    struct text text, folded; /* folded: scratch of fold() */
    bool folds;
};

/* What was written since `from` becomes {"data":[its bytes]}. */
static int fold(struct job *job, size_t from)
{
    struct text *text = &job->text, *folded = &job->folded;

    if (!job->folds)
        return 0;
    if (text->failed)
        return value_no_memory(&job->values);
    folded->count = 0;
    text_put(folded, text->bytes + from, text->count - from);
    if (folded->failed)
        return value_no_memory(&job->values);
    text->count = from;
    text_puts(text, "{\"data\":");
    text_octets(text, folded->bytes, folded->count);
    text_put(text, "}", 1);
    return 0;
}

static int write_value(struct job *job)
{
    size_t from = job->text.count;
    int rc = value_write(&job->values);

    return rc < 0 ? rc : fold(job, from);
}

/* An Array, each of its items folded; the array itself is not. */
static int write_items(struct job *job)
{
    struct value_writer *w = &job->values;
    struct gbx_item array;
    int rc = value_next(w, &array);

    if (rc < 0)
        return rc;
    value_enter(w, &array);
    for (uint64_t i = 0; i < array.count && rc == 0; i++) {
        value_step(w);
        rc = write_value(job);
    }
    return rc < 0 ? rc : value_leave(w);
}

/* The same for a typed array, whose items are numbers or rows. */
static int write_rows(struct job *job, const struct gbx_array *array)
{
    struct value_writer *w = &job->values;
    uint64_t element = 0;
    int rc = value_check_rows(w, array);

    w->array = array;
    text_put(&job->text, "[", 1);
    for (uint64_t i = 0; i < array->dims[0] && rc == 0; i++) {
        size_t from;
        if (i > 0)
            text_put(&job->text, ",", 1);
        from = job->text.count;
        rc = value_row(w, array, 1, &element);
        if (rc == 0)
            rc = fold(job, from);
    }
    text_put(&job->text, "]", 1);
    return rc;
}

static int write_array(struct job *job, const struct gbx_message *message)
{
    struct gbx_array array;

    if (!job->folds)
        return value_write(&job->values);
    if (gbx_message_array(message, &array) == 0)
        return write_rows(job, &array);
    return write_items(job);
}

/* A NetworkEvent: a map of two, of which only "data" is folded. */
static int write_event(struct job *job)
{
    struct value_writer *w = &job->values;
    struct gbx_item map, key;
    int rc = value_next(w, &map);

    if (rc < 0)
        return rc;
    value_enter(w, &map);
    for (uint64_t i = 0; i < map.count && rc == 0; i++) {
        value_step(w);
        rc = value_next(w, &key);
        if (rc == 0)
            rc = value_key(w, &key);
        if (rc < 0)
            return rc;
        value_step(w);
        rc = key.count == strlen("data") ? write_value(job) : value_write(w);
    }
    return rc < 0 ? rc : value_leave(w);
}

/* The value of a message that is sound. */
static int write_data(struct job *job, const struct gbx_message *message)
{
    struct text *text = &job->text;

    switch (message->type) {
    case GBX_FLOW: /* in PLAIN only */
        text_puts(text, "\"flow\"");
        return 0;
    case GBX_BOOLEAN:
        text_puts(text, message->scalar.boolean ? "true" : "false");
        return 0;
    case GBX_INTEGER:
        text_integer(text, message->scalar.integer);
        return 0;
    case GBX_FLOAT:
        return value_real(&job->values, message->scalar.real);
    case GBX_STRING:
    case GBX_ERROR:
        text_string(text, message->body, message->body_bytes);
        return 0;
    case GBX_STREAM:
    case GBX_ENCODED:
        text_octets(text, message->body, message->body_bytes);
        return 0;
    case GBX_OPTIONAL:
        if (message->body_bytes > 0)
            return write_value(job);
        text_puts(text, "null");
        return 0;
    case GBX_ARRAY:
        return write_array(job, message);
    case GBX_REMOTE_REFERENCE:
        return value_write(&job->values);
    case GBX_NETWORK_EVENT:
        return write_event(job);
    default:
        return write_value(job);
    }
}

/* The message with what its form puts around the value. */
static int write_message(struct job *job, const struct gbx_message *message,
                         enum gbx_json_form form)
{
    int rc;

    if (form == GBX_JSON_PLAIN)
        return write_data(job, message);
    text_puts(&job->text, "{\"type\":\"");
    text_puts(&job->text, gbx_type_name((int)message->type));
    text_puts(&job->text, "\"");
    if (message->type != GBX_FLOW) {
        text_puts(&job->text, ",\"data\":");
        rc = write_data(job, message);
        if (rc < 0)
            return rc;
    }
    text_put(&job->text, "}", 1);
    return 0;
}

int gbx_message_to_json(char **text, const struct gbx_message *message,
                        enum gbx_json_form form, struct gbx_error *err)
{
    struct job job = {.folds = form == GBX_JSON_SERDE};
    struct value_writer *w = &job.values;
    int rc;

    *text = NULL;
    if (form != GBX_JSON_PLAIN && form != GBX_JSON_TYPED &&
        form != GBX_JSON_SERDE)
        return fail(err, GBX_EARGUMENT, "there is no JSON form %d", (int)form);
    rc = message_check(message, err);
    if (rc < 0)
        return rc;
    w->out = &job.text;
    w->err = err;
    w->root = form == GBX_JSON_PLAIN ? "value" : "data";
    gbx_reader_init(&w->reader, message->body, message->body_bytes);

    rc = write_message(&job, message, form);
    text_put(&job.text, "", 1); /* the end of the string */
    if (rc == 0 && job.text.failed)
        rc = value_no_memory(w);
    free(w->keys);
    free(job.folded.bytes);
    if (rc == 0)
        *text = job.text.bytes;
    else
        free(job.text.bytes);
    return rc;
}
