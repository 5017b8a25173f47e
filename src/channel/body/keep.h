/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keep.h - bodies that lie in a region, kept beyond their call.
 *
 *   owner of the channel                 whoever has the body, any thread
 *   keep_body(&region, off, ...)   --->  gbx_body_put, at last
 *   keep_take_back(&region, &channel)  <---  (a list)
 *
 * A kept body's block has not been given back to its writer, so nobody writes
 * there but by malice.  The region's memory is there until the last one is put:
 * closing the region only says that nobody takes them back any more.
 *
 * Threads: the channel's owner.
 */
#ifndef CHANNEL_KEEP_H
#define CHANNEL_KEEP_H

#include "channel/body/body.h"
#include "channel/channel.h"
#include "channel/region.h"

/*
 * off: of a body that was received, and is the caller's to give; it is the
 * body's then.  Returns a body to put; NULL: no memory, or `most` bytes and
 * more would be kept, and off is still the caller's.
 */
struct gbx_body *keep_body(struct region *region, uint64_t off, uint64_t bytes,
                           uint64_t most);

/* Bodies that have been put are given back to the peer. */
void keep_take_back(struct region *region, struct channel *channel);

/* Offsets of those that are not yet back; offs may be NULL.  How many. */
uint32_t keep_list(const struct region *region, uint64_t *offs);

/* Is any not yet back? */
bool keep_is_used(const struct region *region);

/* region.c: a region that is closed becomes its keep's, where it has one. */
void keep_end(struct region *region);

#endif
