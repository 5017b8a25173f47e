/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.c - CBOR values as JSON text, without a tree in between.
 *
 * What JSON cannot hold is refused, and the place is named as a script would
 * write it.  The place is known from the frames, one for each open array or
 * map:
 *
 *   frames[0]: map, key "items"    frames[1]: array, done 4   ->  data.items[3]
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "message/inner.h"
#include "message/value.h"

#define PLACE_MAX      160
#define PLACE_FULL     90 /* from here on, a key or dots still fit */
#define PLACE_KEY_MAX  32
#define EMPTY_ROWS_MAX 65536 /* [[],[],...]: rows that no byte stands for */

/* Append to a place; name_place sees to it that it fits. */
__attribute__((format(printf, 2, 3))) static void say(char place[PLACE_MAX],
                                                      const char *format, ...)
{
    size_t at = strlen(place);
    va_list ap;

    va_start(ap, format);
    vsnprintf(place + at, PLACE_MAX - at, format, ap);
    va_end(ap);
}

/* A key for people: not too long, whole characters, none that moves a cursor */
static void say_key(char place[PLACE_MAX], const struct value_key *key)
{
    size_t count = key->count;
    char text[PLACE_KEY_MAX + 1];

    if (count > PLACE_KEY_MAX) {
        count = PLACE_KEY_MAX;
        while (count > 0 && ((unsigned char)key->bytes[count] & 0xc0) == 0x80)
            count--;
    }
    for (size_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)key->bytes[i];
        text[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    text[count] = '\0';
    say(place, ".%s", text);
}

/* " at data.items[3]"; nothing where the message's own value is meant. */
static void name_place(const struct value_writer *w, char place[PLACE_MAX])
{
    place[0] = '\0';
    if (w->open == 0 && w->array == NULL)
        return;
    say(place, " at %s", w->root);
    for (uint32_t i = 0; i < w->open; i++) {
        const struct value_frame *f = &w->frames[i];
        if (strlen(place) > PLACE_FULL) {
            say(place, "...");
            return;
        }
        if (!f->map && f->done > 0)
            say(place, "[%llu]", (unsigned long long)f->done - 1);
        else if (f->key.bytes != NULL)
            say_key(place, &f->key);
    }
    for (uint32_t i = 0; w->array != NULL && i < w->array->rank; i++) {
        uint64_t below = 1;
        for (uint32_t j = i + 1; j < w->array->rank; j++)
            below *= w->array->dims[j];
        say(place, "[%llu]",
            (unsigned long long)(w->element / below % w->array->dims[i]));
    }
}

/* Refuse a value: what it is, where, and why or what to do about it. */
static int refuse(const struct value_writer *w, const char *what,
                  const char *why)
{
    char place[PLACE_MAX];

    name_place(w, place);
    return fail(w->err, GBX_EFORMAT, "%s%s %s", what, place, why);
}

int value_no_memory(const struct value_writer *w)
{
    return fail(w->err, GBX_EHOST, "no memory for the JSON text");
}

int value_real(struct value_writer *w, double value)
{
    const char *why = "has no JSON form; send it as a String or a Stream";

    if (isnan(value))
        return refuse(w, "Float NaN", why);
    if (isinf(value))
        return refuse(w, value > 0 ? "Float Infinity" : "Float -Infinity", why);
    text_real(w->out, value);
    return 0;
}

static int write_bignum(struct value_writer *w, const struct gbx_item *item)
{
    const uint8_t *bytes = item->bytes;
    uint64_t count = item->count, value = 0;

    while (count > 0 && *bytes == 0) {
        bytes++;
        count--;
    }
    for (uint64_t i = 0; i < count && count <= 8; i++)
        value = value << 8 | bytes[i];
    if (count > 8 || (item->negative && value > INT64_MAX))
        return refuse(w, "an integer beyond 64 bits",
                      "has no JSON form here; send it as a String");
    if (item->negative)
        text_integer(w->out, -1 - (int64_t)value);
    else
        text_natural(w->out, value);
    return 0;
}

/* One element of a typed array, which may lie at any address. */
static int write_element(struct value_writer *w, const struct gbx_array *array,
                         uint64_t element)
{
    size_t bytes = gbx_dtype_bytes((int)array->dtype);
    const uint8_t *at = (const uint8_t *)array->data + element * bytes;
    uint64_t bits = 0;
    float single;
    double real;

    for (size_t i = bytes; i > 0; i--)
        bits = bits << 8 | at[i - 1];
    w->element = element;
    switch (array->dtype) {
    case GBX_DTYPE_U8:
    case GBX_DTYPE_U16:
    case GBX_DTYPE_U32:
    case GBX_DTYPE_U64:
        text_natural(w->out, bits);
        return 0;
    case GBX_DTYPE_I8:
    case GBX_DTYPE_I16:
    case GBX_DTYPE_I32:
    case GBX_DTYPE_I64:
        bits <<= 64 - 8 * bytes; /* and back, with the sign */
        text_integer(w->out, (int64_t)bits >> (64 - 8 * bytes));
        return 0;
    case GBX_DTYPE_F16:
        return value_real(w, message_half((uint16_t)bits));
    case GBX_DTYPE_F32:
        memcpy(&single, &(uint32_t){(uint32_t)bits}, sizeof(single));
        return value_real(w, (double)single);
    case GBX_DTYPE_F64:
        memcpy(&real, &bits, sizeof(real));
        return value_real(w, real);
    }
    return GBX_EFORMAT;
}

/* A row below `level` dimensions; recursion ends at GBX_ARRAY_RANK_MAX. */
int value_row(struct value_writer *w, const struct gbx_array *array,
              uint32_t level, uint64_t *element)
{
    int rc = 0;

    if (level == array->rank)
        return write_element(w, array, (*element)++);
    text_put(w->out, "[", 1);
    for (uint64_t i = 0; i < array->dims[level] && rc == 0; i++) {
        if (i > 0)
            text_put(w->out, ",", 1);
        rc = value_row(w, array, level + 1, element);
    }
    text_put(w->out, "]", 1);
    return rc;
}

/*
 * Rows without elements have no bytes that would bound their number: a message
 * of 20 bytes could ask for 4 billion of them.
 */
int value_check_rows(const struct value_writer *w,
                     const struct gbx_array *array)
{
    uint64_t rows = 1;

    for (uint32_t i = 0; i < array->rank && array->dims[i] > 0; i++)
        rows *= array->dims[i];
    if (array->data_bytes > 0 || rows <= EMPTY_ROWS_MAX)
        return 0;
    return refuse(w, "an array of more than 65536 empty rows",
                  "is not written as JSON");
}

static int write_typed(struct value_writer *w, const struct gbx_array *array)
{
    uint64_t element = 0;
    int rc = value_check_rows(w, array);

    if (rc < 0)
        return rc;
    w->array = array;
    rc = value_row(w, array, 0, &element);
    if (rc == 0)
        w->array = NULL;
    return rc;
}

void value_enter(struct value_writer *w, const struct gbx_item *item)
{
    bool map = item->kind == GBX_ITEM_MAP;

    w->frames[w->open++] = (struct value_frame){
        .left = map ? 2 * item->count : item->count,
        .keys_from = w->key_count,
        .map = map,
    };
    text_put(w->out, map ? "{" : "[", 1);
}

static int write_item(struct value_writer *w, const struct gbx_item *item)
{
    switch (item->kind) {
    case GBX_ITEM_NULL:
        text_puts(w->out, "null");
        return 0;
    case GBX_ITEM_BOOLEAN:
        text_puts(w->out, item->value.boolean ? "true" : "false");
        return 0;
    case GBX_ITEM_INTEGER:
        text_integer(w->out, item->value.integer);
        return 0;
    case GBX_ITEM_UNSIGNED:
        text_natural(w->out, item->value.natural);
        return 0;
    case GBX_ITEM_NEGATIVE:
        return refuse(w, "an integer beyond 64 bits",
                      "has no JSON form here; send it as a String");
    case GBX_ITEM_FLOAT:
        return value_real(w, item->value.real);
    case GBX_ITEM_TEXT:
        text_string(w->out, item->bytes, (size_t)item->count);
        return 0;
    case GBX_ITEM_BYTES:
        text_octets(w->out, item->bytes, (size_t)item->count);
        return 0;
    case GBX_ITEM_ARRAY:
    case GBX_ITEM_MAP:
        value_enter(w, item);
        return 0;
    case GBX_ITEM_TYPED:
        return write_typed(w, &item->array);
    case GBX_ITEM_BIGNUM:
        return write_bignum(w, item);
    }
    return GBX_EFORMAT;
}

int value_key(struct value_writer *w, const struct gbx_item *item)
{
    struct value_frame *f = &w->frames[w->open - 1];
    struct value_key *larger;
    size_t room;

    f->key = (struct value_key){0};
    if (item->kind != GBX_ITEM_TEXT)
        return refuse(w, "a map",
                      "has a key that is no text; JSON has no other keys");
    f->key = (struct value_key){item->bytes, (size_t)item->count};
    if (w->key_count == w->key_room) {
        room = w->key_room ? 2 * w->key_room : 32;
        larger = reallocarray(w->keys, room, sizeof(*larger));
        if (larger == NULL)
            return value_no_memory(w);
        w->keys = larger;
        w->key_room = room;
    }
    w->keys[w->key_count++] = f->key;
    text_string(w->out, f->key.bytes, f->key.count);
    text_put(w->out, ":", 1);
    return 0;
}

static int compare_keys(const void *left, const void *right)
{
    const struct value_key *a = left, *b = right;

    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    return memcmp(a->bytes, b->bytes, a->count);
}

int value_leave(struct value_writer *w)
{
    struct value_frame *f = &w->frames[w->open - 1];
    size_t count = w->key_count - f->keys_from;

    if (f->map && count > 1) {
        struct value_key *keys = w->keys + f->keys_from;
        qsort(keys, count, sizeof(*keys), compare_keys);
        for (size_t i = 1; i < count; i++) {
            if (compare_keys(&keys[i - 1], &keys[i]) != 0)
                continue;
            f->key = keys[i];
            return refuse(w, "the key", "comes twice in its map");
        }
    }
    text_put(w->out, f->map ? "}" : "]", 1);
    w->key_count = f->keys_from;
    w->open--;
    return 0;
}

void value_step(struct value_writer *w)
{
    struct value_frame *f = &w->frames[w->open - 1];

    if (f->done > 0 && (!f->map || f->done % 2 == 0))
        text_put(w->out, ",", 1);
    f->done++;
    f->left--;
}

int value_next(struct value_writer *w, struct gbx_item *item)
{
    int rc = gbx_read(&w->reader, item);

    return rc == 0 ? 0 : refuse(w, "the CBOR", "is broken or cut off");
}

int value_write(struct value_writer *w)
{
    uint32_t base = w->open;
    struct gbx_item item;
    int rc;

    do {
        bool is_key = false;
        if (w->open > base) {
            const struct value_frame *f = &w->frames[w->open - 1];
            is_key = f->map && f->done % 2 == 0;
            value_step(w);
        }
        rc = value_next(w, &item);
        if (rc == 0)
            rc = is_key ? value_key(w, &item) : write_item(w, &item);
        while (rc == 0 && w->open > base && w->frames[w->open - 1].left == 0)
            rc = value_leave(w);
        if (rc == 0 && w->out->failed)
            rc = value_no_memory(w);
    } while (rc == 0 && w->open > base);
    return rc;
}
