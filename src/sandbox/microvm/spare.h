/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spare.h - virtual machines that nobody has, for the next one who starts.
 *
 *  spare_hold();                         somebody will start many
 *  spare_give(&machine)  ->  true        and has none any more
 *  spare_take(&machine)  ->  true        as after KVM_SET_CPUID2: no memory
 *  spare_release();                      the last one: all are closed
 *
 * Making a virtual machine with its processor takes KVM half a millisecond, a
 * third of the time from a clone to its answer.  It is always the same one: so
 * one that a sandbox is done with serves the next, without memory, and with
 * nothing of the guest in its registers.
 *
 * Threads: any.  Memory: a few descriptors and mappings, while held.  A child
 * of this process takes none: KVM serves only the process that made it.
 */
#ifndef GLOVEBOX_SANDBOX_MICROVM_SPARE_H
#define GLOVEBOX_SANDBOX_MICROVM_SPARE_H

#include <stdbool.h>

#include "sandbox/microvm/machine.h"

void spare_hold(void);
void spare_release(void);

/* A machine that is started, with nobody inside; false: close it instead. */
bool spare_give(struct machine *machine);

/* Into one that is not started; false: make one. */
bool spare_take(struct machine *machine);

#endif
