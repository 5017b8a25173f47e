/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sandbox/borrow.h"

/* What the embedder is told is what starts on a page. */
_Static_assert(GBX_BODY_SHOWN == GBX_PAGED_BYTES, "bodies that can be shown");

struct borrow {
    uint64_t block;      /* from the arena's start */
    uint64_t off, bytes; /* of what is shown, in the region */
    uint64_t from, to;   /* whole pages of it that are mapped */
    const uint8_t *data;
    struct gbx_body *body; /* counted */
    bool is_watched;
    bool is_over; /* the block is free; its pages are still mapped */
};

struct borrows {
    uint32_t count;
    int seen;    /* sixteenths of the last one watched, + 1; 0: not known */
    bool defers; /* who becomes free meanwhile, is over */
    struct borrow all[BORROWS_MAX];
};

static uint64_t page_of(uint64_t off)
{
    return off & ~(GBX_PAGE_BYTES - 1ull);
}

static void look(struct sandbox *sandbox, const struct borrow *borrow)
{
    if (borrow->is_watched && sandbox->backend->seen != NULL)
        sandbox->borrows->seen =
            1 + sandbox->backend->seen(sandbox->self, borrow->from,
                                       borrow->to - borrow->from);
}

/* Its pages are the arena's own again, and the body is put.  False: they are
 * not to be had, must not be written, and the body stays. */
static bool end(struct sandbox *sandbox, struct borrow *borrow)
{
    struct borrows *borrows = sandbox->borrows;

    look(sandbox, borrow);
    if (sandbox->backend->borrow(sandbox->self, borrow->from,
                                 borrow->to - borrow->from, -1, 0) < 0)
        return false;
    gbx_body_put(borrow->body);
    *borrow = borrows->all[--borrows->count];
    return true;
}

/* The arena has a block back. */
static void freed(void *context, uint64_t block)
{
    struct sandbox *sandbox = context;
    struct borrows *borrows = sandbox->borrows;

    for (uint32_t i = 0; i < borrows->count; i++)
        if (borrows->all[i].block == block && !borrows->all[i].is_over) {
            if (borrows->defers)
                borrows->all[i].is_over = true;
            else if (!end(sandbox, &borrows->all[i]))
                sandbox->channel.broken = GBX_EHOST;
            return;
        }
}

/*
 * Those that are over end, but for one of just these pages: they will be mapped
 * over.  To give them back first takes longer than all the rest.  Returns it,
 * or NULL; channel.broken says whether all went well.
 */
static struct borrow *end_over(struct sandbox *sandbox, uint64_t from,
                               uint64_t to)
{
    struct borrows *borrows = sandbox->borrows;
    struct borrow *same = NULL;

    for (uint32_t i = borrows->count; i > 0; i--) {
        struct borrow *borrow = &borrows->all[i - 1];

        if (!borrow->is_over)
            continue;
        if (borrow->from == from && borrow->to == to) {
            same = borrow;
            continue;
        }
        if (same == &borrows->all[borrows->count - 1])
            same = borrow; /* where it comes to lie */
        if (!end(sandbox, borrow)) {
            sandbox->channel.broken = GBX_EHOST;
            return NULL;
        }
    }
    return same;
}

static int reserve(struct sandbox *sandbox, uint64_t bytes, uint64_t *off)
{
    int rc;

    sandbox->borrows->defers = true;
    rc = channel_try_reserve(&sandbox->channel, bytes, off);
    sandbox->borrows->defers = false;
    if (rc < 0)
        end_over(sandbox, 0, 0);
    return rc;
}

static int open_table(struct sandbox *sandbox)
{
    if (sandbox->backend->borrow == NULL)
        return GBX_EUNSUPPORTED;
    if (sandbox->borrows == NULL)
        sandbox->borrows = calloc(1, sizeof(*sandbox->borrows));
    if (sandbox->borrows == NULL)
        return GBX_EHOST;
    sandbox->channel.arena.freed = freed; /* a new channel knows nobody */
    sandbox->channel.arena.freed_context = sandbox;
    return sandbox->borrows->count == BORROWS_MAX ? GBX_ELIMIT : 0;
}

/* What of it lies at [from, to), into the arena: what no page of another file
 * can show, or is to stay when that is gone.  Less than two pages of a body
 * that comes: a page that is only partly of it would show what else lies there.
 * Once in the program, as here: tools/copies.txt counts it. */
static __attribute__((noinline)) void copy(struct sandbox *sandbox,
                                           const struct borrow *borrow,
                                           uint64_t from, uint64_t to)
{
    memcpy(channel_at(&sandbox->channel, from),
           borrow->data + (from - borrow->off), to - from);
    sandbox->channel.count.copied_bytes += to - from;
}

/* Where in a block the body is shown, and which pages of it. */
static void place(struct borrow *borrow, uint64_t off, uint64_t shift,
                  unsigned flags)
{
    borrow->block = off - GBX_ARENA_OFF;
    borrow->off = off + shift;
    borrow->from = page_of(borrow->off + GBX_PAGE_BYTES - 1);
    if ((flags & BORROW_COPIES_HEAD) && borrow->from == borrow->off)
        borrow->from += GBX_PAGE_BYTES;
    borrow->to = page_of(borrow->off + borrow->bytes);
}

/* at: of the body, in its file. */
static int show(struct sandbox *sandbox, const struct borrow *borrow,
                uint64_t at)
{
    struct borrows *borrows = sandbox->borrows;
    struct borrow *was = end_over(sandbox, borrow->from, borrow->to);
    int rc;

    if (sandbox->channel.broken != 0)
        return sandbox->channel.broken;
    if (was != NULL)
        look(sandbox, was);
    rc = sandbox->backend->borrow(sandbox->self, borrow->from,
                                  borrow->to - borrow->from, borrow->body->fd,
                                  at + (borrow->from - borrow->off));
    if (rc < 0) {
        if (was != NULL && !end(sandbox, was))
            sandbox->channel.broken = rc;
        return rc;
    }
    if (was != NULL)
        gbx_body_put(was->body);
    else
        was = &borrows->all[borrows->count++];
    *was = *borrow;
    copy(sandbox, borrow, borrow->off, borrow->from);
    copy(sandbox, borrow, borrow->to, borrow->off + borrow->bytes);
    gbx_body_get(borrow->body);
    return 0;
}

int borrow_body(struct sandbox *sandbox, struct gbx_body *body,
                const void *data, size_t bytes, unsigned flags, uint64_t *off)
{
    struct borrow borrow = {.bytes = bytes,
                            .data = data,
                            .body = body,
                            .is_watched = flags & BORROW_IS_WATCHED};
    uint64_t at, shift;
    int rc;

    if (bytes < GBX_PAGED_BYTES)
        return GBX_EUNSUPPORTED;
    rc = open_table(sandbox);
    if (rc < 0)
        return rc;
    if (!body_find(body, data, bytes, &at))
        return GBX_EBOUNDS;
    at += body->off;
    shift = at % GBX_PAGE_BYTES;
    rc = reserve(sandbox, bytes + shift, off);
    if (rc < 0)
        return rc;
    place(&borrow, *off, shift, flags);
    rc = show(sandbox, &borrow, at);
    if (rc < 0)
        channel_drop(&sandbox->channel, *off);
    else
        *off = borrow.off;
    return rc;
}

/* The one in whose block this lies, be it of the body or not. */
static const struct borrow *find(const struct sandbox *sandbox, uint64_t off)
{
    const struct borrows *borrows = sandbox->borrows;

    for (uint32_t i = 0; borrows != NULL && i < borrows->count; i++) {
        const struct borrow *borrow = &borrows->all[i];
        const uint64_t start = GBX_ARENA_OFF + borrow->block,
                       bytes = borrow->off - start + borrow->bytes;

        if (off >= start && off - start < ((bytes + GBX_BLOCK_ALIGN - 1) &
                                           ~(GBX_BLOCK_ALIGN - 1ull)))
            return borrow;
    }
    return NULL;
}

const void *borrow_at(const struct sandbox *sandbox, uint64_t off,
                      uint64_t bytes)
{
    const struct borrow *borrow = find(sandbox, off);
    uint64_t at;

    if (borrow == NULL)
        return channel_at(&sandbox->channel, off);
    at = off - borrow->off; /* huge, when it lies before */
    return at <= borrow->bytes && bytes <= borrow->bytes - at
               ? borrow->data + at
               : NULL;
}

struct gbx_body *borrow_find(const struct sandbox *sandbox, uint64_t off)
{
    const struct borrow *borrow = find(sandbox, off);

    return borrow != NULL ? borrow->body : NULL;
}

int borrow_seen(struct sandbox *sandbox)
{
    struct borrows *borrows = sandbox->borrows;
    int seen = borrows == NULL ? -1 : borrows->seen - 1;

    if (borrows != NULL)
        borrows->seen = 0;
    return seen < 0 ? -1 : seen;
}

static int end_all(struct sandbox *sandbox, bool copies)
{
    struct borrows *borrows = sandbox->borrows;

    while (borrows != NULL && borrows->count > 0) {
        struct borrow *borrow = &borrows->all[borrows->count - 1];

        if (copies)
            copy(sandbox, borrow, borrow->from, borrow->to);
        if (!end(sandbox, borrow))
            return GBX_EHOST;
    }
    return 0;
}

int borrow_settle(struct sandbox *sandbox)
{
    return end_all(sandbox, true);
}

int borrow_forget(struct sandbox *sandbox)
{
    return end_all(sandbox, false);
}

void borrow_fini(struct sandbox *sandbox)
{
    struct borrows *borrows = sandbox->borrows;

    for (uint32_t i = 0; borrows != NULL && i < borrows->count; i++)
        gbx_body_put(borrows->all[i].body);
    free(borrows);
    sandbox->borrows = NULL;
}
