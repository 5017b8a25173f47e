/* SPDX-License-Identifier: Apache-2.0 */
/* streams.c - JetStream's API, and the streams and buckets that we need. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "net/nats/bus.h"

#define API_MS 5000

/*
 * As they are made where there is none; one of another's making is taken as it
 * is.  The work queue refuses what does not fit, and so does what belongs to
 * calls; results push the oldest ones out.
 */
#define AGE(seconds)    "\"max_age\":" #seconds "000000000,"
#define WINDOW(seconds) "\"duplicate_window\":" #seconds "000000000,"
#define BUCKET                                                                 \
    "\"max_msgs_per_subject\":1,\"allow_rollup_hdrs\":true,"                   \
    "\"deny_delete\":true,\"discard\":\"new\","

static const struct {
    const char *name, *subject, *rest;
    bool is_read; /* message by message */
} streams[] = {
    {NATS_CALLS, "glovebox.calls.*",
     "\"retention\":\"workqueue\",\"discard\":\"new\",\"storage\":\"file\","
     "\"max_msgs_per_subject\":-1," WINDOW(120),
     false},
    {NATS_RESULTS, "glovebox.to.*.result.*",
     "\"retention\":\"limits\",\"discard\":\"old\",\"storage\":\"file\","
     "\"max_msgs_per_subject\":-1," WINDOW(120) AGE(3600),
     true},
    {NATS_BODIES, "glovebox.bodies.*.*",
     "\"retention\":\"limits\",\"discard\":\"new\",\"storage\":\"file\","
     "\"max_msgs_per_subject\":1," WINDOW(120) AGE(86400),
     true},
    {NATS_DEAD, "glovebox.dead.*",
     "\"retention\":\"limits\",\"discard\":\"old\",\"storage\":\"file\","
     "\"max_msgs_per_subject\":-1," WINDOW(120) AGE(604800),
     false},
    {NATS_EDGES, "glovebox.edges.*",
     "\"retention\":\"workqueue\",\"discard\":\"new\",\"storage\":\"file\","
     "\"max_msgs_per_subject\":-1," WINDOW(120),
     false},
    {NATS_STATE, "$KV.glovebox-state.*",
     "\"retention\":\"limits\",\"storage\":\"file\"," BUCKET WINDOW(120), true},
    {NATS_SCRIPTS, "$KV.glovebox-scripts.>",
     "\"retention\":\"limits\",\"storage\":\"file\"," BUCKET WINDOW(120), true},
    {NATS_NODES, "$KV.glovebox-nodes.>",
     "\"retention\":\"limits\",\"storage\":\"memory\"," BUCKET WINDOW(10)
         AGE(10),
     true}};

int bus_api(struct bus *bus, const char *subject, const char *body,
            struct gbx_error *err)
{
    natsMsg *reply = NULL;
    json_t *said;
    const json_t *error;
    int rc = bus_ask(bus, &reply, subject, NULL, 0, body, strlen(body), API_MS);

    errno = 0;
    if (rc == GBX_EUNSUPPORTED)
        return fail(err, rc,
                    "%s: JetStream is not enabled there: start it with "
                    "nats-server -js",
                    bus_shown(bus));
    if (rc < 0)
        return fail(err, rc, "%s: it does not answer", bus_shown(bus));
    said = json_loadb(natsMsg_GetData(reply),
                      (size_t)natsMsg_GetDataLength(reply), 0, NULL);
    error = json_object_get(said, "error");
    if (said == NULL)
        rc = fail(err, GBX_EFORMAT, "%s: %s is answered by nonsense",
                  bus_shown(bus), subject);
    else if (error != NULL)
        rc = fail(err, GBX_EUNSUPPORTED, "%s: %s: %s", bus_shown(bus), subject,
                  json_string_value(json_object_get(error, "description")));
    if (error != NULL && err != NULL)
        err->sys = (int)json_integer_value(json_object_get(error, "err_code"));
    json_decref(said);
    natsMsg_Destroy(reply);
    return rc;
}

/* A server before 2.9 does not know what it means, and says nothing. */
static int check_direct(struct bus *bus, const char *name,
                        struct gbx_error *err)
{
    char subject[NATS_SUBJECT_MAX];
    natsMsg *reply = NULL;
    json_t *said;
    bool has_direct;

    snprintf(subject, sizeof(subject), "$JS.API.STREAM.INFO.%s", name);
    if (bus_ask(bus, &reply, subject, NULL, 0, "", 0, API_MS) < 0)
        return fail(err, GBX_EHOST, "%s: it does not answer", bus_shown(bus));
    said = json_loadb(natsMsg_GetData(reply),
                      (size_t)natsMsg_GetDataLength(reply), 0, NULL);
    has_direct = json_is_true(
        json_object_get(json_object_get(said, "config"), "allow_direct"));
    json_decref(said);
    natsMsg_Destroy(reply);
    return has_direct
               ? 0
               : fail(err, GBX_EUNSUPPORTED,
                      "%s: the stream %s allows no direct access: the server "
                      "is older than 2.9, or who made it forgot allow_direct",
                      bus_shown(bus), name);
}

#define NAME_IN_USE 10058 /* by one of another config */

static int ensure(struct bus *bus, size_t i, unsigned replicas,
                  struct gbx_error *err)
{
    char subject[NATS_SUBJECT_MAX], body[600];
    struct gbx_error why = {.what = ""};
    int rc;

    snprintf(subject, sizeof(subject), "$JS.API.STREAM.CREATE.%s",
             streams[i].name);
    snprintf(body, sizeof(body),
             "{\"name\":\"%s\",\"subjects\":[\"%s\"],%s\"num_replicas\":%u,"
             "\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,"
             "\"max_msg_size\":-1,\"allow_direct\":%s}",
             streams[i].name, streams[i].subject, streams[i].rest, replicas,
             streams[i].is_read ? "true" : "false");
    rc = bus_api(bus, subject, body, &why);
    if (rc < 0 && why.sys != NAME_IN_USE) {
        if (err != NULL)
            *err = why;
        return rc;
    }
    return streams[i].is_read ? check_direct(bus, streams[i].name, err) : 0;
}

int bus_ensure(struct bus *bus, unsigned replicas, struct gbx_error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(streams) / sizeof(streams[0]); i++)
        rc = ensure(bus, i, replicas, err);
    return rc;
}
