/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/state.h - where state outlives the process: a file, or NATS.
 *
 *  gbx_state_open(&state, "state.db", 0, &err);
 *  script_config.state = state, script_config.actor_id = "counter";
 *  ...
 *  gbx_state_close(state);
 *
 * A flow opens one by itself (gbx_flow_config.state_path), for those of its
 * nodes that say "state": "persistent".
 *
 * What is durable, and when.  A call (a run of an actor in C) that has changed
 * its state ends well only when the changes are on the disk, all or none of
 * them: so they outlive a process that is killed, and a host that loses its
 * power, as far as its disk keeps what it said.  What fails leaves nothing
 * there; what was running when the process ended, neither.  Where they cannot
 * be written (the disk or the file is full) the call fails, with GBX_EDISK, and
 * its changes are taken back.  Messages are in memory: what is not handled when
 * the process ends is sent again by who sent it.
 *
 * It takes the disk's time, milliseconds, for each call that changes something;
 * a key that is changed is written whole, and so is a list.  Seconds until a
 * key expires go on while no process runs.
 *
 * One process at a time has a file open.  It is an SQLite database, with a
 * second file beside it (-wal), which belongs to it.
 *
 * In place of a path, the URL of a NATS server with JetStream (nats://...,
 * tls://..., as in docs/nats.md) keeps it there, in the bucket
 * glovebox-state, so that a flow may go on on another computer.  A node's or
 * script's state is one value then, written whole by each call that changes
 * something, which ends well only when the server has it: with what NATS may
 * carry in a message (max_payload, 1 MiB by default, less 4 KiB) as its limit;
 * what is longer fails with GBX_EDISK.  Who opens a name last has it: calls of
 * the process that had it before fail from then on, with GBX_EFILE, and change
 * nothing.  A server that is away is waited for, ten seconds for each call.
 *
 * Threads: any; close is last.
 */
#ifndef GBX_STATE_H
#define GBX_STATE_H

#include <stdint.h>

#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_state;

/*
 * bytes_max: of the file; 0: 1 GiB.
 * Returns 0 and a state to close, after all that use it; GBX_EFILE (it cannot
 * be opened, or another process has it), GBX_EFORMAT (it is something else),
 * GBX_EHOST (of NATS: no server answers there, or it refuses us),
 * GBX_EUNSUPPORTED (it has no JetStream, or this Glovebox no NATS).
 */
int gbx_state_open(struct gbx_state **state, const char *path,
                   uint64_t bytes_max, struct gbx_error *err);

void gbx_state_close(struct gbx_state *state); /* NULL is allowed */

#ifdef __cplusplus
}
#endif

#endif
