/* SPDX-License-Identifier: Apache-2.0 */
/* faulty.c - faulty HOW: a program that goes wrong in the way asked for. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int poke(volatile int *where);
unsigned dive(unsigned depth);

__attribute__((noinline)) int poke(volatile int *where)
{
    return *where = 1;
}

__attribute__((noinline)) unsigned dive(unsigned depth)
{
    volatile unsigned char frame[4096];

    frame[depth % sizeof(frame)] = 1;
    return depth == UINT_MAX ? 0 : dive(depth + 1) + frame[0];
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";

    if (strcmp(how, "null") == 0)
        return poke(NULL);
    if (strcmp(how, "dive") == 0)
        return (int)dive(0);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "loop") == 0)
        for (;;)
            continue;
    if (strcmp(how, "fork") == 0 && fork() < 0)
        return 9;
    return 0;
}
