/* SPDX-License-Identifier: Apache-2.0 */
/* call.h - system calls without the C library. */
#ifndef PROCESS_INIT_CALL_H
#define PROCESS_INIT_CALL_H

#include <stdint.h>
#include <sys/syscall.h>

/* What the kernel returns: below 0, an errno. */
static inline long call6(long number, uint64_t a, uint64_t b, uint64_t c,
                         uint64_t d, uint64_t e, uint64_t f)
{
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    long rc;

    __asm__ volatile("syscall"
                     : "=a"(rc)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
                       "r"(r9)
                     : "rcx", "r11", "memory");
    return rc;
}

static inline long call(long number, uint64_t a, uint64_t b, uint64_t c,
                        uint64_t d)
{
    return call6(number, a, b, c, d, 0, 0);
}

#define AT(pointer) ((uint64_t)(uintptr_t)(pointer))

#endif
