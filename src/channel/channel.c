/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c - messages one way, blocks given back the other, for either side.
 *
 *   my half                               peer's half
 *   ring     |..ddddd...| laps       <->  ring_head: so far it read
 *   arena    |bb  bb  b |            <->  gives |..ggg...| give_tail
 *                                         (blocks of my arena it gave back)
 *
 * Trust is one-sided on purpose: the code is the same on both sides, but only
 * the host needs it.  Whatever the peer's half says is loaded once and checked
 * against what I know privately: counters may run ahead only as far as I have
 * sent, lent or have room for; a descriptor is copied and the copy checked; a
 * block may be given back only while the peer holds it.  A peer that was caught
 * once is never listened to again (`broken`).
 *
 * Blocks that are passed on.  A peer may send a block of mine back to me, say,
 * an input as an output.  Then I hold it once more, and the peer gives what it
 * held as always.  Its give must not overtake its message: so before gives are
 * taken in, all messages sent before them are, into `ahead`.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/check.h"
#include "channel/channel.h"
#include "channel/descriptor.h"
#include "channel/ring.h"
#include "channel/wait.h"

#define FIRST_BYTES GBX_HUGE_BYTES /* of an arena, as region_open left it */

/*
 * While the arena's blocks lie below this, nobody looks at what the peer gave:
 * its counter and its list are lines that the peer has just written, and cost
 * as much as a message.  A few small blocks stay lent for nothing.
 */
#define LAZY_BYTES 512u

void channel_move(struct channel *channel, uint8_t *base)
{
    uint8_t *mine = base + channel->mine_off, *peer = base + channel->peer_off;

    channel->config.base = base;
    channel->mine = (struct gbx_half_head *)(void *)mine;
    channel->peer = (const struct gbx_half_head *)(void *)peer;
    channel->my_ring = (struct gbx_descriptor *)(void *)(mine + GBX_RING_OFF);
    channel->peer_ring =
        (const struct gbx_descriptor *)(void *)(peer + GBX_RING_OFF);
    channel->my_gives = (uint64_t *)(void *)(mine + GBX_GIVES_OFF);
    channel->peer_gives = (const uint64_t *)(void *)(peer + GBX_GIVES_OFF);
}

void channel_init(struct channel *channel, const struct channel_config *config)
{
    const bool host = config->side == CHANNEL_HOST;
    uint64_t bytes;

    must(config->half_bytes >= GBX_HALF_BYTES_MIN &&
         config->half_bytes <= GBX_HALF_BYTES_MAX);
    /* Not the whole: the tables are long, and empty as they are. */
    memset(channel, 0, offsetof(struct channel, arena));
    memset(&channel->count, 0, sizeof(channel->count));
    channel->config = *config;
    channel->mine_off = host ? 0 : config->half_bytes;
    channel->peer_off = host ? config->half_bytes : 0;
    channel_move(channel, config->base);

    /* A guest may ask the heads: the host wrote both of them. */
    bytes = host ? FIRST_BYTES : atomic_load(&channel->mine->arena_bytes);
    arena_init(&channel->arena, 0);
    channel_grew(channel, config->arena_bytes ? config->arena_bytes : bytes);
    bytes = host ? FIRST_BYTES : atomic_load(&channel->peer->arena_bytes);
    channel_peer_grew(
        channel, config->peer_arena_bytes ? config->peer_arena_bytes : bytes);
}

static uint64_t arena_max(const struct channel *channel)
{
    return channel->config.half_bytes - GBX_ARENA_OFF;
}

void channel_grew(struct channel *channel, uint64_t arena_bytes)
{
    if (arena_bytes > arena_max(channel))
        arena_bytes = arena_max(channel);
    if (arena_bytes > channel->arena.bytes)
        channel->arena.bytes = arena_bytes;
}

void channel_peer_grew(struct channel *channel, uint64_t arena_bytes)
{
    if (arena_bytes > arena_max(channel))
        arena_bytes = arena_max(channel);
    if (arena_bytes > channel->peer_arena_bytes)
        channel->peer_arena_bytes = arena_bytes;
}

static int caught(struct channel *channel, int code)
{
    if (channel->broken == 0)
        channel->broken = code;
    return channel->broken;
}

static bool is_mine(const struct channel *channel, uint64_t off)
{
    return off >= channel->mine_off &&
           off - channel->mine_off < channel->config.half_bytes;
}

/* From the window's start to my arena's; what lies before it becomes huge. */
static uint64_t in_arena(const struct channel *channel, uint64_t off)
{
    return off - channel->mine_off - GBX_ARENA_OFF;
}

/* ---- receiving ---- */

static bool peer_has(struct channel *channel, uint64_t off, uint64_t bytes)
{
    uint64_t end;

    off -= channel->peer_off + GBX_ARENA_OFF;
    if (off >= arena_max(channel)) /* also what lay before it */
        return false;
    end = off + (bytes == 0 ? 1 : bytes);
    /*
     * Host: region.c, exists(), releases the length once the memory is there.
     * A guest believes it; a host would not believe a guest.
     */
    if (end > channel->peer_arena_bytes &&
        channel->config.side == CHANNEL_GUEST)
        channel_peer_grew(channel,
                          atomic_load_explicit(&channel->peer->arena_bytes,
                                               memory_order_acquire));
    return end <= channel->peer_arena_bytes;
}

/* The last check, because it changes something: a block passed on is held. */
static int take_places(struct channel *channel, const struct gbx_descriptor *d)
{
    if ((d->flags & GBX_LONG_NAME) != 0 &&
        !peer_has(channel, d->name.off, d->name_bytes))
        return GBX_EBOUNDS;
    if (d->body_off == 0)
        return d->body_bytes == 0 ? 0 : GBX_EBOUNDS;
    if (peer_has(channel, d->body_off, d->body_bytes))
        return 0;
    return arena_pass(&channel->arena, in_arena(channel, d->body_off),
                      d->body_bytes);
}

/*
 * The next message that was not copied yet, checked.  Returns 1, 0 when there
 * is none, or a code.
 */
static int copy_next(struct channel *channel, struct gbx_descriptor *descriptor)
{
    enum channel_side from =
        channel->config.side == CHANNEL_HOST ? CHANNEL_GUEST : CHANNEL_HOST;
    int rc = ring_get(channel->peer_ring, channel->ring_copied, descriptor);

    if (rc == 0)
        return 0;
    if (rc > 0)
        rc = descriptor_check(descriptor, from);
    if (rc == 0)
        rc = take_places(channel, descriptor);
    if (rc < 0)
        return caught(channel, rc);
    channel->ring_copied++;
    return 1;
}

static int readable(struct channel *channel)
{
    int rc;

    if (channel->broken != 0)
        return channel->broken;
    if (channel->ring_copied != channel->ring_head)
        return 1;
    rc = ring_look(channel->peer_ring, channel->ring_copied);
    return rc < 0 ? caught(channel, rc) : rc;
}

int channel_try_recv(struct channel *channel, struct gbx_descriptor *descriptor)
{
    int rc;

    if (channel->broken != 0)
        return channel->broken;
    if (channel->ring_copied != channel->ring_head)
        *descriptor = channel->ahead[channel->ring_head % GBX_RING_SLOTS];
    else if ((rc = copy_next(channel, descriptor)) <= 0)
        return rc < 0 ? rc : GBX_EAGAIN;

    /*
     * Peer: may write to the slot once it sees this (has_slot), so the copy is
     * made before; and, when it sleeps for a slot, see wait.c.
     */
    atomic_store(&channel->mine->ring_head, ++channel->ring_head);
    wait_ring(channel, GBX_WANTS_SPACE);
    return 0;
}

int channel_recv(struct channel *channel, struct gbx_descriptor *descriptor,
                 uint64_t deadline_ns)
{
    int rc = channel_try_recv(channel, descriptor);

    if (rc != GBX_EAGAIN)
        return rc;
    rc = wait_until(channel, readable, 0, deadline_ns);
    if (rc == 0)
        rc = channel_try_recv(channel, descriptor);
    /* What was there is gone again: no honest sender takes it back. */
    return rc == GBX_EAGAIN ? caught(channel, GBX_EBROKEN) : rc;
}

bool channel_asleep(struct channel *channel)
{
    uint32_t seen;

    return wait_announce(channel, readable, 0, &seen) == 0;
}

void channel_awake(struct channel *channel)
{
    wait_awake(channel);
}

bool channel_peer_is_awake(const struct channel *channel)
{
    return atomic_load_explicit(&channel->peer->asleep, memory_order_relaxed) ==
           0;
}

/* ---- blocks ---- */

/* Did the peer give any? */
static int given(struct channel *channel)
{
    /* Peer: stores it in channel_give, after the place in its gives. */
    uint32_t tail = atomic_load(&channel->peer->give_tail);

    if (channel->broken != 0)
        return channel->broken;
    if (tail - channel->give_head > channel->arena.lent)
        return caught(channel, GBX_EBROKEN);
    channel->give_end = tail;
    return tail != channel->give_head;
}

/* All messages sent by now, into ahead. */
static int copy_ahead(struct channel *channel)
{
    uint32_t room =
        GBX_RING_SLOTS - (channel->ring_copied - channel->ring_head);
    int rc = 1;

    for (; rc > 0 && room > 0; room--)
        rc = copy_next(channel,
                       &channel->ahead[channel->ring_copied % GBX_RING_SLOTS]);
    return rc < 0 ? rc : 0;
}

/* Free what the peer gave back by now. */
static int collect(struct channel *channel)
{
    const _Atomic uint64_t *gives =
        (const _Atomic uint64_t *)(const void *)channel->peer_gives;
    uint64_t off;
    int rc = given(channel);

    if (rc <= 0)
        return rc;
    /* Messages sent before these gives may pass on what they give. */
    rc = copy_ahead(channel);
    if (rc < 0)
        return rc;
    for (; channel->give_head != channel->give_end; channel->give_head++) {
        off =
            atomic_load_explicit(&gives[channel->give_head % GBX_ARENA_BLOCKS],
                                 memory_order_relaxed);
        if (arena_give(&channel->arena, in_arena(channel, off)) < 0)
            return caught(channel, GBX_EBROKEN);
    }
    return 0;
}

/* Until a block comes back.  Returns 0, GBX_EARENA at the deadline, a code. */
static int wait_for_gives(struct channel *channel, uint64_t deadline_ns)
{
    int rc;

    if (channel->arena.lent == 0) /* nothing can */
        return GBX_EARENA;
    rc = wait_until(channel, given, GBX_WANTS_SPACE, deadline_ns);
    return rc == GBX_ETIME ? GBX_EARENA : rc;
}

static int grow(struct channel *channel, uint64_t bytes)
{
    const struct channel_bell *bell = &channel->config.bell;
    int rc = bell->grow(bell->context, bytes);

    if (rc == 0)
        channel_grew(channel, bytes);
    return rc < 0 ? rc : 0;
}

/* Without a look at what the peer gave. */
static bool take_at_once(struct channel *channel, size_t bytes, uint64_t *off)
{
    if (channel->broken != 0 ||
        !arena_take_below(&channel->arena, LAZY_BYTES, bytes, off))
        return false;
    *off += channel->mine_off + GBX_ARENA_OFF;
    return true;
}

static int reserve(struct channel *channel, size_t bytes, bool waits,
                   uint64_t deadline_ns, uint64_t *off)
{
    /* Growing is asked for below this only: what was refused stays so. */
    uint64_t grow_end = channel->config.bell.grow ? arena_max(channel) + 1 : 0;
    uint64_t wanted;
    int rc, refused = GBX_EARENA;

    if (bytes > GBX_BODY_BYTES_MAX || bytes > arena_max(channel))
        return GBX_ELIMIT;
    for (;;) {
        rc = collect(channel);
        if (rc < 0)
            return rc;
        if (arena_take(&channel->arena, bytes, off, &wanted) == 0) {
            *off += channel->mine_off + GBX_ARENA_OFF;
            return 0;
        }
        if (wanted != 0 && wanted < grow_end) {
            rc = grow(channel, wanted);
            if (rc == 0)
                continue;
            if (rc != GBX_ELIMIT && rc != GBX_EMEMORY)
                return rc;
            grow_end = wanted;
            refused = rc;
        }
        if (channel->arena.lent == 0)
            return refused;
        if (!waits)
            return GBX_EARENA;
        rc = wait_for_gives(channel, deadline_ns);
        if (rc < 0)
            return rc;
    }
}

int channel_reserve(struct channel *channel, size_t bytes, uint64_t deadline_ns,
                    uint64_t *off)
{
    return take_at_once(channel, bytes, off)
               ? 0
               : reserve(channel, bytes, true, deadline_ns, off);
}

int channel_try_reserve(struct channel *channel, size_t bytes, uint64_t *off)
{
    return take_at_once(channel, bytes, off)
               ? 0
               : reserve(channel, bytes, false, 0, off);
}

void channel_drop(struct channel *channel, uint64_t off)
{
    must(arena_drop(&channel->arena, in_arena(channel, off)) == 0);
}

void channel_trim(struct channel *channel, uint64_t off, uint64_t bytes)
{
    must(arena_trim(&channel->arena, in_arena(channel, off), bytes) == 0);
}

int channel_hold(struct channel *channel, uint64_t off, uint64_t bytes)
{
    return arena_hold(&channel->arena, in_arena(channel, off), bytes);
}

void channel_give(struct channel *channel, uint64_t off)
{
    _Atomic uint64_t *gives = (_Atomic uint64_t *)(void *)channel->my_gives;

    if (off == 0)
        return;
    if (is_mine(channel, off)) {
        channel_drop(channel, off);
        return;
    }
    /*
     * There is a free place: a peer that keeps to the rules has no more than
     * GBX_ARENA_BLOCKS lent (arena_lend); one that does not spoils its own.
     */
    atomic_store_explicit(&gives[channel->give_tail % GBX_ARENA_BLOCKS], off,
                          memory_order_relaxed);
    /* Peer: loads it in given(), then the place; and, asleep, see wait.c. */
    atomic_store(&channel->mine->give_tail, ++channel->give_tail);
    wait_ring(channel, GBX_WANTS_SPACE);
}

/* ---- sending ---- */

static int has_slot(struct channel *channel)
{
    uint32_t unread = channel->ring_tail - channel->ring_read, head;

    if (channel->broken != 0)
        return channel->broken;
    if (unread < GBX_RING_SLOTS)
        return 1;
    /* Peer: stores it in channel_try_recv after it copied the slot. */
    head = atomic_load(&channel->peer->ring_head);
    if (head - channel->ring_read > unread)
        return caught(channel, GBX_EBROKEN);
    channel->ring_read = head;
    return channel->ring_tail - head < GBX_RING_SLOTS;
}

/* A slot, and the right to lend `blocks` blocks more.  Nothing is changed. */
static int wait_for_room(struct channel *channel, uint32_t blocks,
                         uint64_t deadline_ns)
{
    int rc = has_slot(channel);

    if (rc == 0)
        rc = wait_until(channel, has_slot, GBX_WANTS_SPACE, deadline_ns);
    if (rc < 0)
        return rc == GBX_ETIME ? GBX_ERING : rc;
    while (channel->arena.lent + blocks > GBX_ARENA_BLOCKS) {
        rc = collect(channel);
        if (rc == 0 && channel->arena.lent + blocks > GBX_ARENA_BLOCKS)
            rc = wait_for_gives(channel, deadline_ns);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int channel_send(struct channel *channel,
                 const struct gbx_descriptor *descriptor, uint64_t deadline_ns)
{
    const struct gbx_descriptor *d = descriptor;
    const bool my_name = (d->flags & GBX_LONG_NAME) != 0;
    const bool my_body = d->body_off != 0 && is_mine(channel, d->body_off);
    int rc;

    rc = wait_for_room(channel, (uint32_t)my_name + my_body, deadline_ns);
    if (rc < 0)
        return rc;
    if (my_name)
        must(arena_lend(&channel->arena, in_arena(channel, d->name.off),
                        d->name_bytes) == 0);
    if (my_body)
        must(arena_lend(&channel->arena, in_arena(channel, d->body_off),
                        d->body_bytes) == 0);
    ring_put(channel->my_ring, channel->ring_tail++, d);
    wait_ring(channel, 0);
    return 0;
}
