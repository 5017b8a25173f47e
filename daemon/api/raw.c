/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.c - POST /v1/run?actor=ID&port=NAME[&timeout_ms=N]: one input, which is
 * the body as it is (application/octet-stream).
 *
 *   head -> raw_place -> body, into a sandbox's arena -> request -> run
 *                          or it does not come whole -> raw_drop
 *
 * So it may be as long as a message can be, whatever --body allows.  A small
 * one, and one whose sandboxes are all busy, is a body like any other.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"

#define TYPE "application/octet-stream"

struct raw {
    struct actor *actor;   /* counted */
    struct gbx_call *call; /* which it has entered */
};

/* A member of the query as text.  False: it is not there, or too long. */
static bool member(const char *query, const char *name, char *to, size_t room)
{
    size_t bytes;
    const char *value = http_query(query, name, &bytes);

    if (value == NULL || bytes == 0 || bytes >= room)
        return false;
    memcpy(to, value, bytes);
    to[bytes] = '\0';
    return true;
}

bool raw_read(const struct net_request *request, struct raw_asked *asked)
{
    char digits[16];

    *asked = (struct raw_asked){.timeout_ms = 0};
    if (strncmp(request->type, TYPE, sizeof(TYPE) - 1) != 0 ||
        !member(request->query, "actor", asked->actor, sizeof(asked->actor)) ||
        !member(request->query, "port", asked->port, sizeof(asked->port)))
        return false;
    if (strstr(request->query, "timeout_ms=") == NULL)
        return true;
    if (member(request->query, "timeout_ms", digits, sizeof(digits)) &&
        strspn(digits, "0123456789") == strlen(digits))
        asked->timeout_ms = strtoull(digits, NULL, 10);
    return asked->timeout_ms > 0;
}

/* Returns 0 with the call and its place, or the status that says why not. */
static int begin(struct daemon *daemon, struct raw *raw,
                 const struct raw_asked *asked, uint64_t bytes, void **place)
{
    struct gbx_error err;
    int rc;

    raw->actor = actors_get(daemon, asked->actor);
    if (raw->actor == NULL)
        return 404;
    raw->call = call_begin_now(raw->actor, NULL);
    if (raw->call == NULL)
        return 503;
    rc = gbx_call_room(raw->call, asked->port, GBX_STREAM, bytes, place, &err);
    return rc == 0 ? 0 : http_status_of(rc);
}

int raw_place(struct daemon *daemon, struct net_request *request,
              uint64_t bytes, void **place)
{
    struct raw_asked asked;
    struct raw *raw;
    int status;

    if (bytes < GBX_BODY_SHOWN || strcmp(request->path, "/v1/run") != 0 ||
        strcmp(request->method, "POST") != 0 || !raw_read(request, &asked) ||
        atomic_load(&daemon->is_draining))
        return 0;
    raw = calloc(1, sizeof(*raw));
    status = raw != NULL ? begin(daemon, raw, &asked, bytes, place) : 503;
    if (status == 0) {
        request->context = raw;
        return 0;
    }
    *place = NULL;
    raw_drop(daemon, raw);
    if (bytes <= daemon->bytes_max)
        return 0; /* its worker will wait, or say what is wrong */
    daemon->busy += status == 503;
    return status;
}

void raw_drop(struct daemon *daemon, struct raw *raw)
{
    if (raw == NULL)
        return;
    if (raw->call != NULL) {
        gbx_call_finish(raw->call);
        call_leave(raw->actor);
    }
    if (raw->actor != NULL)
        actors_put(daemon, raw->actor);
    free(raw);
}

struct gbx_call *raw_take(struct raw *raw, struct actor **actor)
{
    struct gbx_call *call = raw->call;

    *actor = raw->actor;
    free(raw);
    return call;
}
