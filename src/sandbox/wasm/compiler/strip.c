/* SPDX-License-Identifier: Apache-2.0 */
/* strip.c - a module with names of ours (parse.h). */
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static void put_u32(FILE *out, uint32_t value)
{
    while (value >= 0x80) {
        putc((int)(value | 0x80) & 0xff, out);
        value >>= 7;
    }
    putc((int)value, out);
}

static void put_text(FILE *out, const char *text)
{
    put_u32(out, (uint32_t)strlen(text));
    fputs(text, out);
}

static void put_imports(const struct parsed *p, FILE *out)
{
    char name[16];

    put_u32(out, p->import_count);
    for (uint32_t i = 0; i < p->import_count; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        put_text(out, "i");
        put_text(out, name);
        fwrite(p->imports[i].description, 1, p->imports[i].description_bytes,
               out);
    }
}

static void put_exports(const struct parsed *p, FILE *out)
{
    char name[16];

    put_u32(out, p->export_count);
    for (uint32_t i = 0; i < p->export_count; i++) {
        snprintf(name, sizeof(name), "e%u", i);
        put_text(out, name);
        putc(p->exports[i].kind, out);
        put_u32(out, p->exports[i].index);
    }
}

/* A section is made in memory first: its length comes before it. */
static int put_section(const struct parsed *p, uint8_t id,
                       void (*put)(const struct parsed *, FILE *), FILE *out)
{
    char *bytes = NULL;
    size_t count = 0;
    FILE *memory = open_memstream(&bytes, &count);
    int rc;

    if (memory == NULL)
        return -1;
    put(p, memory);
    rc = fclose(memory);
    putc(id, out);
    put_u32(out, (uint32_t)count);
    fwrite(bytes, 1, count, out);
    free(bytes);
    return rc == 0 ? 0 : -1;
}

int parsed_write(const struct parsed *p, FILE *out)
{
    int rc = 0;

    fwrite("\0asm\1\0\0", 1, 8, out);
    for (uint32_t i = 0; rc == 0 && i < p->section_count; i++) {
        const struct parsed_section *section = &p->sections[i];

        if (section->id == 2)
            rc = put_section(p, 2, put_imports, out);
        else if (section->id == 7)
            rc = put_section(p, 7, put_exports, out);
        else {
            putc(section->id, out);
            put_u32(out, section->count);
            fwrite(section->bytes, 1, section->count, out);
        }
    }
    return rc == 0 && ferror(out) == 0 ? 0 : -1;
}
