/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h - the steps of a call that waiting (call.c) and not waiting (submit.c)
 * have in common.
 */
#ifndef RUNTIME_CALL_H
#define RUNTIME_CALL_H

#include "runtime/runtime.h"

/* Hand the inputs over.  Returns 0, or a code with the call ENDED. */
int call_start(struct gbx_call *call, uint64_t deadline_ns,
               struct gbx_error *err);

/* Take in an event.  Returns 0 to go on, 1 at the good end, a code at a bad. */
int call_take(struct gbx_call *call, const struct sandbox_event *event,
              struct gbx_error *err);

/* The deadline passed: the guest is thrown away.  Returns GBX_ETIME. */
int call_overdue(struct gbx_call *call, struct gbx_error *err);

/* The script has ended well: what it changed in its state stays.  Returns 0, or
 * a code: it does not. */
int call_settle(struct gbx_call *call, struct gbx_error *err);

/* RUNNING becomes ENDED, with the figures of the call. */
void call_end(struct gbx_call *call, int result);

#endif
