/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "channel/ring.h"
#include "glovebox/error.h"

#include <cmocka.h>

static _Alignas(64) struct gbx_descriptor slots[GBX_RING_SLOTS];
static struct gbx_descriptor got;

static int setup(void **state)
{
    (void)state;
    memset(slots, 0, sizeof(slots));
    return 0;
}

static void each_member_arrives_and_the_lap_is_the_rings(void **state)
{
    const struct gbx_descriptor d = {
        .kind = GBX_KIND_DONE,
        .type = GBX_STREAM,
        .flags = GBX_HAS_MESSAGE | GBX_TYPED,
        .call = 0x87654321,
        .body_bytes = 0xfedcba98,
        .name_bytes = 255,
        .lap = 77,
        .zero = {1, 2},
        .body_off = 0x123456789abcdef0,
        .scalar = UINT64_MAX,
        .handler_ns = 1,
        .name.text = "twenty-four bytes of it",
    };
    struct gbx_descriptor want = d;

    (void)state;
    want.lap = want.zero[0] = want.zero[1] = 0;
    ring_put(slots, 5, &d);
    assert_int_equal(slots[5].lap, 1);
    assert_int_equal(ring_get(slots, 5, &got), 1);
    assert_memory_equal(&got, &want, sizeof(want));
}

/* The counter's own end among them. */
static void a_slot_is_ready_once_in_each_lap(void **state)
{
    static const uint32_t from[] = {0, 200 * GBX_RING_SLOTS,
                                    UINT32_MAX - 300 * GBX_RING_SLOTS + 1};
    struct gbx_descriptor d = {.kind = GBX_KIND_OUTPUT};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
        for (uint32_t n = 0; n < GBX_RING_SLOTS; n++)
            ring_put(slots, from[i] - GBX_RING_SLOTS + n, &d);
        for (uint32_t at = 0; at < 600 * GBX_RING_SLOTS; at++) {
            const uint32_t n = from[i] + at;

            assert_int_equal(ring_look(slots, n), 0);
            assert_int_equal(ring_get(slots, n, &got), 0);
            d.scalar = n;
            ring_put(slots, n, &d);
            assert_int_equal(ring_look(slots, n), 1);
            assert_int_equal(ring_get(slots, n, &got), 1);
            assert_int_equal(got.scalar, n);
        }
        setup(state);
    }
}

static void a_lap_that_nobody_can_be_in_is_a_lie(void **state)
{
    (void)state;
    for (uint32_t turn = 0; turn < 300; turn++)
        for (unsigned lap = 0; lap < 256; lap++) {
            const uint32_t n = turn * GBX_RING_SLOTS + 9;
            const int want = lap == ((turn + 1) & 0xff) ? 1
                             : lap == (turn & 0xff)     ? 0
                                                        : GBX_EBROKEN;

            memset(&got, 0x55, sizeof(got));
            slots[9].lap = (uint8_t)lap;
            assert_int_equal(ring_look(slots, n), want);
            assert_int_equal(ring_get(slots, n, &got), want);
            assert_int_equal(got.lap, want == 1 ? 0 : 0x55);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_member_arrives_and_the_lap_is_the_rings,
                               setup),
        cmocka_unit_test_setup(a_slot_is_ready_once_in_each_lap, setup),
        cmocka_unit_test_setup(a_lap_that_nobody_can_be_in_is_a_lie, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
