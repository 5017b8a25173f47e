/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glob.c - one walk over the key.
 *
 * Where it does not go on, the last star takes one character more and the walk
 * goes on from there.  Earlier stars need no second look: what stood between
 * them was found as early as could be.
 */
#include "store/glob.h"

/* The character at *at, which is valid UTF-8 and not at its end. */
static uint32_t next_character(const char **at)
{
    const uint8_t *text = (const uint8_t *)*at;
    uint32_t code = text[0];
    int more = code < 0x80 ? 0 : code < 0xe0 ? 1 : code < 0xf0 ? 2 : 3;

    if (more > 0)
        code &= 0x3fu >> more;
    for (int i = 1; i <= more; i++)
        code = code << 6 | (text[i] & 0x3f);
    *at += more + 1;
    return code;
}

static uint32_t next_literal(const char **at, const char *end)
{
    if (**at == '\\' && end - *at > 1)
        ++*at;
    return next_character(at);
}

/*
 * The set whose [ ends at *at; step over it.  Its first character is never its
 * end.  Returns whether it has this character, or -1 when nothing ends it.
 */
static int in_set(const char **at, const char *end, uint32_t character,
                  int64_t *steps)
{
    const char *p = *at, *first;
    bool negated = p < end && (*p == '!' || *p == '^'), found = false;

    p += negated;
    for (first = p; p < end && (p == first || *p != ']'); --*steps) {
        uint32_t low = next_literal(&p, end), high = low;
        if (end - p > 1 && p[0] == '-' && p[1] != ']') {
            p++;
            high = next_literal(&p, end);
        }
        found |= low <= character && character <= high;
    }
    if (p >= end)
        return -1;
    *at = p + 1;
    return found != negated;
}

/* Does the pattern's next sign, no star, take this character? Step over it. */
static bool take(const char **at, const char *end, uint32_t character,
                 int64_t *steps)
{
    int found;

    if (*at == end)
        return false;
    if (**at == '?') {
        ++*at;
        return true;
    }
    if (**at == '[') {
        const char *set = *at + 1;
        found = in_set(&set, end, character, steps);
        if (found >= 0) {
            *at = set;
            return found;
        }
    }
    return next_literal(at, end) == character;
}

bool store_glob(struct store_key pattern, struct store_key key, int64_t *steps)
{
    const char *p = pattern.text, *p_end = p + pattern.bytes;
    const char *k = key.text, *k_end = k + key.bytes;
    const char *star = NULL, *taken = NULL; /* after it; what it left */

    for (; k<k_end && * steps> 0; --*steps) {
        const char *p_next = p, *k_next = k;
        if (p < p_end && *p == '*') {
            star = ++p;
            taken = k;
            if (p == p_end)
                return true;
        } else if (take(&p_next, p_end, next_character(&k_next), steps)) {
            p = p_next;
            k = k_next;
        } else if (star != NULL) {
            next_character(&taken);
            p = star;
            k = taken;
        } else {
            return false;
        }
    }
    while (p < p_end && *p == '*')
        p++;
    return p == p_end;
}
