/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_test.h - for tests: the nth call of what they have wrapped fails.
 *
 * The linker puts these functions in front of the C library's (--wrap=pipe2):
 *
 *  WRAP(int, pipe2, (int fds[2], int flags), (fds, flags), -1)
 *  ...
 *  begin_failing(n);
 *  rc = open(...);
 *  fails_at = 0;
 *  ... failed: "pipe2", or NULL where there was no nth call ...
 *
 * FAILS_WITH, defined before, is another errno than ENOMEM.
 *
 * Threads: the calls may come from any.
 */
#ifndef BASE_FAULT_TEST_H
#define BASE_FAULT_TEST_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#ifndef FAILS_WITH
#define FAILS_WITH ENOMEM
#endif

static atomic_int fails_at, steps;  /* 0: never; calls so far */
static int fails_with = FAILS_WITH; /* errno */
static const char *_Atomic failed;  /* the one that did */

static inline void begin_failing(int n)
{
    steps = 0;
    failed = NULL;
    fails_at = n;
}

/* Is it this call's turn to fail? */
static inline bool fails(const char *name)
{
    if (fails_at == 0 || ++steps != fails_at)
        return false;
    failed = name;
    errno = fails_with;
    return true;
}

/* Result, name, parameters, arguments, result of a failure. */
#define WRAP(type, name, parameters, arguments, failure)                       \
    type __real_##name parameters;                                             \
    type __wrap_##name parameters;                                             \
    type __wrap_##name parameters                                              \
    {                                                                          \
        if (fails(#name))                                                      \
            return failure;                                                    \
        return __real_##name arguments;                                        \
    }

#endif
