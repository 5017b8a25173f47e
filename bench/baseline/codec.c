/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "baseline/codec.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static struct {
    char pair[4096][2];  /* 12 bits as two digits */
    uint8_t value[256];  /* of a digit; 64 is none */
    char number[256][4]; /* "255," */
    uint8_t number_bytes[256];
} tables;

void codec_init(void)
{
    for (unsigned i = 0; i < 4096; i++) {
        tables.pair[i][0] = digits[i >> 6];
        tables.pair[i][1] = digits[i & 63];
    }
    memset(tables.value, 64, sizeof(tables.value));
    for (unsigned i = 0; i < 64; i++)
        tables.value[(uint8_t)digits[i]] = (uint8_t)i;
    for (unsigned i = 0; i < 256; i++) {
        char text[8];

        tables.number_bytes[i] =
            (uint8_t)snprintf(text, sizeof(text), "%u,", i);
        memcpy(tables.number[i], text, 4);
    }
}

size_t codec_base64(char *text, const uint8_t *data, size_t bytes)
{
    char *to = text;

    *to++ = '"';
    for (; bytes >= 3; bytes -= 3, data += 3, to += 4) {
        memcpy(to, tables.pair[data[0] << 4 | data[1] >> 4], 2);
        memcpy(to + 2, tables.pair[(data[1] & 15) << 8 | data[2]], 2);
    }
    if (bytes > 0) {
        unsigned last = bytes > 1 ? data[1] : 0;

        memcpy(to, tables.pair[(unsigned)data[0] << 4 | last >> 4], 2);
        to[2] = bytes > 1 ? digits[(last & 15) << 2] : '=';
        to[3] = '=';
        to += 4;
    }
    *to++ = '"';
    return (size_t)(to - text);
}

size_t codec_array(char *text, const uint8_t *data, size_t bytes)
{
    char *to = text;

    *to++ = '[';
    for (size_t i = 0; i < bytes; i++) {
        memcpy(to, tables.number[data[i]], 4); /* there is room for four */
        to += tables.number_bytes[data[i]];
    }
    if (bytes > 0)
        to--; /* the last comma */
    *to++ = ']';
    return (size_t)(to - text);
}

long long codec_from_base64(uint8_t *data, const char *text, size_t length)
{
    const uint8_t *from = (const uint8_t *)text + 1;
    uint8_t *to = data, bad = 0;
    size_t left = length - 2, pad = 0;

    if (length < 2 || text[0] != '"' || text[length - 1] != '"' ||
        left % 4 != 0)
        return -1;
    while (left > 0 && pad < 2 && from[left - 1 - pad] == '=')
        pad++;
    for (; left > (pad > 0 ? 4 : 0); left -= 4, from += 4, to += 3) {
        uint8_t a = tables.value[from[0]], b = tables.value[from[1]],
                c = tables.value[from[2]], d = tables.value[from[3]];

        bad |= a | b | c | d;
        to[0] = (uint8_t)(a << 2 | b >> 4);
        to[1] = (uint8_t)(b << 4 | c >> 2);
        to[2] = (uint8_t)(c << 6 | d);
    }
    if (pad > 0) {
        uint8_t a = tables.value[from[0]], b = tables.value[from[1]],
                c = pad == 1 ? tables.value[from[2]] : 0;

        bad |= a | b | c;
        *to++ = (uint8_t)(a << 2 | b >> 4);
        if (pad == 1)
            *to++ = (uint8_t)(b << 4 | c >> 2);
    }
    return bad & 64 ? -1 : to - data;
}

long long codec_from_array(uint8_t *data, const char *text, size_t length)
{
    const char *end = text + length;
    uint8_t *to = data;

    if (length < 2 || text[0] != '[' || end[-1] != ']')
        return -1;
    if (length == 2)
        return 0;
    while (text + 1 < end) {
        unsigned value = 0, count = 0;

        for (text++; *text >= '0' && *text <= '9'; text++, count++)
            value = value * 10 + (unsigned)(*text - '0');
        if (count < 1 || count > 3 || value > 255 ||
            *text != (text + 1 == end ? ']' : ','))
            return -1;
        *to++ = (uint8_t)value;
    }
    return to - data;
}
