/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/message.h - messages: made and looked at; json.h has them as JSON.
 *
 * A message is one of Reflow's fifteen types with a value.  Scalars lie in the
 * struct; everything else is a body of bytes that the message only points at.
 * Structured bodies are CBOR: a builder writes them, a reader walks them.
 *
 *  struct gbx_builder b;                       struct gbx_reader r;
 *  gbx_builder_init(&b);                       gbx_reader_init(&r, p, n);
 *  gbx_build_map(&b, 1);                       while (!gbx_read(&r, &item))
 *  gbx_build_text(&b, "answer", 6);                switch (item.kind) ...
 *  gbx_build_integer(&b, 42);
 *  rc = gbx_builder_message(&b, GBX_OBJECT, &message);
 *  gbx_builder_fini(&b);
 *
 * Threads: none of these objects is shared; different ones in any threads.
 * Memory:  a builder owns its bytes until fini; a reader and a message borrow
 *          theirs.  Bytes that a guest may still write must be copied before
 *          they are read: gbx_message_hold does it.  Calls hand text and
 *          structured values out copied, Streams and typed arrays in place.
 */
#ifndef GBX_MESSAGE_H
#define GBX_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/abi/message.h"
#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_message {
    enum gbx_type type;
    uint32_t flags; /* GBX_TYPED */
    union {
        bool boolean;
        int64_t integer;
        double real;
    } scalar;
    const void *body; /* borrowed; NULL where the type has none */
    size_t body_bytes;
};

/* The fifteen names as Reflow writes them; else NULL, and GBX_EFORMAT. */
const char *gbx_type_name(int type);
int gbx_type_by_name(const char *name);

/* A numeric array, where it lies. */
struct gbx_array {
    enum gbx_dtype dtype;
    uint32_t rank; /* 1..GBX_ARRAY_RANK_MAX */
    uint64_t dims[GBX_ARRAY_RANK_MAX];
    const void *data; /* borrowed; 64-byte aligned when a Glovebox made it */
    size_t data_bytes;
};

/* Bytes of one element, "f32"; 0 and NULL for a number that is no dtype. */
size_t gbx_dtype_bytes(int dtype);
const char *gbx_dtype_name(int dtype);

/*
 * See a typed array in a message.  Only its head is read, and from a copy.
 * Returns 0, or GBX_EFORMAT when the body is not one or its sizes disagree.
 */
int gbx_message_array(const struct gbx_message *message,
                      struct gbx_array *array);

/*
 * Write the CBOR head of a typed array.  The elements follow it at once.
 * Returns its length, 0 when dtype, rank or dims are not allowed.
 */
#define GBX_ARRAY_HEAD_MAX 96
size_t gbx_array_head(uint8_t head[GBX_ARRAY_HEAD_MAX],
                      const struct gbx_array *array);

/* CBOR, written item by item. The first error sticks until builder_message. */
struct gbx_builder {
    uint8_t *bytes; /* owned */
    size_t count, room;
    int error;
};

void gbx_builder_init(struct gbx_builder *b);
void gbx_builder_fini(struct gbx_builder *b);
void gbx_build_null(struct gbx_builder *b);
void gbx_build_boolean(struct gbx_builder *b, bool value);
void gbx_build_integer(struct gbx_builder *b, int64_t value);
void gbx_build_unsigned(struct gbx_builder *b, uint64_t value);
void gbx_build_float(struct gbx_builder *b, double value);
void gbx_build_text(struct gbx_builder *b, const char *text, size_t bytes);
void gbx_build_bytes(struct gbx_builder *b, const void *data, size_t bytes);
void gbx_build_array(struct gbx_builder *b, uint64_t items); /* then items */
void gbx_build_map(struct gbx_builder *b, uint64_t pairs); /* then key, value */
void gbx_build_typed(struct gbx_builder *b, const struct gbx_array *array);

/* One finished CBOR item, as it is. */
void gbx_build_item(struct gbx_builder *b, const void *item, size_t bytes);

/*
 * The one item built, as a message that borrows b's bytes until b changes.
 * Returns 0, or the first error: GBX_EHOST (memory), GBX_EARGUMENT (no UTF-8,
 * not one whole item, or not what the type holds).
 */
int gbx_builder_message(const struct gbx_builder *b, enum gbx_type type,
                        struct gbx_message *message);

enum gbx_item_kind {
    GBX_ITEM_NULL,
    GBX_ITEM_BOOLEAN,
    GBX_ITEM_INTEGER,  /* fits int64_t */
    GBX_ITEM_UNSIGNED, /* above INT64_MAX */
    GBX_ITEM_NEGATIVE, /* below INT64_MIN: -1 - value.natural */
    GBX_ITEM_FLOAT,
    GBX_ITEM_TEXT,
    GBX_ITEM_BYTES,
    GBX_ITEM_ARRAY, /* count items follow */
    GBX_ITEM_MAP,   /* count pairs follow */
    GBX_ITEM_TYPED, /* a typed array, complete */
    GBX_ITEM_BIGNUM /* bytes: magnitude, big-endian; negative: -1 - n */
};

struct gbx_item {
    enum gbx_item_kind kind;
    uint32_t depth; /* 0 for the outermost */
    bool negative;
    union {
        bool boolean;
        int64_t integer;
        uint64_t natural;
        double real;
    } value;
    const void *bytes;      /* TEXT, BYTES, BIGNUM: borrowed */
    uint64_t count;         /* bytes of them, items of ARRAY, pairs of MAP */
    struct gbx_array array; /* TYPED */
};

/*
 * Walks one CBOR item in the order it is written.  Lengths are never believed.
 * Arrays and maps of indefinite length are counted first, unknown tags skipped;
 * strings in pieces and typed arrays of other dtypes are GBX_EFORMAT.
 */
struct gbx_reader {
    const uint8_t *bytes; /* borrowed */
    size_t count, at;
    uint32_t depth;
    uint64_t left[GBX_CBOR_DEPTH_MAX]; /* items to come, by depth */
    int error;
};
void gbx_reader_init(struct gbx_reader *r, const void *bytes, size_t count);

/*
 * Returns 0 and the next item; GBX_EAGAIN when the outermost one has ended, at
 * r->at; GBX_EFORMAT (broken, too deep, not UTF-8) or GBX_EBOUNDS (cut off).
 */
int gbx_read(struct gbx_reader *r, struct gbx_item *item);

/* Is it this text?  As a map's key. */
bool gbx_item_is(const struct gbx_item *item, const char *text);

/*
 * Give a message bytes of its own, so that nobody else can change them; *held
 * is for free(), NULL when there was nothing to copy.  Returns 0 or GBX_EHOST.
 */
int gbx_message_hold(struct gbx_message *message, void **held);

#ifdef __cplusplus
}
#endif

#include "glovebox/json.h"

#endif
