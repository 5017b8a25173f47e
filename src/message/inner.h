/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inner.h - what the files of the message room share with each other only.
 */
#ifndef MESSAGE_INNER_H
#define MESSAGE_INNER_H

#include "glovebox/abi/cbor.h"
#include "glovebox/message.h"

/* Tags of RFC 8949 and RFC 8746 that mean something to us. */
enum message_tag {
    MESSAGE_TAG_BIGNUM = 2,
    MESSAGE_TAG_NEGATIVE_BIGNUM = 3,
    MESSAGE_TAG_SHAPED = 40, /* [dimensions, typed array], row by row */
    MESSAGE_TAG_TYPED_MIN = 64,
    MESSAGE_TAG_TYPED_MAX = 87,
};

/*
 * Read the head at *at and step over it.
 * Returns 0, GBX_EBOUNDS (cut off), or GBX_EFORMAT (no CBOR).
 */
static inline int message_read_head(struct gbx_cbor_head *head,
                                    const uint8_t *bytes, size_t count,
                                    size_t *at)
{
    size_t length;
    unsigned info;

    if (*at >= count) /* bytes may be NULL, where there are none */
        return GBX_EBOUNDS;
    length = gbx_cbor_read_head(head, bytes + *at, count - *at);
    if (length == 0) {
        info = bytes[*at] & 31;
        return info > 27 && info < 31 ? GBX_EFORMAT : GBX_EBOUNDS;
    }
    *at += length;
    return 0;
}

/* IEEE 754 binary16, exactly. */
double message_half(uint16_t bits);

/*
 * Parse the head of a typed array: all of *array but data.  *head_bytes is
 * where its elements start; that they are there is the caller's to check.
 * Returns 0, GBX_EBOUNDS (cut off), or GBX_EFORMAT.
 */
int message_array_head(struct gbx_array *array, size_t *head_bytes,
                       const uint8_t *bytes, size_t count);

/*
 * Is the body complete, and of a shape that suits the type?
 * Returns 0, or GBX_EFORMAT and what is wrong.
 */
int message_check(const struct gbx_message *message, struct gbx_error *err);

/* "a map", "text", ... */
const char *message_kind_name(enum gbx_item_kind kind);

/* A byte string to be filled at the place returned; NULL after an error. */
uint8_t *builder_octets(struct gbx_builder *b, size_t bytes);

/* gbx_builder_message that says what is wrong, as GBX_EFORMAT. */
int builder_finish(const struct gbx_builder *b, enum gbx_type type,
                   struct gbx_message *message, struct gbx_error *err);

#endif
