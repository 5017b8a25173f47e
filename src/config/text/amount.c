/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text/amount.h"

#include <stdio.h>
#include <string.h>

#define FRACTION_DIGITS 9

struct unit {
    const char *name;
    uint64_t factor;
};

/* The shorter name of two comes first. */
static const struct unit sizes[] = {
    {"", 1},           {"K", 1ull << 10},   {"M", 1ull << 20},
    {"G", 1ull << 30}, {"T", 1ull << 40},   {"KiB", 1ull << 10},
    {"MiB", 1 << 20},  {"GiB", 1ull << 30}, {"TiB", 1ull << 40},
    {NULL, 0}};
static const struct unit times[] = {
    {"", 1000000000},     {"s", 1000000000}, {"ns", 1},
    {"us", 1000},         {"ms", 1000000},   {"m", 60000000000},
    {"h", 3600000000000}, {NULL, 0}};
static const struct unit numbers[] = {{"", 1}, {NULL, 0}};

static const struct unit *const units[] = {sizes, times, numbers};

/* Digits, as long as they fit; more of them are the largest there is. */
static const char *over_digits(const char *text, uint64_t *value)
{
    for (*value = 0; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(*text - '0'), value))
            *value = UINT64_MAX;
    return text;
}

bool amount_read(enum amount_kind kind, const char *text, uint64_t *value)
{
    const struct unit *unit = units[kind];
    uint64_t part = 0, scale = 1;
    const char *at = over_digits(text, value);
    int digits = 0;

    if (at == text)
        return false;
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++, digits++)
            if (digits < FRACTION_DIGITS) {
                part = part * 10 + (uint64_t)(*at - '0');
                scale *= 10;
            }
    if (at[-1] == '.')
        return false;
    while (unit->name != NULL && strcmp(at, unit->name) != 0)
        unit++;
    if (unit->name == NULL || (part > 0 && unit->factor == 1))
        return false;
    part = (uint64_t)((unsigned __int128)part * unit->factor / scale);
    if (__builtin_mul_overflow(*value, unit->factor, value) ||
        __builtin_add_overflow(*value, part, value))
        *value = UINT64_MAX;
    return true;
}

void amount_show(enum amount_kind kind, uint64_t value, char text[32])
{
    const struct unit *best = NULL;

    for (const struct unit *at = units[kind]; at->name != NULL; at++)
        if (value % at->factor == 0 && (best == NULL || value > 0) &&
            (best == NULL || at->factor > best->factor ||
             (best->name[0] == '\0' && at->factor >= best->factor)))
            best = at;
    snprintf(text, 32, "%llu%s", (unsigned long long)(value / best->factor),
             best->name);
}
