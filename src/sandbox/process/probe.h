/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - what this host offers to the process isolation, item by item.
 *
 * Threads: any.  Starts a few short-lived children, one after the other.
 */
#ifndef SANDBOX_PROCESS_PROBE_H
#define SANDBOX_PROCESS_PROBE_H

#include "sandbox/backend.h"

/* Fills at most max items.  Returns how many. */
size_t process_probe(struct probe_item *items, size_t max);

#endif
