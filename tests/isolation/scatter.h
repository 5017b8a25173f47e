/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scatter.h - a template, what its region held, and a clone of it, without the
 * core above them.  The guest is one that scatters memory over its addresses at
 * the ring behind the template, and ends unless all of it is free, and zero.
 *
 *  take_template("20");            each block needs a table of its own
 *  open_clone() == 0; echoes(&clone_box); box_close(&clone_box);
 *  drop_template();
 */
#ifndef TESTS_ISOLATION_SCATTER_H
#define TESTS_ISOLATION_SCATTER_H

#include "channel/region_image.h"
#include "sandbox/microvm/spare.h"
#include "tests/isolation/box.h"

static struct box box, clone_box;
static struct snapshot *snapshot;
static struct region_image image;

/* One ring, there and back: it goes on. */
static inline bool echoes(struct box *b)
{
    struct gbx_half_head *head = (void *)b->region.base;

    head->bell++;
    box_backend->ring(b->self);
    return box_run(b, BOX_WAIT_NS) == 0;
}

/* The guest, at the next ring, maps so many blocks of memory. */
static inline void open_template(const char *blocks)
{
    box_begin(&box, "scatter", blocks);
    assert_int_equal(box_open(&box), 0);
    assert_int_equal(box_run(&box, BOX_WAIT_NS), 0);
    assert_true(echoes(&box));
}

static inline void take_template(const char *blocks)
{
    open_template(blocks);
    assert_int_equal(box_backend->snapshot(box.self, &snapshot, &box.err), 0);
    assert_int_equal(region_image_take(&image, &box.region, &box.err), 0);
}

static inline void drop_template(void)
{
    box_backend->put(snapshot);
    snapshot = NULL;
    region_image_fini(&image);
    box_close(&box);
}

/* So that no machine is left over, but where a test holds some. */
static inline void take_alone(const char *blocks)
{
    take_template(blocks);
    spare_release();
}

static inline void drop_alone(void)
{
    spare_hold();
    drop_template();
}

/* A box in which there is room for a clone. */
static inline void begin_clone(void)
{
    box_begin(&clone_box, "scatter", "");
    assert_int_equal(region_image_put(&image, &clone_box.region), 0);
}

static inline int make_clone(void)
{
    return box_backend->clone(clone_box.self, &clone_box.bundle, snapshot,
                              &clone_box.region, &clone_box.err);
}

static inline void open_clone(void)
{
    begin_clone();
    if (make_clone() < 0)
        fail_msg("%s", clone_box.err.what);
}

static inline int wipe_clone(void)
{
    int rc = box_backend->wipe(clone_box.self, &clone_box.err);

    return rc < 0 ? rc : region_image_put(&image, &clone_box.region);
}

#endif
