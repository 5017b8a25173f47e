/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - what is longer than a message, in pieces. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/nats/bus.h"

#define PIECE_MS 10000

static size_t piece_bytes(struct bus *bus)
{
    const size_t most = bus_payload_max(bus);

    return most < NATS_PIECE_BYTES ? most : NATS_PIECE_BYTES;
}

static int send_piece(struct bus *bus, const char *head, uint64_t index,
                      const struct layout_body *body, const void *data,
                      size_t bytes, struct gbx_error *err)
{
    char subject[NATS_SUBJECT_MAX], value[NATS_DIGEST_CHARS + 32];
    const struct bus_field field = {NATS_BODY, value};
    struct layout_stored stored;
    natsMsg *reply = NULL;
    int rc;

    snprintf(subject, sizeof(subject), "%s.%llu", head,
             (unsigned long long)index);
    snprintf(value, sizeof(value), "%llu %s", (unsigned long long)body->bytes,
             body->digest);
    rc = bus_ask(bus, &reply, subject, &field, body->digest[0] != '\0', data,
                 bytes, PIECE_MS);
    errno = 0;
    if (rc < 0)
        return fail(err, rc == GBX_EUNSUPPORTED ? rc : GBX_EHOST,
                    rc == GBX_EUNSUPPORTED
                        ? "the stream for large bodies is gone: connect anew"
                        : "the NATS server does not answer");
    layout_stored(&stored, natsMsg_GetData(reply),
                  (size_t)natsMsg_GetDataLength(reply));
    natsMsg_Destroy(reply);
    return stored.code == 0
               ? 0
               : fail(err, GBX_ELIMIT,
                      "JetStream does not take a large body: %s", stored.what);
}

int bus_store(struct bus *bus, struct layout_body *body, const char *head,
              uint64_t bytes, bus_read_fn *read, void *context,
              struct gbx_error *err)
{
    const size_t most = piece_bytes(bus);
    uint8_t *piece = malloc(most), digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    uint64_t at = 0, index = 0;
    int rc = 0;

    if (piece == NULL || hash == NULL ||
        EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
        rc = fail(err, GBX_EHOST, "no memory for a large body");
    while (rc == 0 && (at < bytes || index == 0)) {
        const size_t count = bytes - at < most ? (size_t)(bytes - at) : most;

        read(context, at, piece, count);
        EVP_DigestUpdate(hash, piece, count);
        rc = send_piece(bus, head, index++, body, piece, count, err);
        at += count;
    }
    if (rc == 0) {
        body->bytes = bytes;
        EVP_DigestFinal_ex(hash, digest, NULL);
        for (size_t i = 0; i < NATS_DIGEST_CHARS / 2; i++)
            snprintf(body->digest + 2 * i, 3, "%02x", digest[i]);
    }
    EVP_MD_CTX_free(hash);
    free(piece);
    return rc;
}

static void read_bytes(void *context, uint64_t at, void *to, size_t bytes)
{
    memcpy(to, (const uint8_t *)context + at, bytes);
}

int bus_store_bytes(struct bus *bus, struct layout_body *body, const char *head,
                    const void *data, uint64_t bytes, struct gbx_error *err)
{
    /* It is only read. */
    return bus_store(bus, body, head, bytes, read_bytes,
                     (void *)(uintptr_t)data, err);
}

static int get_piece(struct bus *bus, natsMsg **piece, const char *stream,
                     const char *head, uint64_t index)
{
    char subject[2 * NATS_SUBJECT_MAX];
    int rc;

    snprintf(subject, sizeof(subject), "$JS.API.DIRECT.GET.%s.%s.%llu", stream,
             head, (unsigned long long)index);
    rc = bus_ask(bus, piece, subject, NULL, 0, "", 0, PIECE_MS);
    if (rc == 0 && bus_status(*piece) != 0) {
        natsMsg_Destroy(*piece);
        *piece = NULL;
        rc = GBX_EFILE;
    }
    return rc;
}

bool bus_has(struct bus *bus, const char *stream, const char *head)
{
    natsMsg *piece = NULL;
    const bool has = get_piece(bus, &piece, stream, head, 0) == 0;

    natsMsg_Destroy(piece);
    return has;
}

/* The first piece says what the whole is, where that is not known. */
static int learn(struct layout_body *body, natsMsg *piece)
{
    const char *text = bus_header(piece, NATS_BODY);

    if (body->bytes > 0)
        return 0;
    return text != NULL && layout_body(body, text) ? 0 : GBX_EFORMAT;
}

static int fetch(struct bus *bus, uint8_t **data, struct layout_body *body,
                 const char *stream, const char *head, uint64_t bytes_max)
{
    uint64_t at = 0, index = 0;
    int rc = 0;

    do {
        natsMsg *piece = NULL;
        size_t count = 0;

        rc = get_piece(bus, &piece, stream, head, index);
        if (rc == 0 && index == 0)
            rc = learn(body, piece);
        if (rc == 0 && body->bytes > bytes_max)
            rc = GBX_ELIMIT;
        if (rc == 0 && index++ == 0 &&
            (*data = malloc(body->bytes + 1)) == NULL)
            rc = GBX_EHOST;
        if (rc == 0)
            count = (size_t)natsMsg_GetDataLength(piece);
        if (rc == 0 && (count > body->bytes - at || count == 0))
            rc = body->bytes == 0 ? 0 : GBX_EFORMAT;
        if (rc == 0 && count > 0)
            memcpy(*data + at, natsMsg_GetData(piece), count);
        at += count;
        natsMsg_Destroy(piece);
    } while (rc == 0 && at < body->bytes);
    return rc;
}

int bus_fetch(struct bus *bus, uint8_t **data, struct layout_body *body,
              const char *stream, const char *head, uint64_t bytes_max,
              struct gbx_error *err)
{
    char digest[NATS_DIGEST_CHARS + 1];
    int rc;

    *data = NULL;
    rc = fetch(bus, data, body, stream, head, bytes_max);
    if (rc == 0) {
        layout_digest(*data, body->bytes, digest);
        if (strcmp(digest, body->digest) != 0)
            rc = GBX_EFORMAT;
    }
    if (rc == 0)
        return 0;
    free(*data);
    *data = NULL;
    errno = 0;
    return fail(err, rc == GBX_EUNSUPPORTED || rc == GBX_ETIME ? GBX_EHOST : rc,
                rc == GBX_EFILE     ? "%s is not there, or not all of it"
                : rc == GBX_EFORMAT ? "%s is not what its digest says"
                : rc == GBX_ELIMIT  ? "%s is longer than a body may be"
                                    : "%s: the NATS server does not give it",
                head);
}

void bus_forget(struct bus *bus, const char *stream, const char *filter)
{
    char subject[NATS_SUBJECT_MAX], body[NATS_SUBJECT_MAX + 32];

    snprintf(subject, sizeof(subject), "$JS.API.STREAM.PURGE.%s", stream);
    snprintf(body, sizeof(body), "{\"filter\":\"%s\"}", filter);
    bus_send(bus, subject, NULL, NULL, 0, body, strlen(body));
}
