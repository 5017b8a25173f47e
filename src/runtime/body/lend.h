/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lend.h - is a body better shown to a script where it lies, or copied for it?
 *
 * What is shown is not copied, but the host has to bring each page that the
 * script looks at, and on paravirtual KVM that costs more than to copy the
 * page.  So all is shown to a script that passes it on, or looks at little of
 * it.  With one that looks at much, both are tried, a few calls each; what took
 * less time is done, and tried again later.
 *
 *  lending_choose(&script->lending, &call->lent);       before the first body
 *  ... call->lent.bytes, .ns: of all bodies, to get them in ...
 *  lending_note(&script->lending, &call->lent, wall_ns);
 *
 * Threads: any.  Calls of one script that run at once share what is known; a
 *          figure that one of them overwrites is one of many.
 */
#ifndef RUNTIME_BODY_LEND_H
#define RUNTIME_BODY_LEND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LENDING_ROUND 256u /* calls from one try to the next */
#define LENDING_TRIES 3u   /* of each; the first is warming up */
#define LENDING_MUCH  4u   /* sixteenths of a body */

/* Of a script; zeroed. */
struct lending {
    _Atomic uint32_t
        seen; /* sixteenths of a body, the last that was looked at */
    _Atomic uint32_t looks, turn;
    _Atomic uint64_t copied_ps, shown_ps; /* a byte, at best; 0: unknown */
};

/* Of a call; zeroed. */
struct lent {
    bool is_chosen, is_shown;
    bool is_watched; /* how much it looks at is to be told */
    bool is_try;
    uint64_t bytes, ns;
};

void lending_choose(struct lending *lending, struct lent *lent);

/* A call took so long, after its bodies had come in. */
void lending_note(struct lending *lending, const struct lent *lent,
                  uint64_t wall_ns);

/* How much a script looked at of what it was shown: sixteenths. */
static inline void lending_saw(struct lending *lending, uint32_t seen)
{
    atomic_store_explicit(&lending->seen, seen, memory_order_relaxed);
}

#endif
