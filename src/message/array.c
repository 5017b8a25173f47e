/* SPDX-License-Identifier: Apache-2.0 */
/*
 * array.c - typed arrays (RFC 8746): their heads, written and read.
 *
 *   rank 1:   tag dtype | byte string of n | elements ...
 *   rank > 1: tag 40 | array of 2 | array of rank | dims ... | as above
 *
 * The elements are never looked at here: they may lie in memory that a guest
 * is writing to.  The head is parsed from a copy of at most GBX_ARRAY_HEAD_MAX
 * bytes, so that what was checked is what is used.
 *
 * Sizes are checked with a dimension of 0 counted as 1.  So no product of any
 * of the dimensions overflows, in whatever order a reader multiplies them.
 */
#include <string.h>

#include "message/inner.h"

_Static_assert(2 + 1 + 1 + GBX_ARRAY_RANK_MAX * GBX_CBOR_HEAD_MAX + 2 +
                       GBX_CBOR_HEAD_MAX <=
                   GBX_ARRAY_HEAD_MAX,
               "the longest head that we write fits");

size_t gbx_dtype_bytes(int dtype)
{
    switch (dtype) {
#define X(name, tag, bytes, code)                                              \
    case tag:                                                                  \
        return bytes;
        GBX_DTYPES(X)
#undef X
    }
    return 0;
}

const char *gbx_dtype_name(int dtype)
{
    if (gbx_dtype_bytes(dtype) == 0)
        return NULL;
    switch ((enum gbx_dtype)dtype) { /* no default: gcc misses none */
    case GBX_DTYPE_U8:
        return "u8";
    case GBX_DTYPE_U16:
        return "u16";
    case GBX_DTYPE_U32:
        return "u32";
    case GBX_DTYPE_U64:
        return "u64";
    case GBX_DTYPE_I8:
        return "i8";
    case GBX_DTYPE_I16:
        return "i16";
    case GBX_DTYPE_I32:
        return "i32";
    case GBX_DTYPE_I64:
        return "i64";
    case GBX_DTYPE_F16:
        return "f16";
    case GBX_DTYPE_F32:
        return "f32";
    case GBX_DTYPE_F64:
        return "f64";
    }
    return NULL;
}

/* The bytes that dtype and dims ask for, if they are allowed at all. */
static bool data_bytes(const struct gbx_array *array, uint64_t *bytes)
{
    uint64_t product = gbx_dtype_bytes((int)array->dtype);
    bool empty = false;

    if (product == 0 || array->rank < 1 || array->rank > GBX_ARRAY_RANK_MAX)
        return false;
    for (uint32_t i = 0; i < array->rank; i++) {
        uint64_t dim = array->dims[i];
        empty |= dim == 0;
        if (dim > 1 && __builtin_mul_overflow(product, dim, &product))
            return false;
    }
    *bytes = empty ? 0 : product;
    return product <= GBX_BODY_BYTES_MAX;
}

size_t gbx_array_head(uint8_t head[GBX_ARRAY_HEAD_MAX],
                      const struct gbx_array *array)
{
    uint64_t bytes;
    size_t at = 0;

    if (!data_bytes(array, &bytes))
        return 0;
    if (array->rank > 1) {
        at += gbx_cbor_write_head(head, GBX_CBOR_TAG, MESSAGE_TAG_SHAPED);
        at += gbx_cbor_write_head(head + at, GBX_CBOR_ARRAY, 2);
        at += gbx_cbor_write_head(head + at, GBX_CBOR_ARRAY, array->rank);
        for (uint32_t i = 0; i < array->rank; i++)
            at += gbx_cbor_write_head(head + at, GBX_CBOR_UNSIGNED,
                                      array->dims[i]);
    }
    at += gbx_cbor_write_head(head + at, GBX_CBOR_TAG, array->dtype);
    return at + gbx_cbor_write_head(head + at, GBX_CBOR_BYTES, bytes);
}

/* The head at *at, which must be of this major type and of known length. */
static int expect(uint64_t *value, enum gbx_cbor_major major,
                  const uint8_t *bytes, size_t count, size_t *at)
{
    struct gbx_cbor_head head;
    int rc = message_read_head(&head, bytes, count, at);

    if (rc < 0)
        return rc;
    if (head.major != major || head.info == GBX_CBOR_INDEFINITE)
        return GBX_EFORMAT;
    *value = head.value;
    return 0;
}

/* What follows tag 40, up to the tag of the typed array within. */
static int read_dims(struct gbx_array *array, const uint8_t *bytes,
                     size_t count, size_t *at)
{
    uint64_t items, rank;
    int rc = expect(&items, GBX_CBOR_ARRAY, bytes, count, at);

    if (rc == 0 && items != 2)
        rc = GBX_EFORMAT;
    if (rc == 0)
        rc = expect(&rank, GBX_CBOR_ARRAY, bytes, count, at);
    if (rc == 0 && (rank < 1 || rank > GBX_ARRAY_RANK_MAX))
        rc = GBX_EFORMAT;
    if (rc < 0)
        return rc;
    array->rank = (uint32_t)rank;
    for (uint32_t i = 0; i < array->rank && rc == 0; i++)
        rc = expect(&array->dims[i], GBX_CBOR_UNSIGNED, bytes, count, at);
    return rc;
}

int message_array_head(struct gbx_array *array, size_t *head_bytes,
                       const uint8_t *bytes, size_t count)
{
    uint64_t tag, length, want;
    size_t at = 0, element;
    int rc;

    memset(array, 0, sizeof(*array));
    rc = expect(&tag, GBX_CBOR_TAG, bytes, count, &at);
    if (rc == 0 && tag == MESSAGE_TAG_SHAPED) {
        rc = read_dims(array, bytes, count, &at);
        if (rc == 0)
            rc = expect(&tag, GBX_CBOR_TAG, bytes, count, &at);
    }
    if (rc < 0)
        return rc;
    element = tag > MESSAGE_TAG_TYPED_MAX ? 0 : gbx_dtype_bytes((int)tag);
    if (element == 0)
        return GBX_EFORMAT;
    rc = expect(&length, GBX_CBOR_BYTES, bytes, count, &at);
    if (rc < 0)
        return rc;

    array->dtype = (enum gbx_dtype)tag;
    if (array->rank == 0) {
        array->rank = 1;
        array->dims[0] = length / element;
    }
    if (!data_bytes(array, &want) || want != length)
        return GBX_EFORMAT;
    array->data_bytes = (size_t)length;
    *head_bytes = at;
    return 0;
}

int gbx_message_array(const struct gbx_message *message,
                      struct gbx_array *array)
{
    size_t count = message->body_bytes, head_bytes;
    uint8_t head[GBX_ARRAY_HEAD_MAX];

    if (message->type != GBX_ARRAY && message->type != GBX_ANY &&
        message->type != GBX_EVENT && message->type != GBX_OPTIONAL)
        return GBX_EFORMAT;
    if (count > sizeof(head))
        count = sizeof(head);
    if (count == 0)
        return GBX_EFORMAT;
    memcpy(head, message->body, count);
    __asm__ __volatile__("" ::: "memory"); /* and never look there again */

    if (message_array_head(array, &head_bytes, head, count) < 0 ||
        array->data_bytes != message->body_bytes - head_bytes)
        return GBX_EFORMAT;
    array->data = (const uint8_t *)message->body + head_bytes;
    return 0;
}

double message_half(uint16_t bits)
{
    uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
    double sign = bits & 0x8000 ? -1.0 : 1.0;

    if (exponent == 31)
        return fraction ? __builtin_nan("") : sign * __builtin_inf();
    if (exponent == 0)
        return sign * fraction * 0x1p-24;
    if (exponent >= 25)
        return sign * (1024 + fraction) * (double)(1u << (exponent - 25));
    return sign * (1024 + fraction) / (double)(1u << (25 - exponent));
}
