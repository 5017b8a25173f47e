/* SPDX-License-Identifier: Apache-2.0 */
/* heap_test.c - blocks are one's own, and copies mean the same elsewhere. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "sandbox/files/heap/heap.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static struct heap *heap, *other;

static int set_up(void **state)
{
    (void)state;
    heap = heap_open();
    other = heap_open();
    return heap == NULL || other == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    heap_close(heap);
    heap_close(other);
    return 0;
}

/* A ring of these, each with a text and a constant of the program. */
struct bead {
    struct bead *next;
    char *text;
    const char *constant;
    uint64_t number; /* whatever it is, it is no pointer */
};

static const char constant[] = "the same for all";

static void move_bead(void *object, size_t bytes, const struct heap_move *move)
{
    struct bead *bead = object;

    assert_int_equal(bytes, sizeof(*bead));
    move_pointer(move, &bead->next);
    move_pointer(move, &bead->text);
    move_pointer(move, &bead->constant);
}

static const struct heap_type bead_type = {"bead", move_bead};

#define BEADS 100u

static void make_ring(void)
{
    struct bead **at = (struct bead **)&heap->root;

    for (unsigned i = 0; i < BEADS; i++) {
        struct bead *bead = heap_make(heap, &bead_type, sizeof(*bead));
        char text[16];

        assert_non_null(bead);
        snprintf(text, sizeof(text), "bead %u", i);
        bead->text = heap_text(heap, text);
        bead->constant = i % 2 == 0 ? constant : NULL;
        bead->number = (uintptr_t)bead; /* looks like one, but is none */
        *at = bead;
        at = &bead->next;
    }
    *at = heap->root;
}

static void check_ring(const struct heap *in, uint64_t numbers_from)
{
    const struct bead *bead = in->root;

    for (unsigned i = 0; i < BEADS; i++, bead = bead->next) {
        char text[16];

        snprintf(text, sizeof(text), "bead %u", i);
        assert_string_equal(bead->text, text);
        assert_ptr_equal(bead->constant, i % 2 == 0 ? constant : NULL);
        assert_int_equal(bead->number, numbers_from + heap_place(bead));
        assert_in_range((uintptr_t)bead->text, (uintptr_t)in,
                        (uintptr_t)in + HEAP_BYTES);
    }
    assert_ptr_equal(bead, in->root);
}

static uint64_t base(const struct heap *of)
{
    return (uintptr_t)of - heap_place(of);
}

static void *freeze(uint64_t *bytes)
{
    void *image;

    *bytes = heap_bytes(heap);
    image = malloc(*bytes); /* the checkers see a byte too many */
    heap_freeze(heap, image);
    return image;
}

static void blocks_are_zero_and_apart(void **state)
{
    static const size_t sizes[] = {0,   1,   15,   16,   17,     111,    112,
                                   113, 128, 1000, 4096, 100000, 8 << 20};
    uint8_t *blocks[2 * ARRAY_SIZE(sizes)];

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
            size_t bytes = sizes[i % ARRAY_SIZE(sizes)];

            blocks[i] = heap_make(heap, &heap_plain, bytes);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % 16, 0);
            for (size_t j = 0; j < bytes; j++)
                assert_int_equal(blocks[i][j], 0);
            memset(blocks[i], (int)i + 1, bytes);
        }
        for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
            for (size_t j = 0; j < sizes[i % ARRAY_SIZE(sizes)]; j++)
                assert_int_equal(blocks[i][j], (uint8_t)(i + 1));
            heap_free(blocks[i]);
        }
    }
    assert_int_equal(heap->count, 0);
    heap_free(NULL);
}

static void what_was_freed_serves_the_next(void **state)
{
    uint64_t top;

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        void *a = heap_make(heap, &heap_plain, 5000);
        void *b = heap_make(heap, &heap_plain, 5100);

        if (i == 0)
            top = heap_bytes(heap);
        heap_free(a);
        heap_free(b);
    }
    assert_int_equal(heap_bytes(heap), top);
}

static void a_block_keeps_its_bytes_when_it_is_resized(void **state)
{
    uint8_t *block = NULL;

    (void)state;
    for (size_t bytes = 1; bytes < 10000; bytes += 7) {
        block = heap_resize(heap, &heap_plain, block, bytes);
        assert_non_null(block);
        for (size_t i = 0; i + 7 < bytes; i++)
            assert_int_equal(block[i], (uint8_t)i);
        for (size_t i = bytes < 7 ? 0 : bytes - 7; i < bytes; i++) {
            assert_int_equal(block[i], 0);
            block[i] = (uint8_t)i;
        }
    }
    block = heap_resize(heap, &heap_plain, block, 3);
    assert_int_equal(block[2], 2);
    assert_null(heap_resize(heap, &heap_plain, block, HEAP_BLOCK_MAX + 1));
    assert_int_equal(block[2], 2);
    assert_int_equal(heap->count, 1);
}

static void a_heap_has_an_end(void **state)
{
    unsigned count = 0;
    void *last = NULL, *block;

    (void)state;
    assert_null(heap_make(heap, &heap_plain, HEAP_BLOCK_MAX + 1));
    while ((block = heap_make(heap, &heap_plain, 40u << 20)) != NULL) {
        last = block;
        count++;
    }
    assert_in_range(count, 4, 6);
    assert_null(heap_resize(heap, &heap_plain, last, 60u << 20));
    heap_free(last);
    assert_non_null(heap_make(heap, &heap_plain, 40u << 20));
}

static void the_nth_block_is_refused_where_a_test_wants_it(void **state)
{
    (void)state;
    heap_fail_in = 2;
    assert_non_null(heap_make(heap, &heap_plain, 1));
    assert_null(heap_text(heap, "text"));
    assert_non_null(heap_text(heap, "text"));
}

static void a_copy_means_the_same_at_other_addresses(void **state)
{
    uint64_t bytes;
    void *image;

    (void)state;
    make_ring();
    image = freeze(&bytes);
    check_ring(heap, base(heap));
    assert_int_equal(heap_thaw(other, image, bytes), 0);
    check_ring(other, base(heap));
    assert_int_equal(other->count, heap->count);
    free(image);
    /* And goes on by itself. */
    heap_free(((struct bead *)other->root)->text);
    assert_non_null(heap_make(other, &bead_type, sizeof(struct bead)));
    check_ring(heap, base(heap));
}

static void nothing_is_left_when_a_heap_becomes_what_it_was(void **state)
{
    static const char secret[] = "a secret that nobody may find";
    uint64_t bytes, end;
    uint8_t *at;
    void *image;

    (void)state;
    make_ring();
    heap_free(heap_make(heap, &heap_plain, 3000));
    image = freeze(&bytes);
    for (size_t size = 30; size < 1000000; size *= 3)
        for (unsigned i = 0; i < 3; i++) {
            char *text = heap_make(heap, &heap_plain, size);

            memcpy(text + size - sizeof(secret), secret, sizeof(secret));
            if (i == 1)
                heap_free(text);
        }
    ((struct bead *)heap->root)->next = heap->root;
    end = heap_bytes(heap);
    assert_int_equal(heap_thaw(heap, image, bytes), 0);
    check_ring(heap, base(heap));
    at = (uint8_t *)heap_make(heap, &heap_plain, end - bytes);
    assert_null(memmem(at, end - bytes, secret, 8));
    for (uint64_t i = 0; i < end - bytes; i++)
        assert_int_equal(at[i], 0);
    free(image);
}

static void an_image_that_makes_no_sense_is_refused(void **state)
{
    uint64_t bytes, bad;
    uint32_t *words, was;
    void *image;

    (void)state;
    make_ring();
    image = freeze(&bytes);
    words = image;
    assert_int_equal(heap_thaw(other, image, 8), -EINVAL);
    assert_int_equal(heap_thaw(other, image, bytes - 16), -EINVAL);
    assert_int_equal(heap_thaw(other, image, HEAP_BYTES + 16), -EINVAL);
    for (bad = 0; bad < 5; bad++) {
        static const uint32_t lengths[] = {0, 8, 24, 1u << 30, UINT32_MAX};
        uint64_t place = heap_place(heap->root) / 4 - 2;

        was = words[place];
        words[place] = lengths[bad];
        assert_int_equal(heap_thaw(other, image, bytes), -EINVAL);
        words[place] = was;
    }
    assert_int_equal(heap_thaw(other, image, bytes), 0);
    check_ring(other, base(heap));
    free(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocks_are_zero_and_apart),
        TEST(what_was_freed_serves_the_next),
        TEST(a_block_keeps_its_bytes_when_it_is_resized),
        TEST(a_heap_has_an_end),
        TEST(the_nth_block_is_refused_where_a_test_wants_it),
        TEST(a_copy_means_the_same_at_other_addresses),
        TEST(nothing_is_left_when_a_heap_becomes_what_it_was),
        TEST(an_image_that_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
