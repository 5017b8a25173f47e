/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc.h - JSON-RPC 2.0 (jsonrpc.org/specification): texts to requests, and
 * answers to texts.
 *
 *  rpc_read(&request, text, bytes);
 *  ... text = rpc_result(&request, json); ...
 *  rpc_fini(&request);
 *
 * Ids are numbers or strings, and come back as they were.  No batches: Reflow
 * sends none.
 *
 * Threads: any.
 */
#ifndef NET_RPC_H
#define NET_RPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define RPC_PARSE    (-32700)
#define RPC_INVALID  (-32600)
#define RPC_METHOD   (-32601)
#define RPC_PARAMS   (-32602)
#define RPC_INTERNAL (-32603)
#define RPC_BUSY     (-32000)

struct rpc_request {
    json_t *all;        /* owned */
    const json_t *id;   /* borrowed, or NULL: a notification */
    const char *method; /* borrowed */
    json_t *params;     /* borrowed: an object */
    char what[160];     /* what is wrong with it */
};

/* Returns 0; or RPC_PARSE or RPC_INVALID, and `what`: to be answered with
 * rpc_error.  To be given to fini in any case. */
int rpc_read(struct rpc_request *request, const char *text, size_t bytes);
void rpc_fini(struct rpc_request *request);

/* A text for free(), or NULL: no memory.  result and data are taken. */
char *rpc_result(const struct rpc_request *request, json_t *result);
char *rpc_error(const struct rpc_request *request, int code,
                const char *message, json_t *data);
char *rpc_notification(const char *method, json_t *params);

#endif
