/* SPDX-License-Identifier: Apache-2.0 */
/* nodes.c - the bucket of nodes is read: which keys there are, and each. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "net/nats/bus.h"
#include "net/nats/nodes.h"

#define ASK_MS    5000u
#define NODES_MAX 4096u

static void ignore(void *context, natsMsg *message)
{
    (void)context;
    natsMsg_Destroy(message);
}

/* Subjects of the bucket, as an object; for json_decref. */
static json_t *list_keys(struct bus *bus)
{
    static const char body[] = "{\"subjects_filter\":\"$KV.glovebox-nodes.>\"}";
    natsMsg *reply = NULL;
    json_t *said = NULL, *subjects;

    if (bus_ask(bus, &reply, "$JS.API.STREAM.INFO." NATS_NODES, NULL, 0, body,
                sizeof(body) - 1, ASK_MS) == 0)
        said = json_loadb(natsMsg_GetData(reply),
                          (size_t)natsMsg_GetDataLength(reply), 0, NULL);
    natsMsg_Destroy(reply);
    subjects = json_incref(
        json_object_get(json_object_get(said, "state"), "subjects"));
    json_decref(said);
    return subjects;
}

/* 2026-11-27T10:51:31.123456789Z, by the server's clock: how long ago. */
static uint64_t age_ns(const char *stamp)
{
    struct tm parts = {0};
    struct timespec now;
    const char *rest =
        stamp != NULL ? strptime(stamp, "%Y-%m-%dT%H:%M:%S", &parts) : NULL;
    double ago;

    if (rest == NULL)
        return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    ago = (double)now.tv_sec + (double)now.tv_nsec * 1e-9 -
          (double)timegm(&parts) - (*rest == '.' ? strtod(rest, NULL) : 0);
    return ago > 0 ? (uint64_t)(ago * 1e9) : 0;
}

static bool read_one(struct bus *bus, struct node *node, const char *key)
{
    char subject[2 * NATS_SUBJECT_MAX];
    natsMsg *reply = NULL;
    bool good;

    snprintf(subject, sizeof(subject), "$JS.API.DIRECT.GET." NATS_NODES ".%s",
             key);
    good = bus_ask(bus, &reply, subject, NULL, 0, "", 0, ASK_MS) == 0 &&
           bus_status(reply) == 0 &&
           node_read(node, natsMsg_GetData(reply),
                     (size_t)natsMsg_GetDataLength(reply));
    if (good)
        node->seen_ns = age_ns(bus_header(reply, "Nats-Time-Stamp"));
    natsMsg_Destroy(reply);
    return good;
}

static int read_all(struct bus *bus, struct node **nodes, size_t *count,
                    struct gbx_error *err)
{
    json_t *keys = list_keys(bus), *unused;
    const size_t most = json_object_size(keys);
    const char *key;

    *nodes = most <= NODES_MAX ? calloc(most + 1, sizeof(**nodes)) : NULL;
    if (*nodes != NULL)
        json_object_foreach(keys, key, unused) *count +=
            read_one(bus, &(*nodes)[*count], key);
    json_decref(keys);
    errno = 0;
    return *nodes != NULL
               ? 0
               : fail(err, GBX_EHOST, "no memory for %zu workers", most);
}

int net_nodes_list(struct node **nodes, size_t *count, const char *url,
                   struct gbx_error *err)
{
    const struct bus_config config = {.url = url,
                                      .name = "glovebox nodes",
                                      .connect_ms = 5000,
                                      .away_ms = 5000,
                                      .message = ignore};
    struct bus *bus;
    int rc = bus_open(&bus, &config, err);

    *nodes = NULL;
    *count = 0;
    if (rc == 0)
        rc = read_all(bus, nodes, count, err);
    bus_close(bus);
    return rc;
}
