/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vdso.c - the time without leaving the guest: what Linux maps into each
 * program as linux-vdso.so.1, for guests of a micro-VM.
 *
 *   image - 4096          image
 *   | struct vdso_page    | this |
 *
 * A shared object without a library, and without data of its own.
 */
#include <stddef.h>
#include <stdint.h>

#include <linux/time.h>
#include <sys/syscall.h>

#include "sandbox/microvm/linux/vdso_page.h"

#define CLOCKS 12
#define SECOND 1000000000u

#define VISIBLE __attribute__((visibility("default"), used))

int VISIBLE __vdso_clock_gettime(long clock, struct timespec *time);
int VISIBLE __vdso_clock_getres(long clock, struct timespec *time);
int VISIBLE __vdso_gettimeofday(struct timeval *time, struct timezone *zone);
long VISIBLE __vdso_time(long *time);
long VISIBLE __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

static const volatile struct vdso_page *page(void)
{
    const volatile struct vdso_page *before_image;

    __asm__("lea __ehdr_start-4096(%%rip), %0" : "=r"(before_image));
    return before_image;
}

static long ask_kernel(long number, long a, long b)
{
    long answer;

    __asm__ volatile("syscall"
                     : "=a"(answer)
                     : "0"(number), "D"(a), "S"(b)
                     : "rcx", "r11", "memory");
    return answer;
}

static uint64_t count_now(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

static uint64_t since(int is_real)
{
    const volatile struct vdso_page *p = page();
    uint64_t ns, passed;
    uint32_t turn;

    do {
        turn = p->turn;
        passed = count_now() - p->count_base;
        ns = is_real ? p->real_ns : p->monotonic_ns;
        ns += (uint64_t)((unsigned __int128)passed * p->scale >> 32);
        __asm__ volatile("" ::: "memory");
    } while (p->turn != turn);
    return ns;
}

/* Bits of the clocks that are one of the two. */
#define REAL      (1u << 0 | 1u << 5) /* COARSE */
#define MONOTONIC (1u << 1 | 1u << 6)

int __vdso_clock_gettime(long clock, struct timespec *time)
{
    unsigned bit = clock >= 0 && clock < CLOCKS ? 1u << clock : 0;
    uint64_t ns;

    if ((bit & (REAL | MONOTONIC)) == 0)
        return (int)ask_kernel(SYS_clock_gettime, clock, (long)time);
    ns = since((bit & REAL) != 0);
    time->tv_sec = (long)(ns / SECOND);
    time->tv_nsec = (long)(ns % SECOND);
    return 0;
}

int __vdso_clock_getres(long clock, struct timespec *time)
{
    return (int)ask_kernel(SYS_clock_getres, clock, (long)time);
}

int __vdso_gettimeofday(struct timeval *time, struct timezone *zone)
{
    uint64_t ns;

    if (zone != NULL)
        return (int)ask_kernel(SYS_gettimeofday, (long)time, (long)zone);
    if (time == NULL)
        return 0;
    ns = since(1);
    time->tv_sec = (long)(ns / SECOND);
    time->tv_usec = (long)(ns % SECOND / 1000);
    return 0;
}

long __vdso_time(long *time)
{
    long seconds = (long)(since(1) / SECOND);

    if (time != NULL)
        *time = seconds;
    return seconds;
}

long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
    (void)unused;
    if (cpu != NULL)
        *cpu = 0;
    if (node != NULL)
        *node = 0;
    return 0;
}
