/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair_test.h - for tests: both ends of a channel over one region, which sleep
 * on futexes.
 *
 *  pair_open(&pair, half_bytes, spin_ns);
 *  ... pair.host, pair.guest: a thread or a process each ...
 *  pair_close(&pair);
 */
#ifndef CHANNEL_PAIR_TEST_H
#define CHANNEL_PAIR_TEST_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "channel/channel.h"
#include "channel/region.h"

#define PAIR_ARENA (2u << 20) /* as region_open leaves an arena */

struct pair {
    struct region region;
    struct channel host, guest;
    int grow_code; /* what growing the host's arena returns, if not 0 */
    uint32_t grows;
};

static inline int pair_sleep(struct channel *channel, uint32_t seen,
                             uint64_t deadline_ns)
{
    const struct timespec until = {
        .tv_sec = (time_t)(deadline_ns / 1000000000u),
        .tv_nsec = (long)(deadline_ns % 1000000000u),
    };
    long rc =
        syscall(SYS_futex, &channel->peer->bell, FUTEX_WAIT_BITSET, seen,
                deadline_ns == 0 ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);

    return rc < 0 && errno == ETIMEDOUT ? GBX_ETIME : 0;
}

static inline void pair_ring(struct channel *channel)
{
    must(syscall(SYS_futex, &channel->mine->bell, FUTEX_WAKE, INT_MAX, NULL,
                 NULL, 0) >= 0);
}

static inline int pair_host_sleep(void *context, uint32_t seen,
                                  uint64_t deadline_ns)
{
    return pair_sleep(&((struct pair *)context)->host, seen, deadline_ns);
}

static inline int pair_guest_sleep(void *context, uint32_t seen,
                                   uint64_t deadline_ns)
{
    return pair_sleep(&((struct pair *)context)->guest, seen, deadline_ns);
}

static inline void pair_host_ring(void *context)
{
    pair_ring(&((struct pair *)context)->host);
}

static inline void pair_guest_ring(void *context)
{
    pair_ring(&((struct pair *)context)->guest);
}

static inline int pair_host_grow(void *context, uint64_t bytes)
{
    struct pair *pair = context;
    int rc;

    pair->grows++;
    if (pair->grow_code != 0)
        return pair->grow_code;
    rc = region_grow(&pair->region, HALF_HOST, bytes);
    if (rc == 0)
        channel_grew(&pair->host, pair->region.arena_bytes[HALF_HOST]);
    return rc;
}

static inline void pair_init(struct pair *pair, uint64_t spin_ns)
{
    struct channel_config config = {
        .side = CHANNEL_HOST,
        .base = pair->region.base,
        .half_bytes = pair->region.half_bytes,
        .spin_ns = spin_ns,
        .bell = {.sleep = pair_host_sleep,
                 .ring = pair_host_ring,
                 .grow = pair_host_grow,
                 .context = pair},
        .arena_bytes = pair->region.arena_bytes[HALF_HOST],
        .peer_arena_bytes = pair->region.arena_bytes[HALF_GUEST],
    };

    channel_init(&pair->host, &config);
    config.side = CHANNEL_GUEST;
    config.bell.sleep = pair_guest_sleep;
    config.bell.ring = pair_guest_ring;
    config.bell.grow = NULL;
    config.arena_bytes = config.peer_arena_bytes = 0;
    channel_init(&pair->guest, &config);
}

static inline void pair_open(struct pair *pair, uint64_t half_bytes,
                             uint64_t spin_ns)
{
    must(region_open(&pair->region, half_bytes, NULL) == 0);
    pair->grow_code = 0;
    pair->grows = 0;
    pair_init(pair, spin_ns);
}

static inline void pair_close(struct pair *pair)
{
    region_close(&pair->region);
}

/* What the peer gave back is taken in: reserve does so for a large block. */
static inline void pair_collect(struct channel *channel)
{
    uint64_t off;

    must(channel_reserve(channel, 4096, 1, &off) == 0);
    channel_drop(channel, off);
}

static inline uint64_t pair_deadline(uint64_t ms)
{
    return clock_now_ns() + ms * 1000000u;
}

#endif
