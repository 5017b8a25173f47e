/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upload.h - what POST /v1/run is asked for by a body that is no JSON: a form,
 * or one input as it is (application/octet-stream, and the query says of what).
 * It is taken in as it comes.
 *
 *   server's thread                        a worker
 *   upload_open   (the head has come)
 *   upload_take   (some of the body)
 *     a large input begins       --job-->  upload_place: the actor, a sandbox
 *     its client has to wait     <-------  of it, room for the input in there
 *   upload_take   ... into the sandbox
 *   the request is whole         --job-->  run.c: upload_end, and the call
 *
 * So a large input is in memory once, where its script reads it, and may be as
 * long as a message, whatever --body allows.  All else is kept, up to --body.
 * What goes wrong is said when the body is there: who is still sending does not
 * listen.
 */
#ifndef DAEMON_API_UPLOAD_H
#define DAEMON_API_UPLOAD_H

#include "daemon/api/form.h"
#include "daemon/daemon.h"

/* Why it cannot be run. */
struct failure {
    int status; /* of HTTP; 0: what fits the code */
    struct gbx_error err;
    bool is_script; /* it is the script's own doing, or its sandbox's */
};

struct upload {
    struct daemon *daemon;
    struct token *token;
    struct form form;
    struct actor *actor; /* counted: it has a sandbox; or NULL */
    uint64_t expected, came;
    uint64_t until_ns; /* with a sandbox: it must be there */
    uint8_t *rest;     /* owned: what came behind a large input's begin */
    size_t rest_bytes;
    struct failure failure; /* and the rest is not looked at */
    struct printed printed; /* by the script, while it was loaded */

    /* Its file's: */
    bool is_held; /* by a worker */
    bool is_lost; /* which is to close it, then */
};

/* Does POST /v1/run bring one? */
bool upload_is_one(const struct net_request *request);
/* NULL: no memory.  A body that makes no sense is one that has failed. */
struct upload *upload_open(struct daemon *daemon, struct token *token,
                           const struct net_request *request, uint64_t bytes);
/* It is not run, or has been.  NULL is allowed. */
void upload_close(struct upload *upload);

/* As net_handler's; the request is the one that upload_open has seen. */
int upload_take(struct upload *upload, struct net_request *request,
                const void *data, size_t bytes);
void upload_lost(struct upload *upload);

/* A worker: what it waits for.  The job has them both. */
void upload_place(struct job *job);

/* A worker: the body is there.  Returns 0, or why it cannot be run. */
int upload_end(struct upload *upload);

#endif
