/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.h - the memory of what the host keeps for one guest (a personality, a
 * tree of files): all objects in one stretch of addresses, so that they can be
 * copied whole.
 *
 *   base                                     base + HEAP_BYTES
 *   | struct heap | block | block | ... top |  not used yet   |
 *
 *  node = heap_make(heap, &node_type, sizeof(*node));         zeroed
 *  heap_free(node);
 *
 *  image = malloc(heap_bytes(heap));
 *  heap_freeze(heap, image);
 *  heap_thaw(other, image, bytes);      the same objects, at other addresses
 *
 * A template is such an image, a clone is a heap made from it, and to wipe is
 * to make it from it once more: nothing can be forgotten, because nothing is
 * looked for.  That needs to know where pointers are.  So each block has a type
 * whose function moves them, and an object points only to others of its heap,
 * or to constants of this program (classes, functions, names).  What belongs to
 * the host (descriptors, KVM) is not in it, but in tables beside it.
 *
 * Memory is bounded: where HEAP_BYTES are used up, heap_make returns NULL, as
 * when the host has none.  Freed blocks are used again for the same size; they
 * are not joined.
 *
 * Threads: its owner's.
 */
#ifndef SANDBOX_FILES_HEAP_HEAP_H
#define SANDBOX_FILES_HEAP_HEAP_H

#include <stddef.h>
#include <stdint.h>

#define HEAP_BYTES     (256ull << 20) /* of addresses; their alignment, too */
#define HEAP_BLOCK_MAX (64ull << 20)
#define HEAP_CLASSES   96

struct heap_move;

/* move: move_pointer for each pointer of the object, nothing else; NULL: it has
 * none.  bytes: as it was made. */
struct heap_type {
    const char *name;
    void (*move)(void *object, size_t bytes, const struct heap_move *move);
};

extern const struct heap_type heap_plain;    /* without pointers */
extern const struct heap_type heap_pointers; /* an array of them */

struct heap {
    uint64_t top;   /* from the base */
    uint64_t count; /* of blocks in use */
    void *root;     /* whatever its owner finds first; in the heap */
    uint64_t free[HEAP_CLASSES]; /* the first of each size, from the base */
};

/* Returns NULL where there are no such addresses. */
struct heap *heap_open(void);
void heap_close(struct heap *heap); /* NULL is allowed; with all in it */

/* For tests: so many more, of all heaps, and one fails; 0: none does. */
extern uint32_t heap_fail_in;

/* Returns zeroed memory, or NULL. */
void *heap_make(struct heap *heap, const struct heap_type *type, size_t bytes);

/*
 * Longer, with zeros, or shorter; it may move then.  object NULL: as heap_make.
 * Returns NULL, and all is as it was.
 */
void *heap_resize(struct heap *heap, const struct heap_type *type, void *object,
                  size_t bytes);
void heap_free(void *object); /* NULL is allowed */

char *heap_text(struct heap *heap, const char *text); /* a copy, or NULL */

/* Where an object is in its heap: the same in every copy of it. */
static inline uint64_t heap_place(const void *object)
{
    return (uintptr_t)object & (HEAP_BYTES - 1);
}

/* Copies: move.c */

/* Of a pointer from the old place to the new one; NULL stays NULL. */
void move_pointer(const struct heap_move *move, void *pointer);

/* Where that is in the copy, what a pointer that was not moved yet means. */
void *move_reach(const struct heap_move *move, const void *object);

/* How long an image is. */
uint64_t heap_bytes(const struct heap *heap);

/* A copy whose pointers are places: it may lie anywhere, also in a file. */
void heap_freeze(const struct heap *heap, void *image);

/*
 * Be what the image is; whatever was in the heap is gone without a trace.  The
 * image is trusted.  Returns 0, or -EINVAL where it cannot be one of ours.
 */
int heap_thaw(struct heap *heap, const void *image, uint64_t bytes);

#endif
