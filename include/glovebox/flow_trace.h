/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/flow_trace.h - what happens in a flow, written to a file.
 *
 *  struct gbx_flow_trace_config config = {
 *      .struct_bytes = sizeof(config), .path = "flow.json"};
 *  gbx_flow_trace_open(&trace, &config, &err);
 *  flow_config.event = gbx_flow_trace_event;
 *  flow_config.context = trace;
 *  ...
 *  gbx_flow_close(flow);
 *  gbx_flow_trace_close(trace, &err);
 *
 * A flow has one context for all its callbacks: who has others writes an event
 * function of its own, which hands on what it is told.
 *
 * CHROME: trace events that ui.perfetto.dev and chrome://tracing open.  A node
 * is a thread, a run a slice on it; a message is an arrow from the run that
 * sent it to the run that it caused.  What came from outside is on a thread of
 * its own.  args.id and args.cause are the event's.  A file that was not closed
 * can be opened all the same.
 *
 * LINES: a line of JSON for each event, as Reflow's NetworkEvents:
 *  {"_type":"MessageSent","fromActor":"a","fromPort":"out","toActor":"b",
 *   "toPort":"in","message":{"data":[52,50]},"timestamp":1757000000000,
 *   "id":7,"cause":3}
 * To a descriptor each line is written at once.
 * data is the bytes of the message as JSON.  outputs of ActorCompleted are the
 * last messages that the run sent, by port.  In place of a message that JSON
 * cannot hold, or that is too large, stands {"type":"Stream","bytes":4096}.
 * id and cause are not Reflow's: input `cause` made the actor send this one; of
 * a run that awaited several, `causes` of ActorEmit and ActorCompleted has
 * all.
 *
 * A flow whose config has no event function tells nothing and pays nothing;
 * gbx_flow_config.sample thins out.
 *
 * Threads: event, any; open and close, alone.
 * Memory:  64 KiB, and the nodes' names.
 */
#ifndef GBX_FLOW_TRACE_H
#define GBX_FLOW_TRACE_H

#include "glovebox/flow.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_flow_trace;

enum gbx_flow_trace_form { GBX_FLOW_TRACE_CHROME, GBX_FLOW_TRACE_LINES };

/* Zero in any field means the default. */
struct gbx_flow_trace_config {
    size_t struct_bytes;
    const char *path; /* a file, made or emptied; "-": descriptor 1 */
    int fd;           /* where path is NULL: borrowed until close */
    enum gbx_flow_trace_form form;
    uint64_t bytes_max;         /* of the file; what comes then is left out;
                                   default 1 GiB */
    uint64_t message_bytes_max; /* of a body that is shown; default 1 KiB */
};

/* Returns 0 and a trace to close; GBX_EFILE, GBX_EARGUMENT, GBX_EHOST. */
int gbx_flow_trace_open(struct gbx_flow_trace **trace,
                        const struct gbx_flow_trace_config *config,
                        struct gbx_error *err);

/* A gbx_flow_event_fn; the context is the trace. */
void gbx_flow_trace_event(void *trace, const struct gbx_flow_event *event);

/*
 * Returns 0; GBX_EFILE: not all could be written; GBX_ELIMIT: bytes_max was
 * reached.  It is closed in any case.  NULL is allowed.
 */
int gbx_flow_trace_close(struct gbx_flow_trace *trace, struct gbx_error *err);

#ifdef __cplusplus
}
#endif

#endif
