/* SPDX-License-Identifier: Apache-2.0 */
/* lately.c - how many calls there were in the last minute, and how long they
 * took. */
#include "daemon/dashboard/dashboard.h"

#define CLEARING    UINT64_MAX
#define FIRST_BIT   10u /* shorter than 1 us: all the same */
#define RATE_SLOTS  2u  /* that are full, and the one that is being filled */
#define SPAN_NS_MIN 1000000000u

static unsigned count_of(uint64_t ns)
{
    const unsigned bit =
        ns < 1u << FIRST_BIT ? 0 : 63u - (unsigned)__builtin_clzll(ns);
    const unsigned at = bit == 0 ? 0
                                 : 1 + (bit - FIRST_BIT) * 4 +
                                       (unsigned)((ns >> (bit - 2)) & 3);

    return at < LATELY_COUNTS ? at : LATELY_COUNTS - 1;
}

/* The middle of what is counted there. */
static uint64_t ns_of(unsigned at)
{
    const unsigned bit = at == 0 ? 0 : FIRST_BIT + (at - 1) / 4;

    return at == 0 ? 1u << (FIRST_BIT - 1)
                   : (9 + 2 * (uint64_t)((at - 1) % 4)) << (bit - 3);
}

static uint64_t turn_of(uint64_t now_ns)
{
    return now_ns / LATELY_SLOT_NS + 1;
}

void lately_note(struct lately *lately, uint64_t now_ns, uint64_t took_ns)
{
    const uint64_t turn = turn_of(now_ns);
    const size_t at = turn % LATELY_SLOTS;
    uint64_t was =
        atomic_load_explicit(&lately->slots[at].turn, memory_order_acquire);

    if (was != turn) {
        if (was == CLEARING || !atomic_compare_exchange_strong(
                                   &lately->slots[at].turn, &was, CLEARING))
            return;
        atomic_store_explicit(&lately->slots[at].calls, 0,
                              memory_order_relaxed);
        for (unsigned i = 0; i < LATELY_COUNTS; i++)
            atomic_store_explicit(&lately->slots[at].counts[i], 0,
                                  memory_order_relaxed);
        /* Before lately_read and others that note may believe the counts. */
        atomic_store_explicit(&lately->slots[at].turn, turn,
                              memory_order_release);
    }
    atomic_fetch_add_explicit(&lately->slots[at].calls, 1,
                              memory_order_relaxed);
    if (took_ns > 0)
        atomic_fetch_add_explicit(&lately->slots[at].counts[count_of(took_ns)],
                                  1, memory_order_relaxed);
}

static uint64_t percentile(const uint64_t counts[LATELY_COUNTS],
                           unsigned percent)
{
    uint64_t all = 0, below = 0, rank;

    for (unsigned i = 0; i < LATELY_COUNTS; i++)
        all += counts[i];
    rank = (all * percent + 99) / 100;
    for (unsigned i = 0; i < LATELY_COUNTS && rank > 0; i++) {
        below += counts[i];
        if (below >= rank)
            return ns_of(i);
    }
    return 0;
}

struct lately_facts lately_read(const struct lately *lately, uint64_t now_ns,
                                uint64_t since_ns)
{
    const uint64_t now = turn_of(now_ns);
    uint64_t counts[LATELY_COUNTS] = {0}, recent = 0,
             span_ns = now_ns % LATELY_SLOT_NS + RATE_SLOTS * LATELY_SLOT_NS;
    struct lately_facts facts = {.calls = 0};

    for (size_t at = 0; at < LATELY_SLOTS; at++) {
        const uint64_t turn =
            atomic_load_explicit(&lately->slots[at].turn, memory_order_acquire);
        const unsigned calls = atomic_load_explicit(&lately->slots[at].calls,
                                                    memory_order_relaxed);

        if (turn > now || turn + LATELY_SLOTS <= now)
            continue;
        facts.calls += calls;
        recent += turn + RATE_SLOTS >= now ? calls : 0;
        for (unsigned i = 0; i < LATELY_COUNTS; i++)
            counts[i] += atomic_load_explicit(&lately->slots[at].counts[i],
                                              memory_order_relaxed);
    }
    if (span_ns > now_ns - since_ns)
        span_ns = now_ns - since_ns;
    if (span_ns < SPAN_NS_MIN)
        span_ns = SPAN_NS_MIN;
    facts.calls_per_second = (double)recent * 1e9 / (double)span_ns;
    facts.ns_50 = percentile(counts, 50);
    facts.ns_90 = percentile(counts, 90);
    facts.ns_99 = percentile(counts, 99);
    return facts;
}

json_t *lately_json(const struct lately_facts *facts)
{
    return json_pack("{s:I,s:f,s:I,s:I,s:I}", "calls", (json_int_t)facts->calls,
                     "calls_per_second", facts->calls_per_second, "ns_50",
                     (json_int_t)facts->ns_50, "ns_90",
                     (json_int_t)facts->ns_90, "ns_99",
                     (json_int_t)facts->ns_99);
}
