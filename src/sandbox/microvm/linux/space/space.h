/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space.h - a guest's address space: what mmap, mprotect and munmap speak of.
 *
 *   areas (sorted)                page tables                frames
 *  +------------------------+    +-------------------+      +-------+
 *  | 0x400000 r-x  a file   | -> | made where they   | ---> | taken |
 *  | 0x7f.... rw-  anonymous|    | are first touched |      | then  |
 *  +------------------------+    +-------------------+      +-------+
 *
 * An area says what may be; a page is made by space_fault, many together,
 * because an exit costs more than a hundred entries.  A frame belongs to one
 * page, but for pages of files mapped shared (their file's) and of the region.
 * Pages that may not be touched (PROT_NONE) keep their frames: they are mapped
 * for ring 0 alone, which does not touch any.
 *
 * What counts against the memory limit is counted when it is mapped, as by
 * RLIMIT_DATA: anonymous memory that may be touched, and private writable pages
 * of files.  Pages of files that cannot be written have a limit of their own.
 *
 * Answers are Linux's: 0 or more, or -errno.
 *
 * Threads: the machine's.  Memory: as many areas as SPACE_AREAS_MAX.
 */
#ifndef SANDBOX_MICROVM_LINUX_SPACE_SPACE_H
#define SANDBOX_MICROVM_LINUX_SPACE_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "sandbox/files/heap/frames.h"
#include "sandbox/files/tree/file.h"
#include "sandbox/microvm/tables.h"

#define SPACE_AREAS_MAX  65530u     /* Linux's max_map_count */
#define SPACE_LOW        0x10000ull /* Linux's usual mmap_min_addr */
#define SPACE_PAGE_BYTES MEMORY_PAGE_BYTES
#define SPACE_FILL_BYTES MEMORY_HUGE_BYTES /* made around a first touch */
#define SPACE_READ_BYTES (256u << 10)      /* the same, of a file */

_Static_assert(FRAME_BYTES == MEMORY_PAGE_BYTES, "a frame is a page");

enum area_kind {
    AREA_ANONYMOUS, /* frames of its own, zero at first */
    AREA_FILE,      /* frames of its own, filled from a file */
    AREA_SHARED,    /* the file's frames */
    AREA_PHYSICAL,  /* a part of the region */
};

struct area {
    uint64_t start, end;
    uint8_t kind;      /* enum area_kind */
    uint8_t access;    /* TABLES_READ | _WRITE | _EXEC, or 0 */
    bool charged;      /* counts against the memory limit */
    bool may_write;    /* mprotect may make it writable */
    const char *name;  /* "[heap]", or NULL */
    struct file *file; /* counted, or NULL */
    uint64_t off;      /* of start: in the file, or guest-physical */
};

/* Guest-physical memory that the host may touch only up to a moving end. */
struct space_window {
    uint64_t at, bytes;
    uint64_t (*touchable)(const struct space_window *window); /* from at */
    const void *context;
    const uint8_t *host; /* where it is */
};

struct space {
    struct memory *memory; /* borrowed */
    struct tables tables;
    struct frames frames;
    struct area *areas; /* owned, sorted */
    uint32_t area_count, area_room;
    uint64_t top; /* mappings are placed below it */
    uint64_t brk_start, brk, brk_max;
    uint64_t charged, charged_max; /* pages */
    uint64_t file_pages, file_pages_max;
    struct space_window windows[2]; /* unused: bytes is 0 */
    bool met_limit;                 /* of charged or file_pages, ever */
};

/*
 * Frames are [at, at + bytes) of one slot of memory, tables_at those of the
 * page tables.  Returns 0 or a GBX_E code.
 */
int space_open(struct space *space, struct heap *heap, struct memory *memory,
               uint64_t tables_at, uint64_t tables_bytes, uint64_t at,
               uint64_t bytes);
/* Forget all areas, so that their files are put. */
void space_clear(struct space *space);
void space_close(struct space *space); /* idempotent; all-zero allowed */

/* Of whoever contains it: its pointers into the heap are moved (heap.h). */
void space_move(struct space *space, const struct heap_move *move);
/* Those to elsewhere are forgotten, and set anew. */
void space_unbind(struct space *space);
void space_bind(struct space *space, struct memory *memory, uint64_t at,
                uint64_t bytes);

/* What is to be mapped; bytes and off are whole pages. */
struct space_request {
    uint64_t address; /* 0: anywhere */
    uint64_t bytes;
    unsigned access; /* TABLES_* */
    enum area_kind kind;
    bool fixed;     /* at this address and nowhere else */
    bool replace;   /* and what is there goes; else -EEXIST */
    bool populate;  /* make its pages now */
    bool may_write; /* later */
    const char *name;
    struct file *file; /* gets a reference */
    uint64_t off;
};

/* Returns the address. */
int64_t space_map(struct space *space, const struct space_request *request);
int space_unmap(struct space *space, uint64_t address, uint64_t bytes);
int space_protect(struct space *space, uint64_t address, uint64_t bytes,
                  unsigned access);
/* new_address: with fixed. */
int64_t space_remap(struct space *space, uint64_t address, uint64_t bytes,
                    uint64_t new_bytes, bool may_move, bool fixed,
                    uint64_t new_address);
/* Pages are given back and will be as when they were mapped. */
int space_discard(struct space *space, uint64_t address, uint64_t bytes);
/* Linux's brk: returns the end as it is now. */
uint64_t space_brk(struct space *space, uint64_t end);

/* The area that has the address, or the next one above; NULL: none. */
struct area *space_find(struct space *space, uint64_t address);

/*
 * Make the page of this address, and some around it, if it may be accessed so.
 * Returns 0; -EFAULT (nothing there), -EACCES (not so), -ENXIO (behind the end
 * of a file), -EIO, -ENOMEM.
 */
int space_fault(struct space *space, uint64_t address, unsigned access);

/* fill.c, of this folder: make all pages of an area in [from, to). */
int space_fill(struct space *space, struct area *area, uint64_t from,
               uint64_t to);

/* Take away pages in [from, to) of an area; frames that are its own go. */
int space_empty(struct space *space, const struct area *area, uint64_t from,
                uint64_t to);

/* Of an area's access: for leaves of the tables. */
static inline unsigned space_leaf(unsigned access)
{
    return access == 0 ? TABLES_READ : access | TABLES_READ | TABLES_USER;
}

#endif
