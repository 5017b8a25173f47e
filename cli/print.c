/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

/* C0 but for what lays out text, DEL, and C1 as UTF-8 spells it (0xc2 0x80..)
 */
static size_t control_bytes(const unsigned char *text, size_t bytes, bool line)
{
    if (text[0] == 0xc2 && bytes > 1 && text[1] >= 0x80 && text[1] < 0xa0)
        return 2;
    if (text[0] == 0x7f)
        return 1;
    return text[0] < 0x20 && (line || (text[0] != '\n' && text[0] != '\t'));
}

void cli_print(FILE *file, const char *text, size_t bytes, bool line)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t skip;

    if (!line && !isatty(fileno(file))) {
        fwrite(text, 1, bytes, file);
        return;
    }
    for (; bytes > 0; at += skip, bytes -= skip) {
        skip = control_bytes(at, bytes, line);
        if (skip == 0) {
            putc(at[0], file);
            skip = 1;
        } else {
            putc('^', file);
            putc(skip == 2 ? '?' : at[0] ^ 0x40, file);
        }
    }
}

void cli_progress(void *context, const char *path, unsigned permille)
{
    enum { CELLS = 30 };
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char bar[CELLS + 1];

    (void)context;
    if (!isatty(STDERR_FILENO))
        return;
    memset(bar, '.', CELLS);
    memset(bar, '#', permille * CELLS / 1000);
    bar[CELLS] = '\0';
    fputs("\r\033[K", stderr); /* what is in this line */
    if (permille == 1000)
        return;
    fputs("compiling ", stderr);
    cli_print(stderr, name, strnlen(name, CELLS), true);
    fprintf(stderr, ", once [%s] %u %%", bar, permille / 10);
}

void cli_trace(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "%s\n", line); /* nothing in it moves a cursor */
}

uint64_t cli_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
