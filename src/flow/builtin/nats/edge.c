/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edge.c - the two ends of an edge that goes from one computer to another,
 * through NATS (net/nats/edge/edge.h), whose module is loaded where a graph has
 * one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "flow/builtin/builtin.h"
#include "flow/builtin/options.h"
#include "flow/builtin/path.h"
#include "net/module.h"
#include "net/nats/edge/edge.h"

#define WAIT_MS   200u /* a run that waits ends by then */
#define BATCH     64u
#define PAUSE_NS  200000000u /* after a failure */
#define BYTES_MAX (64u << 20)

struct edge {
    char *url, *name, *token_path, *ca_path; /* owned */
    uint64_t bytes_max;
    const struct net_edge_api *api;
    struct net_edge *net;
};

static void close_edge(void *self)
{
    struct edge *edge = self;

    if (edge == NULL)
        return;
    if (edge->net != NULL)
        edge->api->close(edge->net);
    free(edge->url);
    free(edge->name);
    free(edge->token_path);
    free(edge->ca_path);
    free(edge);
}

/* The first line of a file: a graph is no place for it. */
static int read_token(const struct edge *edge,
                      const struct gbx_actor_config *config, char token[1024],
                      struct gbx_error *err)
{
    ssize_t n;
    int fd;

    token[0] = '\0';
    if (edge->token_path == NULL)
        return 0;
    fd = path_open(config, edge->token_path, O_RDONLY, err);
    if (fd < 0)
        return fd;
    n = read(fd, token, 1023);
    close_fd(&fd);
    token[n > 0 ? n : 0] = '\0';
    token[strcspn(token, "\r\n")] = '\0';
    return token[0] != '\0' ? 0
                            : fail(err, GBX_EARGUMENT,
                                   "node %s: metadata.token_file: its "
                                   "first line is empty",
                                   config->node);
}

static int begin(struct edge *edge, const struct gbx_actor_config *config,
                 bool takes, struct gbx_error *err)
{
    char token[1024];
    int rc;

    if (edge == NULL)
        return fail(err, GBX_EHOST, "no memory for node %s", config->node);
    edge->bytes_max = BYTES_MAX;
    rc = options_read(
        (const struct option[]){
            {"url", OPTION_TEXT, &edge->url, .is_needed = true},
            {"edge", OPTION_TEXT, &edge->name, .is_needed = true},
            {"token_file", OPTION_TEXT, &edge->token_path, .min = 0},
            {"ca_file", OPTION_TEXT, &edge->ca_path, .min = 0},
            {"bytes_max", OPTION_NUMBER, &edge->bytes_max, .min = 1,
             .max = 1u << 30},
        },
        5, config, err);
    if (rc < 0 || (rc = read_token(edge, config, token, err)) < 0)
        return rc;
    edge->api = net_module_find(NULL, "glovebox-nats.so", NET_EDGE_SYMBOL, err);
    if (edge->api == NULL)
        return GBX_EUNSUPPORTED;
    return edge->api->open(
        &edge->net,
        &(struct net_edge_config){.url = edge->url,
                                  .edge = edge->name,
                                  .token = token[0] != '\0' ? token : NULL,
                                  .ca_path = edge->ca_path,
                                  .bytes_max = edge->bytes_max,
                                  .takes = takes},
        err);
}

static int open_out(void **self, const struct gbx_actor_config *config,
                    struct gbx_error *err)
{
    *self = calloc(1, sizeof(struct edge));
    return builtin_opened(self, begin(*self, config, false, err), close_edge);
}

static int open_in(void **self, const struct gbx_actor_config *config,
                   struct gbx_error *err)
{
    *self = calloc(1, sizeof(struct edge));
    return builtin_opened(self, begin(*self, config, true, err), close_edge);
}

static int run_out(void *self, struct gbx_actor *actor)
{
    struct edge *edge = self;
    struct gbx_message message;
    struct gbx_error err = {.what = ""};
    struct frame frame = {.kind = FRAME_OUTPUT, .call = 1};
    const char *port;

    if (gbx_actor_input_at(actor, 0, &port, &message) < 0)
        return 0;
    if (message.body_bytes > edge->bytes_max)
        return gbx_actor_fail(actor,
                              "a message of more than %llu bytes "
                              "(bytes_max)",
                              (unsigned long long)edge->bytes_max);
    frame.type = (uint8_t)message.type;
    frame.flags = (uint8_t)(FRAME_HAS_MESSAGE |
                            (message.flags & GBX_TYPED ? FRAME_TYPED : 0));
    frame.body_bytes = message.body_bytes;
    if (message.type == GBX_BOOLEAN)
        frame.scalar = message.scalar.boolean;
    else if (message.type == GBX_INTEGER || message.type == GBX_FLOAT)
        memcpy(&frame.scalar, &message.scalar, sizeof(frame.scalar));
    if (edge->api->put(edge->net, &frame, message.body, &err) < 0)
        return gbx_actor_fail(actor, "%s", err.what);
    return gbx_actor_send_at(actor, 0, &message);
}

/* What has come is checked as any message from outside. */
static int send_frame(struct gbx_actor *actor, const struct frame *frame,
                      const void *body)
{
    struct gbx_message message = {
        .type = (enum gbx_type)frame->type,
        .flags = frame->flags & FRAME_TYPED ? GBX_TYPED : 0,
        .body = body,
        .body_bytes = frame->body_bytes};

    if (frame->type >= GBX_TYPE_COUNT)
        return gbx_actor_fail(actor, "a message of a type that is none");
    if (message.type == GBX_BOOLEAN)
        message.scalar.boolean = frame->scalar != 0;
    else
        memcpy(&message.scalar, &frame->scalar, sizeof(frame->scalar));
    return gbx_actor_send_at(actor, 0, &message);
}

/* What was not handed on comes again, unless it would never be. */
static int take_one(struct edge *edge, struct gbx_actor *actor)
{
    struct gbx_error err = {.what = ""};
    struct frame frame;
    void *body;
    int rc = edge->api->take(edge->net, WAIT_MS, &frame, &body, &err);

    if (rc < 0)
        return rc == GBX_ETIME ? rc : gbx_actor_fail(actor, "%s", err.what);
    rc = send_frame(actor, &frame, body);
    free(body);
    if (rc != GBX_ECANCELED && rc != GBX_EHOST)
        edge->api->done(edge->net);
    return rc;
}

static int run_in(void *self, struct gbx_actor *actor)
{
    struct edge *edge = self;
    int rc = 0;

    for (unsigned i = 0; i < BATCH && rc == 0; i++)
        rc = take_one(edge, actor);
    if (rc != GBX_ECANCELED)
        gbx_actor_wake_at(actor,
                          clock_now_ns() +
                              (rc == 0 || rc == GBX_ETIME ? 0 : PAUSE_NS));
    return rc == GBX_ETIME ? 0 : rc;
}

const struct gbx_actor_type builtin_edge_out = {
    .struct_bytes = sizeof(builtin_edge_out),
    .component = "edge_out",
    .description = "The beginning of an edge to another computer (NATS).",
    .inports = PORTS("in"),
    .outports = PORTS("stored"),
    .open = open_out,
    .run = run_out,
    .close = close_edge,
};

const struct gbx_actor_type builtin_edge_in = {
    .struct_bytes = sizeof(builtin_edge_in),
    .component = "edge_in",
    .description = "The end of an edge from another computer (NATS).",
    .outports = PORTS("out"),
    .open = open_in,
    .run = run_in,
    .close = close_edge,
    .runs_at_start = 1,
};
