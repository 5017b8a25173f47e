/* SPDX-License-Identifier: Apache-2.0 */
/*
 * microvm_suspend_test.c - a clone is put away and comes back, at other
 * addresses, and its guest cannot tell.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/microvm/backend/microvm.h"
#include "tests/isolation/scatter.h"

static struct suspended *put_away(void)
{
    struct suspended *suspended;

    if (box_backend->suspend(clone_box.self, &suspended, &clone_box.err) < 0)
        fail_msg("%s", clone_box.err.what);
    box_backend->close(clone_box.self);
    memset(clone_box.self, 0, box_backend->self_bytes);
    return suspended;
}

static void bring_back(struct suspended *suspended)
{
    if (box_backend->resume(clone_box.self, &clone_box.bundle, snapshot,
                            suspended, &clone_box.region, &clone_box.err) < 0)
        fail_msg("%s", clone_box.err.what);
    box_backend->discard(suspended);
}

/* Before it ran, after it, while a runner had it, parked or not, and after a
 * wipe; each time it has what it had, or what the template has. */
static void whenever_it_is_put_away_it_goes_on(void **state)
{
    static const char *const blocks[] = {"0", "20", "200"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        take_template(blocks[i]);
        open_clone();
        bring_back(put_away());
        for (int round = 0; round < 20; round++) {
            assert_true(echoes(&clone_box));
            if (round % 2 == 0)
                assert_true(echoes(&clone_box));
            if (round % 3 == 0)
                box_run(&clone_box, 1); /* a runner has it */
            if (round % 5 == 0)
                box_backend->park(clone_box.self);
            bring_back(put_away());
            if (round % 4 == 0)
                bring_back(put_away());
            if (round % 2 == 1)
                assert_true(echoes(&clone_box));
            assert_int_equal(wipe_clone(), 0);
        }
        box_close(&clone_box);
        drop_template();
    }
}

static void put_away_it_holds_nothing_of_the_hosts(void **state)
{
    struct suspended *suspended;
    int fds, maps;

    (void)state;
    take_alone("20");
    begin_clone();
    fds = count_fds();
    maps = count_maps();
    assert_int_equal(make_clone(), 0);
    assert_true(echoes(&clone_box));
    suspended = put_away();
    assert_int_equal(count_fds(), fds);
    assert_int_equal(count_maps(), maps);
    bring_back(suspended);
    assert_true(echoes(&clone_box));
    box_close(&clone_box);
    drop_alone();
}

/* It wrote 16 pages in each block, each of which has a table of its own; every
 * fifth gave half of them back. */
static void only_its_own_pages_are_kept(void **state)
{
    struct suspended *suspended;
    uint32_t few;

    (void)state;
    take_template("20");
    open_clone();
    suspended = put_away();
    few = suspended->system.count + suspended->frames.count;
    assert_in_range(few, 0, 8);
    bring_back(suspended);
    assert_true(echoes(&clone_box));
    suspended = put_away();
    assert_in_range(suspended->system.count, 20, 40);
    assert_in_range(suspended->frames.count, 20 * 16 - 4 * 8, 20 * 16 + 16);
    box_backend->discard(suspended);
    box_close(&clone_box);
    drop_template();
}

/* It has pages of its own alone, which nobody else has. */
static void what_is_no_clone_stays(void **state)
{
    struct suspended *suspended;

    (void)state;
    open_template("0");
    assert_int_equal(box_backend->suspend(box.self, &suspended, &box.err),
                     GBX_EUNSUPPORTED);
    assert_null(suspended);
    assert_true(echoes(&box));
    box_close(&box);
}

static void one_that_was_killed_stays(void **state)
{
    struct suspended *suspended;

    (void)state;
    take_template("0");
    open_clone();
    assert_true(echoes(&clone_box));
    box_backend->kill(clone_box.self);
    assert_true(
        box_backend->suspend(clone_box.self, &suspended, &clone_box.err) < 0);
    assert_int_equal(box_run(&clone_box, BOX_WAIT_NS), GBX_ECANCELED);
    box_close(&clone_box);
    drop_template();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whenever_it_is_put_away_it_goes_on),
        cmocka_unit_test(put_away_it_holds_nothing_of_the_hosts),
        cmocka_unit_test(only_its_own_pages_are_kept),
        cmocka_unit_test(what_is_no_clone_stays),
        cmocka_unit_test(one_that_was_killed_stays),
    };

    return cmocka_run_group_tests(tests, box_possible, NULL);
}
