/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abi/cbor.h - the head of a CBOR item (RFC 8949, section 3): read and written.
 *
 * All that host and guest need to share of CBOR: the rest is a loop on either
 * side.  Freestanding, so that it is compiled into every guest program.
 *
 *   first byte: major (3 bits) | info (5 bits)     then 0, 1, 2, 4 or 8 bytes,
 *                                                  big-endian: the value
 */
#ifndef GBX_ABI_CBOR_H
#define GBX_ABI_CBOR_H

#include <stddef.h>

#include "glovebox/abi/base.h"

enum gbx_cbor_major {
    GBX_CBOR_UNSIGNED,
    GBX_CBOR_NEGATIVE, /* -1 - value */
    GBX_CBOR_BYTES,
    GBX_CBOR_TEXT,
    GBX_CBOR_ARRAY,
    GBX_CBOR_MAP,
    GBX_CBOR_TAG,
    GBX_CBOR_SIMPLE, /* info 20..23 false true null undefined, 25..27 floats */
};

#define GBX_CBOR_HEAD_MAX   9u
#define GBX_CBOR_INDEFINITE 31u /* info: length unknown, or the break byte */

struct gbx_cbor_head {
    uint8_t major; /* enum gbx_cbor_major */
    uint8_t info;  /* 0..27 or GBX_CBOR_INDEFINITE */
    uint64_t value;
};

/* Returns the head's length; 0 when it is cut off or no CBOR. */
static inline size_t gbx_cbor_read_head(struct gbx_cbor_head *head,
                                        const uint8_t *bytes, size_t count)
{
    size_t length, i;

    if (count == 0)
        return 0;
    head->major = (uint8_t)(bytes[0] >> 5);
    head->info = bytes[0] & 31;
    head->value = head->info;
    if (head->info < 24)
        return 1;
    if (head->info > 27) {
        head->value = 0;
        return head->info == GBX_CBOR_INDEFINITE ? 1 : 0;
    }
    length = (size_t)1 << (head->info - 24);
    if (count - 1 < length)
        return 0;
    head->value = 0;
    for (i = 1; i <= length; i++)
        head->value = head->value << 8 | bytes[i];
    return 1 + length;
}

/* Write the shortest head.  Returns its length, at most GBX_CBOR_HEAD_MAX. */
static inline size_t gbx_cbor_write_head(uint8_t *bytes, unsigned major,
                                         uint64_t value)
{
    unsigned log2 = value > 0xffffffffu ? 3 : value > 0xffff ? 2 : value > 0xff;
    size_t length = (size_t)1 << log2, i;

    if (value < 24) {
        bytes[0] = (uint8_t)(major << 5 | value);
        return 1;
    }
    bytes[0] = (uint8_t)(major << 5 | (24 + log2));
    for (i = length; i > 0; i--, value >>= 8)
        bytes[i] = (uint8_t)value;
    return 1 + length;
}

#endif
