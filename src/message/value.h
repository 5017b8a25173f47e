/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h - CBOR values as JSON text; to_json.c puts messages together of them.
 *
 * Values are read from w->reader in the order they lie there.  The functions
 * return 0, or a code after they said in w->err what is wrong and where.  That
 * there was no memory for the text itself shows in w->out->failed.
 */
#ifndef MESSAGE_VALUE_H
#define MESSAGE_VALUE_H

#include "glovebox/message.h"
#include "message/text.h"

struct value_key {
    const char *bytes; /* borrowed from the message */
    size_t count;
};

struct value_frame {
    uint64_t done, left;  /* items; a pair is two */
    struct value_key key; /* of the pair at work */
    size_t keys_from;     /* this map's share of writer.keys */
    bool map;
};

struct value_writer {
    struct text *out;
    struct gbx_error *err;
    const char *root;         /* what a place starts with: "data" */
    struct gbx_reader reader; /* of the message, which is stable */
    struct value_frame frames[GBX_CBOR_DEPTH_MAX];
    uint32_t open;
    const struct gbx_array *array; /* at work, for the place; else NULL */
    uint64_t element;              /* its element at work */
    struct value_key *keys;        /* of all open maps: none may come twice */
    size_t key_count, key_room;
};

/* Write the next value, with all that is in it. */
int value_write(struct value_writer *w);

/*
 * The same in steps, for who has something to say between them: next, enter,
 * for each item (a pair is two) step and key or write, leave.
 */
int value_next(struct value_writer *w, struct gbx_item *item);
void value_enter(struct value_writer *w, const struct gbx_item *item);
void value_step(struct value_writer *w);
int value_key(struct value_writer *w, const struct gbx_item *item);
int value_leave(struct value_writer *w);

/* A number that is in no CBOR. */
int value_real(struct value_writer *w, double value);

/*
 * A typed array: may it be written at all, and what lies below `level` of its
 * dimensions.  w->array must be set, and *element counts.
 */
int value_check_rows(const struct value_writer *w,
                     const struct gbx_array *array);
int value_row(struct value_writer *w, const struct gbx_array *array,
              uint32_t level, uint64_t *element);

int value_no_memory(const struct value_writer *w);

#endif
