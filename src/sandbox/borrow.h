/* SPDX-License-Identifier: Apache-2.0 */
/*
 * borrow.h - an input whose bytes are another sandbox's, or the host's: the
 * guest sees them in a block of the host's arena as any other input.
 *
 *   host's arena, as the guest maps it
 *   | ... | block: copied | whole pages of the body | copied | ... |
 *                  edge     mapped, read-only         edge
 *
 * So a guest sees the body's bytes and no others of the pages that they lie in.
 * When the guest has given the block back, the pages are the arena's own again,
 * and the body is put.  The host does not map them so: what a guest says of
 * such a block, it looks up in the body (borrow_at).
 *
 * Threads: the sandbox's.
 * Memory:  the table, at the first one.
 */
#ifndef SANDBOX_BORROW_H
#define SANDBOX_BORROW_H

#include "channel/body/body.h"
#include "sandbox/sandbox.h"

#define BORROWS_MAX 256u /* at a time, of one sandbox */

/* Of a borrow: */
#define BORROW_COPIES_HEAD                                                     \
    1u                       /* the first page is copied, too: what a guest    \
                                parses shall not change meanwhile */
#define BORROW_IS_WATCHED 2u /* what was looked at is told, by borrow_seen */

/*
 * Reserve a block that shows [data, data + bytes) of the body, which gets a
 * holder.
 * Returns 0 and the offset to send or to drop; or a code, and a copy will do:
 * GBX_EUNSUPPORTED (this isolation cannot), GBX_EARENA, GBX_ELIMIT, GBX_EHOST.
 */
int borrow_body(struct sandbox *sandbox, struct gbx_body *body,
                const void *data, size_t bytes, unsigned flags, uint64_t *off);

/* How much of the last watched one was looked at before it came back: 0 to 16
 * sixteenths, told once; or -1. */
int borrow_seen(struct sandbox *sandbox);

/*
 * Where the bytes of a received body are.  NULL: they are of a block that shows
 * a body, and reach beyond it.  Blocks are a little longer than what they show,
 * and what lies there is not the guest's to pass on.
 */
const void *borrow_at(const struct sandbox *sandbox, uint64_t off,
                      uint64_t bytes);

/* The body that is shown there; NULL: it is the region's own.  Borrowed. */
struct gbx_body *borrow_find(const struct sandbox *sandbox, uint64_t off);

/* Before a guest is copied: what it borrowed is copied into its region.
 * Returns 0, or GBX_EHOST: the sandbox is of no more use. */
int borrow_settle(struct sandbox *sandbox);

/* Of a guest that will not look any more: to be wiped.  Returns as settle. */
int borrow_forget(struct sandbox *sandbox);

/* The backend is closed: nothing is mapped. */
void borrow_fini(struct sandbox *sandbox);

#endif
