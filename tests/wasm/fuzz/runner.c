/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.c - runner MODULE LIBEXEC: calls functions as standard input says, and
 * prints a line for each; run_fuzz.py compares them with another engine's.
 *
 *  call NAME TYPE CELL ...  in hex; of the name, each byte; "-" is none
 *  spin NAME TYPE CELL ...  the same, and it does not end by itself
 *  = CELL CELL HASH       it returned; HASH is of all its memory
 *  trap HASH WHY          in words; HASH is - where the call did not end by
 *                         itself, for then it is not the same twice
 *
 * A call goes on where the one before it stopped; behind a trap there is a new
 * instance, whose start has a line of its own.
 *
 * Around the instance lies what it must not touch: behind its memory 8 GiB that
 * nothing may read or write, so that an access there ends this program; what
 * it may still grow into, which is zeros; another instance, which stays as it
 * was; the processor's modes; and when all is closed the process has the
 * addresses that it had.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "glovebox/wasm.h"

#define MEMORY_BYTES (64u << 20)
#define BEHIND_BYTES (8ull << 30)
#define PAGE_BYTES   65536u
#define CALL_NS      5000000000u
#define SPIN_NS      20000000u
#define LATE_NS      20000000000u
#define CELLS_MAX    1024
#define MAPS_BYTES   (1u << 18)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED /* those have addresses of their own */
#define SANITIZED 0
#endif

static const struct gbx_wasm_limits limits = {.struct_bytes = sizeof(limits),
                                              .memory_bytes = MEMORY_BYTES,
                                              .start_ns = CALL_NS};
static struct gbx_error err;
static char line[1 << 20];
static uint64_t cells[CELLS_MAX];

static __attribute__((noreturn)) void escaped(const char *what)
{
    printf("escaped: %s\n", what);
    fflush(stdout);
    abort();
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- what must stay as it is ---- */

/* Addresses and rights of all that is mapped, but the heap's. */
static void read_maps(char *text)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char row[512];
    size_t used = 0;

    if (maps == NULL)
        escaped("there is no /proc/self/maps");
    while (fgets(row, sizeof(row), maps) != NULL) {
        size_t bytes = strcspn(row, " ") + 5;

        if (strstr(row, "[heap]") != NULL || strstr(row, "[stack]") != NULL ||
            used + bytes + 2 > MAPS_BYTES)
            continue;
        memcpy(text + used, row, bytes);
        text[used + bytes] = '\n';
        used += bytes + 1;
    }
    text[used] = '\0';
    fclose(maps);
}

static uint32_t modes(void)
{
    return __builtin_ia32_stmxcsr() & ~0x3fu; /* but what has happened */
}

static uint64_t size_of(struct gbx_wasm_instance *instance)
{
    uint64_t pages = 0;

    while (gbx_wasm_memory(instance, 0, (pages + 1) * PAGE_BYTES) != NULL)
        pages++;
    return pages * PAGE_BYTES;
}

static uint32_t hash(struct gbx_wasm_instance *instance)
{
    const uint64_t bytes = size_of(instance);
    const uint32_t *words = gbx_wasm_memory(instance, 0, bytes);
    uint32_t h = 2166136261u;

    for (uint64_t i = 0; i < bytes / 4; i++)
        h = (h ^ words[i]) * 16777619u;
    return h;
}

/* It has not grown there yet: one that is behind its end by mistake, and not
 * by gigabytes, writes here. */
static void look_behind(struct gbx_wasm_instance *instance)
{
    const uint64_t bytes = size_of(instance);
    const uint8_t *base = gbx_wasm_memory(instance, 0, 0);
    uint64_t some = MEMORY_BYTES - bytes;

    if (some > 16 * PAGE_BYTES)
        some = 16 * PAGE_BYTES;
    for (uint64_t i = 0; i < some / 8; i++)
        if (((const uint64_t *)(const void *)(base + bytes))[i] != 0)
            escaped("what is behind the memory's end has changed");
}

/* ---- calls ---- */

struct subject {
    struct gbx_wasm *module;
    struct gbx_wasm_instance *instance, *other;
    uint32_t other_hash;
    const uint8_t *behind;
};

/* "out of bounds memory access, in f": only why. */
static void print_end(struct gbx_wasm_instance *instance, int rc)
{
    err.what[strcspn(err.what, ",")] = '\0';
    if (rc == GBX_ETRAP && instance != NULL &&
        strstr(err.what, "stack") == NULL)
        printf("trap %" PRIx32 " %s\n", hash(instance), err.what);
    else
        printf("trap - %s\n", rc == GBX_ETIME ? "time" : err.what);
}

static bool begin(struct subject *s)
{
    int rc = gbx_wasm_start(&s->instance, s->module, &limits, &err);

    if (rc < 0)
        print_end(NULL, rc);
    else
        printf("= %" PRIx32 "\n", hash(s->instance));
    if (rc == 0 && !SANITIZED && size_of(s->instance) > 0 &&
        (const uint8_t *)gbx_wasm_memory(s->instance, 0, 0) + MEMORY_BYTES !=
            s->behind)
        escaped("its memory does not end where this test thinks");
    return rc == 0;
}

static int read_name(char *name, const char *from)
{
    unsigned byte;
    int count = 0;

    for (; sscanf(from, "%2x", &byte) == 1 && *from > ' '; from += 2)
        name[count++] = (char)byte;
    name[count] = '\0';
    return count;
}

static int count_results(const char *type)
{
    return (int)strlen(strchr(type, ':') + 1);
}

static void call(struct subject *s, char *rest, const char *name, bool spins)
{
    const uint32_t before = modes();
    char *type = strtok_r(rest, " \n", &rest), *cell;
    uint64_t start_ns = now_ns(), due_ns = start_ns + CALL_NS;
    uint32_t function;
    int rc, count = 0;

    while (count < CELLS_MAX && (cell = strtok_r(NULL, " \n", &rest)) != NULL)
        cells[count++] = strtoull(cell, NULL, 16);
    if (gbx_wasm_find(s->module, name, type, &function, &err) < 0)
        escaped(err.what);
    if (spins)
        due_ns = start_ns + SPIN_NS;
    rc = gbx_wasm_call(s->instance, function, cells, due_ns, &err);
    if (now_ns() > due_ns + LATE_NS)
        escaped("it was not stopped in time");
    if (modes() != before)
        escaped("the processor's modes have changed");
    look_behind(s->instance);
    if (hash(s->other) != s->other_hash)
        escaped("another instance has changed");
    if (rc < 0) {
        print_end(s->instance, rc);
        gbx_wasm_stop(s->instance);
        s->instance = NULL;
        return;
    }
    printf("=");
    for (int i = 0; i < count_results(type); i++)
        printf(" %" PRIx64, cells[i]);
    printf(" %" PRIx32 "\n", hash(s->instance));
}

/* Lines begin with "call " or "spin ". */
static void obey(struct subject *s)
{
    static char name[1 << 16];

    if (!begin(s))
        return;
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *rest = line, *word = strtok_r(rest, " \n", &rest);
        char *hex = strtok_r(NULL, " \n", &rest);

        read_name(name, hex != NULL && *hex != '-' ? hex : "");
        if (s->instance == NULL && !begin(s))
            return;
        call(s, rest, name, word != NULL && strcmp(word, "spin") == 0);
    }
}

/* Once without looking, for what is made at the first use and stays. */
static int warm_up(struct gbx_wasm *module)
{
    struct gbx_wasm_instance *instance;
    static char maps[MAPS_BYTES];
    int rc = gbx_wasm_start(&instance, module, &limits, &err);

    if (rc < 0)
        print_end(NULL, rc);
    gbx_wasm_stop(instance);
    read_maps(maps);
    return rc;
}

/* All that is done in the addresses that there are before and after. */
static void run(struct subject *s)
{
    void *behind;

    if (gbx_wasm_start(&s->other, s->module, &limits, &err) < 0)
        escaped("a start ended in two ways");
    s->other_hash = hash(s->other);
    behind = mmap(NULL, BEHIND_BYTES, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (behind == MAP_FAILED)
        escaped("there are no addresses");
    s->behind = behind;
    obey(s);
    gbx_wasm_stop(s->instance);
    munmap(behind, BEHIND_BYTES);
    gbx_wasm_stop(s->other);
}

int main(int argc, char **argv)
{
    static char before[MAPS_BYTES], after[MAPS_BYTES];
    struct gbx_wasm_config config = {.struct_bytes = sizeof(config)};
    struct subject s = {0};

    if (argc != 3)
        return 2;
    config.libexec_dir = argv[2];
    mallopt(M_MMAP_THRESHOLD, 1 << 30); /* all of it is the heap's */
    if (gbx_wasm_open(&s.module, argv[1], &config, &err) < 0) {
        printf("refused %s\n", err.what);
        return 0;
    }
    if (warm_up(s.module) == 0) {
        read_maps(before);
        run(&s);
        read_maps(after);
        if (!SANITIZED && strcmp(before, after) != 0)
            escaped("what is mapped has changed");
    }
    gbx_wasm_close(s.module);
    return 0;
}
