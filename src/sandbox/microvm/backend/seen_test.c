/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "sandbox/microvm/memory.h"
#include "sandbox/microvm/backend/seen.h"

#define PAGES 1024u
#define BYTES (PAGES * MEMORY_PAGE_BYTES)

static volatile uint8_t *shown;

static int setup(void **state)
{
    int fd = memfd_create("seen", MFD_CLOEXEC);

    (void)state;
    assert_true(fd >= 0 && ftruncate(fd, BYTES) == 0);
    /* Its pages are there, but not here. */
    shown = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                 fd, 0);
    assert_ptr_not_equal(shown, MAP_FAILED);
    munmap((void *)(uintptr_t)shown, BYTES);
    shown = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(shown, MAP_FAILED);
    close(fd);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    munmap((void *)(uintptr_t)shown, BYTES);
    return 0;
}

static int look(void)
{
    return seen_sixteenths((const uint8_t *)(uintptr_t)shown, BYTES);
}

static void what_nobody_looked_at_is_not_seen(void **state)
{
    (void)state;
    assert_int_equal(look(), 0);
}

static void half_of_it_is_half(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PAGES / 2; i++)
        (void)shown[i * MEMORY_PAGE_BYTES];
    assert_int_equal(look(), 8);
}

static void all_of_it_is_all(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PAGES; i++)
        (void)shown[i * MEMORY_PAGE_BYTES];
    assert_int_equal(look(), 16);
    assert_int_equal(
        seen_sixteenths((const uint8_t *)(uintptr_t)shown, MEMORY_PAGE_BYTES),
        16);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_nobody_looked_at_is_not_seen),
        TEST(half_of_it_is_half),
        TEST(all_of_it_is_all),
    };

    return cmocka_run_group_tests_name("what a guest has seen", tests, NULL,
                                       NULL);
}
