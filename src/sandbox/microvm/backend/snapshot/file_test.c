/* SPDX-License-Identifier: Apache-2.0 */
/* file_test.c - a snapshot in a file, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "sandbox/microvm/backend/microvm.h"

#define PAGE   4096u
#define SYSTEM (MICROVM_TABLES_AT + 2 * PAGE)
#define FRAMES (8 * PAGE)
#define OFF    (3 * PAGE) /* in its file */

static struct snapshot *good, *loaded;
static struct bytes_out out;
static struct gbx_error err;
static int pages_fd = -1;

/* By hand: it needs no KVM. */
static int setup(void **state)
{
    struct touched *touched = malloc(sizeof(*touched) + 2 * sizeof(uint32_t));
    struct stat st;

    (void)state;
    good = calloc(1, sizeof(*good));
    must(good != NULL && touched != NULL);
    touched->count = 2;
    touched->pages[0] = 1;
    touched->pages[1] = 7 | TOUCHED_WRITTEN;
    good->touched = touched;
    good->system_bytes = SYSTEM;
    good->frames_bytes = FRAMES;
    good->kernel.heap_bytes = 100;
    good->kernel.heap = calloc(1, 100);
    must(lstat("/", &st) == 0);
    seen_note(&good->seen, "/", &st);
    seen_note(&good->seen, "/nothing of this name", NULL);
    pages_fd = memfd_create("pages", MFD_CLOEXEC);
    must(ftruncate(pages_fd, OFF + SYSTEM + FRAMES) == 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    snapshot_put(loaded);
    loaded = NULL;
    bytes_out_fini(&out);
    free(good->touched);
    seen_fini(&good->seen);
    kernel_snapshot_fini(&good->kernel);
    free(good);
    close(pages_fd);
    return 0;
}

static void save(void)
{
    uint64_t bytes;
    int fd;

    bytes_out_fini(&out);
    assert_int_equal(snapshot_save(good, &out, &fd, &bytes), 0);
    assert_int_equal(bytes, good->system_bytes + good->frames_bytes);
}

static int load(size_t count)
{
    struct bytes_in in = {out.bytes, out.bytes + count, false};

    snapshot_put(loaded);
    return snapshot_load(&loaded, &in, pages_fd, OFF, &err);
}

static void what_was_saved_is_loaded(void **state)
{
    (void)state;
    save();
    assert_int_equal(load(out.count), 0);
    assert_int_equal(loaded->system_bytes, SYSTEM);
    assert_int_equal(loaded->frames_bytes, FRAMES);
    assert_int_equal(loaded->seen.count, 2);
    assert_int_equal(loaded->kernel.heap_bytes, 100);
    assert_int_equal(((struct touched *)loaded->touched)->count, 2);
    assert_int_equal(loaded->until_ns, 0);
    assert_int_equal(loaded->image[SYSTEM + FRAMES - 1], 0);
}

static void cut_off_anywhere_it_is_refused(void **state)
{
    (void)state;
    save();
    for (size_t count = 0; count < out.count; count++) {
        int rc = load(count);

        assert_true(rc == GBX_EFORMAT || rc == GBX_ESTALE);
        assert_null(loaded);
    }
}

static void all_its_memory_is_in_the_file(void **state)
{
    static const uint64_t lies[][2] = {
        {SYSTEM, FRAMES + PAGE},
        {SYSTEM + PAGE, FRAMES},
        {SYSTEM, FRAMES - 1},
        {SYSTEM - 1, FRAMES},
        {MICROVM_TABLES_AT - PAGE, FRAMES},
        {0, FRAMES},
        {UINT64_MAX - PAGE + 1, SYSTEM},
        {SYSTEM, UINT64_MAX - PAGE + 1},
        {SYSTEM, UINT64_MAX - SYSTEM + 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        good->system_bytes = lies[i][0];
        good->frames_bytes = lies[i][1];
        save();
        assert_int_equal(load(out.count), GBX_EFORMAT);
    }
    good->system_bytes = MICROVM_TABLES_AT;
    good->frames_bytes = FRAMES;
    save();
    assert_int_equal(load(out.count), 0);
    assert_int_equal(ftruncate(pages_fd, OFF - 1), 0);
    assert_int_equal(load(out.count), GBX_EFORMAT);
}

static void a_page_that_was_touched_is_one_of_its_own(void **state)
{
    struct touched *touched = good->touched;
    static const uint32_t lies[] = {FRAMES / PAGE, ~TOUCHED_WRITTEN,
                                    UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        touched->pages[1] = lies[i];
        save();
        assert_int_equal(load(out.count), GBX_EFORMAT);
    }
}

static void what_changed_on_the_host_is_named(void **state)
{
    (void)state;
    good->seen.files[0].size++;
    save();
    assert_int_equal(load(out.count), GBX_ESTALE);
    assert_string_equal(err.what, "/ has changed since");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_saved_is_loaded),
        TEST(cut_off_anywhere_it_is_refused),
        TEST(all_its_memory_is_in_the_file),
        TEST(a_page_that_was_touched_is_one_of_its_own),
        TEST(what_changed_on_the_host_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
