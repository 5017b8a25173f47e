/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - must(): our own mistake stops here, loudly, in every build.
 *
 * Never for what the world or a guest did: those are errors and get a code.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define must(cond)                                                             \
    do {                                                                       \
        if (__builtin_expect(!(cond), 0)) {                                    \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                           \
        }                                                                      \
    } while (0)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
