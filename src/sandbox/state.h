/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - the life of a sandbox; the table is in states.def.
 *
 *  EMPTY --> STARTING --> IDLE <-------> BUSY
 *                |        |  ^ \-- SUSPENDED
 *                |        |  ^            |
 *                |        v  |            |
 *                |      WIPING            |
 *                |         |              |
 *                +-----> BROKEN <---------+
 *
 * STARTING covers the guest's start and the loading of its script.  Any state
 * but BUSY may also go to EMPTY, which frees everything; a BUSY one is made
 * BROKEN first, so that whoever drives its call is told before it goes.
 */
#ifndef SANDBOX_STATE_H
#define SANDBOX_STATE_H

#include <stdbool.h>

enum sandbox_state {
#define STATE(name, next) SANDBOX_##name,
#include "sandbox/states.def"
    SANDBOX_STATE_COUNT
};

bool sandbox_may(enum sandbox_state from, enum sandbox_state to);
const char *sandbox_state_name(enum sandbox_state state);

#endif
