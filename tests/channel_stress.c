/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_stress.c - two processes over one region.
 *
 *  channel_stress [SEED] [SECONDS]
 *
 * honest:  both keep to the rules; millions of messages arrive in order and
 *          whole, bodies copied back or passed back.
 * hostile: the guest scribbles over all it may write, as fast as it can: noise,
 *          and descriptors, counters and gives that are nearly right.  The host
 *          sends, receives, keeps and gives.  It must not crash, not wait past
 *          its deadlines, and never be handed a body out of bounds.
 *
 * Exits with 0, or with a message and 1.  A watchdog in the parent turns a hang
 * into a failure.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "channel/pair_test.h"
#include "channel/ring.h"

#define HALF    (16ull << 20)
#define SPIN_NS 20000
#define BODIES  64 /* that the host keeps for a while */

static uint64_t seed;
static struct pair pair;
static struct channel *const host = &pair.host;
static struct channel *const guest = &pair.guest;

#define check(cond)                                                            \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr, "line %d: %s (seed %" PRIu64 ")\n", __LINE__,      \
                    #cond, seed);                                              \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

/* splitmix64 */
static uint64_t rnd(uint64_t *from)
{
    uint64_t z = (*from += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A process that dies with its parent, so that none is left over. */
static pid_t spawn(void (*body)(void))
{
    const pid_t parent = getpid();
    pid_t pid = fork();

    check(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        body();
        fflush(stdout);
        _exit(0);
    }
    return pid;
}

/* ---- honest ---- */

static uint64_t end_ns;

/* Mostly small, some large, a few that need a huge line; the same for both. */
static uint32_t size_of(uint64_t n)
{
    uint64_t dice = n * 0x9e3779b97f4a7c15u;

    if (dice >> 32 & 0xfff)
        return (uint32_t)(dice >> 56);
    return (uint32_t)(dice >> 40 & 0x1fffff) + ((dice & 7) == 0 ? 1u << 20 : 0);
}

static void fill(struct channel *channel, uint64_t off, uint32_t bytes,
                 uint64_t n)
{
    uint8_t *at = channel_at(channel, off);

    for (uint32_t i = 0; i < bytes; i += 61)
        at[i] = (uint8_t)(n + i);
}

static bool is_filled(struct channel *channel, uint64_t off, uint32_t bytes,
                      uint64_t n)
{
    const uint8_t *at = channel_at(channel, off);

    for (uint32_t i = 0; i < bytes; i += 61)
        if (at[i] != (uint8_t)(n + i))
            return false;
    return true;
}

/* Sends all back: passed on, in a body of its own, or kept for a while. */
static void honest_guest(void)
{
    struct gbx_descriptor d, back;
    uint64_t n, kept = 0;

    for (n = 0;; n++) {
        check(channel_recv(guest, &d, 0) == 0);
        if (d.kind == GBX_KIND_CALL)
            break;
        check(d.scalar == n && d.body_bytes == size_of(n));
        check(is_filled(guest, d.body_off, d.body_bytes, n));
        back = d;
        back.kind = GBX_KIND_OUTPUT;
        if (n % 3 == 0) {
            check(channel_reserve(guest, d.body_bytes, 0, &back.body_off) == 0);
            fill(guest, back.body_off, d.body_bytes, n);
        }
        check(channel_send(guest, &back, 0) == 0);
        if (n % 64 == 5) {
            channel_give(guest, kept);
            kept = d.body_off;
        } else {
            channel_give(guest, d.body_off);
        }
    }
    channel_give(guest, kept);
    check(channel_send(guest, &(struct gbx_descriptor){.kind = GBX_KIND_DONE},
                       0) == 0);
}

static void take_back(uint64_t n)
{
    struct gbx_descriptor d;

    check(channel_recv(host, &d, 0) == 0);
    check(d.kind == GBX_KIND_OUTPUT);
    check(d.scalar == n && d.body_bytes == size_of(n));
    check(is_filled(host, d.body_off, d.body_bytes, n));
    channel_give(host, d.body_off);
}

static void honest_host(void)
{
    struct gbx_descriptor d;
    uint64_t sent = 0, back = 0, window = 1, dice = seed;
    int status;
    pid_t pid;

    /* A guest that asks for growth is not this test's matter. */
    check(region_grow(&pair.region, HALF_HOST, HALF - GBX_ARENA_OFF) == 0);
    check(region_grow(&pair.region, HALF_GUEST, HALF - GBX_ARENA_OFF) == 0);
    pair_init(&pair, SPIN_NS);
    channel_grew(guest, HALF - GBX_ARENA_OFF);
    pid = spawn(honest_guest);
    while ((sent & 0xff) != 0 || clock_now_ns() < end_ns) {
        /* Bursts of all lengths: empty rings and full ones. */
        if (sent == back)
            window = 1 + rnd(&dice) % (rnd(&dice) % 8 ? 4 : GBX_RING_SLOTS);
        d = (struct gbx_descriptor){.kind = GBX_KIND_INPUT,
                                    .type = GBX_STREAM,
                                    .scalar = sent,
                                    .body_bytes = size_of(sent)};
        while (channel_reserve(host, d.body_bytes, 1, &d.body_off) != 0)
            take_back(back++); /* it all lies in what was not taken back */
        fill(host, d.body_off, d.body_bytes, sent);
        check(channel_send(host, &d, 0) == 0);
        sent++;
        while (sent - back >= window)
            take_back(back++);
    }
    while (back < sent)
        take_back(back++);
    d = (struct gbx_descriptor){.kind = GBX_KIND_CALL};
    check(channel_send(host, &d, 0) == 0);
    check(channel_recv(host, &d, 0) == 0 && d.kind == GBX_KIND_DONE);
    check(channel_try_recv(host, &d) == GBX_EAGAIN);
    check(waitpid(pid, &status, 0) == pid && status == 0);
    pair_collect(host);
    check(host->arena.count == 0); /* all of them came back */
    printf("honest: %" PRIu64 " messages there and back, %" PRIu64
           " sleeps, %" PRIu64 " rings\n",
           sent, host->count.sleeps, host->count.rings);
}

/* ---- hostile ---- */

static struct gbx_descriptor nearly_right(uint64_t *dice)
{
    struct gbx_descriptor d = {
        .kind = (uint8_t)(GBX_KIND_READY + rnd(dice) % 8),
        .type = (uint8_t)(rnd(dice) % 15),
        .flags = (uint16_t)(GBX_HAS_MESSAGE | (rnd(dice) % 4 ? 0 : 2)),
        .name_bytes = (uint8_t)(rnd(dice) % 33),
        .name.off = HALF + GBX_ARENA_OFF + rnd(dice) % (4u << 20),
        .body_bytes = (uint32_t)(rnd(dice) >> (42 + rnd(dice) % 22)),
        .body_off = (rnd(dice) % 4 ? HALF : 0) + GBX_ARENA_OFF +
                    rnd(dice) % (rnd(dice) % 8 ? 512 : 3u << 20),
    };

    if (rnd(dice) % 64 == 0)
        ((uint8_t *)&d)[rnd(dice) % sizeof(d)] = (uint8_t)rnd(dice);
    return d;
}

/* As far as one can see; from the start again after a reset. */
static uint32_t sent_by_host(void)
{
    static uint32_t sent;

    while (ring_look(guest->peer_ring, sent) == 1)
        sent++;
    if (ring_look(guest->peer_ring, sent) < 0)
        sent = 0;
    return sent;
}

static void hostile_guest(void)
{
    uint8_t *half = pair.region.base + HALF;
    struct gbx_half_head *head = (struct gbx_half_head *)(void *)half;
    const struct gbx_half_head *hosts = guest->peer;
    uint64_t dice = ~seed, *words = (uint64_t *)(void *)half, value;
    struct gbx_descriptor *slots =
        (struct gbx_descriptor *)(void *)(half + GBX_RING_OFF);
    struct gbx_descriptor d;
    uint64_t acts = 0, turn;
    uint32_t next;
    uint8_t lap;

    for (turn = 0;; turn++) {
        /* A few sorts of act at a time, so that some lies get far. */
        if (turn % 512 == 0)
            acts = (rnd(&dice) & rnd(&dice)) | (turn & 512 ? 0xc2 : 0x40);
        value = rnd(&dice);
        if ((acts >> value % 8 & 1) == 0)
            continue;
        switch (value % 8) {
        case 0: /* noise, everywhere */
            words[(value >> 8) % (20480 / 8)] = rnd(&dice);
            break;
        case 1: /* the lap of what the host reads next, or nearly */
            next = atomic_load(&hosts->ring_head) + (uint32_t)(value >> 8) % 2;
            lap = (uint8_t)(next / GBX_RING_SLOTS + (value >> 16) % 64 / 63);
            __atomic_store_n(&slots[next % GBX_RING_SLOTS].lap,
                             (uint8_t)(lap + 1), __ATOMIC_SEQ_CST);
            break;
        case 2:
            atomic_store(&head->ring_head,
                         sent_by_host() - (uint32_t)(value >> 8) % 130);
            break;
        case 3:
            atomic_fetch_add(&head->give_tail, (uint32_t)(value >> 8) % 3);
            break;
        case 4:
            atomic_store(&head->asleep, (uint32_t)(value >> 8) % 64);
            atomic_fetch_add(&head->bell, (uint32_t)(value >> 40) % 2);
            break;
        case 5:
            words[GBX_GIVES_OFF / 8 + (value >> 8) % 16] =
                GBX_ARENA_OFF + 64 * ((value >> 16) % 16);
            break;
        default:
            next = atomic_load(&hosts->ring_head) + (uint32_t)(value >> 8) % 2;
            d = nearly_right(&dice);
            ring_put(slots, next, &d);
        }
    }
}

/* By its own arithmetic: does the body lie in what exists of an arena?  An
 * empty one has a place, too: at the border of two blocks, it is in the second.
 */
static bool lies_well(const struct gbx_descriptor *d)
{
    uint64_t end = d->body_off + (d->body_bytes == 0 ? 1 : d->body_bytes);

    if (d->body_off == 0)
        return d->body_bytes == 0;
    if (end < d->body_off)
        return false;
    if (d->body_off >= HALF)
        return d->body_off >= HALF + GBX_ARENA_OFF &&
               end <=
                   HALF + GBX_ARENA_OFF + pair.region.arena_bytes[HALF_GUEST];
    for (uint32_t i = 0; i < host->arena.count; i++) {
        const struct arena_block *block = &host->arena.blocks[i];

        if (d->body_off >= GBX_ARENA_OFF + block->off &&
            end <= GBX_ARENA_OFF + block->off + block->bytes)
            return block->mine > 0;
    }
    return false;
}

/* The two ends of a body must be there. */
static unsigned touch(const struct gbx_descriptor *d)
{
    const volatile uint8_t *at = channel_at(host, d->body_off);

    return d->body_bytes == 0 ? 0 : at[0] + (unsigned)at[d->body_bytes - 1];
}

static struct {
    uint64_t rounds, received, passed, broken, waited;
} tally;

/* One act of the host.  Returns its code. */
static int act(uint64_t *dice, uint64_t kept[BODIES])
{
    const uint64_t deadline_ns = clock_now_ns() + rnd(dice) % 20000;
    struct gbx_descriptor d = {.kind = GBX_KIND_INPUT};
    char name[GBX_NAME_BYTES_MAX + 1];
    uint64_t slot = rnd(dice) % BODIES;
    int rc;

    switch (rnd(dice) % 4) {
    case 0:
        d.body_bytes = (uint32_t)rnd(dice) % 1024;
        rc = channel_reserve(host, d.body_bytes, deadline_ns, &d.body_off);
        if (rc < 0)
            return rc;
        rc = channel_send(host, &d, deadline_ns);
        if (rc < 0)
            channel_drop(host, d.body_off);
        return rc;
    case 1:
        channel_give(host, kept[slot]);
        kept[slot] = 0;
        if (channel_asleep(host))
            channel_awake(host);
        return 0;
    default:
        rc = rnd(dice) % 2 ? channel_recv(host, &d, deadline_ns)
                           : channel_try_recv(host, &d);
        if (rc < 0)
            return rc;
        check(lies_well(&d));
        touch(&d);
        tally.received++;
        tally.passed += d.body_off != 0 && d.body_off < HALF;
        (void)channel_get_name(host, &d, name);
        channel_give(host, kept[slot]);
        kept[slot] = d.body_off;
        return 0;
    }
}

static void hostile_host(void)
{
    uint64_t kept[BODIES] = {0}, dice = seed;
    pid_t pid = spawn(hostile_guest);
    int rc;

    /* A half that grew would be a new file after reset, out of its reach. */
    pair.grow_code = GBX_ELIMIT;
    for (; (tally.rounds & 0xff) != 0 || clock_now_ns() < end_ns;
         tally.rounds++) {
        rc = act(&dice, kept);
        if (rc == GBX_ETIME || rc == GBX_ERING || rc == GBX_EARENA)
            tally.waited++;
        if (rc == 0 || rc == GBX_EAGAIN || rc == GBX_ETIME || rc == GBX_ERING ||
            rc == GBX_EARENA)
            continue;
        check(rc == GBX_EBROKEN || rc == GBX_EBOUNDS || rc == GBX_EFORMAT);
        tally.broken++;

        /* A new sandbox with the same guest. */
        check(region_reset(&pair.region) == 0);
        pair_init(&pair, SPIN_NS);
        memset(kept, 0, sizeof(kept));
    }
    kill(pid, SIGKILL);
    check(waitpid(pid, NULL, 0) == pid);
    check(tally.received > 0 && tally.broken > 0);
    printf("hostile: %" PRIu64 " acts, %" PRIu64 " messages received, %" PRIu64
           " passed on, %" PRIu64 " timeouts, caught %" PRIu64 " times\n",
           tally.rounds, tally.received, tally.passed, tally.waited,
           tally.broken);
}

/* ---- */

static int run(void (*body)(void), const char *name, uint64_t seconds)
{
    int status;
    pid_t pid;

    end_ns = clock_now_ns() + seconds * 1000000000u;
    pair_open(&pair, HALF, SPIN_NS);
    pid = spawn(body);
    for (uint64_t late_ns = end_ns + 10000000000u;;) {
        const struct timespec while_ns = {.tv_nsec = 5000000};

        if (waitpid(pid, &status, WNOHANG) == pid)
            break;
        if (clock_is_past(late_ns)) {
            kill(pid, SIGKILL);
            fprintf(stderr, "%s: hangs (seed %" PRIu64 ")\n", name, seed);
            exit(1);
        }
        nanosleep(&while_ns, NULL);
    }
    pair_close(&pair);
    if (status != 0)
        fprintf(stderr, "%s: status 0x%x (seed %" PRIu64 ")\n", name,
                (unsigned)status, seed);
    return status != 0;
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 2 ? strtoull(argv[2], NULL, 0) : 3;

    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : clock_now_ns();
    printf("seed %" PRIu64 "\n", seed);
    fflush(stdout);
    return run(honest_host, "honest", seconds) |
           run(hostile_host, "hostile", seconds);
}
