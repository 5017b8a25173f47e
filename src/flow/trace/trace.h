/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h - a trace file: its buffer, and the nodes that it knows.
 *
 * Threads: the trace's lock is held, but by open and close.
 * Memory:  a text that does not fit into the buffer's rest has it written
 * first.
 */
#ifndef FLOW_TRACE_TRACE_H
#define FLOW_TRACE_TRACE_H

#include <pthread.h>

#include "glovebox/flow_trace.h"

#define TRACE_BUFFER_BYTES 65536u
#define TRACE_EMITS        4096u /* that are remembered; a power of two */

/* The last message of a port, as JSON. */
struct trace_output {
    char *port, *message; /* owned */
    struct trace_output *next;
};

struct trace_node {
    char *name;                   /* first: the tree compares it; owned */
    char *quoted;                 /* owned: as JSON */
    char *component;              /* owned: the same; NULL: not known */
    unsigned tid;                 /* from 1; 0 is outside */
    struct trace_output *outputs; /* lines.c: of the run that goes on */
    struct trace_node *next;      /* of all */
};

struct gbx_flow_trace {
    struct gbx_flow_trace_config config;
    char *path; /* owned */
    int fd;     /* owned, unless it is_lent */
    bool is_lent;
    int error; /* errno of the first write that failed */
    bool is_full;
    uint64_t started_ns, epoch_ms; /* the same moment by two clocks */

    pthread_mutex_t lock; /* of all that follows */
    void *by_name;        /* nodes: tsearch's */
    struct trace_node *nodes;
    unsigned node_count;
    uint64_t bytes; /* written, or in the buffer */
    size_t count;
    char buffer[TRACE_BUFFER_BYTES];

    /* When messages were emitted: they are told as sent later, after the run
     * that did it. */
    struct {
        uint64_t id, at_ns;
    } emits[TRACE_EMITS];
};

/* All of it or nothing.  Does nothing once the file is full or has failed. */
void trace_put(struct gbx_flow_trace *trace, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The node, known from now on; NULL: no memory. */
struct trace_node *trace_node(struct gbx_flow_trace *trace, const char *name);

/* As JSON, for free(); NULL: no memory, or no UTF-8. */
char *trace_quote(const char *text);

/* chrome.c, lines.c. */
void trace_chrome_begin(struct gbx_flow_trace *trace);
void trace_chrome_node(struct gbx_flow_trace *trace,
                       const struct trace_node *node);
void trace_chrome(struct gbx_flow_trace *trace,
                  const struct gbx_flow_event *event);
void trace_chrome_end(struct gbx_flow_trace *trace);
void trace_drop_outputs(struct trace_node *node);
void trace_lines(struct gbx_flow_trace *trace,
                 const struct gbx_flow_event *event);

#endif
