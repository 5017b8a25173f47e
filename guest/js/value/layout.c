/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.c - the head of a typed array (RFC 8746), read and written.
 *
 *   tag 40, array of 2:  [dims...]  tag dtype  byte string   several dimensions
 *                                   tag dtype  byte string   one
 *                                                         ^ the elements
 */
#include "glovebox/abi/cbor.h"

#include "guest_js.h"

#define TAG_MULTI 40u

uint32_t layout_item_bytes(uint32_t dtype)
{
    switch (dtype) {
#define X(name, tag, bytes, code)                                              \
    case tag:                                                                  \
        return bytes;
        GBX_DTYPES(X)
#undef X
    default:
        return 0;
    }
}

struct reader {
    const uint8_t *bytes;
    size_t count, at;
    bool failed;
};

/* The next head, which must be of that kind. */
static uint64_t expect(struct reader *r, unsigned major)
{
    struct gbx_cbor_head head = {0};
    size_t n = gbx_cbor_read_head(&head, r->bytes + r->at, r->count - r->at);

    if (n == 0 || head.major != major || head.info == GBX_CBOR_INDEFINITE)
        r->failed = true;
    r->at += r->failed ? 0 : n;
    return r->failed ? 0 : head.value;
}

static void read_shape(struct layout *layout, struct reader *r)
{
    if (expect(r, GBX_CBOR_ARRAY) != 2)
        r->failed = true;
    layout->rank = (uint32_t)expect(r, GBX_CBOR_ARRAY);
    if (layout->rank < 1 || layout->rank > GBX_ARRAY_RANK_MAX)
        r->failed = true;
    for (uint32_t i = 0; !r->failed && i < layout->rank; i++)
        layout->shape[i] = expect(r, GBX_CBOR_UNSIGNED);
}

size_t layout_read(struct layout *layout, const uint8_t *body, size_t bytes)
{
    struct reader r = {.bytes = body, .count = bytes};
    uint64_t tag = expect(&r, GBX_CBOR_TAG), total;

    *layout = (struct layout){0};
    if (tag == TAG_MULTI) {
        read_shape(layout, &r);
        tag = expect(&r, GBX_CBOR_TAG);
    }
    layout->item_bytes =
        tag <= UINT8_MAX ? layout_item_bytes((uint32_t)tag) : 0;
    layout->bytes = expect(&r, GBX_CBOR_BYTES);
    if (r.failed || layout->item_bytes == 0 || layout->bytes > bytes - r.at)
        return 0;
    layout->dtype = (uint8_t)tag;
    if (layout->rank == 0) {
        layout->rank = 1;
        layout->shape[0] = layout->bytes / layout->item_bytes;
    }
    total = layout->item_bytes;
    for (uint32_t i = 0; i < layout->rank; i++)
        if (__builtin_mul_overflow(total, layout->shape[i], &total))
            return 0;
    return total == layout->bytes ? r.at : 0;
}

size_t layout_write(uint8_t head[BLOCK_HEAD_ROOM], const struct layout *layout)
{
    size_t at = 0;

    if (layout->rank > 1) {
        at += gbx_cbor_write_head(head + at, GBX_CBOR_TAG, TAG_MULTI);
        at += gbx_cbor_write_head(head + at, GBX_CBOR_ARRAY, 2);
        at += gbx_cbor_write_head(head + at, GBX_CBOR_ARRAY, layout->rank);
        for (uint32_t i = 0; i < layout->rank; i++)
            at += gbx_cbor_write_head(head + at, GBX_CBOR_UNSIGNED,
                                      layout->shape[i]);
    }
    at += gbx_cbor_write_head(head + at, GBX_CBOR_TAG, layout->dtype);
    at += gbx_cbor_write_head(head + at, GBX_CBOR_BYTES, layout->bytes);
    return at;
}
