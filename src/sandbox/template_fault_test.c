/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template_fault_test.c - each step of a template, a clone and a wipe fails
 * once, and nothing is left behind.
 *
 * The linker puts the functions below before the C library's (--wrap).
 */
#include <sys/mman.h>

#define FAILS_WITH EIO
#include "base/fault_test.h"
#include "sandbox/template_test.h"

static int random_fails; /* with errno; -1: it gives too little, once */
static long alive;

WRAP(void *, mmap64,
     (void *at, size_t bytes, int access, int flags, int fd, off_t off),
     (at, bytes, access, flags, fd, off), MAP_FAILED)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1)
WRAP(int, ftruncate64, (int fd, off_t bytes), (fd, bytes), -1)
WRAP(int, open64, (const char *path, int flags, mode_t mode),
     (path, flags, mode), -1)
WRAP(off_t, lseek64, (int fd, off_t off, int whence), (fd, off, whence), -1)

/* Result of these is memory. */
#define WRAP_MEMORY(name, parameters, arguments, is_new)                       \
    void *__real_##name parameters;                                            \
    void *__wrap_##name parameters;                                            \
    void *__wrap_##name parameters                                             \
    {                                                                          \
        void *made = fails(#name) ? NULL : __real_##name arguments;            \
                                                                               \
        alive += made != NULL && (is_new);                                     \
        return made;                                                           \
    }

WRAP_MEMORY(malloc, (size_t bytes), (bytes), true)
WRAP_MEMORY(calloc, (size_t count, size_t bytes), (count, bytes), true)
WRAP_MEMORY(realloc, (void *old, size_t bytes), (old, bytes), old == NULL)
WRAP_MEMORY(reallocarray, (void *old, size_t count, size_t bytes),
            (old, count, bytes), old == NULL)

void __real_free(void *old);
void __wrap_free(void *old);
ssize_t __real_getrandom(void *to, size_t bytes, unsigned flags);
ssize_t __wrap_getrandom(void *to, size_t bytes, unsigned flags);

void __wrap_free(void *old)
{
    alive -= old != NULL;
    __real_free(old);
}

ssize_t __wrap_getrandom(void *to, size_t bytes, unsigned flags)
{
    if (fails("getrandom"))
        return -1;
    if (random_fails == 0)
        return __real_getrandom(to, bytes, flags);
    errno = random_fails;
    random_fails = random_fails == EINTR ? 0 : random_fails; /* the first */
    return errno == -1 ? (ssize_t)bytes - 1 : -1;
}

static long alive_before;

static int setup(void **state)
{
    fails_at = random_fails = 0;
    alive_before = alive;
    return play_setup(state);
}

static int teardown(void **state)
{
    int rc = play_teardown(state);

    assert_int_equal(alive, alive_before);
    return rc;
}

/* Addresses in use, in pages. */
static long count_pages(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long pages = 0;

    must(file != NULL && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    return pages;
}

static void without_a_seed_there_is_no_copy(void **state)
{
    (void)state;
    play_take();
    assert_int_equal(play_copy(&one), 0);
    for (unsigned i = 0; i < 2; i++) {
        random_fails = i == 0 ? ENOSYS : -1;
        assert_int_equal(play_copy(&other), GBX_EHOST);
        assert_int_equal(other.state, SANDBOX_EMPTY);
        assert_int_equal(sandbox_wipe(&one, 0, &err), GBX_EHOST);
        assert_int_equal(one.state, SANDBOX_BROKEN);
        assert_int_equal(err.code, GBX_EHOST);
        random_fails = EINTR; /* which is tried again */
        assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
        expect_template(&one);
    }
}

static void a_take_with_its_nth_step_failing_leaves_nothing(void **state)
{
    const long before = alive;
    int n;

    (void)state;
    for (n = 1; n < 100; n++) {
        begin_failing(n);
        if (template_take(&template, &first, &err) == 0)
            break;
        fails_at = 0;
        assert_int_equal(err.code, GBX_EHOST);
        assert_null(template);
        assert_int_equal(snapshots, 0);
        assert_int_equal(alive, before);
        assert_int_equal(first.state, SANDBOX_IDLE);
    }
    fails_at = 0;
    assert_in_range(n, 8, 40); /* its struct, and what a region holds */
    play_call(&first, 100);
}

static void a_clone_with_its_nth_step_failing_leaves_nothing(void **state)
{
    const int files = count_open_files();
    long before, pages;
    int n;

    (void)state;
    play_take();
    before = alive;
    pages = count_pages();
    for (n = 1; n < 100; n++) {
        begin_failing(n);
        if (play_copy(&one) == 0)
            break;
        fails_at = 0;
        assert_int_equal(one.state, SANDBOX_EMPTY);
        assert_int_equal(template->references, 1);
        assert_int_equal(template->snapshot->references, 1);
        assert_int_equal(open_plays, 1);
        assert_int_equal(alive, before);
        assert_int_equal(count_open_files(), files);
        assert_int_equal(count_pages(), pages);
        assert_null(one.self);
        assert_null(one.region.base);
        sandbox_close(&one);
    }
    fails_at = 0;
    assert_in_range(n, 16, 40);
    expect_template(&one);
}

/* Whichever it is, the next one puts all right. */
static void a_wipe_with_its_nth_step_failing_breaks_it(void **state)
{
    int n;

    (void)state;
    play_take();
    assert_int_equal(play_copy(&one), 0);
    for (n = 1; n < 100; n++) {
        int rc;

        play_call(&one, 5 << 20);
        begin_failing(n);
        rc = sandbox_wipe(&one, 0, &err);
        fails_at = 0;
        if (rc == 0)
            break;
        assert_int_equal(rc, GBX_EHOST);
        assert_int_equal(err.code, GBX_EHOST);
        assert_int_equal(one.state, SANDBOX_BROKEN);
        assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
        expect_template(&one);
    }
    assert_in_range(n, 4, 40);
    expect_template(&one);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_a_seed_there_is_no_copy),
        TEST(a_take_with_its_nth_step_failing_leaves_nothing),
        TEST(a_clone_with_its_nth_step_failing_leaves_nothing),
        TEST(a_wipe_with_its_nth_step_failing_breaks_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
