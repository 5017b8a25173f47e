/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "sandbox/state.h"

#define TO(name) (1u << SANDBOX_##name)

static const struct {
    const char *name;
    unsigned next; /* bit n: may become state n */
} states[] = {
#define STATE(name_, next_) [SANDBOX_##name_] = {#name_, next_},
#include "sandbox/states.def"
};

bool sandbox_may(enum sandbox_state from, enum sandbox_state to)
{
    must(from < SANDBOX_STATE_COUNT && to < SANDBOX_STATE_COUNT);
    return (states[from].next >> to) & 1;
}

const char *sandbox_state_name(enum sandbox_state state)
{
    must(state < SANDBOX_STATE_COUNT);
    return states[state].name;
}
