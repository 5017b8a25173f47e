/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bucket.h - values under names, in NATS JetStream: the bucket glovebox-state.
 *
 *  api->open(&bucket, &config, &err);
 *  api->get(bucket, name, &data, &bytes, &revision, &err);
 *  api->put(bucket, name, data, bytes, &revision, &err);
 *
 * A value is put in place of the one of a revision, or not at all: so of two
 * who have read the same one, one is told.
 *
 * Threads: any; one at a time.
 */
#ifndef NET_NATS_BUCKET_BUCKET_H
#define NET_NATS_BUCKET_BUCKET_H

#include <stddef.h>
#include <stdint.h>

#include "glovebox/error.h"

struct net_bucket;

struct net_bucket_config {
    const char *url;             /* nats:// or tls:// */
    const char *token, *ca_path; /* or NULL */
};

struct net_bucket_api {
    int (*open)(struct net_bucket **bucket,
                const struct net_bucket_config *config, struct gbx_error *err);
    void (*close)(struct net_bucket *bucket);
    /* Returns 0 and *data for free(); NULL and revision 0: there is none;
     * GBX_EHOST. */
    int (*get)(struct net_bucket *bucket, const char *name, void **data,
               size_t *bytes, uint64_t *revision, struct gbx_error *err);
    /* Returns 0, and the new revision; GBX_ESTALE: it is another one's by now;
     * GBX_ELIMIT: too long, or the stream is full; GBX_EHOST: it may be there
     * or not. */
    int (*put)(struct net_bucket *bucket, const char *name, const void *data,
               size_t bytes, uint64_t *revision, struct gbx_error *err);
};

extern const struct net_bucket_api net_bucket_api;
#define NET_BUCKET_SYMBOL "net_bucket_api"

#endif
