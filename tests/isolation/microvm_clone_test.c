/* SPDX-License-Identifier: Apache-2.0 */
/*
 * microvm_clone_test.c - clones of a template, wiped back to it again and
 * again.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/isolation/scatter.h"

static void a_wiped_clone_does_all_once_more(void **state)
{
    static const char *const blocks[] = {"0", "20", "200"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        take_template(blocks[i]);
        open_clone();
        for (int round = 0; round < 20; round++) {
            assert_true(echoes(&clone_box));
            if (round % 2 == 0)
                assert_true(echoes(&clone_box));
            if (round % 3 == 0)
                box_run(&clone_box, 1); /* a runner has it */
            assert_int_equal(wipe_clone(), 0);
        }
        assert_true(echoes(&clone_box));
        assert_true(echoes(&box)); /* which is where the template was */
        box_close(&clone_box);
        drop_template();
    }
}

/* What one call used up, the next one would lack. */
static void a_clone_with_many_tables_is_not_wiped(void **state)
{
    (void)state;
    take_template("300");
    open_clone();
    assert_int_equal(wipe_clone(), 0);
    assert_true(echoes(&clone_box));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(wipe_clone(), GBX_EHOST);
        assert_int_equal(box_run(&clone_box, 1), GBX_EHOST);
    }
    box_close(&clone_box);
    open_clone();
    assert_true(echoes(&clone_box));
    box_close(&clone_box);
    drop_template();
}

#define THREADS 4
#define ROUNDS  20

/* Without asserts: for any thread. */
static void *clone_often(void *context)
{
    struct box *b = context;
    bool well = true;

    for (int i = 0; i < ROUNDS && well; i++) {
        b->err = (struct gbx_error){0};
        well = region_image_put(&image, &b->region) == 0 &&
               box_clone(b, snapshot) == 0 && echoes(b);
        for (int wipes = 0; wipes < i % 4 && well; wipes++)
            well = box_backend->wipe(b->self, &b->err) == 0 &&
                   region_image_put(&image, &b->region) == 0 && echoes(b);
        box_backend->close(b->self);
        memset(b->self, 0, box_backend->self_bytes);
    }
    return well ? NULL : b;
}

/* While the one that was the template goes on. */
static void any_number_of_threads_clone_at_once(void **state)
{
    static struct box boxes[THREADS];
    pthread_t threads[THREADS];
    void *failed;

    (void)state;
    take_template("10");
    for (int i = 0; i < THREADS; i++) {
        box_begin(&boxes[i], "scatter", "");
        assert_int_equal(
            pthread_create(&threads[i], NULL, clone_often, &boxes[i]), 0);
    }
    for (int i = 0; i < 100; i++)
        assert_true(echoes(&box));
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        if (failed != NULL)
            fail_msg("thread %d: %s", i, boxes[i].err.what);
        box_close(&boxes[i]);
    }
    drop_template();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wiped_clone_does_all_once_more),
        cmocka_unit_test(a_clone_with_many_tables_is_not_wiped),
        cmocka_unit_test(any_number_of_threads_clone_at_once),
    };

    return cmocka_run_group_tests(tests, box_possible, NULL);
}
