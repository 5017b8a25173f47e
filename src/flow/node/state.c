/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "flow/node/state.h"

struct node_state *node_state_make(void)
{
    struct node_state *state = calloc(1, sizeof(*state));

    if (state == NULL)
        return NULL;
    store_init(&state->store);
    gbx_builder_init(&state->question);
    gbx_builder_init(&state->answer);
    return state;
}

void node_state_free(struct node_state *state)
{
    if (state == NULL)
        return;
    gbx_builder_fini(&state->question);
    gbx_builder_fini(&state->answer);
    store_fini(&state->store);
    free(state);
}
