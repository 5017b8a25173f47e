/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - deadlines: CLOCK_MONOTONIC in nanoseconds, 0 is "never". */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Some milliseconds behind it, and a quarter of its cost: for what is counted
 * in seconds. */
static inline uint64_t clock_about_ns(void)
{
#ifdef __wasm__ /* WASI has no such clock */
    return clock_now_ns();
#else
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
#endif
}

/* As the kernel's calls want it. */
static inline struct timespec clock_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
}

static inline bool clock_is_past(uint64_t deadline_ns)
{
    return deadline_ns != 0 && clock_now_ns() >= deadline_ns;
}

#endif
