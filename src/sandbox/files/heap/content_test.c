/* SPDX-License-Identifier: Apache-2.0 */
/* content_test.c - bytes in frames: sparse, limited, mapped. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/check.h"
#include "sandbox/files/heap/content.h"

#define PAGE   4096u
#define FRAMES 256u
#define LIMIT  (128u * PAGE)

static struct frames frames;
static struct quota quota;
static struct content file;
static uint8_t *host;
static struct heap *heap;

static int set_up(void **state)
{
    (void)state;
    host = mmap(NULL, FRAMES * PAGE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(host, MAP_FAILED);
    heap = heap_open();
    assert_non_null(heap);
    frames_init(&frames, heap, host, 0, FRAMES * PAGE);
    quota = (struct quota){.frames = &frames, .limit = LIMIT};
    file = (struct content){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    content_fini(&file, &quota);
    assert_int_equal(quota.used, 0);
    assert_int_equal(frames.free, FRAMES);
    frames_fini(&frames);
    heap_close(heap);
    munmap(host, FRAMES * PAGE);
    return 0;
}

static int64_t put(const void *bytes, size_t count, uint64_t at)
{
    struct iovec piece = {(void *)(uintptr_t)bytes, count};

    return content_write(&file, &quota, &piece, 1, at);
}

static int64_t get(void *bytes, size_t count, uint64_t at)
{
    struct iovec piece = {bytes, count};

    return content_read(&file, &quota, &piece, 1, at);
}

static uint8_t byte_at(uint64_t at)
{
    uint8_t byte = 0xff;

    assert_int_equal(get(&byte, 1, at), 1);
    return byte;
}

static void a_page_far_away_costs_itself_and_a_few_tables(void **state)
{
    static const uint64_t places[] = {
        1ull << 20, 1ull << 40,       1ull << 50, (1ull << 62) + 5,
        0,          INT64_MAX - 8191, 1ull << 30, 1ull << 35,
    };
    char text[4];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        assert_int_equal(put("far", 3, places[i]), 3);
    assert_int_equal(file.bytes, (uint64_t)INT64_MAX - 8188);
    assert_int_equal(file.frames, ARRAY_SIZE(places));
    assert_in_range(quota.used, 8 * PAGE, 8 * PAGE + 40 * 600);
    assert_int_equal(content_resize(&file, &quota, INT64_MAX), 0);
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        assert_int_equal(get(text, 3, places[i]), 3);
        assert_memory_equal(text, "far", 3);
        assert_int_equal(byte_at(places[i] + 4), 0);
    }
    assert_int_equal(content_resize(&file, &quota, 1ull << 40), 0);
    assert_int_equal(file.frames, 4);
    assert_int_equal(content_resize(&file, &quota, 0), 0);
    assert_int_equal(quota.used, 0);
}

static void the_end_of_all_files_is_efbig(void **state)
{
    (void)state;
    assert_int_equal(put("ab", 2, INT64_MAX - 1), 1);
    assert_int_equal(put("b", 1, INT64_MAX), -EFBIG);
    assert_int_equal(put("b", 1, UINT64_MAX), -EFBIG);
    assert_int_equal(content_resize(&file, &quota, 1ull << 63), -EFBIG);
    assert_int_equal(file.bytes, INT64_MAX);
    assert_int_equal(get(host, 10, INT64_MAX), 0);
}

static void what_fits_is_written(void **state)
{
    uint8_t *bytes = calloc(1, 2 * LIMIT);
    int64_t n;

    (void)state;
    memset(bytes, 7, 2 * LIMIT);
    n = put(bytes, 2 * LIMIT, 100);
    assert_in_range(n, 120 * PAGE, LIMIT);
    assert_int_equal(((uint64_t)n + 100) % PAGE, 0);
    assert_int_equal(file.bytes, (uint64_t)n + 100);
    assert_int_equal(put("x", 1, file.bytes), -ENOSPC);
    assert_int_equal(put("x", 1, 5), 1); /* this page it has already */
    assert_true(quota.used <= quota.limit);
    assert_int_equal(byte_at(file.bytes - 1), 7);
    free(bytes);
}

static void frames_that_are_gone_are_enospc(void **state)
{
    uint64_t taken, count, physical;

    (void)state;
    assert_int_equal(frames_take(&frames, FRAMES - 2, &taken, &count), 0);
    assert_int_equal(put(host, 3 * PAGE, 0), 2 * PAGE);
    assert_int_equal(put(host, 1, 2 * PAGE), -ENOSPC);
    assert_int_equal(content_page(&file, &quota, 2, &physical), -ENXIO);
    assert_int_equal(content_resize(&file, &quota, 3 * PAGE), 0);
    assert_int_equal(content_page(&file, &quota, 2, &physical), -ENOSPC);
    frames_give(&frames, taken, count);
    assert_int_equal(content_page(&file, &quota, 2, &physical), 0);
}

static void what_was_cut_off_does_not_come_back(void **state)
{
    static const uint64_t ends[] = {0, 1, 100, PAGE - 1, PAGE, PAGE + 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        char bytes[3 * PAGE];

        memset(bytes, 7, sizeof(bytes));
        assert_int_equal(put(bytes, sizeof(bytes), 0), sizeof(bytes));
        assert_int_equal(content_resize(&file, &quota, ends[i]), 0);
        if (i % 2 == 0)
            assert_int_equal(content_resize(&file, &quota, 3 * PAGE), 0);
        else
            assert_int_equal(put("", 1, 3 * PAGE - 1), 1);
        for (uint64_t at = 0; at < 3 * PAGE; at++)
            assert_int_equal(byte_at(at), at < ends[i] ? 7 : 0);
    }
}

static void frames_stay_while_they_are_mapped(void **state)
{
    uint64_t pages[3], again;

    (void)state;
    assert_int_equal(content_resize(&file, &quota, 3 * PAGE), 0);
    content_mapped(&file, &quota, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(content_page(&file, &quota, i, &pages[i]), 0);
        memset(frames_host(&frames, pages[i]), 9, PAGE);
    }
    assert_int_equal(content_page(&file, &quota, 3, &again), -ENXIO);
    assert_int_equal(byte_at(3 * PAGE - 1), 9);
    assert_int_equal(content_resize(&file, &quota, 10), 0);
    assert_int_equal(file.frames, 3);
    /* The guest writes behind the end, which is not in the file. */
    memset(frames_host(&frames, pages[0]), 8, PAGE);
    memset(frames_host(&frames, pages[1]), 8, PAGE);
    assert_int_equal(put("x", 1, PAGE + 5), 1);
    assert_int_equal(byte_at(9), 8);
    for (unsigned at = 10; at < PAGE + 5; at++)
        assert_int_equal(byte_at(at), 0);
    assert_int_equal(content_page(&file, &quota, 1, &again), 0);
    assert_int_equal(again, pages[1]);
    content_mapped(&file, &quota, 1);
    content_mapped(&file, &quota, -1);
    assert_int_equal(file.frames, 3);
    content_mapped(&file, &quota, -1);
    assert_int_equal(file.frames, 2);
    assert_int_equal(byte_at(PAGE + 5), 'x');
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_far_away_costs_itself_and_a_few_tables),
        TEST(the_end_of_all_files_is_efbig),
        TEST(what_fits_is_written),
        TEST(frames_that_are_gone_are_enospc),
        TEST(what_was_cut_off_does_not_come_back),
        TEST(frames_stay_while_they_are_mapped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
