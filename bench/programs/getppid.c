/* SPDX-License-Identifier: Apache-2.0 */
/* getppid COUNT - how long each of so many system calls takes, in ns. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 4096
#define WARM_UP   50

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
    static uint64_t took_ns[COUNT_MAX];
    int count = argc > 1 ? atoi(argv[1]) : 0;

    if (count < 1 || count > COUNT_MAX)
        return 2;
    for (int i = 0; i < WARM_UP; i++)
        (void)getppid();
    for (int i = 0; i < count; i++) {
        uint64_t from_ns = now_ns();

        (void)getppid();
        took_ns[i] = now_ns() - from_ns;
    }
    for (int i = 0; i < count; i++)
        printf("%llu\n", (unsigned long long)took_ns[i]);
    return 0;
}
