/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "flow/builtin/builtin.h"
#include "flow/builtin/options.h"
#include "flow/node/value.h"

#define PIECE_BYTES 65536u

struct split {
    uint64_t bytes;
    unsigned fields; /* 0 pairs, 1 values */
};

static int open_split(void **self, const struct gbx_actor_config *config,
                      struct gbx_error *err)
{
    static const char *const fields[] = {"pairs", "values", NULL};
    struct split *split = *self = calloc(1, sizeof(*split));

    if (split == NULL)
        return fail(err, GBX_EHOST, "no memory for node %s", config->node);
    split->bytes = PIECE_BYTES;
    return builtin_opened(
        self,
        options_read(
            (const struct option[]){
                {"fields", OPTION_WORD, &split->fields, .words = fields},
                {"bytes", OPTION_NUMBER, &split->bytes, .min = 4,
                 .max = GBX_BODY_BYTES_MAX},
            },
            2, config, err),
        free);
}

/* Views of the body: nothing is copied. */
static int send_pieces(const struct split *split, struct gbx_actor *actor,
                       const struct gbx_message *whole, uint64_t *count)
{
    const uint8_t *body = whole->body;
    int rc = 0;

    for (size_t at = 0, bytes; at < whole->body_bytes && rc == 0; at += bytes) {
        struct gbx_message piece = *whole;

        bytes = whole->body_bytes - at;
        if (bytes > split->bytes) {
            bytes = (size_t)split->bytes;
            /* No character of UTF-8 is longer than 4. */
            for (int i = 0; i < 3 && whole->type == GBX_STRING &&
                            (body[at + bytes] & 0xc0) == 0x80;
                 i++)
                bytes--;
        }
        piece.body = body + at;
        piece.body_bytes = bytes;
        rc = gbx_actor_send_at(actor, 0, &piece);
        *count += rc == 0;
    }
    return rc;
}

/* One field: its key, and the item behind it. */
static int send_pair(struct gbx_actor *actor, const struct gbx_message *key,
                     const uint8_t *item, size_t bytes)
{
    struct gbx_message pair;
    struct gbx_builder b;
    int rc;

    gbx_builder_init(&b);
    gbx_build_map(&b, 1);
    node_value_build(&b, key);
    gbx_build_item(&b, item, bytes);
    rc = gbx_builder_message(&b, GBX_OBJECT, &pair);
    if (rc == 0)
        rc = gbx_actor_send_at(actor, 0, &pair);
    gbx_builder_fini(&b);
    return rc;
}

static int send_items(const struct split *split, struct gbx_actor *actor,
                      const struct gbx_message *whole, uint64_t *count)
{
    const uint8_t *body = whole->body;
    struct gbx_message key = {.type = GBX_OPTIONAL}, value;
    struct gbx_reader r;
    struct gbx_item head;
    size_t used, at;
    int rc;

    gbx_reader_init(&r, body, whole->body_bytes);
    rc = gbx_read(&r, &head);
    if (rc == 0 && head.kind != GBX_ITEM_MAP && head.kind != GBX_ITEM_ARRAY)
        return gbx_actor_fail(actor, "a typed array cannot be split");
    at = r.at;
    while (rc == 0 && *count < head.count) {
        if (head.kind == GBX_ITEM_MAP) {
            rc =
                node_value_read(&key, body + at, whole->body_bytes - at, &used);
            at += rc == 0 ? used : 0;
        }
        if (rc == 0)
            rc = node_value_read(&value, body + at, whole->body_bytes - at,
                                 &used);
        if (rc == 0)
            rc = head.kind == GBX_ITEM_MAP && split->fields == 0
                     ? send_pair(actor, &key, body + at, used)
                     : gbx_actor_send_at(actor, 0, &value);
        at += rc == 0 ? used : 0;
        *count += rc == 0;
    }
    return rc;
}

static int run_split(void *self, struct gbx_actor *actor)
{
    struct gbx_message message;
    uint64_t count = 0;
    int rc;

    if (gbx_actor_input(actor, "in", &message) < 0)
        return 0;
    switch (message.type) {
    case GBX_STRING:
    case GBX_STREAM:
        rc = send_pieces(self, actor, &message, &count);
        break;
    case GBX_ARRAY:
    case GBX_OBJECT:
        rc = send_items(self, actor, &message, &count);
        break;
    default:
        return gbx_actor_fail(actor, "a message of type %s cannot be split",
                              gbx_type_name((int)message.type));
    }
    return rc < 0 ? rc : builtin_send_number(actor, 1, count);
}

const struct gbx_actor_type builtin_split = {
    .struct_bytes = sizeof(builtin_split),
    .component = "split",
    .description = "The items of an Array, the fields of an Object, pieces of "
                   "a String or Stream.",
    .inports = PORTS("in"),
    .outports = PORTS("out", "end"),
    .open = open_split,
    .run = run_split,
    .close = free,
};
