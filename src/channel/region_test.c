/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region.c is included here with its system calls replaced by ones that fail
 * when told to: every step of open, grow and reset is failed once.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

/* The call that fails, counted from now; 0: none.  And how. */
static struct {
    int at, calls, sys;
    const char *name;
} fault;

static int faulty(const char *name)
{
    if (++fault.calls != fault.at)
        return 0;
    fault.name = name;
    errno = fault.sys;
    return 1;
}

#define memfd_create(...)                                                      \
    (faulty("memfd_create") ? -1 : memfd_create(__VA_ARGS__))
#define ftruncate(...) (faulty("ftruncate") ? -1 : ftruncate(__VA_ARGS__))
#define fcntl(...)     (faulty("fcntl") ? -1 : fcntl(__VA_ARGS__))
#define open(...)      (faulty("open") ? -1 : open(__VA_ARGS__))
#define dup3(...)      (faulty("dup3") ? -1 : dup3(__VA_ARGS__))
#define fallocate(...) (faulty("fallocate") ? -1 : fallocate(__VA_ARGS__))
#define mmap(...)      (faulty("mmap") ? MAP_FAILED : mmap(__VA_ARGS__))

#include "channel/region.c" /* NOLINT: with the faulty calls */

#undef memfd_create
#undef ftruncate
#undef fcntl
#undef open
#undef dup3
#undef fallocate
#undef mmap

#include <cmocka.h>

#include "base/count_test.h"

#define MIB  (1ull << 20)
#define HALF (64 * MIB)

static struct region region;
static struct gbx_error error;

/* Addresses in use, in pages. */
static long count_pages(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long pages = 0;

    must(file != NULL && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    return pages;
}

static int setup(void **state)
{
    (void)state;
    memset(&fault, 0, sizeof(fault));
    memset(&error, 0, sizeof(error));
    must(region_open(&region, HALF, &error) == 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    region_close(&region);
    return 0;
}

static struct gbx_half_head *head(enum half half)
{
    return (struct gbx_half_head *)(void *)(region.base + half * HALF);
}

static uint64_t file_bytes(enum half half)
{
    struct stat about;

    must(fstat(region.fd[half], &about) == 0);
    return (uint64_t)about.st_size;
}

static void the_heads_say_what_there_is(void **state)
{
    (void)state;
    assert_int_equal((uintptr_t)region.base % GBX_HUGE_BYTES, 0);
    for (enum half half = 0; half < HALF_COUNT; half++) {
        assert_true(head(half)->magic == GBX_REGION_MAGIC);
        assert_int_equal(head(half)->version, GBX_ABI_VERSION);
        assert_int_equal(head(half)->half_bytes, HALF);
        assert_int_equal(head(half)->arena_bytes, 2 * MIB);
        assert_int_equal(region.arena_bytes[half], 2 * MIB);
        assert_int_equal(file_bytes(half), 4 * MIB);
    }
}

static void nobody_can_make_the_files_shorter_or_unseal_them(void **state)
{
    (void)state;
    for (enum half half = 0; half < HALF_COUNT; half++) {
        assert_int_equal(ftruncate(region.fd[half], 4096), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(fcntl(region.fd[half], F_ADD_SEALS, F_SEAL_GROW), -1);
    }
}

static void the_guest_can_map_the_host_half_for_reading_alone(void **state)
{
    const int both = PROT_READ | PROT_WRITE;
    void *at;

    (void)state;
    at = mmap(NULL, 4096, both, MAP_SHARED, region.host_read_fd, 0);
    assert_ptr_equal(at, MAP_FAILED);
    at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, region.host_read_fd, 0);
    assert_ptr_not_equal(at, MAP_FAILED);
    assert_int_equal(mprotect(at, 4096, both), -1);
    head(HALF_HOST)->reserved = 7;
    assert_int_equal(((struct gbx_half_head *)at)->reserved, 7);
    munmap(at, 4096);
    for (int fd = region.host_read_fd, i = 0; i < 3; fd = region.fd[i % 2], i++)
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void a_half_has_a_least_and_a_greatest_length(void **state)
{
    static const uint64_t wrong[] = {0, GBX_HALF_BYTES_MIN - 1,
                                     GBX_HALF_BYTES_MAX + 1, UINT64_MAX};
    struct region other;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(region_open(&other, wrong[i], &error), GBX_ELIMIT);
        assert_non_null(strstr(error.what, "4194304"));
        region_close(&other);
    }
    assert_int_equal(region_open(&other, GBX_HALF_BYTES_MIN + 1, &error), 0);
    assert_int_equal(other.half_bytes, 6 * MIB);
    region_close(&other);
    region_close(&other);
    assert_int_equal(region_open(&other, GBX_HALF_BYTES_MAX, &error), 0);
    region_close(&other);
}

static void growing_doubles_up_to_the_window(void **state)
{
    static const struct {
        uint64_t bytes, after;
        int want;
    } cases[] = {
        {0, 2 * MIB, 0},
        {2 * MIB, 2 * MIB, 0},
        {2 * MIB + 1, 4 * MIB, 0},
        {9 * MIB + 1, 10 * MIB, 0},
        {10 * MIB + 1, 20 * MIB, 0},
        {62 * MIB + 1, 20 * MIB, GBX_ELIMIT},
        {UINT64_MAX, 20 * MIB, GBX_ELIMIT},
        {41 * MIB, 42 * MIB, 0},
        {43 * MIB, 62 * MIB, 0},
    };

    (void)state;
    for (enum half half = 0; half < HALF_COUNT; half++) {
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
            int rc = region_grow(&region, half, cases[i].bytes);

            assert_int_equal(rc, cases[i].want);
            assert_int_equal(region.arena_bytes[half], cases[i].after);
            assert_int_equal(file_bytes(half), 2 * MIB + cases[i].after);
        }
        region.base[(half + 1) * HALF - 1] = 1; /* it is there */
    }
    /* The guest's own word is the guest's to write. */
    assert_int_equal(head(HALF_HOST)->arena_bytes, 62 * MIB);
    assert_int_equal(head(HALF_GUEST)->arena_bytes, 2 * MIB);
}

static void after_a_reset_nothing_of_the_past_is_left(void **state)
{
    /* Without growth, with one half grown, with the other. */
    static const uint64_t grown[][HALF_COUNT] = {
        {0, 0}, {20 * MIB, 0}, {0, 20 * MIB}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(grown); i++) {
        const int fds = count_open_files(), was_fd = region.fd[HALF_HOST];

        for (enum half half = 0; half < HALF_COUNT; half++) {
            assert_int_equal(region_grow(&region, half, grown[i][half]), 0);
            memset(region.base + half * HALF, 0xa5, 4 * MIB);
        }
        assert_int_equal(region_reset(&region), 0);
        the_heads_say_what_there_is(state);
        nobody_can_make_the_files_shorter_or_unseal_them(state);
        the_guest_can_map_the_host_half_for_reading_alone(state);
        head(HALF_HOST)->reserved = 0;
        for (enum half half = 0; half < HALF_COUNT; half++) {
            const uint8_t *at = region.base + half * HALF;

            for (size_t b = sizeof(struct gbx_half_head); b < 4 * MIB; b++)
                if (at[b] != 0)
                    fail_msg("byte %zu of half %d", b, half);
            assert_int_equal(head(half)->ring_head, 0);
            assert_int_equal(head(half)->asleep, 0);
        }
        assert_int_equal(count_open_files(), fds);
        assert_int_equal(region.fd[HALF_HOST], was_fd);
    }
}

static void open_with_its_nth_step_failing_leaves_nothing(void **state)
{
    const int fds = count_open_files();
    const long pages = count_pages();
    struct region other;
    int n, failed = 0;

    (void)state;
    for (n = 1; n < 100; n++) {
        fault.at = n;
        fault.calls = 0;
        fault.sys = EIO;
        fault.name = NULL;
        if (region_open(&other, HALF, &error) == 0)
            break;
        failed++;
        assert_non_null(fault.name);
        assert_int_equal(error.code, GBX_EHOST);
        assert_int_equal(error.sys, EIO);
        assert_null(other.base);
        region_close(&other);
        assert_int_equal(count_open_files(), fds);
        assert_int_equal(count_pages(), pages);
    }
    fault.at = 0;
    assert_int_equal(failed, 10); /* 2 x 4 steps, the window, the reader */
    region_close(&other);
}

static void a_failed_growth_changes_nothing(void **state)
{
    (void)state;
    fault.calls = 0;
    fault.at = 1;
    fault.sys = ENOMEM;
    assert_int_equal(region_grow(&region, HALF_GUEST, 3 * MIB), GBX_EHOST);
    assert_int_equal(region.arena_bytes[HALF_GUEST], 2 * MIB);
    assert_int_equal(file_bytes(HALF_GUEST), 4 * MIB);
    fault.at = 0;
    assert_int_equal(region_grow(&region, HALF_GUEST, 3 * MIB), 0);
}

static void reset_with_its_nth_step_failing_can_be_closed(void **state)
{
    int fds, n;

    for (n = 1; n < 100; n++) {
        int rc;

        fds = count_open_files();
        fault.at = 0;
        assert_int_equal(region_grow(&region, HALF_HOST, 3 * MIB), 0);
        fault.calls = 0;
        fault.at = n;
        fault.sys = EIO;
        rc = region_reset(&region);
        fault.at = 0;
        if (rc == 0)
            break;
        assert_int_equal(rc, GBX_EHOST);
        assert_int_equal(count_open_files(), fds);
        region_close(&region);
        assert_int_equal(count_open_files(), fds - 3);
        setup(state);
    }
    assert_int_equal(n - 1, 8); /* a file, its dup3, the reader's 2, a hole */
}

static void a_missing_proc_is_named(void **state)
{
    struct region other;

    (void)state;
    fault.calls = 0;
    fault.at = 10;
    fault.sys = ENOENT;
    assert_int_equal(region_open(&other, HALF, &error), GBX_EUNSUPPORTED);
    assert_string_equal(fault.name, "open");
    assert_non_null(strstr(error.what, "mount -t proc"));
}

static void an_older_kernel_without_noexec_seals_will_do(void **state)
{
    struct region other;

    (void)state;
    fault.calls = 0;
    fault.at = 2;
    fault.sys = EINVAL;
    assert_int_equal(region_open(&other, HALF, &error), 0);
    assert_string_equal(fault.name, "memfd_create");
    region_close(&other);
}

/* In a child, because limits cannot be raised again. */
static int under_limit(__rlimit_resource_t resource, rlim_t value,
                       int (*body)(void))
{
    const struct rlimit limit = {value, value};
    int status;
    pid_t pid = fork();

    must(pid >= 0);
    if (pid == 0) {
        if (setrlimit(resource, &limit) < 0)
            _exit(99);
        _exit(body());
    }
    must(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static int open_is_refused_by(const char *name)
{
    struct region other;

    if (region_open(&other, HALF, &error) != GBX_ELIMIT)
        return 1;
    return strstr(error.what, name) == NULL ? 2 : 0;
}

static int open_is_refused_by_fsize(void)
{
    return open_is_refused_by("RLIMIT_FSIZE");
}

static int open_is_refused_by_as(void)
{
    return open_is_refused_by("RLIMIT_AS");
}

static int open_is_refused_by_nofile(void)
{
    return open_is_refused_by("RLIMIT_NOFILE");
}

static int growth_stops_at_fsize(void)
{
    if (region_grow(&region, HALF_HOST, 3 * MIB) != 0)
        return 1;
    if (region_grow(&region, HALF_HOST, 5 * MIB) != GBX_ELIMIT)
        return 2;
    return region.arena_bytes[HALF_HOST] == 4 * MIB ? 0 : 3;
}

static void limits_of_the_process_are_named_and_no_signal_comes(void **state)
{
    const rlim_t pages = (rlim_t)count_pages() * 4096;

    (void)state;
    assert_int_equal(
        under_limit(RLIMIT_FSIZE, 4 * MIB - 1, open_is_refused_by_fsize), 0);
    assert_int_equal(under_limit(RLIMIT_FSIZE, 6 * MIB, growth_stops_at_fsize),
                     0);
    assert_int_equal(
        under_limit(RLIMIT_AS, pages + HALF, open_is_refused_by_as), 0);
    for (rlim_t files = 0; files < 3; files++)
        assert_int_equal(under_limit(RLIMIT_NOFILE,
                                     (rlim_t)region.host_read_fd + 1 + files,
                                     open_is_refused_by_nofile),
                         0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_heads_say_what_there_is),
        TEST(nobody_can_make_the_files_shorter_or_unseal_them),
        TEST(the_guest_can_map_the_host_half_for_reading_alone),
        TEST(a_half_has_a_least_and_a_greatest_length),
        TEST(growing_doubles_up_to_the_window),
        TEST(after_a_reset_nothing_of_the_past_is_left),
        TEST(open_with_its_nth_step_failing_leaves_nothing),
        TEST(a_failed_growth_changes_nothing),
        TEST(reset_with_its_nth_step_failing_can_be_closed),
        TEST(a_missing_proc_is_named),
        TEST(an_older_kernel_without_noexec_seals_will_do),
        TEST(limits_of_the_process_are_named_and_no_signal_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
