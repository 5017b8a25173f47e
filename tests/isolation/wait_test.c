/* SPDX-License-Identifier: Apache-2.0 */
/* Callers who do not wait inside, and guests that leave nobody any time. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/isolation/box.h"

#define CHATTER_BYTES (256u * 8192u)

static struct box box;

static void open_kind(const char *kind, const char *argument)
{
    box_begin(&box, kind, argument);
    if (box_open(&box) < 0)
        fail_msg("%s", box.err.what);
}

/* As an event loop does: look, then poll until there is something. */
static int poll_for(struct box *b)
{
    struct pollfd waits = {.fd = box_backend->fd(b->self), .events = POLLIN};
    int rc, looks = 0;

    while ((rc = box_run(b, 1)) == GBX_ETIME) {
        if (poll(&waits, 1, 10000) != 1)
            fail_msg("nothing comes, after %d looks", looks);
        if (++looks > 100000)
            fail_msg("the descriptor is readable for no reason");
    }
    return rc;
}

static void output_comes_to_those_who_poll(void **state)
{
    static const char *const how[] = {"alone", "beside"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        open_kind("chatter", how[i]);
        assert_int_equal(poll_for(&box), GBX_EEXIT);
        assert_int_equal(box.printed_bytes, CHATTER_BYTES);
        box_backend->explain(box.self, &box.err);
        assert_non_null(strstr(box.err.what, "status 5"));
        box_close(&box);
    }
}

/* Half of it to one who polls, the rest to one who waits. */
static void output_is_whole_however_it_is_waited_for(void **state)
{
    struct pollfd waits = {.events = POLLIN};
    int rc;

    (void)state;
    open_kind("chatter", "beside");
    waits.fd = box_backend->fd(box.self);
    while ((rc = box_run(&box, 1)) == GBX_ETIME &&
           box.printed_bytes < CHATTER_BYTES / 2)
        assert_int_equal(poll(&waits, 1, 10000), 1);
    if (rc == GBX_ETIME)
        rc = box_end(&box);
    assert_int_equal(rc, GBX_EEXIT);
    assert_int_equal(box.printed_bytes, CHATTER_BYTES);
    box_close(&box);
}

static void a_ring_is_heard_beside_a_thread_that_spins(void **state)
{
    struct gbx_half_head *head;

    (void)state;
    open_kind("echo_beside", "");
    head = (void *)box.region.base;
    assert_int_equal(poll_for(&box), 0);
    for (int i = 0; i < 20; i++) {
        usleep(3000); /* by now only the other thread has something to do */
        head->bell++;
        box_backend->ring(box.self);
        assert_int_equal(poll_for(&box), 0);
    }
    box_close(&box);
}

/* Those who wait take over from those who polled. */
static void a_ring_is_heard_by_whoever_waits_next(void **state)
{
    struct gbx_half_head *head;

    (void)state;
    for (int spins = 0; spins < 2; spins++) {
        open_kind(spins ? "echo_beside" : "echo", "");
        head = (void *)box.region.base;
        assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
        for (int i = 0; i < 50; i++) {
            head->bell++;
            box_backend->ring(box.self);
            assert_int_equal(
                i % 3 == 0 ? poll_for(&box) : box_run(&box, BOX_WAIT_NS), 0);
            if (box_backend->rest != NULL && i % 2 == 0)
                box_backend->rest(box.self);
        }
        box_close(&box);
    }
}

/* All its threads wait, and nothing will wake them but the host. */
static void a_kill_is_seen_by_those_who_poll(void **state)
{
    static const char *const kinds[] = {"hang", "spin", "echo"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct pollfd waits = {.events = POLLIN};
        int rc;

        open_kind(kinds[i], "");
        waits.fd = box_backend->fd(box.self);
        while (box_run(&box, 1) == 0)
            ;
        usleep(20000); /* let it come to rest; if not, no matter */
        box_backend->kill(box.self);
        assert_int_equal(poll(&waits, 1, 10000), 1);
        while ((rc = box_run(&box, 1)) == 0) /* what it said before */
            ;
        assert_int_equal(rc, GBX_ECANCELED);
        assert_int_equal(poll(&waits, 1, 10000), 1); /* and still is so */
        assert_int_equal(box_run(&box, 1), GBX_ECANCELED);
        box_close(&box);
    }
}

static int kill_it(void *context, int stream, const void *text, size_t bytes)
{
    (void)context;
    (void)stream;
    (void)text;
    (void)bytes;
    box_backend->kill(box.self);
    return 0;
}

static void the_output_function_may_kill(void **state)
{
    (void)state;
    for (int polls = 0; polls < 2; polls++) {
        box_begin(&box, "flood", "");
        box.bundle.output = kill_it;
        assert_int_equal(box_open(&box), 0);
        assert_int_equal(polls ? poll_for(&box) : box_end(&box), GBX_ECANCELED);
        box_close(&box);
    }
}

static int refuse(void *context, int stream, const void *text, size_t bytes)
{
    (void)context;
    (void)stream;
    (void)text;
    (void)bytes;
    return GBX_EOUTPUT;
}

static void refused_output_is_the_end_that_is_told(void **state)
{
    (void)state;
    for (int polls = 0; polls < 2; polls++) {
        box_begin(&box, "flood", "");
        box.bundle.output = refuse;
        assert_int_equal(box_open(&box), 0);
        assert_int_equal(polls ? poll_for(&box) : box_end(&box), GBX_EOUTPUT);
        box_close(&box);
    }
}

/* Nothing of the past is left in the descriptor, either. */
static void after_a_wipe_the_fd_tells_of_the_new_guest(void **state)
{
    struct pollfd waits = {.events = POLLIN};

    (void)state;
    open_kind("echo", "");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(poll_for(&box), 0);
        box_backend->kill(box.self);
        assert_int_equal(box_backend->wipe(box.self, &box.err), 0);
        waits.fd = box_backend->fd(box.self);
        if (is_microvm()) /* it has not begun to run */
            assert_int_equal(poll(&waits, 1, 0), 0);
    }
    assert_int_equal(poll_for(&box), 0);
    box_close(&box);
}

static void the_time_is_over_and_it_still_runs(void **state)
{
    static const char *const kinds[] = {"spin", "hang", "spin_in_calls"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        open_kind(kinds[i], "");
        for (int again = 0; again < 5; again++)
            assert_int_equal(box_run(&box, 5000000), GBX_ETIME);
        box_backend->kill(box.self);
        assert_int_equal(box_run(&box, BOX_WAIT_NS), GBX_ECANCELED);
        box_close(&box);
    }
}

/* The guest asks for what has just become longer, in another thread. */
static void the_region_may_grow_while_the_guest_runs(void **state)
{
    (void)state;
    open_kind("reach", "");
    assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
    assert_int_equal(box_run(&box, 1), GBX_ETIME);
    for (uint64_t mib = 3; mib < 8; mib++) {
        region_grow(&box.region, HALF_GUEST, mib << 20);
        usleep(1000);
    }
    assert_int_equal(region_grow(&box.region, HALF_GUEST,
                                 box.region.half_bytes - GBX_ARENA_OFF),
                     0);
    assert_int_equal(poll_for(&box), GBX_EEXIT);
    box_backend->explain(box.self, &box.err);
    assert_non_null(strstr(box.err.what, "status 6"));
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_comes_to_those_who_poll),
        cmocka_unit_test(output_is_whole_however_it_is_waited_for),
        cmocka_unit_test(a_ring_is_heard_beside_a_thread_that_spins),
        cmocka_unit_test(a_ring_is_heard_by_whoever_waits_next),
        cmocka_unit_test(a_kill_is_seen_by_those_who_poll),
        cmocka_unit_test(the_output_function_may_kill),
        cmocka_unit_test(refused_output_is_the_end_that_is_told),
        cmocka_unit_test(after_a_wipe_the_fd_tells_of_the_new_guest),
        cmocka_unit_test(the_region_may_grow_while_the_guest_runs),
        cmocka_unit_test(the_time_is_over_and_it_still_runs),
    };

    return cmocka_run_group_tests(tests, box_possible, NULL);
}
