/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasm_test.h - what the tests of modules share: good.wasm, opened, and a
 * folder that is removed at the end.  GLOVEBOX_TEST_WASM_FOLDER: where modules
 * lie.
 */
#ifndef TESTS_WASM_WASM_TEST_H
#define TESTS_WASM_WASM_TEST_H

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "glovebox/wasm.h"

static struct gbx_wasm *good;
static char scratch[] = "/tmp/glovebox-wasm-XXXXXX";
static struct gbx_error err;

static inline uint64_t in_seconds(double s)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec +
           (uint64_t)(s * 1e9);
}

static inline const char *path_of(const char *name)
{
    static char path[4096];

    snprintf(path, sizeof(path), "%s/%s", getenv("GLOVEBOX_TEST_WASM_FOLDER"),
             name);
    return path;
}

static inline const char *scratch_path(const char *name)
{
    static char path[8][128];
    static unsigned turn;
    char *made = path[turn++ % 8];

    snprintf(made, sizeof(path[0]), "%s/%s", scratch, name);
    return made;
}

static inline int begin(void **state)
{
    struct gbx_wasm_config config = {.struct_bytes = sizeof(config),
                                     .cache_dir = scratch};

    (void)state;
    assert_non_null(mkdtemp(scratch));
    if (gbx_wasm_open(&good, path_of("good.wasm"), &config, &err) < 0)
        fail_msg("%s", err.what);
    return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type,
                             struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static inline int end(void **state)
{
    (void)state;
    gbx_wasm_close(good);
    return nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline struct gbx_wasm_instance *
start(const struct gbx_wasm_limits *limits)
{
    struct gbx_wasm_instance *instance;

    if (gbx_wasm_start(&instance, good, limits, &err) < 0)
        fail_msg("%s", err.what);
    return instance;
}

static inline int call(struct gbx_wasm_instance *instance, const char *name,
                       uint64_t *cells)
{
    uint32_t function;

    if (gbx_wasm_find(good, name, NULL, &function, &err) < 0)
        fail_msg("%s", err.what);
    return gbx_wasm_call(instance, function, cells, in_seconds(10), &err);
}

#endif
