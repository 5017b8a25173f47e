/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "store/store.h"
#include "store/input.h"

#define SHOWN_MAX 60 /* bytes of a key in an error's text */

int store_input_shown(const struct store_input *in)
{
    size_t bytes = in->key.bytes;

    if (bytes <= SHOWN_MAX)
        return (int)bytes;
    for (bytes = SHOWN_MAX; (in->key.text[bytes] & 0xc0) == 0x80; bytes--)
        ; /* only whole characters */
    return (int)bytes;
}

int store_input_span(struct store_span *span, struct gbx_item *head,
                     const void *bytes, size_t count)
{
    struct gbx_reader r;
    struct gbx_item item;
    uint32_t levels = 0;
    int rc;

    gbx_reader_init(&r, bytes, count);
    rc = gbx_read(&r, head);
    for (item = *head; rc == 0; rc = gbx_read(&r, &item)) {
        bool open = item.kind == GBX_ITEM_ARRAY || item.kind == GBX_ITEM_MAP;
        if (open && item.depth + 1 > levels)
            levels = item.depth + 1;
    }
    if (rc != GBX_EAGAIN)
        return rc;
    *span = (struct store_span){bytes, r.at, levels};
    return 0;
}

void store_input_enter(struct store_steps *steps, struct store_span whole)
{
    struct gbx_reader r;
    struct gbx_item head;

    gbx_reader_init(&r, whole.at, whole.bytes);
    must(gbx_read(&r, &head) == 0);
    *steps = (struct store_steps){whole, r.at};
}

void store_input_step(struct store_steps *steps, struct store_span *span,
                      struct gbx_item *head)
{
    must(store_input_span(span, head, steps->whole.at + steps->at,
                          steps->whole.bytes - steps->at) == 0);
    steps->at += span->bytes;
}

static int read_text(struct store_input *in, const struct gbx_item *item,
                     size_t bytes_min, struct gbx_error *err)
{
    if (item->count < bytes_min || item->count > STORE_KEY_MAX)
        return fail(err, GBX_ELIMIT, "%s: a %s of %llu bytes; %zu to %u can be",
                    in->call, bytes_min > 0 ? "key" : "pattern",
                    (unsigned long long)item->count, bytes_min, STORE_KEY_MAX);
    in->key = (struct store_key){item->bytes, (size_t)item->count};
    return 0;
}

int store_input_key(struct store_input *in, const struct gbx_item *item,
                    struct gbx_error *err)
{
    if (item->kind != GBX_ITEM_TEXT)
        return fail(err, GBX_EARGUMENT, "%s: a key must be text", in->call);
    return read_text(in, item, 1, err);
}

static int read_argument(struct store_input *in, char letter,
                         const struct store_span *span,
                         const struct gbx_item *head, struct gbx_error *err)
{
    static const struct {
        char letter;
        enum gbx_item_kind kind, or_kind;
        const char *name;
    } wants[] = {
        {'p', GBX_ITEM_TEXT, GBX_ITEM_TEXT, "a pattern must be text"},
        {'n', GBX_ITEM_INTEGER, GBX_ITEM_FLOAT,
         "it needs a number, and an integer of no more than 64 bits"},
        {'l', GBX_ITEM_ARRAY, GBX_ITEM_ARRAY, "it needs a list of values"},
        {'m', GBX_ITEM_MAP, GBX_ITEM_MAP, "it needs a map of keys to values"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(wants); i++)
        if (wants[i].letter == letter && wants[i].kind != head->kind &&
            wants[i].or_kind != head->kind)
            return fail(err, GBX_EARGUMENT, "%s: %s", in->call, wants[i].name);
    if (letter == 'k')
        return store_input_key(in, head, err);
    if (letter == 'p')
        return read_text(in, head, 0, err);
    in->value = *span;
    in->head = *head;
    return 0;
}

int store_input_decode(struct store_input *in, const char *call,
                       const char *shape, const struct gbx_message *arguments,
                       struct gbx_error *err)
{
    size_t count = strlen(shape);
    struct gbx_item head;
    struct store_steps steps;
    struct store_span span;
    int rc = GBX_EFORMAT;

    *in = (struct store_input){.call = call};
    if (arguments->type == GBX_ARRAY && arguments->body_bytes > 0)
        rc = store_input_span(&span, &head, arguments->body,
                              arguments->body_bytes);
    if (rc < 0 || span.bytes != arguments->body_bytes ||
        head.kind != GBX_ITEM_ARRAY)
        return fail(err, GBX_EFORMAT,
                    "%s: its arguments are no CBOR array, or nested more than "
                    "%u deep",
                    call, GBX_CBOR_DEPTH_MAX);
    if (head.count != count)
        return fail(err, GBX_EARGUMENT, "%s: it takes %zu arguments, not %llu",
                    call, count, (unsigned long long)head.count);
    store_input_enter(&steps, span);
    for (rc = 0; *shape != '\0' && rc == 0; shape++) {
        store_input_step(&steps, &span, &head);
        rc = read_argument(in, *shape, &span, &head, err);
    }
    return rc;
}
