/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - `glovebox flow run` between its options (run.c), what goes in and
 * comes out (traffic.c), and what is shown meanwhile (live.c, watch.c). */
#ifndef CLI_FLOW_RUN_H
#define CLI_FLOW_RUN_H

#include <pthread.h>
#include <stdio.h>

#include "cli/flow/flow.h"
#include "cli/run/remote.h"
#include "glovebox/flow_graph.h"
#include "glovebox/flow_trace.h"

#define FLOW_PORTS_MAX 64

struct flow_options {
    const char *graph;
    const char *in[FLOW_PORTS_MAX], *out[FLOW_PORTS_MAX]; /* PORT=... */
    size_t in_count, out_count;
    uint32_t workers, sample;
    bool watch, quiet;
    const char *trace, *events, *state; /* files, or NULL */
    struct flow_scripts scripts;
    struct remotes remotes;
};

/* ---- traffic.c ---- */

struct traffic {
    const struct flow_options *options;
    FILE *files[FLOW_PORTS_MAX]; /* of options->out */
    pthread_mutex_t lock;        /* of what is written */
    size_t letters;
    bool is_lost;                     /* something could not be written */
    bool is_traced;                   /* there are any of: */
    struct gbx_flow_trace *traces[2]; /* owned: --trace, --events */
};

/* Open what is written to.  Returns an exit code. */
int traffic_open(struct traffic *traffic, const struct flow_options *options);
/* What happens is written, too, where it is asked for. */
int traffic_trace(struct traffic *traffic);
/* Returns CLI_HOST where something was lost. */
int traffic_close(struct traffic *traffic);

/* Send all of --in.  Returns 0 or a code, with err filled. */
int traffic_send(struct gbx_flow *flow, const struct flow_options *options,
                 struct gbx_error *err);

/* gbx_flow_output_fn and gbx_letter_fn; context: struct traffic. */
void traffic_output(void *context, const char *port,
                    const struct gbx_message *message);
void traffic_letter(void *context, const struct gbx_letter *letter);
/* gbx_flow_event_fn; the same. */
void traffic_event(void *context, const struct gbx_flow_event *event);

/* ---- live.c ---- */

struct live {
    uint64_t begin_ns, last_ns;
    struct live_row *rows; /* owned: what was shown of each node last */
    size_t count, room, lines;
};

/* A line for each node, over the one before; on a terminal. */
void live_show(struct live *live, struct gbx_flow *flow);
/* The last time, and below it nothing. */
void live_end(struct live *live, struct gbx_flow *flow);

/* ---- watch.c ---- */

struct watched {
    struct watched_file {
        char *node, *path;
        int64_t changed_ns, bytes;
    } * files; /* owned; the first is the graph's, of no node */
    size_t count;
};

/* The files of all scripts, as they are now, and the graph's. */
void watched_open(struct watched *watched, struct gbx_flow *flow,
                  const char *graph);
void watched_close(struct watched *watched);
/* Scripts that have changed are loaded anew, and it is said.  True: the graph
 * has changed. */
bool watched_look(struct watched *watched, struct gbx_flow *flow);

#endif
