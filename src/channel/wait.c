/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.c - first awake, then asleep, and never asleep past a bell.
 *
 *   the sleeper                          who publishes
 *   -----------                          -------------
 *   seen = peer's bell                   a lap, ring_head or give_tail = n
 *   asleep = GBX_ASLEEP | why | seen     is the peer asleep, for this, and
 *   nothing published?                     has it seen my bell as it is?
 *   sleep while the bell is `seen`       then: bell + 1, ring
 *   asleep = 0
 *
 * Each side stores first and loads then, all of it sequentially consistent: in
 * the one order of these four, either the sleeper's load comes after the
 * publisher's store, and it stays awake; or the publisher's load comes after
 * the sleeper's store, and it rings.  (With less than seq_cst both loads might
 * come first, and the sleeper would miss it.)
 *
 * The bell tells a sleeper that is not asleep yet: its kernel (or backend) puts
 * it to sleep only while the bell is what it saw.  And it tells the publisher
 * that it need not ring again: a bell that grew since the sleeper saw it has
 * woken it, or keeps it awake, and it then looks for all that was published.
 * So three messages to a sleeping peer cost one bell; and `why` lets the blocks
 * I give to a peer that only waits for messages cost none.
 *
 * A hostile peer can let its flag up, or change it all the time: that costs a
 * bell for each thing I publish.  It can ring all the time: that costs turns of
 * the loop below, until the deadline.
 */
#include <stdatomic.h>

#include "base/check.h"
#include "base/clock.h"
#include "channel/wait.h"

/* Turns of the spin between looks at the clock, and between polls. */
#define CLOCK_TURNS 32u
#define POLL_TURNS  256u

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static uint32_t asleep_word(uint32_t seen, uint32_t why)
{
    return seen << GBX_SEEN_SHIFT | why | GBX_ASLEEP;
}

void wait_ring(struct channel *channel, uint32_t what)
{
    /*
     * Peer: see wait_announce, and the essay.  My store of what was published
     * comes before this load, its store of asleep before its last look.
     */
    uint32_t asleep = atomic_load(&channel->peer->asleep);

    if (asleep == 0 || (asleep & what) != what)
        return;
    if (asleep != asleep_word(channel->bell, asleep & GBX_WANTS_SPACE))
        return;

    /*
     * Peer: who sees this bell (acquire in wait_announce) sees what I
     * published before it, too.
     */
    atomic_store_explicit(&channel->mine->bell, ++channel->bell,
                          memory_order_release);
    channel->count.rings++;
    channel->config.bell.ring(channel->config.bell.context);
}

int wait_announce(struct channel *channel, wait_fn *ready, uint32_t why,
                  uint32_t *seen)
{
    int rc;

    /*
     * Before the flag and before the last look: if the peer rings after this,
     * the sleep ends; if before, the look sees what it rang for (its release
     * of bell in wait_ring).
     */
    *seen = atomic_load_explicit(&channel->peer->bell, memory_order_acquire);
    /* Peer: loads this in wait_ring after it published. */
    atomic_store(&channel->mine->asleep, asleep_word(*seen, why));
    rc = ready(channel);
    if (rc != 0)
        wait_awake(channel);
    return rc;
}

void wait_awake(struct channel *channel)
{
    /* Peer: if it sees this late, it rings once too often. */
    atomic_store_explicit(&channel->mine->asleep, 0, memory_order_relaxed);
}

static int poll(const struct channel_config *config)
{
    return config->bell.poll == NULL ? 0
                                     : config->bell.poll(config->bell.context);
}

/*
 * Look again and again, for as long as a sleep would cost.  No system call.
 * Returns what ready says, or a code.
 */
static int spin(struct channel *channel, wait_fn *ready, uint64_t deadline_ns)
{
    const struct channel_config *config = &channel->config;
    uint64_t start_ns = 0, now_ns;
    uint32_t turn;
    int rc;

    for (turn = 1;; turn++) {
        rc = ready(channel);
        if (rc != 0 || config->spin_ns == 0)
            return rc;
        if (turn % POLL_TURNS == 1 && (rc = poll(config)) != 0)
            return rc < 0 ? rc : 0;
        relax();
        if (turn % CLOCK_TURNS != 0)
            continue;

        now_ns = clock_now_ns();
        if (start_ns == 0)
            start_ns = now_ns;
        if (deadline_ns != 0 && now_ns >= deadline_ns)
            return GBX_ETIME;
        if (now_ns - start_ns >= config->spin_ns)
            return 0;
    }
}

static int sleep_until(struct channel *channel, wait_fn *ready, uint32_t why,
                       uint64_t deadline_ns)
{
    const struct channel_bell *bell = &channel->config.bell;
    uint32_t seen;
    int rc, code;

    for (;;) {
        rc = wait_announce(channel, ready, why, &seen);
        if (rc != 0)
            return rc;
        channel->count.sleeps++;
        code = bell->sleep(bell->context, seen, deadline_ns);
        wait_awake(channel);

        /* What the peer said before it died, or too late, still counts. */
        rc = ready(channel);
        if (rc != 0)
            return rc;
        if (code < 0)
            return code;
        if (clock_is_past(deadline_ns))
            return GBX_ETIME;
    }
}

int wait_until(struct channel *channel, wait_fn *ready, uint32_t why,
               uint64_t deadline_ns)
{
    int rc = spin(channel, ready, deadline_ns);

    if (rc == 0)
        rc = sleep_until(channel, ready, why, deadline_ns);
    return rc < 0 ? rc : 0;
}
