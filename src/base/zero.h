/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zero.h - are these bytes all zero?  At memcmp's speed.
 */
#ifndef BASE_ZERO_H
#define BASE_ZERO_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline bool is_zero(const void *bytes, size_t count)
{
    const char *at = bytes; /* the first is zero, and each as the one before */

    return count == 0 || (at[0] == 0 && memcmp(at, at + 1, count - 1) == 0);
}

#endif
