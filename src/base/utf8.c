/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

#define HIGH_BITS 0x8080808080808080u

/*
 * Bytes of the character that starts here, 0 when none does.
 *
 * Only the second byte's range depends on the first: that is where overlong
 * forms (E0, F0), surrogates (ED) and what is above U+10FFFF (F4) show.
 */
static size_t character_bytes(const uint8_t *at, size_t left)
{
    uint8_t first = at[0], low = 0x80, high = 0xbf;
    size_t bytes, i;

    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (bytes > left)
        return 0;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (at[1] < low || at[1] > high)
        return 0;
    for (i = 2; i < bytes; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return bytes;
}

bool utf8_valid(const char *text, size_t bytes)
{
    const uint8_t *at = (const uint8_t *)text;
    uint64_t eight;
    size_t more;

    while (bytes > 0) {
        /* Eight at once while they are ASCII: most text is. */
        if (bytes >= sizeof(eight)) {
            memcpy(&eight, at, sizeof(eight));
            if ((eight & HIGH_BITS) == 0) {
                at += sizeof(eight);
                bytes -= sizeof(eight);
                continue;
            }
        }
        more = character_bytes(at, bytes);
        if (more == 0)
            return false;
        at += more;
        bytes -= more;
    }
    return true;
}
