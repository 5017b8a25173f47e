/* SPDX-License-Identifier: Apache-2.0 */
/* image.h - what the parts of `glovebox bench image` share. */
#ifndef BENCH_IMAGE_IMAGE_H
#define BENCH_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report.h"

#define IMAGE_WORDS_MAX   24u
#define IMAGE_LIBRARY     "/usr/lib/python3.11"
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Where it is; the layout has the library as image "x". */
struct image_bench {
    const char *glovebox, *libexec;
    char folder[64], layout[80], store[80];
};

/* A program, by its words up to NULL.  Returns ns, or 0: it failed. */
uint64_t image_run(const char *program, const char *const *words);
#define IMAGE_RUN(program, ...)                                                \
    image_run(program, (const char *const[]){program, __VA_ARGS__, NULL})

/* Of the layout, by its tag, which is its name then.  Returns as run. */
uint64_t image_pull(const struct image_bench *at, const char *tag);
/* A folder, with all that is in it. */
void image_drop(const char *path);

/* share.c: an image of which most is there.  False: it failed. */
bool image_share(const struct image_bench *at, struct report *report);
/* warm.c: a script in an image, against one in none.  The same. */
bool image_warm(const struct image_bench *at, struct report *report);

#endif
