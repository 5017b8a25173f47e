/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - let the guest run until something matters.
 *
 *  run_enter(&machine, deadline_ns, &err);
 *  do
 *      run(&machine, &exit);
 *  while (exit.kind == RUN_SYSCALL && answer(&machine) == 0);
 *  run_leave(&machine);
 *
 * Threads: enter, run and leave of one machine on one thread, which may be
 * another one each time; run_stop: any thread.  A thread is inside one machine
 * at most.
 */
#ifndef SANDBOX_MICROVM_RUN_H
#define SANDBOX_MICROVM_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/microvm/machine.h"

enum run_kind {
    RUN_SYSCALL,   /* Linux's registers; the answer goes into rax */
    RUN_BELL,      /* BOOT_PORT_BELL was written */
    RUN_EXCEPTION, /* vector, error, address; rip as the processor gave it */
    RUN_TIME,      /* the deadline; it would run on */
    RUN_STOPPED,   /* run_stop; it would run on */
    RUN_BROKEN,    /* text says what; it will not run again */
};

struct run_exit {
    enum run_kind kind;
    uint8_t vector;
    uint32_t error;
    uint64_t address; /* of a page fault: CR2 */
    char text[80];
};

/*
 * The thread is the machine's until leave.  Returns 0; GBX_EHOST where there
 * is no timer to be had.
 */
int run_enter(struct machine *machine, uint64_t deadline_ns,
              struct gbx_error *err);

/* Another deadline, while inside.  0: never. */
void run_deadline(struct machine *machine, uint64_t deadline_ns);

void run(struct machine *machine, struct run_exit *exit);

void run_leave(struct machine *machine);

/*
 * The run that is going on, or the next one, returns RUN_STOPPED, once.
 * Never waits for the guest.
 */
void run_stop(struct machine *machine);

#endif
