/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.h - messages through a region, for either side of it.
 *
 * The same code runs in the host and, linked into guest programs, in the guest:
 * each is "me" writing its half and "peer" reading mine.
 *
 *  channel_init(&channel, &config);
 *  channel_reserve(&channel, bytes, deadline_ns, &off);    my arena
 *  ... fill channel_at(&channel, off) ...
 *  channel_send(&channel, &descriptor, deadline_ns);
 *
 *  channel_recv(&channel, &descriptor, deadline_ns);       a checked copy
 *  ... use the body ...
 *  channel_give(&channel, descriptor.body_off);            peer's block back
 *
 * Threads: a channel belongs to one thread at a time.  The peer is another
 *          thread, process or machine, and may be hostile.
 * Memory:  nothing is allocated; the arena's table is inside the struct.
 * Waiting: first awake for spin_ns, then asleep by the config's sleep function.
 */
#ifndef CHANNEL_CHANNEL_H
#define CHANNEL_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/abi/message.h"
#include "glovebox/abi/region.h"
#include "glovebox/error.h"

#include "channel/arena.h"

enum channel_side { CHANNEL_HOST, CHANNEL_GUEST };

/*
 * How one isolation sleeps and wakes.
 *
 * sleep: until the peer rang, something else wants attention, or the deadline.
 *   Called with my `asleep` flag up and nothing to read, at bell value `seen`
 *   (of the peer's bell word).  May return early, but must not miss a bell that
 *   rang before the call: futex(seen), or an eventfd read only after waiting.
 *   Returns 0, GBX_ETIME, or the code that ends the channel (the peer died, a
 *   limit, a cancel), again and again: what is ready is delivered before it.
 * ring: wake the peer.  Called after something was published while the peer's
 *   `asleep` flag was up; the bell word has grown already.  Never waits.
 * grow: my arena is to have at least `bytes`.  Returns 0, and may have called
 *   channel_grew if there is more; GBX_ELIMIT or GBX_EMEMORY: then blocks that
 *   come back are waited for; or a code that ends it.  May be NULL.
 * poll: before spinning and every now and then: 0 to go on, 1 to sleep at once
 *   (the peer stands still until I do), else the code to leave with (a cancel).
 *   May be NULL.
 */
struct channel_bell {
    int (*sleep)(void *context, uint32_t seen, uint64_t deadline_ns);
    void (*ring)(void *context);
    int (*grow)(void *context, uint64_t bytes);
    int (*poll)(void *context);
    void *context; /* borrowed until the channel is gone */
};

struct channel_config {
    enum channel_side side;
    uint8_t *base; /* the region's window */
    uint64_t half_bytes;
    uint64_t spin_ns; /* 0: sleep at once */
    struct channel_bell bell;
    /* What exists of both arenas.  0: as region_open left it (host), as the
     * heads say (guest). */
    uint64_t arena_bytes, peer_arena_bytes;
};

struct channel {
    struct channel_config config;
    struct gbx_half_head *mine;       /* I write here */
    const struct gbx_half_head *peer; /* and only read here */
    struct gbx_descriptor *my_ring;
    const struct gbx_descriptor *peer_ring;
    uint64_t *my_gives;
    const uint64_t *peer_gives;
    uint64_t mine_off, peer_off; /* of the halves, from the window's start */

    /* My own counters: what I wrote in my half is never read back from it. */
    uint32_t ring_tail; /* sent */
    uint32_t ring_head; /* received */
    uint32_t give_tail; /* given */
    uint32_t bell;      /* rung */

    /* What I know of the peer's. */
    uint32_t ring_read;        /* of what I sent, at least so many are read */
    uint32_t ring_copied;      /* of what it sent, so many are in ahead */
    uint32_t give_head;        /* of what it gave, so many are free */
    uint32_t give_end;         /* and so many can be */
    uint64_t peer_arena_bytes; /* how much of its arena may be read */
    int broken;                /* the code it was caught with, for good */

    struct arena arena; /* mine */
    struct {
        uint64_t sleeps, rings, copied_bytes;
    } count;

    /* Checked copies from ring_head up to ring_copied; see channel.c. */
    struct gbx_descriptor ahead[GBX_RING_SLOTS];
};

/*
 * Both halves' constants are in place (host: region_open wrote them), and
 * nothing was sent yet.
 */
void channel_init(struct channel *channel, const struct channel_config *config);

/*
 * Where another one stood, over the same bytes in another region: what it sent,
 * read, lent and gave.  Both are the host's side.
 */
void channel_follow(struct channel *channel, const struct channel *was);

/* The same bytes lie in another window from now on. */
void channel_move(struct channel *channel, uint8_t *base);

/* The host made an arena longer: mine, the peer's.  Never less than it was. */
void channel_grew(struct channel *channel, uint64_t arena_bytes);
void channel_peer_grew(struct channel *channel, uint64_t arena_bytes);

/* Where an offset lies. It must have been checked or reserved. */
static inline void *channel_at(const struct channel *channel, uint64_t off)
{
    return channel->config.base + off;
}

/*
 * A block of my arena, begun; send or channel_drop finishes it.  Grows the
 * arena when it must, and waits for blocks to come back when it may not grow.
 * Returns 0 and its offset; GBX_EARENA at the deadline, or at once when the
 * peer has nothing to give back; GBX_ELIMIT for what can never fit; or the code
 * that ended the channel.
 */
int channel_reserve(struct channel *channel, size_t bytes, uint64_t deadline_ns,
                    uint64_t *off);
void channel_drop(struct channel *channel, uint64_t off);
/* One that has been reserved and not sent is only so long. */
void channel_trim(struct channel *channel, uint64_t off, uint64_t bytes);

/* The same without waiting: GBX_EARENA at once. */
int channel_try_reserve(struct channel *channel, size_t bytes, uint64_t *off);

/*
 * Keep a block of mine that was sent, or will be, for one more send or give: it
 * is free when every holder gave it.  off may lie anywhere in the block.
 * Returns 0, or GBX_EBOUNDS when no live block of mine is there.
 */
int channel_hold(struct channel *channel, uint64_t off, uint64_t bytes);

/*
 * Publish a descriptor, ring if the peer sleeps.  A body of mine is the peer's
 * from then on (who wants to keep it holds it first); a body of the peer's is
 * passed on, and I still have to give it.
 * Returns 0; GBX_ERING at the deadline, GBX_EARENA when the peer holds too many
 * blocks until then; or the code that ended the channel.
 */
int channel_send(struct channel *channel,
                 const struct gbx_descriptor *descriptor, uint64_t deadline_ns);

/*
 * The next descriptor: copied once, the copy checked.  The body lies within the
 * peer's arena, or within a live block of mine that the peer passes on (I hold
 * it once more), or there is none.  Each body is to be given.
 * Returns 0; GBX_ETIME; GBX_EBROKEN, GBX_EBOUNDS, GBX_EFORMAT for what no
 * honest peer writes; or the code that ended the channel.  try_ never waits and
 * returns GBX_EAGAIN.
 */
int channel_recv(struct channel *channel, struct gbx_descriptor *descriptor,
                 uint64_t deadline_ns);
int channel_try_recv(struct channel *channel,
                     struct gbx_descriptor *descriptor);

/*
 * Announce that I am going to sleep outside of the channel (in poll, in epoll),
 * so that the peer rings.  Returns true when there is nothing to read and
 * sleeping is safe; false when there is something (the announcement is taken
 * back).  awake takes it back after the sleep.
 */
bool channel_asleep(struct channel *channel);
void channel_awake(struct channel *channel);

/* Whether the peer needs no bell, as far as one can know. */
bool channel_peer_is_awake(const struct channel *channel);

/*
 * Give a block back; off as it was received: the peer's, or one of mine that
 * came back to me or that I held.  0, no body, is allowed.
 */
void channel_give(struct channel *channel, uint64_t off);

/*
 * Set a descriptor's name from `bytes` bytes.  Long names take a block, which
 * channel_drop frees if the descriptor is not sent after all.
 * Returns 0; GBX_EARGUMENT for a name that is too long, not UTF-8 or has a NUL;
 * or what channel_reserve returns.
 */
int channel_put_name(struct channel *channel, struct gbx_descriptor *descriptor,
                     const char *name, size_t bytes, uint64_t deadline_ns);

/*
 * Copy a received descriptor's name to `name`, terminated; a long name's block
 * is given back.  Returns 0, or GBX_EFORMAT for NUL or invalid UTF-8 in it.
 */
int channel_get_name(struct channel *channel,
                     const struct gbx_descriptor *descriptor,
                     char name[GBX_NAME_BYTES_MAX + 1]);

#endif
