/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/frame.h"

static uint8_t head[FRAME_HEAD_MAX];
static const char *what;

static const struct frame one = {.kind = FRAME_INPUT,
                                 .type = 5,
                                 .flags = FRAME_HAS_MESSAGE | FRAME_RUNS,
                                 .call = 0x01020304,
                                 .scalar = 0x1112131415161718,
                                 .body_bytes = 1ull << 40,
                                 .actor = "double",
                                 .port = "in"};

static void what_is_written_is_read(void **state)
{
    const size_t bytes = frame_write(&one, head);
    struct frame got;

    (void)state;
    assert_int_equal(bytes, FRAME_BYTES + 8);
    /* Before all of it is there, more is wanted. */
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(frame_read(&got, head, i, &what), 0);
    assert_int_equal(frame_read(&got, head, bytes, &what), bytes);
    assert_memory_equal(&got, &one, sizeof(one));
}

static void a_head_may_come_in_pieces(void **state)
{
    const size_t bytes = frame_write(&one, head);

    (void)state;
    for (size_t step = 1; step < bytes + 5; step++) {
        struct frame_head comes = {.count = 0};
        struct frame got;
        uint8_t all[FRAME_HEAD_MAX + 8] = {0};
        size_t at = 0;
        int rc = 0;

        memcpy(all, head, bytes);
        while (rc == 0) {
            const uint8_t *data = all + at;
            size_t left = step;

            rc = frame_take(&comes, &got, &data, &left);
            at = (size_t)(data - all);
        }
        assert_int_equal(rc, 1);
        assert_int_equal(at, bytes); /* no byte of the body */
        assert_memory_equal(&got, &one, sizeof(one));
    }
}

static void numbers_are_little_endian(void **state)
{
    static const uint8_t wanted[] = "GBX1\x01\x05\x06\x02"
                                    "\x04\x03\x02\x01\x06\0\0\0"
                                    "\x18\x17\x16\x15\x14\x13\x12\x11"
                                    "\0\0\0\0\0\x01\0\0doublein";

    (void)state;
    assert_int_equal(frame_write(&one, head), sizeof(wanted) - 1);
    assert_memory_equal(head, wanted, sizeof(wanted) - 1);
}

static void the_longest_names_fit(void **state)
{
    struct frame frame = one, got;

    (void)state;
    memset(frame.actor, 'a', FRAME_NAME_MAX);
    memset(frame.port, 'p', FRAME_NAME_MAX);
    assert_int_equal(frame_write(&frame, head), FRAME_HEAD_MAX);
    assert_int_equal(frame_read(&got, head, FRAME_HEAD_MAX, &what),
                     FRAME_HEAD_MAX);
    assert_memory_equal(&got, &frame, sizeof(frame));
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        size_t at;
        uint8_t byte;
        const char *what;
    } cases[] = {{0, 'X', "version"}, {3, '2', "version"}, {4, 0, "kind"},
                 {4, 13, "kind"},     {13, 1, "255"},      {15, 0x80, "255"},
                 {33, 0, "zero"},     {39, 0, "zero"}};
    struct frame got;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        frame_write(&one, head);
        head[cases[i].at] = cases[i].byte;
        assert_int_equal(frame_read(&got, head, sizeof(head), &what), -1);
        assert_non_null(strstr(what, cases[i].what));
    }
    frame_write(&one, head);
    memset(head + 8, 0, 4);
    assert_int_equal(frame_read(&got, head, sizeof(head), &what), -1);
    assert_non_null(strstr(what, "not 0"));
    head[4] = FRAME_HELLO; /* is of no call */
    assert_true(frame_read(&got, head, sizeof(head), &what) > 0);
    head[8] = 1;
    assert_int_equal(frame_read(&got, head, sizeof(head), &what), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_head_may_come_in_pieces),
        cmocka_unit_test(numbers_are_little_endian),
        cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(what_is_wrong_is_said),
    };

    return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
