/* SPDX-License-Identifier: Apache-2.0 */
/* frames_test.c - frames are zero, are one's own, and go back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/check.h"
#include "sandbox/files/heap/frames.h"

#define PAGE  4096u
#define AT    0x100000u
#define COUNT 200u

static struct frames frames;
static uint8_t *host;
static struct heap *heap;

static int set_up(void **state)
{
    (void)state;
    host = mmap(NULL, COUNT * PAGE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(host, MAP_FAILED);
    heap = heap_open();
    assert_non_null(heap);
    frames_init(&frames, heap, host, AT, COUNT * PAGE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    frames_fini(&frames);
    frames_fini(&frames);
    heap_close(heap);
    munmap(host, COUNT * PAGE);
    return 0;
}

static uint64_t take(uint64_t wanted, uint64_t want)
{
    uint64_t physical, count;

    assert_int_equal(frames_take(&frames, wanted, &physical, &count), 0);
    assert_int_equal(count, want);
    return physical;
}

static bool is_zero(uint64_t physical, uint64_t count)
{
    const uint8_t *bytes = frames_host(&frames, physical);

    for (uint64_t i = 0; i < count * PAGE; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static unsigned resident(void)
{
    unsigned char in[COUNT];
    unsigned sum = 0;

    assert_int_equal(mincore(host, COUNT * PAGE, in), 0);
    for (unsigned i = 0; i < COUNT; i++)
        sum += in[i] & 1u;
    return sum;
}

static void a_run_is_as_long_as_the_hole_that_it_fills(void **state)
{
    uint64_t a = take(10, 10), b = take(20, 20), c = take(30, 30), physical;
    uint64_t count;

    (void)state;
    assert_int_equal(a, AT);
    assert_int_equal(b, a + 10 * PAGE);
    assert_int_equal(c, b + 20 * PAGE);
    frames_give(&frames, b, 20);
    assert_int_equal(take(100, 20), b);
    assert_int_equal(take(1000, COUNT - 60), c + 30 * PAGE);
    assert_int_equal(frames.free, 0);
    assert_int_equal(frames_take(&frames, 1, &physical, &count), -ENOMEM);
    frames_give(&frames, AT + (COUNT - 1) * PAGE, 1);
    assert_int_equal(take(2, 1), AT + (COUNT - 1) * PAGE);
}

static void a_frame_is_zero_whoever_had_it_before(void **state)
{
    static const uint64_t counts[] = {1, 31, 32, 33, 64, 65, 128, COUNT};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        uint64_t physical = take(counts[i], counts[i]);

        assert_int_equal(physical, AT);
        assert_true(is_zero(physical, counts[i]));
        memset(frames_host(&frames, physical), 0xee, counts[i] * PAGE);
        frames_give(&frames, physical, counts[i]);
    }
    assert_int_equal(frames.free, COUNT);
}

static void many_frames_go_back_to_the_host_but_few_do_not(void **state)
{
    uint64_t physical = take(COUNT, COUNT);

    (void)state;
    memset(host, 1, COUNT * PAGE);
    assert_int_equal(resident(), COUNT);
    frames_give(&frames, physical, 31);
    assert_int_equal(resident(), COUNT);
    frames_give(&frames, physical + 31 * PAGE, 32);
    assert_int_equal(resident(), COUNT - 32);
    assert_true(is_zero(take(63, 63), 63));
}

static void one_frame_again_and_again_is_the_same_memory(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3 * COUNT; i++) {
        uint64_t physical = take(1, 1);

        memset(frames_host(&frames, physical), 1, PAGE);
        frames_give(&frames, physical, 1);
    }
    assert_int_equal(resident(), 1);
}

/* Against a plain list of who has what. */
static void no_frame_has_two_owners(void **state)
{
    uint8_t owner[COUNT] = {0};
    uint64_t seed = 1;

    (void)state;
    for (unsigned round = 0; round < 4000; round++) {
        uint64_t physical, count, at;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        at = (seed >> 33) % COUNT;
        if (seed >> 63 && owner[at]) {
            for (count = 0; at + count < COUNT && owner[at + count]; count++)
                owner[at + count] = 0;
            frames_give(&frames, AT + at * PAGE, count);
        } else if (frames_take(&frames, at + 1, &physical, &count) == 0) {
            assert_in_range(count, 1, at + 1);
            assert_true(is_zero(physical, count));
            memset(frames_host(&frames, physical), 1, count * PAGE);
            for (uint64_t i = 0; i < count; i++) {
                assert_int_equal(owner[(physical - AT) / PAGE + i], 0);
                owner[(physical - AT) / PAGE + i] = 1;
            }
        }
        count = 0;
        for (unsigned i = 0; i < COUNT; i++)
            count += !owner[i];
        assert_int_equal(frames.free, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_run_is_as_long_as_the_hole_that_it_fills, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_frame_is_zero_whoever_had_it_before,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            many_frames_go_back_to_the_host_but_few_do_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            one_frame_again_and_again_is_the_same_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_frame_has_two_owners, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
