/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reflow.h - hosts that speak JSON, to their own files; fleet.h has what others
 * call.
 */
#ifndef SANDBOX_REMOTE_REFLOW_H
#define SANDBOX_REMOTE_REFLOW_H

#include "sandbox/remote/remote.h"

/* params is taken. */
json_t *reflow_request(const char *id, const char *method, json_t *params);
/* json is taken.  As net_host's send. */
int reflow_send(struct fleet_host *host, json_t *json, net_release_fn release,
                void *context);
/* A call's result is there: its actor may have the next one. */
void reflow_note_result_locked(struct fleet_host *host, uint32_t call);

#endif
