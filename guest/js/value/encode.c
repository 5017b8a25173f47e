/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.c - a JavaScript value becomes one CBOR item (RFC 8949).
 *
 * The item is written to memory that is kept from message to message, and then
 * copied to a block of just its length.
 */
#include <stdlib.h>
#include <string.h>

#include "glovebox/abi/cbor.h"

#include "guest_js.h"

#define TAG_BIGNUM          2u
#define TAG_NEGATIVE_BIGNUM 3u
#define KEEP_BYTES          (1u << 20)
#define SAFE_INTEGER        9007199254740991.0

static struct encoder kept; /* its memory only */

/* A script's own code may run while we encode (a getter), and send something
 * itself: so whoever encodes has the memory alone. */
void encoder_take(struct encoder *e, const char *port)
{
    *e = (struct encoder){.bytes = kept.bytes, .room = kept.room, .port = port};
    kept.bytes = NULL;
    kept.room = 0;
}

void encoder_give(struct encoder *e)
{
    if (kept.bytes != NULL || e->room > KEEP_BYTES) {
        free(e->bytes);
        return;
    }
    kept.bytes = e->bytes;
    kept.room = e->room;
}

static int make_room(struct encoder *e, size_t more)
{
    size_t room = e->room < 1024 ? 1024 : e->room;
    uint8_t *bytes;

    if (more <= e->room - e->count)
        return 0;
    while (room - e->count < more)
        room *= 2;
    bytes = realloc(e->bytes, room);
    if (bytes == NULL)
        return raise_error("InternalError", "out of memory");
    e->bytes = bytes;
    e->room = room;
    return 0;
}

int encode_append(struct encoder *e, const void *bytes, size_t count)
{
    if (make_room(e, count) < 0)
        return -1;
    memcpy(e->bytes + e->count, bytes, count);
    e->count += count;
    return 0;
}

int encode_head(struct encoder *e, unsigned major, uint64_t value)
{
    if (make_room(e, GBX_CBOR_HEAD_MAX) < 0)
        return -1;
    e->count += gbx_cbor_write_head(e->bytes + e->count, major, value);
    return 0;
}

static int encode_text(struct encoder *e, js_value value)
{
    size_t bytes;
    const char *text = js_text(value, &bytes);
    int rc;

    if (text == NULL)
        return -1;
    rc = encode_head(e, GBX_CBOR_TEXT, bytes);
    if (rc == 0)
        rc = encode_append(e, text, bytes);
    js_text_give(text);
    return rc;
}

static int encode_simple(struct encoder *e, uint8_t info)
{
    uint8_t byte = (uint8_t)(GBX_CBOR_SIMPLE << 5 | info);

    return encode_append(e, &byte, 1);
}

/* What has no fraction is an integer, as far as both sides know all of them. */
static int encode_number(struct encoder *e, double real)
{
    uint8_t bytes[9] = {GBX_CBOR_SIMPLE << 5 | 27};
    uint64_t bits;

    memcpy(&bits, &real, sizeof(bits));
    if (real >= -SAFE_INTEGER && real <= SAFE_INTEGER &&
        (double)(int64_t)real == real && bits != 1ull << 63)
        return real >= 0 ? encode_head(e, GBX_CBOR_UNSIGNED, (uint64_t)real)
                         : encode_head(e, GBX_CBOR_NEGATIVE,
                                       (uint64_t)(-1 - (int64_t)real));
    for (size_t i = 8; i > 0; i--, bits >>= 8)
        bytes[i] = (uint8_t)bits;
    return encode_append(e, bytes, sizeof(bytes));
}

static uint8_t nibble(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* "-1f": of -1 - n, the n. */
static int encode_digits(struct encoder *e, const char *hex, size_t count)
{
    const bool is_negative = count > 0 && hex[0] == '-';
    const size_t from = is_negative, digits = count - from;
    uint64_t small = 0;
    int rc = 0;

    for (size_t i = from; digits <= 16 && i < count; i++)
        small = small << 4 | nibble(hex[i]);
    if (digits <= 16)
        return encode_head(
            e, is_negative ? GBX_CBOR_NEGATIVE : GBX_CBOR_UNSIGNED, small);
    rc = encode_head(e, GBX_CBOR_TAG,
                     is_negative ? TAG_NEGATIVE_BIGNUM : TAG_BIGNUM);
    if (rc == 0)
        rc = encode_head(e, GBX_CBOR_BYTES, (digits + 1) / 2);
    for (size_t i = 0; rc == 0 && i < (digits + 1) / 2; i++) {
        /* The first byte may have one digit only. */
        const size_t at = count - 2 * ((digits + 1) / 2 - i);
        const uint8_t high = i == 0 && digits % 2 ? 0 : nibble(hex[at]);
        const uint8_t byte = (uint8_t)(high << 4 | nibble(hex[at + 1]));

        rc = encode_append(e, &byte, 1);
    }
    return rc;
}

static int encode_bigint(struct encoder *e, js_value value)
{
    js_value digits = js_call(program.prelude.digits, 1, &value);
    const char *hex;
    size_t bytes = 0;
    int rc = -1;

    if (digits == JS_NONE)
        return -1;
    hex = js_text(digits, &bytes);
    if (hex != NULL)
        rc = encode_digits(e, hex, bytes);
    js_text_give(hex);
    js_free(digits);
    return rc;
}

/* Functions and undefined are left out, as JSON leaves them out. */
static bool is_left_out(js_value value)
{
    const enum js_kind kind = js_kind(value);

    return kind == JS_KIND_UNDEFINED || kind == JS_KIND_SYMBOL;
}

static int encode_object(struct encoder *e, js_value object)
{
    uint32_t names = 0, written = 0;
    int64_t count = js_keys(object, &names);
    size_t head_at = e->count;
    uint8_t head[GBX_CBOR_HEAD_MAX];
    int rc = 0;

    if (count < 0 || make_room(e, GBX_CBOR_HEAD_MAX) < 0)
        return -1;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        js_value key = js_key(names, i), value = js_get_key(object, key);

        if (value == JS_NONE)
            rc = -1;
        else if (!is_left_out(value)) {
            rc = encode_text(e, key);
            rc = rc == 0 ? encode(e, value) : rc;
            written++;
        }
        js_free(value);
    }
    js_keys_give(names, (uint32_t)count);
    if (rc < 0)
        return rc;
    /* How many there are is known now: the head goes before them. */
    const size_t n = gbx_cbor_write_head(head, GBX_CBOR_MAP, written);

    if (make_room(e, n) < 0)
        return -1;
    memmove(e->bytes + head_at + n, e->bytes + head_at, e->count - head_at);
    memcpy(e->bytes + head_at, head, n);
    e->count += n;
    return 0;
}

static int encode_array(struct encoder *e, js_value array)
{
    uint32_t count = js_length(array);
    int rc = encode_head(e, GBX_CBOR_ARRAY, count);

    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        js_value value = js_get_index(array, i);

        rc = value != JS_NONE ? encode(e, value) : -1;
        js_free(value);
    }
    return rc;
}

static int encode_opened(struct encoder *e, js_value object)
{
    uint8_t head[BLOCK_HEAD_ROOM];
    struct opened opened;
    size_t n;
    int rc;

    if (open_object(&opened, object, e->port) < 0)
        return -1;
    switch (opened.as) {
    case OPEN_BYTES:
        rc = encode_head(e, GBX_CBOR_BYTES, opened.bytes);
        break;
    case OPEN_ELEMENTS:
        n = layout_write(head, &opened.layout);
        rc = encode_append(e, head, n);
        break;
    default:
        rc = encode(e, opened.value);
        opened.bytes = 0;
    }
    if (rc == 0 && opened.bytes > 0)
        rc = encode_append(e, engine_at(opened.address), opened.bytes);
    js_free(opened.value);
    return rc;
}

static int encode_deep(struct encoder *e, js_value value, enum js_kind kind)
{
    int rc;

    if (e->depth >= GBX_CBOR_DEPTH_MAX)
        return raise_error("RangeError",
                           "output \"%s\": nested more than %u "
                           "deep, or in itself",
                           e->port, GBX_CBOR_DEPTH_MAX);
    e->depth++;
    rc = kind == JS_KIND_OBJECT  ? encode_object(e, value)
         : kind == JS_KIND_ARRAY ? encode_array(e, value)
                                 : encode_opened(e, value);
    e->depth--;
    return rc;
}

int encode(struct encoder *e, js_value value)
{
    const enum js_kind kind = js_kind(value);

    switch (kind) {
    case JS_KIND_UNDEFINED:
    case JS_KIND_NULL:
        return encode_simple(e, 22);
    case JS_KIND_BOOLEAN:
        return encode_simple(e, js_boolean(value) ? 21 : 20);
    case JS_KIND_INTEGER:
        return encode_number(e, js_integer(value));
    case JS_KIND_FLOAT:
        return encode_number(e, js_float(value));
    case JS_KIND_STRING:
        return encode_text(e, value);
    case JS_KIND_SYMBOL:
        return raise_error("TypeError", "output \"%s\": cannot send a symbol",
                           e->port);
    case JS_KIND_BIGINT:
        return encode_bigint(e, value);
    default:
        return encode_deep(e, value, kind);
    }
}
