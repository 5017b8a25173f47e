/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - may a guest read the time by itself?
 *
 *  machine_clock(&machine, &tables, physical, &clock);
 *  if (clock.shared)  ... `rdtsc` in the guest is the host's ...
 *
 * Where it is, time needs no exit: the host publishes what a count means, as
 * the kernel does to its vDSO.
 *
 * Threads: the machine's, and not inside a machine.
 */
#ifndef SANDBOX_MICROVM_CLOCK_H
#define SANDBOX_MICROVM_CLOCK_H

#include "sandbox/microvm/machine.h"
#include "sandbox/microvm/tables.h"

struct machine_clock {
    bool shared;      /* the same count in guest and host, at one rate */
    uint32_t tsc_khz; /* KVM's word for the rate; 0: it has none */
};

/*
 * Set the machine's counter to the host's, and say whether it is.  The first
 * call of a process tries it, with a page that nobody else uses, where nothing
 * is mapped at TABLES_LOW, below all of Linux; a few exits.  Where that fails,
 * or anything is in doubt, `shared` is false.  The registers are afterwards as
 * before.
 */
void machine_clock(struct machine *machine, struct tables *tables,
                   uint64_t physical, struct machine_clock *clock);

#endif
