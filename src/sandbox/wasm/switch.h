/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.h - one thread, two stacks: the host's and an instance's.
 *
 *  host                             instance
 *   |  switch_to(&mine, its) ------> |
 *   |                                |  runs, calls the host, pauses
 *   | <------ switch_to(&its, mine)  |
 *
 * What the ABI lets a function destroy is not kept; the rest (rbx, rbp, r12 to
 * r15, the stack pointer) is.  No system call is made, and no signal mask is
 * kept: it is the thread's.
 */
#ifndef SANDBOX_WASM_SWITCH_H
#define SANDBOX_WASM_SWITCH_H

#include <stdint.h>

#include "sandbox/wasm/artefact.h"

/* Leave this stack, where *from remembers it, for another one. */
void switch_to(void **from, void *to);

/* A stack on which main(argument) is called by the first switch to it; main
 * never returns.  top: 16-byte aligned. */
void *switch_make(void *top, void (*main)(void *argument), void *argument);

/* Call code of an artefact's: r15 is its context meanwhile. */
void switch_call(void (*code)(void *instance, uint64_t *cells), void *instance,
                 uint64_t *cells, struct wasm_context *context);

#endif
