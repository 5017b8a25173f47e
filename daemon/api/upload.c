/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "daemon/api/upload.h"

#define RAW      "application/octet-stream"
#define SKIP_MAX 4u /* times --body: more of a failed one is not heard out */

/* Of is_held and is_lost of all: a moment at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- one input, as it is ---- */

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

static bool is_raw(const struct net_request *request)
{
    return strncmp(request->type, RAW, sizeof(RAW) - 1) == 0;
}

static int open_raw(struct upload *upload, const char *query)
{
    char actor[256], port[MULTIPART_NAME_MAX + 1], digits[16];
    struct form *form = &upload->form;
    json_int_t timeout_ms = 0;
    size_t bytes;
    int rc;

    if (!member(query, "actor", actor, sizeof(actor)) ||
        !member(query, "port", port, sizeof(port)))
        return GBX_EARGUMENT;
    if (http_query(query, "timeout_ms", &bytes) != NULL) {
        if (!member(query, "timeout_ms", digits, sizeof(digits)) ||
            strspn(digits, "0123456789") != strlen(digits))
            return GBX_EARGUMENT;
        timeout_ms = strtoll(digits, NULL, 10);
        if (timeout_ms <= 0)
            return GBX_EARGUMENT;
    }
    rc = form_open(form, NULL, port, upload->daemon->bytes_max,
                   &upload->failure.err);
    json_object_set_new(form->members, "actor", json_string(actor));
    if (timeout_ms > 0)
        json_object_set_new(form->members, "timeout_ms",
                            json_integer(timeout_ms));
    return rc;
}

/* ---- its life ---- */

bool upload_is_one(const struct net_request *request)
{
    return strcmp(request->path, "/v1/run") == 0 &&
           strcmp(request->method, "POST") == 0 &&
           (is_raw(request) || strncmp(request->type, "multipart/", 10) == 0);
}

struct upload *upload_open(struct daemon *daemon, struct token *token,
                           const struct net_request *request, uint64_t bytes)
{
    struct upload *upload = calloc(1, sizeof(*upload));
    struct gbx_error *err;

    if (upload == NULL)
        return NULL;
    err = &upload->failure.err;
    upload->daemon = daemon;
    upload->token = token;
    upload->expected = bytes;
    if (!is_raw(request))
        form_open(&upload->form, request->type, NULL, daemon->bytes_max, err);
    else if (open_raw(upload, request->query) == GBX_EARGUMENT)
        fail(err, GBX_EARGUMENT,
             "POST /v1/run?actor=ID&port=NAME[&timeout_ms=N], with the input "
             "as the body");
    return upload;
}

void upload_close(struct upload *upload)
{
    if (upload == NULL)
        return;
    if (upload->form.call != NULL) {
        gbx_call_finish(upload->form.call);
        call_leave(upload->actor);
    }
    if (upload->actor != NULL)
        actors_put(upload->daemon, upload->actor);
    form_close(&upload->form);
    printed_fini(&upload->printed);
    free(upload->rest);
    free(upload);
}

void upload_lost(struct upload *upload)
{
    bool is_held;

    pthread_mutex_lock(&lock);
    is_held = upload->is_held;
    upload->is_lost = true;
    pthread_mutex_unlock(&lock);
    if (!is_held)
        upload_close(upload);
}

/* ---- a worker finds a place ---- */

static int find_sandbox(struct upload *upload)
{
    struct failure *failure = &upload->failure;
    struct daemon *daemon = upload->daemon;
    int rc;

    printed_begin(&upload->printed);
    rc = run_find_actor(daemon, upload->form.members, &upload->actor, failure);
    printed_end(&upload->printed);
    if (rc < 0)
        return rc;
    upload->until_ns = daemon_now_ns() + daemon->timeout_ns;
    rc = call_begin(daemon, upload->actor, upload->until_ns, &upload->form.call,
                    &failure->err);
    failure->is_script = rc < 0;
    upload->until_ns = daemon_now_ns() + daemon->timeout_ns;
    return rc;
}

static int place(struct upload *upload)
{
    struct form *form = &upload->form;
    const uint8_t *at = upload->rest, *end = at + upload->rest_bytes;
    int rc = FORM_LARGE;

    while (rc == FORM_LARGE) {
        rc = form->call == NULL ? find_sandbox(upload) : 0;
        if (rc == 0)
            rc = form_place(form, form->call,
                            upload->expected - upload->came +
                                (uint64_t)(end - at),
                            &upload->failure.err);
        if (rc == 0)
            rc = form_take(form, &at, end, &upload->failure.err);
    }
    free(upload->rest);
    upload->rest = NULL;
    upload->rest_bytes = 0;
    return rc;
}

void upload_place(struct job *job)
{
    struct upload *upload = job->upload;
    bool is_lost;

    upload->failure.err.code = place(upload);
    pthread_mutex_lock(&lock);
    upload->is_held = false;
    is_lost = upload->is_lost;
    if (!is_lost)
        net_go_on(job->waiting);
    pthread_mutex_unlock(&lock);
    if (is_lost)
        upload_close(upload);
}

/* ---- it comes ---- */

static int hold(struct upload *upload, struct net_request *request,
                const uint8_t *at, size_t bytes)
{
    struct job *job = calloc(1, sizeof(*job));

    upload->rest = malloc(bytes + 1);
    if (job == NULL || upload->rest == NULL) {
        free(job);
        return 503;
    }
    memcpy(upload->rest, at, bytes);
    upload->rest_bytes = bytes;
    upload->is_held = true;
    job->upload = upload;
    job->waiting = request;
    job->token = upload->token;
    if (work_put(upload->daemon, job))
        return NET_LATER;
    upload->is_held = false;
    upload->daemon->busy++;
    free(job);
    return 503;
}

/* It goes on, but is not looked at; unless that were too much. */
static int skip(const struct upload *upload)
{
    const int code = upload->failure.err.code;

    if ((upload->expected - upload->came) / SKIP_MAX <=
        upload->daemon->bytes_max)
        return 0;
    return upload->failure.status != 0 ? upload->failure.status
                                       : http_status_of(code);
}

int upload_take(struct upload *upload, struct net_request *request,
                const void *data, size_t bytes)
{
    const uint8_t *at = data, *end = at + bytes;
    int rc;

    upload->came += bytes;
    /* Others may wait for its sandbox. */
    if (upload->form.call != NULL && daemon_now_ns() > upload->until_ns)
        return 408;
    if (upload->failure.err.code < 0)
        return skip(upload);
    rc = form_take(&upload->form, &at, end, &upload->failure.err);
    return rc == FORM_LARGE ? hold(upload, request, at, (size_t)(end - at))
           : rc < 0         ? skip(upload)
                            : 0;
}

int upload_end(struct upload *upload)
{
    struct gbx_error *err = &upload->failure.err;

    return err->code < 0 ? err->code : form_end(&upload->form, err);
}
