/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "message/text.h"

#define OCTETS_AT_ONCE ((size_t)1 << 20)

static bool grow(struct text *t, size_t bytes)
{
    size_t room = t->room < 256 ? 256 : t->room, need;
    char *larger;

    if (__builtin_add_overflow(t->count, bytes, &need))
        return false;
    while (room < need)
        if (__builtin_mul_overflow(room, (size_t)2, &room))
            return false;
    larger = realloc(t->bytes, room);
    if (larger == NULL)
        return false;
    t->bytes = larger;
    t->room = room;
    return true;
}

/* Where `bytes` more may be written, not yet counted; or NULL. */
static char *room_for(struct text *t, size_t bytes)
{
    if (!t->failed && bytes > t->room - t->count && !grow(t, bytes))
        t->failed = true;
    return t->failed ? NULL : t->bytes + t->count;
}

void text_put(struct text *t, const char *bytes, size_t count)
{
    char *to = room_for(t, count);

    if (to == NULL || count == 0)
        return;
    memcpy(to, bytes, count);
    t->count += count;
}

void text_puts(struct text *t, const char *string)
{
    text_put(t, string, strlen(string));
}

static void put_escaped(struct text *t, unsigned char c)
{
    static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    char escape[8];

    for (size_t i = 0; i + 1 < sizeof(names); i += 2) {
        if ((unsigned char)names[i] == c) {
            escape[0] = '\\';
            escape[1] = names[i + 1];
            text_put(t, escape, 2);
            return;
        }
    }
    snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)c);
    text_put(t, escape, 6);
}

void text_string(struct text *t, const char *bytes, size_t count)
{
    size_t from = 0;

    text_put(t, "\"", 1);
    for (size_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        text_put(t, bytes + from, i - from);
        put_escaped(t, c);
        from = i + 1;
    }
    if (count > from)
        text_put(t, bytes + from, count - from);
    text_put(t, "\"", 1);
}

void text_natural(struct text *t, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    text_put(t, digits + at, sizeof(digits) - at);
}

void text_integer(struct text *t, int64_t value)
{
    if (value < 0)
        text_put(t, "-", 1);
    text_natural(t, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

/*
 * printf follows the locale of the program that we live in, and a decimal point
 * may be any character there.  So whatever is no part of a number is the point.
 */
static void put_number(struct text *t, const char *digits)
{
    bool point = false, exponent = false;

    for (; *digits != '\0'; digits++) {
        if (strchr("+-e0123456789", *digits) != NULL) {
            exponent |= *digits == 'e';
            text_put(t, digits, 1);
        } else if (!point) {
            point = true;
            text_put(t, ".", 1);
        }
    }
    if (!point && !exponent)
        text_put(t, ".0", 2);
}

void text_real(struct text *t, double value)
{
    char digits[40];

    must(isfinite(value));
    if (fabs(value) < 1e15 && value == (double)(int64_t)value) {
        if (signbit(value))
            text_put(t, "-", 1); /* of -0.0 too */
        text_natural(t, (uint64_t)fabs(value));
        text_put(t, ".0", 2);
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    put_number(t, digits);
}

/* Four characters at most for each, so that there is room for all at once. */
static size_t write_octets(char *to, const uint8_t *bytes, size_t count)
{
    char *at = to;

    for (size_t i = 0; i < count; i++) {
        unsigned byte = bytes[i];
        if (byte >= 100)
            *at++ = (char)('0' + byte / 100);
        if (byte >= 10)
            *at++ = (char)('0' + byte / 10 % 10);
        *at++ = (char)('0' + byte % 10);
        *at++ = ',';
    }
    return (size_t)(at - to);
}

void text_octets(struct text *t, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;

    text_put(t, "[", 1);
    for (size_t left = count; left > 0;) {
        size_t now = left < OCTETS_AT_ONCE ? left : OCTETS_AT_ONCE;
        char *to = room_for(t, 4 * now);
        if (to == NULL)
            return;
        t->count += write_octets(to, from, now);
        from += now;
        left -= now;
    }
    if (count > 0 && !t->failed)
        t->count--; /* the last comma */
    text_put(t, "]", 1);
}
