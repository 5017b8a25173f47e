/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "image/pull/report.h"

#define TEXT_BYTES 512

/* One line: what comes from an image may be anything. */
static void say(const char *text)
{
    for (; *text != '\0'; text++)
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
    putchar('\n');
    fflush(stdout);
}

void report_progress(enum gbx_image_phase phase, uint64_t bytes, uint64_t all)
{
    printf("progress %d %llu %llu\n", (int)phase, (unsigned long long)bytes,
           (unsigned long long)all);
    fflush(stdout);
}

void report_damage(const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    printf("damage ");
    say(text);
}

void report_error(const struct gbx_error *err)
{
    printf("error %d %d ", err->code, err->sys);
    say(err->what);
}
