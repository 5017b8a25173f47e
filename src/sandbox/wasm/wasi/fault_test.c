/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_test.c - the nth step of opening fails, also when the tree is made: the
 * code says so, nothing is left, and without a fault all is well.
 *
 * The linker puts the functions below before the others (--wrap).
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/fault_test.h"
#include "sandbox/files/tree/tree.h"
#include "sandbox/wasm/wasi/wasi_test.h"

#define STEPS_MAX 2000

WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL)
WRAP(void *, mmap64,
     (void *at, size_t bytes, int access, int flags, int fd, off_t off),
     (at, bytes, access, flags, fd, off), MAP_FAILED)
WRAP(void *, heap_make,
     (struct heap * heap, const struct heap_type *type, size_t bytes),
     (heap, type, bytes), NULL)
WRAP(void *, heap_resize,
     (struct heap * heap, const struct heap_type *type, void *object,
      size_t bytes),
     (heap, type, object, bytes), NULL)
WRAP(int, tree_open, (struct tree * *tree, const struct tree_config *config),
     (tree, config), -ENOMEM)
WRAP(int, tree_mount,
     (struct tree * tree, const char *at, int fd, unsigned how),
     (tree, at, fd, how), -ENOMEM)
WRAP(int, handles_add, (struct handles * handles, int fd), (handles, fd),
     (close(fd), -ENOMEM))

/* Returns what failed first, or NULL. */
static const char *open_with(int n, const char *root)
{
    struct gbx_error err = {0};
    uint32_t rc = OK;
    int code;

    t.config.root = root;
    begin_failing(n);
    code = wasi_open(&t.wasi, &t.config, &err);
    if (code == 0)
        rc = try_open(3, "tmp/file", 1, READ | WRITE);
    fails_at = 0;
    if (code < 0) {
        assert_int_equal(code, GBX_EHOST);
        assert_int_equal(err.code, GBX_EHOST);
        t.wasi = NULL;
    } else if (wasi_ended(t.wasi) != 0) {
        assert_int_equal(rc, IO);
        wasi_explain(t.wasi, &err);
        assert_int_equal(err.code, wasi_ended(t.wasi));
        assert_true(err.what[0] != 0);
    } else if (failed == NULL) {
        assert_int_equal(rc, OK);
        assert_int_equal(write_text(9, "text", -1), 4);
    }
    wasi_close(t.wasi);
    t.wasi = NULL;
    assert_int_equal(count_open_files(), t.fds);
    return failed;
}

static void each_step_may_fail(void **state)
{
    int n = 1;

    (void)state;
    wasi_close(t.wasi);
    while (open_with(n, t.root) != NULL)
        assert_true(++n < STEPS_MAX);
    assert_true(n > 10);
    n = 1;
    while (open_with(n, NULL) != NULL)
        assert_true(++n < STEPS_MAX);
    assert_true(n > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_step_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
