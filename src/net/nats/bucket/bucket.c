/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/nats/bucket/bucket.h"
#include "net/nats/bus.h"

#define CONNECT_MS     5000u
#define AWAY_MS        60000u /* a server may be away for so long */
#define ASK_MS         10000u
#define WRONG_SEQUENCE 10071 /* err_code: there is another one by now */

struct net_bucket {
    struct bus *bus;
};

static void nobody_listens(void *context, natsMsg *message)
{
    (void)context;
    natsMsg_Destroy(message);
}

static void bucket_close(struct net_bucket *bucket)
{
    if (bucket != NULL)
        bus_close(bucket->bus);
    free(bucket);
}

static int bucket_open(struct net_bucket **bucket,
                       const struct net_bucket_config *config,
                       struct gbx_error *err)
{
    struct net_bucket *made = calloc(1, sizeof(*made));
    int rc;

    *bucket = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a bucket");
    rc = bus_open(&made->bus,
                  &(struct bus_config){.url = config->url,
                                       .token = config->token,
                                       .ca_path = config->ca_path,
                                       .name = "glovebox state",
                                       .connect_ms = CONNECT_MS,
                                       .away_ms = AWAY_MS,
                                       .message = nobody_listens},
                  err);
    if (rc < 0)
        bucket_close(made);
    else
        *bucket = made;
    return rc;
}

/* Any name is one here: its digest. */
static void subject_of(const char *name, char subject[NATS_SUBJECT_MAX])
{
    char digest[NATS_DIGEST_CHARS + 1];

    layout_digest(name, strlen(name), digest);
    snprintf(subject, NATS_SUBJECT_MAX, "$KV.glovebox-state.%s", digest);
}

static int bucket_get(struct net_bucket *bucket, const char *name, void **data,
                      size_t *bytes, uint64_t *revision, struct gbx_error *err)
{
    char subject[NATS_SUBJECT_MAX], ask[2 * NATS_SUBJECT_MAX];
    const char *sequence;
    natsMsg *reply;
    int rc, status;

    *data = NULL;
    *bytes = 0;
    *revision = 0;
    subject_of(name, subject);
    snprintf(ask, sizeof(ask), "$JS.API.DIRECT.GET." NATS_STATE ".%s", subject);
    rc = bus_ask(bucket->bus, &reply, ask, NULL, 0, "", 0, ASK_MS);
    if (rc < 0)
        return fail(err, GBX_EHOST, "%s: it does not say what it has",
                    bus_shown(bucket->bus));
    status = bus_status(reply);
    sequence = bus_header(reply, "Nats-Sequence");
    if (status == 0 && sequence != NULL) {
        *revision = strtoull(sequence, NULL, 10);
        *bytes = (size_t)natsMsg_GetDataLength(reply);
        *data = malloc(*bytes + 1);
        if (*data != NULL && *bytes > 0)
            memcpy(*data, natsMsg_GetData(reply), *bytes);
        rc = *data == NULL ? fail(err, GBX_EHOST, "no memory for a state") : 0;
    } else if (status != 404) {
        rc = fail(err, GBX_EHOST, "%s: it does not say what it has (%d)",
                  bus_shown(bucket->bus), status);
    }
    natsMsg_Destroy(reply);
    return rc;
}

static int bucket_put(struct net_bucket *bucket, const char *name,
                      const void *data, size_t bytes, uint64_t *revision,
                      struct gbx_error *err)
{
    char subject[NATS_SUBJECT_MAX], before[24];
    const struct bus_field field = {"Nats-Expected-Last-Subject-Sequence",
                                    before};
    struct layout_stored stored;
    natsMsg *reply;

    if (bytes > bus_payload_max(bucket->bus))
        return fail(err, GBX_ELIMIT,
                    "%s: a message there has at most %zu bytes, and this "
                    "would have %zu",
                    bus_shown(bucket->bus), bus_payload_max(bucket->bus),
                    bytes);
    subject_of(name, subject);
    snprintf(before, sizeof(before), "%llu", (unsigned long long)*revision);
    if (bus_ask(bucket->bus, &reply, subject, &field, 1, data, bytes, ASK_MS) <
        0)
        return fail(err, GBX_EHOST, "%s: it does not say that it has it",
                    bus_shown(bucket->bus));
    layout_stored(&stored, natsMsg_GetData(reply),
                  (size_t)natsMsg_GetDataLength(reply));
    natsMsg_Destroy(reply);
    if (stored.code == 0) {
        *revision = stored.sequence;
        return 0;
    }
    return fail(err, stored.code == WRONG_SEQUENCE ? GBX_ESTALE : GBX_ELIMIT,
                "%s: %s: %s", bus_shown(bucket->bus), NATS_STATE, stored.what);
}

__attribute__((visibility("default")))
const struct net_bucket_api net_bucket_api = {.open = bucket_open,
                                              .close = bucket_close,
                                              .get = bucket_get,
                                              .put = bucket_put};
