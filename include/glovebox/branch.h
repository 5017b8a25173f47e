/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/branch.h - what if?  A copy of a script that lives.
 *
 * Included by glovebox/runtime.h.  A branch stands where a script's sandbox
 * stood between two calls: its variables, its files, what it had imported and
 * computed, context.state.  From there both go on, and neither hears of the
 * other.  An agent tries a plan on a branch; a search opens one for each move.
 *
 *  gbx_script_branch(&branch, script, NULL, deadline_ns, &err);
 *  gbx_call_begin(&call, branch, deadline_ns, &err);        what if ...
 *  gbx_script_close(branch);                                forget it
 *
 * Many tries from one point cost least as one branch that is wiped after each
 * call, each of which begins at that point:
 *
 *  struct gbx_branch_config config = {.struct_bytes = sizeof(config),
 *                                     .wipe = GBX_WIPE_PER_CALL,
 *                                     .pool = {.total_max = 8}};
 *
 * What differs from its origin is what differs between any two sandboxes of a
 * script (docs/python.md): chance, process numbers, the connection to the host.
 * Host calls reach the same functions as the origin's.
 * A branch of one tenant's sandbox is for all who call the branch.  Where other
 * sandboxes of the origin run meanwhile, context.state is as they have left it.
 *
 * Cost:    the origin's memory in use is copied once, about 5 ms for a bare
 *          Python; the branch then shares it, and adds what it writes.  Its
 *          origin is not slower afterwards, and need not live as long.
 * Threads: any; but not one that has a call of the origin's only sandbox open,
 *          for that would be waited for.
 */
#ifndef GBX_BRANCH_H
#define GBX_BRANCH_H

#include <stddef.h>

#include "glovebox/pool.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero in any field means as the origin. */
struct gbx_branch_config {
    size_t struct_bytes; /* sizeof this struct: tells versions apart */
    const char *key;     /* of whose sandbox, as for gbx_call_begin_for; needed
                            where each key has its own (never, per-tenant), but
                            if there is only one sandbox in all */
    enum gbx_wipe wipe;  /* back to the branching point */
    struct gbx_pool_config pool; /* where total_max is not 0: instead */
};

/*
 * config may be NULL.  Waits until that sandbox is free; none is made or wiped
 * for it, unless the origin has none at all.
 * Returns 0 and a script to close, which can be branched in its turn; GBX_ETIME
 * (it was not free in time); GBX_EARGUMENT (the key has no sandbox, or one is
 * needed); GBX_EUNSUPPORTED in a process sandbox; GBX_ECANCELED (the origin is
 * closed meanwhile); GBX_EHOST (no memory); or another code.  Whatever comes of
 * it, the origin's sandbox is as it was; or it has ended, as that code says.
 */
int gbx_script_branch(struct gbx_script **branch, struct gbx_script *origin,
                      const struct gbx_branch_config *config,
                      uint64_t deadline_ns, struct gbx_error *err);

#ifdef __cplusplus
}
#endif

#endif
