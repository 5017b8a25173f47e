/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.c - carries out the specification's commands, a line each:
 *
 *  open SLOT FILE          compile it, and start an instance in SLOT
 *  call SLOT NAME CELL...  NAME, CELL: in hex; "-" is the empty name
 *
 * and answers each with a line: "ok CELL...", sixteen of them, or "CODE WHY".
 * Here an instance that trapped has ended; the next call meets a new one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glovebox/wasm.h"

enum { SLOTS = 64, CELLS = 16 };

static struct {
    struct gbx_wasm *module;
    struct gbx_wasm_instance *instance;
} slots[SLOTS];

static const struct gbx_wasm_limits limits = {
    .struct_bytes = sizeof(limits),
    .memory_bytes = 1ull << 32,
};

static int open_slot(unsigned slot, const char *path, struct gbx_error *err)
{
    int rc;

    gbx_wasm_stop(slots[slot].instance);
    gbx_wasm_close(slots[slot].module);
    memset(&slots[slot], 0, sizeof(slots[slot]));
    rc = gbx_wasm_open(&slots[slot].module, path, NULL, err);
    if (rc == 0)
        rc = gbx_wasm_start(&slots[slot].instance, slots[slot].module, &limits,
                            err);
    return rc;
}

/* From hex; false: it has a zero in it, which no name here may have. */
static int read_name(char *name, size_t size, const char *hex)
{
    size_t length = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;
    unsigned byte;

    if (length >= size)
        return 0;
    for (size_t i = 0; i < length; i++) {
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1 || byte == 0)
            return 0;
        name[i] = (char)byte;
    }
    name[length] = 0;
    return 1;
}

static int call(unsigned slot, char *words, uint64_t *cells,
                struct gbx_error *err)
{
    char name[512], *word, *rest;
    uint32_t function;
    int rc;

    err->what[0] = 0;
    word = strtok_r(words, " ", &rest);
    if (slots[slot].instance == NULL || word == NULL ||
        !read_name(name, sizeof(name), word))
        return GBX_EARGUMENT;
    for (int i = 0; i < CELLS && (word = strtok_r(NULL, " ", &rest)); i++)
        cells[i] = strtoull(word, NULL, 16);
    rc = gbx_wasm_find(slots[slot].module, name, NULL, &function, err);
    if (rc < 0)
        return rc;
    rc = gbx_wasm_call(slots[slot].instance, function, cells, 0, err);
    if (rc < 0) {
        gbx_wasm_stop(slots[slot].instance);
        if (gbx_wasm_start(&slots[slot].instance, slots[slot].module, &limits,
                           NULL) < 0)
            slots[slot].instance = NULL;
    }
    return rc;
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;

    while ((length = getline(&line, &room, stdin)) > 0) {
        uint64_t cells[CELLS] = {0};
        struct gbx_error err;
        unsigned slot;
        int rc = GBX_EARGUMENT, from = 0;

        line[length - 1] = 0;
        if (sscanf(line, "%*4s %u %n", &slot, &from) != 1 || slot >= SLOTS)
            return 1;
        if (strncmp(line, "open", 4) == 0)
            rc = open_slot(slot, line + from, &err);
        else
            rc = call(slot, line + from, cells, &err);
        if (rc < 0)
            printf("%s %s", gbx_error_name(rc), err.what);
        else
            fputs("ok", stdout);
        for (int i = 0; rc >= 0 && i < CELLS; i++)
            printf(" %" PRIx64, cells[i]);
        putchar('\n');
        fflush(stdout);
    }
    for (int i = 0; i < SLOTS; i++) {
        gbx_wasm_stop(slots[i].instance);
        gbx_wasm_close(slots[i].module);
    }
    free(line);
    return 0;
}
