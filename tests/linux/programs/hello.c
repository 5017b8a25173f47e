/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c - what a program is given, and a constructor that runs first. */
#include <stdio.h>
#include <stdlib.h>

static int began;

__attribute__((constructor)) static void begin(void)
{
    began = 1;
}

static void say_goodbye(void)
{
    puts("goodbye");
}

int main(int argc, char **argv)
{
    const char *word = getenv("WORD");

    atexit(say_goodbye);
    printf("hello %d %d %s", began, argc, word != NULL ? word : "-");
    for (int i = 1; i < argc; i++)
        printf(" [%s]", argv[i]);
    putchar('\n');
    return 3;
}
