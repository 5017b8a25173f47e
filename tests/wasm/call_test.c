/* SPDX-License-Identifier: Apache-2.0 */
/* Modules through the public API (glovebox/wasm.h): calls, traps, limits. */
#include "wasm_test.h"

#include <pthread.h>

static uint64_t bits(double value)
{
    uint64_t cell;

    memcpy(&cell, &value, sizeof(cell));
    return cell;
}

static void arguments_and_results_are_cells(void **state)
{
    struct gbx_wasm_instance *instance = start(NULL);
    const float half = 0.5f;
    uint64_t cells[4] = {(uint32_t)-1, (uint64_t)-2, 0, bits(0.25)};

    (void)state;
    memcpy(&cells[2], &half, sizeof(half));
    assert_int_equal(call(instance, "mix", cells), 0);
    assert_int_equal(cells[0], bits(-2.25));
    cells[0] = 3;
    assert_int_equal(call(instance, "two", cells), 0);
    assert_int_equal(cells[0], 3);
    assert_int_equal(cells[1], 7);
    cells[0] = 0, cells[1] = 21;
    assert_int_equal(call(instance, "indirect", cells), 0);
    assert_int_equal(cells[0], 42);
    gbx_wasm_stop(instance);
}

static void functions_are_found_by_name_and_type(void **state)
{
    uint32_t function;

    (void)state;
    assert_int_equal(gbx_wasm_find(good, "mix", "iIfF:F", &function, &err), 0);
    assert_int_equal(gbx_wasm_find(good, "two", "i:iI", &function, &err), 0);
    assert_int_equal(gbx_wasm_find(good, "two", "i:i", &function, &err),
                     GBX_EARGUMENT);
    assert_non_null(strstr(err.what, "i:iI"));
    assert_int_equal(gbx_wasm_find(good, "none", NULL, &function, &err),
                     GBX_EARGUMENT);
    assert_non_null(strstr(err.what, "none"));
    assert_int_equal(gbx_wasm_find(good, "reference", NULL, &function, &err),
                     GBX_EARGUMENT);
    assert_int_equal(gbx_wasm_kind(good), GBX_WASM_LIBRARY);
}

static void instances_are_alone(void **state)
{
    struct gbx_wasm_instance *one = start(NULL), *other = start(NULL);
    uint64_t cells[3] = {0};

    (void)state;
    assert_int_equal(call(one, "count", cells), 0);
    assert_int_equal(call(one, "count", cells), 0);
    assert_int_equal(cells[0], 7);
    assert_int_equal(call(other, "count", cells), 0);
    assert_int_equal(cells[0], 6);
    assert_memory_equal(gbx_wasm_memory(one, 8, 8), "glovebox", 8);
    memcpy(gbx_wasm_memory(one, 8, 8), "GLOVEBOX", 8);
    assert_memory_equal(gbx_wasm_memory(other, 8, 8), "glovebox", 8);
    gbx_wasm_stop(one);
    gbx_wasm_stop(other);
}

static void memory_ends_where_it_says(void **state)
{
    struct gbx_wasm_instance *instance = start(NULL);
    uint64_t cells[3] = {65532};

    (void)state;
    assert_int_equal(call(instance, "load", cells), 0);
    assert_non_null(gbx_wasm_memory(instance, 65536, 0));
    assert_null(gbx_wasm_memory(instance, 65536, 1));
    assert_null(gbx_wasm_memory(instance, UINT64_MAX, 2));
    cells[0] = 2;
    assert_int_equal(call(instance, "grow", cells), 0);
    assert_int_equal(cells[0], 1);
    cells[0] = 65536 * 3 - 4;
    assert_int_equal(call(instance, "load", cells), 0);
    assert_int_equal(cells[0], 0);
    cells[0] = 98; /* of its own 100 */
    assert_int_equal(call(instance, "grow", cells), 0);
    assert_int_equal(cells[0], UINT32_MAX);
    cells[0] = 1, cells[1] = 0, cells[2] = 65536 * 3 - 1;
    assert_int_equal(call(instance, "copy", cells), 0);
    gbx_wasm_stop(instance);
}

/* What it must not do, who does it, and what is said of it. */
static void a_trap_ends_it_and_is_explained(void **state)
{
    static const struct {
        const char *name;
        uint64_t cells[3];
        const char *said;
    } traps[] = {
        {"load", {65533}, "out of bounds memory access, in load"},
        {"load", {UINT32_MAX}, "out of bounds memory access, in load"},
        {"load_far", {0}, "out of bounds memory access, in load_far"},
        {"load_far", {0x20}, "out of bounds memory access, in load_far"},
        {"store", {65529, 1}, "out of bounds memory access, in store"},
        {"copy", {65536, 0, 1}, "out of bounds memory access, in "},
        {"copy", {0, 1, UINT32_MAX}, "out of bounds memory access, in "},
        {"fill", {1, 0, 65536}, "out of bounds memory access, in "},
        {"divide", {1, 0}, "integer divide by zero, in divide"},
        {"divide", {0x80000000u, UINT32_MAX}, "integer overflow, in divide"},
        {"truncate", {0x7ff8000000000000u}, "invalid conversion to integer"},
        {"truncate", {0x43e0000000000000u}, "integer overflow, in truncate"},
        {"unreachable", {0}, "unreachable, in unreachable"},
        {"indirect", {1, 0}, "indirect call"},
        {"indirect", {2, 0}, "indirect call"},
        {"indirect", {3, 0}, "indirect call"},
        {"wrong_type", {0}, "indirect call"},
        {"recurse", {0}, "call stack exhausted, in recurse"},
        {"ping", {0}, "call stack exhausted, in p"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(traps) / sizeof(traps[0]); i++) {
        struct gbx_wasm_instance *instance = start(NULL);
        uint64_t cells[3];

        memcpy(cells, traps[i].cells, sizeof(cells));
        assert_int_equal(call(instance, traps[i].name, cells), GBX_ETRAP);
        if (strstr(err.what, traps[i].said) == NULL)
            fail_msg("%s: %s", traps[i].name, err.what);
        assert_int_equal(call(instance, "count", cells), GBX_EBROKEN);
        gbx_wasm_stop(instance);
    }
}

static void limits_are_kept(void **state)
{
    struct gbx_wasm_limits limits = {.struct_bytes = sizeof(limits),
                                     .memory_bytes = 2 << 16,
                                     .stack_bytes = 64 << 10};
    struct gbx_wasm_instance *instance = start(&limits);
    uint64_t cells[3] = {2};

    (void)state;
    assert_int_equal(call(instance, "grow", cells), 0);
    assert_int_equal(cells[0], UINT32_MAX);
    cells[0] = 100;
    assert_int_equal(call(instance, "deep", cells), 0);
    assert_int_equal(cells[0], 100);
    cells[0] = 100000;
    assert_int_equal(call(instance, "deep", cells), GBX_EMEMORY);
    gbx_wasm_stop(instance);

    limits.memory_bytes = 1 << 16;
    limits.stack_bytes = 16 << 20;
    instance = start(&limits);
    cells[0] = 100000;
    assert_int_equal(call(instance, "deep", cells), 0);
    gbx_wasm_stop(instance);

    limits.memory_bytes = 65535; /* less than it begins with */
    assert_int_equal(gbx_wasm_start(&instance, good, &limits, &err),
                     GBX_EMEMORY);
    limits.memory_bytes = (4ull << 30) + 1;
    assert_int_equal(gbx_wasm_start(&instance, good, &limits, &err),
                     GBX_EARGUMENT);
    limits.struct_bytes = 8;
    assert_int_equal(gbx_wasm_start(&instance, good, &limits, &err),
                     GBX_EARGUMENT);
}

static void an_endless_loop_is_stopped(void **state)
{
    struct gbx_wasm_instance *instance = start(NULL);
    uint64_t cells[1];
    uint32_t spin;

    (void)state;
    assert_int_equal(gbx_wasm_find(good, "spin", ":", &spin, &err), 0);
    assert_int_equal(
        gbx_wasm_call(instance, spin, cells, in_seconds(0.05), &err),
        GBX_ETIME);
    assert_int_equal(call(instance, "count", cells), GBX_EBROKEN);
    gbx_wasm_stop(instance);
}

static void a_start_that_does_not_end_is_stopped(void **state)
{
    const struct gbx_wasm_limits limits = {.struct_bytes = sizeof(limits),
                                           .start_ns = 50000000};
    struct gbx_wasm_instance *instance;
    struct gbx_wasm *module;

    (void)state;
    if (gbx_wasm_open(&module, path_of("start.wasm"), NULL, &err) < 0)
        fail_msg("%s", err.what);
    assert_int_equal(gbx_wasm_start(&instance, module, &limits, &err),
                     GBX_ETIME);
    assert_null(instance);
    gbx_wasm_close(module);
}

static void *interrupt_soon(void *instance)
{
    usleep(30000);
    gbx_wasm_interrupt(instance);
    return NULL;
}

static void it_is_interrupted_by_another_thread(void **state)
{
    struct gbx_wasm_instance *instance = start(NULL);
    uint64_t cells[1];
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, instance),
                     0);
    assert_int_equal(call(instance, "spin", cells), GBX_ECANCELED);
    pthread_join(thread, NULL);
    gbx_wasm_stop(instance);

    instance = start(NULL); /* before it begins */
    gbx_wasm_interrupt(instance);
    assert_int_equal(call(instance, "spin", cells), GBX_ECANCELED);
    gbx_wasm_stop(instance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_and_results_are_cells),
        cmocka_unit_test(functions_are_found_by_name_and_type),
        cmocka_unit_test(instances_are_alone),
        cmocka_unit_test(memory_ends_where_it_says),
        cmocka_unit_test(a_trap_ends_it_and_is_explained),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(an_endless_loop_is_stopped),
        cmocka_unit_test(a_start_that_does_not_end_is_stopped),
        cmocka_unit_test(it_is_interrupted_by_another_thread),
    };

    return cmocka_run_group_tests_name("wasm calls", tests, begin, end);
}
