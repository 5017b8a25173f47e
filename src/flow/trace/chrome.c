/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chrome.c - Chrome's trace events, as an array that needs no end.
 *
 *   outside   [in]
 *              s \ arrow: id of the message, and of its reader
 *   node a         [f  run  s]
 *                            \      the arrow begins within the run, when the
 *   node b                    [f run]    message was emitted
 *
 * An arrow's number is its own for each reader: a message may have many.
 */
#include <stdlib.h>

#include "flow/trace/trace.h"

static double us(const struct gbx_flow_trace *trace, uint64_t at_ns)
{
    return at_ns <= trace->started_ns
               ? 0
               : (double)(at_ns - trace->started_ns) / 1e3;
}

void trace_chrome_begin(struct gbx_flow_trace *trace)
{
    trace_put(trace,
              "[\n{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"tid\":0,"
              "\"args\":{\"name\":\"flow\"}},\n"
              "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":0,"
              "\"args\":{\"name\":\"outside\"}}");
}

void trace_chrome_end(struct gbx_flow_trace *trace)
{
    trace_put(trace, "\n]\n");
}

void trace_chrome_node(struct gbx_flow_trace *trace,
                       const struct trace_node *node)
{
    trace_put(trace,
              ",\n{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":%u,"
              "\"args\":{\"name\":%s}}",
              node->tid, node->quoted);
}

/* An end of an arrow: "s" where it begins. */
static void put_arrow(struct gbx_flow_trace *trace, const char *end,
                      unsigned tid, uint64_t at_ns, uint64_t id,
                      unsigned reader)
{
    trace_put(trace,
              ",\n{\"ph\":\"%s\",\"bp\":\"e\",\"cat\":\"message\","
              "\"name\":\"message\",\"pid\":1,\"tid\":%u,\"ts\":%.3f,"
              "\"id\":\"%llu.%u\"}",
              end, tid, us(trace, at_ns), (unsigned long long)id, reader);
}

static void put_run(struct gbx_flow_trace *trace,
                    const struct gbx_flow_event *event)
{
    const struct trace_node *node = trace_node(trace, event->node);
    const uint64_t from_ns = event->at_ns - event->took_ns;
    char *error = event->text != NULL ? trace_quote(event->text) : NULL;

    if (node != NULL) {
        trace_put(trace,
                  ",\n{\"ph\":\"X\",\"cat\":\"run\",\"name\":\"%s\",\"pid\":1,"
                  "\"tid\":%u,\"ts\":%.3f,\"dur\":%.3f,"
                  "\"args\":{\"cause\":%llu%s%s}}",
                  event->kind == GBX_FLOW_ACTOR_FAILED ? "failed" : "run",
                  node->tid, us(trace, from_ns), (double)event->took_ns / 1e3,
                  (unsigned long long)event->cause,
                  error != NULL ? ",\"error\":" : "",
                  error != NULL ? error : "");
        for (uint32_t i = 0; i < event->cause_count; i++)
            put_arrow(trace, "f", node->tid, from_ns, event->causes[i],
                      node->tid);
    }
    free(error);
}

static void put_emit(struct gbx_flow_trace *trace,
                     const struct gbx_flow_event *event)
{
    const size_t place = event->id & (TRACE_EMITS - 1);

    trace->emits[place].id = event->id;
    trace->emits[place].at_ns = event->at_ns;
}

static void put_sent(struct gbx_flow_trace *trace,
                     const struct gbx_flow_event *event)
{
    const struct trace_node *from = trace_node(trace, event->node);
    const struct trace_node *to = trace_node(trace, event->to_node);
    const size_t place = event->id & (TRACE_EMITS - 1);
    uint64_t at_ns = event->at_ns;

    if (from == NULL || to == NULL)
        return;
    if (trace->emits[place].id == event->id)
        at_ns = trace->emits[place].at_ns;
    put_arrow(trace, "s", from->tid, at_ns, event->id, to->tid);
}

/* From outside: a short slice, for the arrow to begin at. */
static void put_received(struct gbx_flow_trace *trace,
                         const struct gbx_flow_event *event)
{
    const struct trace_node *to = trace_node(trace, event->to_node);

    if (to == NULL)
        return;
    trace_put(trace,
              ",\n{\"ph\":\"X\",\"cat\":\"message\",\"name\":%s,\"pid\":1,"
              "\"tid\":0,\"ts\":%.3f,\"dur\":0.1,\"args\":{\"id\":%llu}}",
              to->quoted, us(trace, event->at_ns),
              (unsigned long long)event->id);
    put_arrow(trace, "s", 0, event->at_ns, event->id, to->tid);
}

/* Of the whole flow, or of a node. */
static void put_moment(struct gbx_flow_trace *trace,
                       const struct gbx_flow_event *event)
{
    const struct trace_node *node =
        event->node != NULL ? trace_node(trace, event->node) : NULL;

    trace_put(trace,
              ",\n{\"ph\":\"i\",\"s\":\"%s\",\"cat\":\"flow\",\"name\":\"%s\","
              "\"pid\":1,\"tid\":%u,\"ts\":%.3f}",
              node != NULL ? "t" : "g", gbx_flow_event_name((int)event->kind),
              node != NULL ? node->tid : 0, us(trace, event->at_ns));
}

void trace_chrome(struct gbx_flow_trace *trace,
                  const struct gbx_flow_event *event)
{
    switch (event->kind) {
    case GBX_FLOW_ACTOR_EMIT:
        put_emit(trace, event);
        return;
    case GBX_FLOW_ACTOR_COMPLETED:
    case GBX_FLOW_ACTOR_FAILED:
        put_run(trace, event);
        return;
    case GBX_FLOW_MESSAGE_SENT:
        put_sent(trace, event);
        return;
    case GBX_FLOW_MESSAGE_RECEIVED:
        put_received(trace, event);
        return;
    default:
        put_moment(trace, event);
    }
}
