/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handles_test.c - who has a descriptor of the host, and until when.
 *
 * The linker puts the functions below before the C library's (--wrap).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "sandbox/files/tree/host/handles.h"

#define FDS    256
#define TABLES 4
#define MANY   100 /* more than a table has room for at first */

static long until_failure = -1; /* -1: never */
static long alive;
static bool no_more_files;

static bool fails(void)
{
    return until_failure >= 0 && until_failure-- == 0;
}

void *__real_malloc(size_t bytes);
void *__real_reallocarray(void *old, size_t count, size_t bytes);
void __real_free(void *old);
int __real_openat64(int dir, const char *path, int flags, mode_t mode);
void *__wrap_malloc(size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes);
void __wrap_free(void *old);
int __wrap_openat64(int dir, const char *path, int flags, mode_t mode);

void *__wrap_malloc(size_t bytes)
{
    void *new = fails() ? NULL : __real_malloc(bytes);

    alive += new != NULL;
    return new;
}

void *__wrap_reallocarray(void *old, size_t count, size_t bytes)
{
    void *new = fails() ? NULL : __real_reallocarray(old, count, bytes);

    alive += new != NULL &&old == NULL;
    return new;
}

void __wrap_free(void *old)
{
    alive -= old != NULL;
    __real_free(old);
}

int __wrap_openat64(int dir, const char *path, int flags, mode_t mode)
{
    if (no_more_files) {
        errno = EMFILE;
        return -1;
    }
    return __real_openat64(dir, path, flags, mode);
}

static int new_fd(void)
{
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_in_range(fd, 0, FDS - 1);
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static unsigned count_fds(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < FDS; fd++)
        count += is_open(fd);
    return count;
}

static unsigned fds_before;

static int setup(void **state)
{
    (void)state;
    alive = 0;
    fds_before = count_fds();
    return 0;
}

/* Whatever a test did, it has given all back. */
static int teardown(void **state)
{
    (void)state;
    assert_int_equal(alive, 0);
    assert_int_equal(count_fds(), fds_before);
    return 0;
}

static void a_descriptor_lives_until_its_number_is_dropped(void **state)
{
    struct handles table = {0};
    int fd = new_fd(), number = handles_add(&table, fd);

    (void)state;
    assert_true(number >= 0);
    assert_int_equal(handles_fd(&table, number), fd);
    assert_int_equal(handles_fd(&table, HANDLE_NONE), -1);
    handles_drop(&table, HANDLE_NONE);
    assert_true(is_open(fd));
    handles_drop(&table, number);
    assert_false(is_open(fd));
    handles_fini(&table);
    handles_fini(&table);
    assert_int_equal(table.room, 0);
}

static void a_number_that_is_free_is_used_again(void **state)
{
    struct handles table = {0};
    int fds[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        fds[i] = new_fd();
        assert_int_equal(handles_add(&table, fds[i]), i);
    }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(handles_fd(&table, i), fds[i]);
    for (int i = MANY - 1; i >= 0; i -= 3) {
        handles_drop(&table, i);
        assert_false(is_open(fds[i]));
        fds[i] = new_fd();
        assert_int_equal(handles_add(&table, fds[i]), i);
    }
    handles_fini(&table);
    for (int i = 0; i < MANY; i++)
        assert_false(is_open(fds[i]));
}

static void a_copy_has_the_same_under_the_same_numbers(void **state)
{
    struct handles one = {0}, other = {0};
    int fds[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++)
        assert_int_equal(handles_add(&one, fds[i] = new_fd()), i);
    for (int i = 0; i < MANY; i += 2)
        handles_drop(&one, i);
    assert_int_equal(handles_share(&other, &one), 0);
    handles_fini(&one);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(is_open(fds[i]), i % 2);
        if (i % 2 == 1)
            assert_int_equal(handles_fd(&other, i), fds[i]);
    }
    /* Its holes are numbers to give out. */
    for (int i = 0; i < MANY; i += 2)
        assert_int_equal(handles_add(&other, new_fd()), i);
    handles_fini(&other);
}

static void what_a_copy_had_before_is_gone(void **state)
{
    struct handles one = {0}, other = {0}, none = {0};
    int mine = new_fd(), fd = new_fd();

    (void)state;
    for (int i = 0; i < MANY; i++)
        assert_int_equal(handles_add(&other, i == 70 ? mine : new_fd()), i);
    assert_int_equal(handles_add(&one, fd), 0);
    assert_int_equal(handles_share(&other, &one), 0);
    assert_false(is_open(mine));
    assert_int_equal(count_fds(), fds_before + 1);
    assert_int_equal(handles_fd(&other, 0), fd);
    assert_int_equal(handles_add(&other, new_fd()), 1);
    assert_int_equal(handles_share(&other, &none), 0);
    assert_true(is_open(fd)); /* one has it */
    assert_int_equal(count_fds(), fds_before + 1);
    assert_int_equal(handles_add(&other, new_fd()), 0);
    assert_int_equal(handles_share(&other, &one), 0);
    assert_int_equal(handles_share(&other, &one), 0); /* and once more */
    handles_fini(&one);
    assert_true(is_open(fd));
    handles_fini(&other);
    assert_false(is_open(fd));
}

/* The position of a directory, moved by reading it. */
static off_t move_on(int fd)
{
    char bytes[4096];

    assert_true(getdents64(fd, bytes, sizeof(bytes)) > 0);
    return lseek(fd, 0, SEEK_CUR);
}

static void who_owns_a_directory_moves_nobody_else(void **state)
{
    struct handles one = {0}, other = {0};
    int fd = new_fd(), number = handles_add(&one, fd);
    off_t moved;

    (void)state;
    assert_int_equal(handles_own(&one, number), 0); /* it is its already */
    assert_int_equal(handles_fd(&one, number), fd);
    moved = move_on(fd);
    assert_true(moved > 0);
    assert_int_equal(handles_share(&other, &one), 0);
    assert_int_equal(handles_own(&other, number), 1);
    assert_int_not_equal(handles_fd(&other, number), fd);
    assert_true(fcntl(handles_fd(&other, number), F_GETFD) & FD_CLOEXEC);
    assert_int_equal(lseek(handles_fd(&other, number), 0, SEEK_CUR), 0);
    lseek(fd, 0, SEEK_SET);
    move_on(handles_fd(&other, number));
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
    /* Now each has its own, and keeps it. */
    assert_int_equal(handles_own(&one, number), 0);
    assert_int_equal(handles_own(&other, number), 0);
    handles_fini(&one);
    assert_false(is_open(fd));
    assert_true(is_open(handles_fd(&other, number)));
    handles_fini(&other);
}

static void a_position_that_cannot_be_had_changes_nothing(void **state)
{
    struct handles one = {0}, other = {0};
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int fd = new_fd(), number = handles_add(&one, fd);

    (void)state;
    assert_int_equal(handles_add(&one, file), number + 1);
    assert_int_equal(handles_share(&other, &one), 0);
    no_more_files = true;
    assert_int_equal(handles_own(&other, number), -EMFILE);
    no_more_files = false;
    until_failure = 0;
    assert_int_equal(handles_own(&other, number), -ENOMEM);
    until_failure = -1;
    assert_int_equal(handles_own(&other, number + 1), -ENOTDIR);
    assert_int_equal(handles_fd(&other, number), fd);
    assert_int_equal(handles_fd(&other, number + 1), file);
    assert_int_equal(handles_own(&other, number), 1);
    handles_fini(&other);
    assert_int_equal(handles_own(&one, number), 0); /* nobody else has it */
    handles_fini(&one);
}

/* A new number takes two allocations, where the table is full. */
static void a_descriptor_without_a_number_is_closed(void **state)
{
    struct handles table = {0};
    int fd, added = 0;

    (void)state;
    while (added < MANY) {
        uint32_t room = table.room;
        bool full = (uint32_t)added == room;

        for (int n = 0; n <= (int)full; n++) {
            fd = new_fd();
            until_failure = n;
            assert_int_equal(handles_add(&table, fd), -ENOMEM);
            until_failure = -1;
            assert_false(is_open(fd));
            assert_int_equal(table.room, room);
        }
        assert_int_equal(handles_add(&table, new_fd()), added++);
    }
    handles_fini(&table);
}

static void a_copy_without_memory_has_nothing(void **state)
{
    struct handles one = {0}, other = {0};
    int mine = new_fd();

    (void)state;
    assert_int_equal(handles_add(&other, mine), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(handles_add(&one, new_fd()), i);
    until_failure = 0;
    assert_int_equal(handles_share(&other, &one), -ENOMEM);
    until_failure = -1;
    assert_false(is_open(mine));
    assert_int_equal(count_fds(), fds_before + MANY);
    assert_int_equal(handles_add(&other, new_fd()), 0); /* none is in use */
    assert_int_equal(handles_share(&other, &one), 0);
    handles_fini(&one);
    assert_int_equal(count_fds(), fds_before + MANY);
    handles_fini(&other);
}

/* Some tables; what each has is also kept as a plain list of descriptors. */
static void as_counted_descriptors_would_be(void **state)
{
    static int model[TABLES][MANY]; /* + 1; 0: free */
    struct handles tables[TABLES] = {0};
    uint64_t dice = 1;

    (void)state;
    memset(model, 0, sizeof(model));
    for (unsigned step = 0; step < 20000; step++) {
        unsigned one, other, at;

        dice = dice * 6364136223846793005u + 1442695040888963407u;
        one = (unsigned)(dice >> 33) % TABLES;
        other = (unsigned)(dice >> 40) % TABLES;
        at = (unsigned)(dice >> 45) % MANY;
        if (dice >> 62 == 0 && other != one) {
            assert_int_equal(handles_share(&tables[one], &tables[other]), 0);
            memcpy(model[one], model[other], sizeof(model[one]));
        } else if (model[one][at] != 0 && dice >> 62 == 1) {
            bool shared = false;
            int fd = model[one][at] - 1;

            for (unsigned i = 0; i < TABLES; i++)
                shared = shared || (i != one && model[i][at] == fd + 1);
            assert_int_equal(handles_own(&tables[one], (int)at), shared);
            model[one][at] = handles_fd(&tables[one], (int)at) + 1;
            assert_int_equal(model[one][at] == fd + 1, !shared);
        } else if (model[one][at] != 0) {
            handles_drop(&tables[one], (int)at);
            model[one][at] = 0;
        } else {
            int fd = new_fd(), number = handles_add(&tables[one], fd);

            for (int i = 0; i < number; i++)
                assert_int_not_equal(model[one][i], 0);
            assert_in_range(number, 0, MANY - 1);
            assert_int_equal(model[one][number], 0);
            model[one][number] = fd + 1;
        }
        for (unsigned i = 0; i < TABLES; i++)
            for (int n = 0; n < MANY; n++)
                if (model[i][n] != 0)
                    assert_int_equal(handles_fd(&tables[i], n),
                                     model[i][n] - 1);
        if (step % 100 == 0) {
            bool has[FDS] = {false};
            unsigned open_fds = 0;

            for (unsigned i = 0; i < TABLES; i++)
                for (int n = 0; n < MANY; n++)
                    if (model[i][n] != 0)
                        has[model[i][n] - 1] = true;
            for (int fd = 0; fd < FDS; fd++)
                open_fds += has[fd];
            assert_int_equal(count_fds(), fds_before + open_fds);
        }
    }
    for (unsigned i = 0; i < TABLES; i++)
        handles_fini(&tables[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_descriptor_lives_until_its_number_is_dropped),
        TEST(a_number_that_is_free_is_used_again),
        TEST(a_copy_has_the_same_under_the_same_numbers),
        TEST(what_a_copy_had_before_is_gone),
        TEST(who_owns_a_directory_moves_nobody_else),
        TEST(a_position_that_cannot_be_had_changes_nothing),
        TEST(a_descriptor_without_a_number_is_closed),
        TEST(a_copy_without_memory_has_nothing),
        TEST(as_counted_descriptors_would_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
