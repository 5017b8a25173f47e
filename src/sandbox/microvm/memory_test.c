/* SPDX-License-Identifier: Apache-2.0 */
/* memory_test.c - ranges do not overlap, and KVM hears of what is reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "glovebox/error.h"
#include "sandbox/microvm/memory.h"

#define MIB (1ull << 20)

static struct memory memory;
static uint64_t from_last, to_last;
static unsigned told;
static int answer;

static int note(void *context, const struct memory_range *range, uint64_t from,
                uint64_t to)
{
    assert_ptr_equal(context, &told);
    assert_ptr_equal(range, &memory.ranges[0]);
    from_last = from;
    to_last = to;
    told++;
    return answer;
}

/* 100 MiB at 1 GiB, of which 1 MiB is the guest's. */
static int set_up(void **state)
{
    const struct memory_range range = {.at = 1024 * MIB,
                                       .bytes = 100 * MIB,
                                       .host = (uint8_t *)(1ull << 32),
                                       .there = MIB};

    (void)state;
    memory = (struct memory){.extend = note, .context = &told};
    told = 0;
    answer = 0;
    return memory_add(&memory, &range);
}

static void reach(uint64_t at, uint64_t bytes, uint64_t from, uint64_t to)
{
    unsigned before = told;

    assert_int_equal(memory_reach(&memory, 1024 * MIB + at, bytes), 0);
    if (to == 0) {
        assert_int_equal(told, before);
        return;
    }
    assert_int_equal(told, before + 1);
    assert_int_equal(from_last, from);
    assert_int_equal(to_last, to);
}

static void what_is_reached_doubles_up_to_the_end(void **state)
{
    (void)state;
    assert_int_equal(told, 1);
    assert_int_equal(to_last, MIB);
    reach(0, MIB, 0, 0);
    reach(MIB - 4096, 8192, MIB, 2 * MIB);
    reach(2 * MIB, 1, 2 * MIB, 4 * MIB);
    reach(31 * MIB, 4096, 4 * MIB, 32 * MIB);
    reach(32 * MIB, MIB, 32 * MIB, 64 * MIB);
    reach(0, 64 * MIB, 0, 0);
    reach(70 * MIB, 1, 64 * MIB, 100 * MIB);
    reach(0, 100 * MIB, 0, 0);
}

static void what_is_no_memory_is_not_reached(void **state)
{
    (void)state;
    assert_int_equal(memory_reach(&memory, 0, 1), GBX_EBOUNDS);
    assert_int_equal(memory_reach(&memory, 1023 * MIB, 2 * MIB), GBX_EBOUNDS);
    assert_int_equal(memory_reach(&memory, 1124 * MIB, 1), GBX_EBOUNDS);
    assert_int_equal(memory_reach(&memory, 1123 * MIB, 2 * MIB), GBX_EBOUNDS);
    assert_int_equal(memory_reach(&memory, 1024 * MIB, UINT64_MAX),
                     GBX_EBOUNDS);
    assert_int_equal(told, 1);
}

static void a_kvm_that_refuses_may_be_asked_again(void **state)
{
    (void)state;
    answer = GBX_EHOST;
    assert_int_equal(memory_reach(&memory, 1025 * MIB, 1), GBX_EHOST);
    answer = 0;
    reach(MIB, 1, MIB, 2 * MIB);
}

static void the_host_may_look_at_all_of_it(void **state)
{
    uint8_t *host = memory.ranges[0].host;

    (void)state;
    assert_ptr_equal(memory_host(&memory, 1024 * MIB, 100 * MIB), host);
    assert_ptr_equal(memory_host(&memory, 1100 * MIB, 4096), host + 76 * MIB);
    assert_null(memory_host(&memory, 1024 * MIB, 100 * MIB + 1));
    assert_null(memory_host(&memory, 1024 * MIB - 1, 2));
}

static void a_range_is_of_whole_pages_and_alone(void **state)
{
    static const struct {
        uint64_t at, bytes, host, there;
        int want;
    } cases[] = {
        {0, 4096, 4096, 0, 0},
        {1, 4096, 4096, 0, GBX_EARGUMENT},
        {0, 4095, 4096, 0, GBX_EARGUMENT},
        {0, 0, 4096, 0, GBX_EARGUMENT},
        {0, 4096, 1, 0, GBX_EARGUMENT},
        {0, 4096, 4096, 8192, GBX_EARGUMENT},
        {0, 8192, 4096, 100, GBX_EARGUMENT},
        {1024 * MIB - 4096, 8192, 4096, 0, GBX_EARGUMENT},
        {1124 * MIB - 4096, 4096, 4096, 0, GBX_EARGUMENT},
        {MEMORY_END - 4096, 8192, 4096, 0, GBX_EARGUMENT},
        {MEMORY_END, 4096, 4096, 0, GBX_EARGUMENT},
        {4096, UINT64_MAX - 4095, 4096, 0, GBX_EARGUMENT},
    };

    (void)state;
    memory.extend = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct memory_range range = {
            .at = cases[i].at,
            .bytes = cases[i].bytes,
            .host = (uint8_t *)cases[i].host,
            .there = cases[i].there,
        };

        memory.count = 1;
        assert_int_equal(memory_add(&memory, &range), cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_reached_doubles_up_to_the_end, set_up),
        cmocka_unit_test_setup(what_is_no_memory_is_not_reached, set_up),
        cmocka_unit_test_setup(a_kvm_that_refuses_may_be_asked_again, set_up),
        cmocka_unit_test_setup(the_host_may_look_at_all_of_it, set_up),
        cmocka_unit_test_setup(a_range_is_of_whole_pages_and_alone, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
