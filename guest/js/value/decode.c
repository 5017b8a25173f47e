/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c - one CBOR item (RFC 8949) becomes a JavaScript value.
 *
 * Lengths are held against the bytes that are there before anything is made of
 * them, and nesting is limited, so that no body can do more than be refused.
 */
#include <string.h>

#include "glovebox/abi/cbor.h"

#include "guest_js.h"

#define TAG_BIGNUM          2u
#define TAG_NEGATIVE_BIGNUM 3u
#define SAFE_INTEGER_MAX    ((1ull << 53) - 1)
#define DIGITS_MAX          8192u

struct decoder {
    const uint8_t *bytes; /* borrowed */
    size_t count, at;
    uint32_t depth;
    struct block *owner; /* borrowed, or NULL */
};

static js_value item(struct decoder *d);

static js_value refuse(const char *why)
{
    raise_error("Error", "malformed message: %s", why);
    return JS_NONE;
}

static bool is_break(struct decoder *d)
{
    if (d->at >= d->count || d->bytes[d->at] != 0xff)
        return false;
    d->at++;
    return true;
}

static js_value bytes_of(struct decoder *d, const uint8_t *data, size_t count)
{
    const struct layout layout = {
        .item_bytes = 1, .rank = 1, .shape = {count}, .bytes = count};
    js_value buffer;

    if (d->owner != NULL && count > 0)
        buffer = block_part(d->owner, data, (uint32_t)count);
    else
        buffer = js_new_buffer_copy(data, count);
    return buffer != JS_NONE ? make_view(buffer, &layout, d->owner != NULL)
                             : JS_NONE;
}

/* Chunks of an indefinite string come together in memory of their own. */
static js_value chunks(struct decoder *d, unsigned major)
{
    struct encoder all;
    js_value value = JS_NONE;
    bool is_well = true;

    encoder_take(&all, "");
    while (is_well && !is_break(d)) {
        struct gbx_cbor_head part;
        size_t n =
            gbx_cbor_read_head(&part, d->bytes + d->at, d->count - d->at);

        is_well =
            n != 0 && part.major == major && part.info != GBX_CBOR_INDEFINITE &&
            part.value <= d->count - d->at - n &&
            encode_append(&all, d->bytes + d->at + n, (size_t)part.value) == 0;
        d->at += is_well ? n + part.value : 0;
    }
    if (!is_well)
        refuse("a string in chunks is broken");
    else if (major == GBX_CBOR_TEXT)
        value = js_new_text((const char *)all.bytes, all.count);
    else
        value = bytes_of(&(struct decoder){0}, all.bytes, all.count);
    encoder_give(&all);
    return value;
}

static js_value string(struct decoder *d, const struct gbx_cbor_head *head)
{
    const uint8_t *data = d->bytes + d->at;

    if (head->info == GBX_CBOR_INDEFINITE)
        return chunks(d, head->major);
    if (head->value > d->count - d->at)
        return refuse("a string is cut off");
    d->at += head->value;
    return head->major == GBX_CBOR_TEXT
               ? js_new_text((const char *)data, (size_t)head->value)
               : bytes_of(d, data, (size_t)head->value);
}

static js_value array(struct decoder *d, const struct gbx_cbor_head *head)
{
    const bool is_open = head->info == GBX_CBOR_INDEFINITE;
    js_value list, value;

    if (!is_open && head->value > d->count - d->at)
        return refuse("an array is cut off");
    list = js_new_array();
    for (uint32_t i = 0;
         list != JS_NONE && (is_open ? !is_break(d) : i < head->value); i++) {
        value = item(d);
        if (value == JS_NONE || js_append(list, i, value) < 0) {
            js_free(list);
            list = JS_NONE;
        }
        js_free(value);
    }
    return list;
}

/* Keys are text; others, which no host of ours sends, become text. */
static js_value map(struct decoder *d, const struct gbx_cbor_head *head)
{
    const bool is_open = head->info == GBX_CBOR_INDEFINITE;
    js_value object, key, value;

    if (!is_open && head->value > (d->count - d->at) / 2)
        return refuse("a map is cut off");
    object = js_new_object();
    for (uint64_t i = 0;
         object != JS_NONE && (is_open ? !is_break(d) : i < head->value); i++) {
        key = item(d);
        value = key != JS_NONE ? item(d) : JS_NONE;
        if (value == JS_NONE || js_set(object, key, value) < 0) {
            js_free(object);
            object = JS_NONE;
        }
        js_free(key);
        js_free(value);
    }
    return object;
}

static js_value big(const uint8_t *bytes, size_t count, bool is_negative)
{
    static const char hex[] = "0123456789abcdef";
    char digits[DIGITS_MAX];
    js_value arguments[2], value;
    size_t at = 0;

    if (2 * count + 1 > sizeof(digits))
        return refuse("a bignum of more than 4 KiB");
    digits[at++] = '0';
    for (size_t i = 0; i < count; i++) {
        digits[at++] = hex[bytes[i] >> 4];
        digits[at++] = hex[bytes[i] & 15];
    }
    arguments[0] = js_new_text(digits, at);
    arguments[1] = is_negative ? engine.places.yes : engine.places.no;
    value = arguments[0] != JS_NONE
                ? js_call(program.prelude.bigint, 2, arguments)
                : JS_NONE;
    js_free(arguments[0]);
    return value;
}

/* A Number as long as it can hold it, else a BigInt. */
static js_value integer(uint64_t natural, bool is_negative)
{
    uint8_t bytes[8];

    if (natural <= SAFE_INTEGER_MAX - is_negative)
        return js_new_float(is_negative ? -1.0 - (double)natural
                                        : (double)natural);
    for (int i = 8; i-- > 0; natural >>= 8)
        bytes[i] = (uint8_t)natural;
    return big(bytes, sizeof(bytes), is_negative);
}

static js_value bignum(struct decoder *d, bool is_negative)
{
    struct gbx_cbor_head head;
    size_t n = gbx_cbor_read_head(&head, d->bytes + d->at, d->count - d->at);
    const uint8_t *data = d->bytes + d->at + n;

    if (n == 0 || head.major != GBX_CBOR_BYTES ||
        head.info == GBX_CBOR_INDEFINITE || head.value > d->count - d->at - n)
        return refuse("a bignum is no byte string");
    d->at += n + head.value;
    return big(data, (size_t)head.value, is_negative);
}

/* A typed array is viewed where it lies, or copied where nobody can own it. */
static js_value typed(struct decoder *d, size_t start)
{
    struct layout layout;
    size_t n = layout_read(&layout, d->bytes + start, d->count - start);
    const uint8_t *data = d->bytes + start + n;
    js_value buffer;

    if (n == 0)
        return item(d); /* the tag means nothing to us */
    d->at = start + n + layout.bytes;
    if (d->owner != NULL && layout.bytes > 0)
        buffer = block_part(d->owner, data, (uint32_t)layout.bytes);
    else
        buffer = js_new_buffer_copy(data, (size_t)layout.bytes);
    return buffer != JS_NONE ? make_view(buffer, &layout, d->owner != NULL)
                             : JS_NONE;
}

static js_value tagged(struct decoder *d, const struct gbx_cbor_head *head,
                       size_t start)
{
    if (head->value == TAG_BIGNUM || head->value == TAG_NEGATIVE_BIGNUM)
        return bignum(d, head->value == TAG_NEGATIVE_BIGNUM);
    if (head->value == 40 || (head->value >= 64 && head->value <= 87))
        return typed(d, start);
    return item(d);
}

static double half(uint32_t bits)
{
    const uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
    double value;

    if (exponent == 31)
        value = fraction != 0 ? __builtin_nan("") : __builtin_inf();
    else if (exponent == 0)
        value = (double)fraction * 0x1p-24;
    else
        value =
            (double)(1024 + fraction) * 0x1p-25 * (double)(1ull << exponent);
    return bits & 0x8000 ? -value : value;
}

static js_value simple(const struct gbx_cbor_head *head)
{
    uint32_t bits = (uint32_t)head->value;
    double real;
    float single;

    switch (head->info) {
    case 20:
        return js_dup(engine.places.no);
    case 21:
        return js_dup(engine.places.yes);
    case 22:
        return js_dup(engine.places.null);
    case 23:
        return js_dup(engine.places.undefined);
    case 25:
        return js_new_float(half(bits));
    case 26:
        memcpy(&single, &bits, sizeof(single));
        return js_new_float((double)single);
    case 27:
        memcpy(&real, &head->value, sizeof(real));
        return js_new_float(real);
    default:
        return refuse("an unknown simple value");
    }
}

static js_value one_of(struct decoder *d, const struct gbx_cbor_head *head,
                       size_t start)
{
    if (head->info == GBX_CBOR_INDEFINITE &&
        (head->major < GBX_CBOR_BYTES || head->major > GBX_CBOR_MAP))
        return refuse("a break out of place");
    switch (head->major) {
    case GBX_CBOR_UNSIGNED:
    case GBX_CBOR_NEGATIVE:
        return integer(head->value, head->major == GBX_CBOR_NEGATIVE);
    case GBX_CBOR_BYTES:
    case GBX_CBOR_TEXT:
        return string(d, head);
    case GBX_CBOR_ARRAY:
        return array(d, head);
    case GBX_CBOR_MAP:
        return map(d, head);
    case GBX_CBOR_TAG:
        return tagged(d, head, start);
    default:
        return simple(head);
    }
}

static js_value item(struct decoder *d)
{
    struct gbx_cbor_head head;
    size_t start = d->at;
    size_t n = gbx_cbor_read_head(&head, d->bytes + start, d->count - start);
    js_value value;

    if (n == 0)
        return refuse("it is cut off");
    if (d->depth > GBX_CBOR_DEPTH_MAX)
        return refuse("it is nested too deeply");
    d->at += n;
    d->depth++;
    value = one_of(d, &head, start);
    d->depth--;
    return value;
}

js_value decode(const uint8_t *bytes, size_t count, struct block *owner)
{
    struct decoder d = {.bytes = bytes, .count = count, .owner = owner};
    js_value value = item(&d);

    if (value != JS_NONE && d.at != count) {
        js_free(value);
        return refuse("more than one item");
    }
    return value;
}
