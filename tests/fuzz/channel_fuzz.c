/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_fuzz.c - a guest that writes what the fuzzer likes into its half,
 * between the acts of a host that receives, sends, keeps and gives.
 *
 * The input is a row of acts: a byte says which, the bytes behind it what.
 * What must hold: no crash, bodies only where there is memory, the arena's
 * table in order, and a peer that was caught stays so.
 */
#include <string.h>

#include "channel/pair_test.h"
#include "channel/ring.h"

#define HALF GBX_HALF_BYTES_MIN
#define KEPT 8

static struct pair pair;
static struct channel *const host = &pair.host;
static const uint8_t *at, *end;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t next(size_t bytes)
{
    uint64_t value = 0;

    if (bytes > (size_t)(end - at))
        bytes = (size_t)(end - at);
    memcpy(&value, at, bytes);
    at += bytes;
    return value;
}

static int never_sleep(void *context, uint32_t seen, uint64_t deadline_ns)
{
    (void)context;
    (void)seen;
    (void)deadline_ns;
    return GBX_ETIME;
}

static void ring(void *context)
{
    (void)context;
}

/* ---- the guest's acts ---- */

static uint8_t *guest_half(void)
{
    return pair.region.base + HALF;
}

static void write_word(void)
{
    uint64_t where = next(2) % ((GBX_GIVES_OFF + GBX_ARENA_BLOCKS * 8) / 8);
    uint64_t value = next(8);

    memcpy(guest_half() + where * 8, &value, sizeof(value));
}

/* Right in form, whatever it was: so that the places behind it are tried. */
static void straighten(struct gbx_descriptor *d)
{
    d->kind = (uint8_t)(GBX_KIND_READY + d->kind % 8);
    d->type %= GBX_TYPE_COUNT;
    d->flags = (uint16_t)((d->flags & 15) | GBX_HAS_MESSAGE);
    memset(d->zero, 0, sizeof(d->zero));
    if ((d->flags & GBX_LONG_NAME) == 0)
        d->name_bytes %= GBX_NAME_INLINE_MAX + 1;
    else if (d->name_bytes == 0)
        d->name_bytes = 1;
}

/* Into the slot that the host reads next, and published. */
static void send_descriptor(void)
{
    uint64_t words[8] = {0}, mask = next(1), where = next(1);
    struct gbx_descriptor d;

    for (unsigned i = 0; i < 8; i++)
        if (mask >> i & 1)
            words[i] = next(8);
    memcpy(&d, words, sizeof(d));
    if (where & 1)
        straighten(&d);
    if (where & 2) /* where a body may lie */
        d.body_off = d.body_off % (3u << 20) + GBX_ARENA_OFF;
    if (where & 4)
        d.body_off += HALF;
    if (where & 8)
        d.body_bytes %= 256;
    if (where & 16)
        d.name.off = d.name.off % (3u << 20) + HALF + GBX_ARENA_OFF;
    if (where & 32) { /* also what an honest one cannot put there */
        memcpy(&pair.guest.my_ring[pair.guest.ring_tail++ % GBX_RING_SLOTS], &d,
               sizeof(d));
    } else {
        ring_put(pair.guest.my_ring, pair.guest.ring_tail++, &d);
    }
}

/* A block of the host's, one that lives more often than not. */
static void give_block(void)
{
    struct gbx_half_head *head = (struct gbx_half_head *)(void *)guest_half();
    const uint32_t tail = atomic_load(&head->give_tail);
    uint64_t off = GBX_ARENA_OFF + next(1) * 64;

    memcpy(guest_half() + GBX_GIVES_OFF + tail % GBX_ARENA_BLOCKS * 8, &off,
           sizeof(off));
    atomic_store(&head->give_tail, tail + 1);
}

/* ---- the host's ---- */

static void look(const struct gbx_descriptor *d)
{
    const uint64_t first = d->body_off, last = first + d->body_bytes;
    const uint64_t mine = GBX_ARENA_OFF, its = HALF + GBX_ARENA_OFF;

    if (first == 0) {
        must(d->body_bytes == 0);
        return;
    }
    must((first >= mine && last <= mine + PAIR_ARENA) ||
         (first >= its && last <= its + PAIR_ARENA));
    if (d->body_bytes > 0) /* ASan and the kernel look, too */
        *(volatile const uint8_t *)channel_at(host, last - 1);
}

static int receive(uint64_t kept[KEPT])
{
    struct gbx_descriptor d;
    char name[GBX_NAME_BYTES_MAX + 1];
    uint64_t slot = next(1) % KEPT;
    int rc = channel_recv(host, &d, 1);

    if (rc < 0)
        return rc;
    look(&d);
    if (channel_get_name(host, &d, name) == 0)
        must(strlen(name) == d.name_bytes);
    channel_give(host, kept[slot]);
    kept[slot] = d.body_off;
    return 0;
}

static int send(void)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_INPUT};
    char name[GBX_NAME_BYTES_MAX];
    int rc;

    memset(name, 'n', sizeof(name));
    d.body_bytes = (uint32_t)next(1) << next(1) % 14;
    rc = channel_reserve(host, d.body_bytes, 1, &d.body_off);
    if (rc < 0)
        return rc;
    rc = channel_put_name(host, &d, name, next(1), 1);
    if (rc == 0) {
        rc = channel_send(host, &d, 1);
        if (rc < 0 && (d.flags & GBX_LONG_NAME) != 0)
            channel_drop(host, d.name.off);
    }
    if (rc < 0)
        channel_drop(host, d.body_off);
    return rc;
}

static int act(uint64_t kept[KEPT])
{
    uint64_t slot;

    switch (next(1) % 8) {
    case 0:
        write_word();
        return 0;
    case 1:
        send_descriptor();
        return 0;
    case 2:
        give_block();
        return 0;
    case 3:
        if (channel_asleep(host))
            channel_awake(host);
        return 0;
    case 4:
        slot = next(1) % KEPT;
        channel_give(host, kept[slot]);
        kept[slot] = 0;
        return 0;
    case 5:
        return send();
    default:
        return receive(kept);
    }
}

static void check_table(void)
{
    const struct arena *arena = &host->arena;
    uint64_t after = 0, lent = 0;

    for (uint32_t i = 0; i < arena->count; i++) {
        const struct arena_block *block = &arena->blocks[i];

        must(block->off >= after && block->off % GBX_BLOCK_ALIGN == 0);
        must(block->mine + block->peers > 0);
        after = block->off + block->bytes;
        lent += block->peers;
    }
    must(after <= arena->bytes);
    must(lent == arena->lent && lent <= GBX_ARENA_BLOCKS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t kept[KEPT] = {0};
    int rc, broken = 0;

    if (pair.region.base == NULL)
        pair_open(&pair, HALF, 0);
    memset(pair.region.base, 0, GBX_GIVES_OFF + GBX_ARENA_BLOCKS * 8);
    memset(guest_half(), 0, GBX_GIVES_OFF + GBX_ARENA_BLOCKS * 8);
    pair_init(&pair, 0);
    host->config.bell.sleep = never_sleep;
    host->config.bell.ring = ring;

    for (at = data, end = data + size; at < end;) {
        rc = act(kept);
        must(broken == 0 || rc == 0 || rc == broken);
        if (rc == GBX_EBROKEN || rc == GBX_EBOUNDS || rc == GBX_EFORMAT)
            broken = rc;
        check_table();
    }
    return 0;
}
