/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quick.c - how long a call of a script takes somewhere.
 *
 * Where calls of it were seen, as long as those.  Where they were seen in
 * another isolation only, as long as there, but for what the isolations
 * themselves take: the script's own work is the same.  Where there were none,
 * what a small call takes on two CPUs, and its share of a start.
 *
 * The figures are means of 20,000 echoes of an Integer, of starts without and
 * with a template, and of 16 MB there and back, on a host with two CPUs and
 * KVM.  They need to be right about what is quicker, not about how long: a
 * call without a second thread is quicker than one that spins with one, and
 * that than one that also leaves a virtual machine now and then.
 */
#include "runtime/route/decide.h"

#define BYTES_A_NS  10u   /* of messages: the same everywhere */
#define START_CALLS 1000u /* that a start is shared by */

static const struct usual {
    uint64_t call_ns, start_ns, copied_ns; /* copied: from a template */
} usual[GBX_ISOLATIONS + 1] = {
    [GBX_ISOLATION_PROCESS] = {15000, 13000000, 4000000},
    [GBX_ISOLATION_MICROVM] = {30000, 13000000, 1000000},
    [GBX_ISOLATION_WASM] = {6000, 2000000, 2000000},
    [GBX_ISOLATION_REMOTE] = {1000000, 100000000, 100000000},
};

bool route_is_near(uint64_t ns, uint64_t best_ns)
{
    return ns <= best_ns + best_ns / 5;
}

static bool is_known(const struct route_facts *facts)
{
    return facts->calls >= ROUTE_CALLS_MIN && facts->call_ns > 0;
}

/* The isolation where calls were seen, the most of them; NULL: nowhere. */
static const struct route_facts *best_known(const struct route_question *q)
{
    const struct route_facts *best = NULL;

    for (uint32_t i = 1; i <= GBX_ISOLATIONS; i++)
        if (is_known(&q->facts[i]) &&
            (best == NULL || q->facts[i].calls > best->calls))
            best = &q->facts[i];
    return best;
}

uint64_t route_estimate(const struct route_question *q,
                        enum gbx_isolation isolation)
{
    const struct route_facts *facts = &q->facts[isolation], *known;
    const struct usual *mine = &usual[isolation];
    const uint64_t usual_ns = mine->call_ns + q->body_bytes / BYTES_A_NS;
    uint64_t other_ns;

    if (is_known(facts))
        return facts->call_ns;
    known = best_known(q);
    if (known == NULL)
        return usual_ns + (facts->is_warm ? mine->copied_ns : mine->start_ns) /
                              START_CALLS;
    other_ns = usual[known - q->facts].call_ns + q->body_bytes / BYTES_A_NS;
    /* At least what it usually takes: the other may just be a lucky one. */
    return known->call_ns > other_ns ? known->call_ns - other_ns + usual_ns
                                     : usual_ns;
}
