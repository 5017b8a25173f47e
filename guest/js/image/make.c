/* SPDX-License-Identifier: Apache-2.0 */
/* make.c - image-maker FILE: writes the image (image.h) as assembly. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "image/image.h"

static bool is_empty(const uint64_t *page)
{
    for (uint32_t i = 0; i < IMAGE_PAGE_BYTES / sizeof(*page); i++)
        if (page[i] != 0)
            return false;
    return true;
}

static void write_label(FILE *out, const char *name)
{
    fprintf(out, "\t.balign 64\n\t.globl %s\n%s:\n", name, name);
}

static void write_words(FILE *out, const void *words, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        const size_t left = bytes - at;

        memcpy(&word, (const uint8_t *)words + at,
               left < sizeof(word) ? left : sizeof(word));
        fprintf(out, "\t.quad %#lx\n", (unsigned long)word);
    }
}

static void write_image(FILE *out, struct image_head *head)
{
    const uint32_t pages = head->memory_bytes / IMAGE_PAGE_BYTES;

    fprintf(out, "/* Made by image-maker. */\n\t.section .rodata\n");
    write_label(out, "image_pages");
    for (uint32_t i = 0; i < pages; i++)
        if (!is_empty(engine_at(i * IMAGE_PAGE_BYTES))) {
            fprintf(out, "\t.long %u\n", i);
            head->page_count++;
        }
    write_label(out, "image_head");
    write_words(out, head, sizeof(*head));
    write_label(out, "image_bytes");
    for (uint32_t i = 0; i < pages; i++)
        if (!is_empty(engine_at(i * IMAGE_PAGE_BYTES)))
            write_words(out, engine_at(i * IMAGE_PAGE_BYTES), IMAGE_PAGE_BYTES);
    fprintf(out, "\t.section .note.GNU-stack,\"\",@progbits\n");
}

/* What kept the prelude from running. */
static int complain(void)
{
    js_value error = engine_catch();
    size_t bytes = 0;
    const char *text = js_text(error, &bytes);

    fprintf(stderr, "image-maker: the prelude does not run: %.*s\n", (int)bytes,
            text != NULL ? text : "");
    return 1;
}

int main(int argc, char **argv)
{
    struct image_head head = {0};
    FILE *out;

    if (argc != 2) {
        fprintf(stderr, "usage: image-maker FILE\n");
        return 2;
    }
    if (engine_open((uint8_t *)GBX_REGION_ADDRESS, /* NOLINT */
                    IMAGE_HEAP_MAX) < 0 ||
        engine_boot() < 0)
        return 1;
    if (prelude_run() < 0)
        return complain();
    head.places = engine.places;
    head.places.stack = engine.instance.w2c_g0;
    head.prelude = program.prelude;
    head.memory_bytes = engine.memory.pages * 65536u;
    out = fopen(argv[1], "we");
    if (out == NULL) {
        perror(argv[1]);
        return 1;
    }
    write_image(out, &head);
    if (fclose(out) != 0) {
        perror(argv[1]);
        return 1;
    }
    return 0;
}
