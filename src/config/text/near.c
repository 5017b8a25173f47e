/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text/near.h"

#include <string.h>

#define WORD_MAX 24u

static size_t least(size_t a, size_t b, size_t c)
{
    size_t two = a < b ? a : b;

    return two < c ? two : c;
}

/* How many characters must be put in, taken out or changed (Levenshtein). */
static size_t distance(const char *one, const char *other)
{
    const size_t length = strlen(one);
    size_t row[WORD_MAX + 1], last, above;

    if (length > WORD_MAX || strlen(other) > WORD_MAX)
        return WORD_MAX;
    for (size_t i = 0; i <= length; i++)
        row[i] = i;
    for (size_t j = 1; other[j - 1] != '\0'; j++) {
        last = row[0];
        row[0] = j;
        for (size_t i = 1; i <= length; i++) {
            above = row[i];
            row[i] = least(row[i] + 1, row[i - 1] + 1,
                           last + (one[i - 1] != other[j - 1]));
            last = above;
        }
    }
    return row[length];
}

const char *near_word(const char *word, const char *const *words, size_t count)
{
    const char *nearest = NULL;
    size_t best = WORD_MAX;

    for (size_t i = 0; i < count; i++) {
        size_t far = distance(word, words[i]);

        if (far < best && far <= 1 + strlen(words[i]) / 3) {
            best = far;
            nearest = words[i];
        }
    }
    return nearest;
}
