/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/body/lend.h"

#define LOOKS 8u /* one body in so many, of a script that looks at little */

static uint64_t get(_Atomic uint64_t *figure)
{
    return atomic_load_explicit(figure, memory_order_relaxed);
}

static void set(_Atomic uint64_t *figure, uint64_t value)
{
    atomic_store_explicit(figure, value, memory_order_relaxed);
}

static uint32_t next(_Atomic uint32_t *count)
{
    return atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

void lending_choose(struct lending *lending, struct lent *lent)
{
    const uint32_t seen =
        atomic_load_explicit(&lending->seen, memory_order_relaxed);
    uint32_t turn;

    *lent = (struct lent){.is_chosen = true, .is_shown = true};
    if (seen < LENDING_MUCH) {
        lent->is_watched = next(&lending->looks) % LOOKS == 0;
        return;
    }
    lent->is_watched = true;
    turn = next(&lending->turn) % LENDING_ROUND;
    if (turn < 2 * LENDING_TRIES) {
        lent->is_shown = turn < LENDING_TRIES;
        lent->is_try = turn % LENDING_TRIES != 0;
        if (!lent->is_try)
            set(lent->is_shown ? &lending->shown_ps : &lending->copied_ps, 0);
        return;
    }
    lent->is_shown = get(&lending->copied_ps) == 0 ||
                     get(&lending->shown_ps) <= get(&lending->copied_ps);
}

void lending_note(struct lending *lending, const struct lent *lent,
                  uint64_t wall_ns)
{
    _Atomic uint64_t *best =
        lent->is_shown ? &lending->shown_ps : &lending->copied_ps;
    uint64_t took, was;

    if (!lent->is_try || lent->bytes == 0)
        return;
    took = (lent->ns + wall_ns) * 1000 / lent->bytes + 1;
    was = get(best);
    if (was == 0 || took < was)
        set(best, took);
}
