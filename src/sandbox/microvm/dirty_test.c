/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty_test.c - memory becomes what it was, and little is done for that.
 *
 *   host   0              IMAGE           PAGES
 *          | private map  | anonymous     |
 *
 * dirty.c is included here with its system calls replaced by ones that fail, or
 * say other things, when told to.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

static struct {
    bool open, madvise; /* fail */
    int short_at;       /* the read that gives too little, or 0 */
    int reads;
    bool swapped; /* what is private is said to be swapped out */
} fault;

static int faulty_open(const char *path, int flags);
static int faulty_madvise(void *at, size_t bytes, int advice);
static ssize_t faulty_pread(int fd, void *to, size_t bytes, off_t off);

#define open    faulty_open
#define madvise faulty_madvise
#define pread   faulty_pread

#include "sandbox/microvm/dirty.c" /* NOLINT: with the faulty calls */

#undef open
#undef madvise
#undef pread

#include <cmocka.h>

#define IMAGE 700u
#define PAGES 1700u

static int faulty_open(const char *path, int flags)
{
    if (fault.open) {
        errno = ENOENT;
        return -1;
    }
    return open(path, flags);
}

static int faulty_madvise(void *at, size_t bytes, int advice)
{
    if (fault.madvise) {
        errno = EINVAL;
        return -1;
    }
    return madvise(at, bytes, advice);
}

static ssize_t faulty_pread(int fd, void *to, size_t bytes, off_t off)
{
    ssize_t n = pread(fd, to, bytes, off);
    uint64_t *entries = to;

    if (++fault.reads == fault.short_at)
        return n - 1;
    for (ssize_t i = 0; fault.swapped && i < n / 8; i++)
        if (is_private(entries[i]))
            entries[i] = (entries[i] & ~PRESENT) | SWAPPED;
    return n;
}

static uint8_t *host, *image;
static struct dirty_count count;

static int open_memory(void **state)
{
    FILE *file = tmpfile();
    int fd = file == NULL ? -1 : fileno(file);

    (void)state;
    memset(&fault, 0, sizeof(fault));
    must(fd >= 0 && ftruncate(fd, (off_t)(IMAGE * PAGE)) == 0);
    image = mmap(NULL, IMAGE * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    host = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(image != MAP_FAILED && host != MAP_FAILED);
    madvise(host, PAGES * PAGE, MADV_NOHUGEPAGE);
    must(mmap(host, IMAGE * PAGE, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_FIXED, fd, 0) == host);
    fclose(file);
    for (unsigned i = 0; i < IMAGE; i += 2) /* the others are holes */
        memset(image + i * PAGE, (int)(i % 251 + 1), PAGE);
    return 0;
}

static int close_memory(void **state)
{
    (void)state;
    munmap(host, PAGES * PAGE);
    munmap(image, IMAGE * PAGE);
    return 0;
}

static int restore(void)
{
    count = (struct dirty_count){0};
    return dirty_restore(host, PAGES * PAGE, image, IMAGE * PAGE, &count);
}

/* How many pages are the guest's own, as the kernel says. */
static uint64_t count_private(void)
{
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    off_t at = (off_t)((uintptr_t)host / PAGE * 8);
    uint64_t entries[PAGES], n = 0;

    must(fd >= 0 && pread(fd, entries, sizeof(entries), at) == sizeof(entries));
    close(fd);
    for (unsigned i = 0; i < PAGES; i++)
        n += is_private(entries[i]);
    return n;
}

/* As a template left it. */
static void check_memory(void)
{
    if (memcmp(host, image, IMAGE * PAGE) != 0)
        fail_msg("not as the image");
    for (unsigned i = IMAGE; i < PAGES; i++)
        if (memcmp(host + i * PAGE, zero, PAGE) != 0)
            fail_msg("page %u is not zero", i);
}

static void only_what_was_written_is_put_back(void **state)
{
    /* The last of the image, the first behind it, and where reads end. */
    static const unsigned written[] = {0,     1,    511,  512,      IMAGE - 1,
                                       IMAGE, 1023, 1024, PAGES - 1};
    const size_t n = ARRAY_SIZE(written);

    (void)state;
    for (size_t i = 0; i < n; i++)
        host[written[i] * PAGE + 4095 * (i % 2)] ^= 0x5a;
    host[2 * PAGE] = image[2 * PAGE]; /* written, but the same */
    assert_int_equal(restore(), 0);
    assert_int_equal(count.pages, n + 1);
    assert_int_equal(count.wrote, n);
    assert_int_equal(count_private(), n + 1); /* they stay */
    assert_int_equal(restore(), 0);
    assert_int_equal(count.pages, n + 1);
    assert_int_equal(count.wrote, 0);
    check_memory();
}

static void what_was_only_read_is_not_looked_at(void **state)
{
    unsigned sum = 0;

    (void)state;
    for (unsigned i = 0; i < IMAGE; i++)
        sum += host[i * PAGE];
    assert_true(sum > 0);
    assert_int_equal(restore(), 0);
    assert_int_equal(count.pages, 0);
    assert_int_equal(count.wrote, 0);
    check_memory();
}

/* The image is at its end, and what lies behind `bytes` is another's. */
static void nothing_else_is_touched(void **state)
{
    (void)state;
    memset(host + 3 * PAGE, 7, PAGE);
    memset(host + 4 * PAGE, 8, PAGE);
    memset(host + 5 * PAGE, 9, PAGE);
    for (int i = 0; i < 2; i++) {
        fault.open = i == 1; /* put back, and dropped */
        host[4 * PAGE] = 8;
        assert_int_equal(dirty_restore(host + 4 * PAGE, PAGE, image + 4 * PAGE,
                                       PAGE, &count),
                         0);
        assert_memory_equal(host + 4 * PAGE, image + 4 * PAGE, PAGE);
        assert_int_equal(host[3 * PAGE], 7);
        assert_int_equal(host[4 * PAGE - 1], 7);
        assert_int_equal(host[5 * PAGE], 9);
    }
    assert_int_equal(dirty_restore(host, 0, image, 0, &count), 0);
    assert_int_equal(host[3 * PAGE], 7);
}

static void when_they_are_many_all_go_back(void **state)
{
    static const unsigned kept[] = {KEPT_PAGES, KEPT_PAGES + 1, PAGES};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        close_memory(NULL);
        open_memory(NULL);
        for (unsigned page = 0; page < kept[i]; page++)
            host[(PAGES - 1 - page) * PAGE] = 0xfe;
        assert_int_equal(restore(), 0);
        assert_int_equal(count_private(), i == 0 ? KEPT_PAGES : 0);
        assert_int_equal(count.pages, i == 0 ? KEPT_PAGES : KEPT_PAGES + 1);
        assert_int_equal(count.wrote, KEPT_PAGES);
        check_memory();
        assert_int_equal(restore(), 0);
        check_memory();
    }
}

static void huge_pages_are_put_back_or_go_back(void **state)
{
    const size_t bytes = 4 * MEMORY_HUGE_BYTES;
    uint8_t *all = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *huge = all + (-(uintptr_t)all & (MEMORY_HUGE_BYTES - 1ull));

    (void)state;
    assert_ptr_not_equal(all, MAP_FAILED);
    madvise(huge, bytes - MEMORY_HUGE_BYTES, MADV_HUGEPAGE);
    for (unsigned n = 1; n <= 3; n++) {
        for (unsigned i = 0; i < n; i++)
            huge[i * MEMORY_HUGE_BYTES + 12345] = 1;
        assert_int_equal(
            dirty_restore(huge, bytes - MEMORY_HUGE_BYTES, image, 0, &count),
            0);
        for (size_t i = 0; i < bytes - MEMORY_HUGE_BYTES; i += PAGE)
            assert_memory_equal(huge + i, zero, PAGE);
    }
    munmap(all, bytes);
}

static void what_was_swapped_out_was_written_too(void **state)
{
    (void)state;
    host[5 * PAGE] = host[(IMAGE + 5) * PAGE] = 0xfe;
    madvise(host, PAGES * PAGE, MADV_PAGEOUT); /* where there is room for it */
    fault.swapped = true;
    assert_int_equal(restore(), 0);
    assert_int_equal(count.pages, 2);
    assert_int_equal(count.wrote, 2);
    check_memory();
}

/* A /proc that is not there, or says too little, at whichever read. */
static void where_nobody_tells_all_go_back(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        fault.open = i == 0;
        fault.short_at = i;
        fault.reads = 0;
        for (unsigned page = 0; page < PAGES; page += 9)
            host[page * PAGE] = 0xfe;
        assert_int_equal(restore(), 0);
        assert_int_equal(count_private(), 0);
        check_memory();
    }
}

static void memory_that_does_not_go_back_is_told(void **state)
{
    (void)state;
    fault.madvise = true;
    fault.open = true;
    assert_int_equal(restore(), GBX_EHOST);
    fault.open = false;
    assert_int_equal(restore(), 0); /* nothing was written */
    for (unsigned page = 0; page <= KEPT_PAGES; page++)
        host[page * PAGE] = 0xfe;
    assert_int_equal(restore(), GBX_EHOST);
}

static void no_descriptor_is_left(void **state)
{
    int before = dup(0), after;

    (void)state;
    close(before);
    for (int i = 0; i < 10; i++) {
        fault.short_at = i;
        fault.reads = 0;
        assert_int_equal(restore(), 0);
    }
    after = dup(0);
    close(after);
    assert_int_equal(before, after);
}

static void as_a_copy_of_all_would_be(void **state)
{
    uint64_t dice = 1;

    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        unsigned writes;

        dice = dice * 6364136223846793005u + 1442695040888963407u;
        writes = (unsigned)(dice >> 40) % (round % 10 == 9 ? 1000 : 60);
        for (unsigned i = 0; i < writes; i++) {
            dice = dice * 6364136223846793005u + 1442695040888963407u;
            host[(dice >> 33) % (PAGES * PAGE)] = (uint8_t)(dice >> 25);
        }
        assert_int_equal(restore(), 0);
        assert_true(count.wrote <= count.pages);
        assert_true(count_private() <= KEPT_PAGES);
        check_memory();
    }
}

static void what_one_touched_others_have_ahead(void **state)
{
    static const unsigned written[] = {3, 300, 301, 699};
    struct touched *touched;
    unsigned marked = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(written); i++)
        host[written[i] * PAGE] ^= 1;
    touched = dirty_learn(host, IMAGE * PAGE);
    assert_non_null(touched);
    for (unsigned i = 0; i < touched->count; i++)
        marked += (touched->pages[i] & TOUCHED_WRITTEN) != 0;
    assert_int_equal(marked, ARRAY_SIZE(written));
    assert_int_equal(restore(), 0);
    madvise(host, IMAGE * PAGE, MADV_DONTNEED);
    assert_int_equal(count_private(), 0);
    dirty_touch(host, touched);
    assert_int_equal(count_private(), ARRAY_SIZE(written));
    check_memory();
    free(touched);
}

/* Who touches all is no example, nor does it cost those after it anything. */
static void nobody_follows_one_who_touches_everything(void **state)
{
    struct touched *touched;

    (void)state;
    for (unsigned i = 0; i < WRITTEN_MAX; i++)
        host[i * PAGE] ^= 1;
    touched = dirty_learn(host, IMAGE * PAGE);
    assert_non_null(touched); /* not yet too many */
    free(touched);
    host[WRITTEN_MAX * PAGE] ^= 1;
    assert_null(dirty_learn(host, IMAGE * PAGE));
}

/* Another mapping of the image, made what this one is. */
static void expect_carried_over(uint32_t want)
{
    struct dirty_pages pages;
    uint8_t *other = malloc(PAGES * PAGE);

    must(other != NULL);
    memcpy(other, image, IMAGE * PAGE);
    memset(other + IMAGE * PAGE, 0, (PAGES - IMAGE) * PAGE);
    assert_int_equal(
        dirty_save(host, PAGES * PAGE, image, IMAGE * PAGE, want, &pages), 0);
    assert_int_equal(pages.count, want);
    dirty_load(other, &pages);
    if (want > 0) {
        struct dirty_pages none;

        assert_int_equal(dirty_save(host, PAGES * PAGE, image, IMAGE * PAGE,
                                    want - 1, &none),
                         GBX_ELIMIT);
        assert_null(none.numbers);
    }
    assert_memory_equal(other, host, PAGES * PAGE);
    dirty_fini(&pages);
    dirty_fini(&pages);
    free(other);
}

static void what_was_written_is_carried_over(void **state)
{
    static const unsigned written[] = {0,     1,    511,  512,      IMAGE - 1,
                                       IMAGE, 1023, 1024, PAGES - 1};
    const size_t n = ARRAY_SIZE(written);

    (void)state;
    expect_carried_over(0);
    for (size_t i = 0; i < n; i++)
        host[written[i] * PAGE + 4095 * (i % 2)] ^= 0x5a;
    host[2 * PAGE] = image[2 * PAGE]; /* written, but the same */
    host[1025 * PAGE] = 0;
    expect_carried_over((uint32_t)n);
    fault.swapped = true;
    expect_carried_over((uint32_t)n);
    fault.short_at = fault.reads + 2; /* then all are looked at */
    expect_carried_over((uint32_t)n);
    fault.open = true;
    expect_carried_over((uint32_t)n);
    memset(host, 0xff, PAGES * PAGE);
    expect_carried_over(PAGES);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_memory, close_memory)
    const struct CMUnitTest tests[] = {
        TEST(only_what_was_written_is_put_back),
        TEST(what_was_only_read_is_not_looked_at),
        TEST(nothing_else_is_touched),
        TEST(when_they_are_many_all_go_back),
        TEST(huge_pages_are_put_back_or_go_back),
        TEST(what_was_swapped_out_was_written_too),
        TEST(where_nobody_tells_all_go_back),
        TEST(memory_that_does_not_go_back_is_told),
        TEST(no_descriptor_is_left),
        TEST(as_a_copy_of_all_would_be),
        TEST(what_one_touched_others_have_ahead),
        TEST(nobody_follows_one_who_touches_everything),
        TEST(what_was_written_is_carried_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
