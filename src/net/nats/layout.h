/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - what names.h says, read and written: names, heads and payloads.
 * All of it comes from whoever may publish: it is checked before it is used.
 *
 *  layout_head(&head, get, message, &what)     a call's headers
 *  layout_next(&part, data, bytes, &at, &what) the calls of its payload
 *
 * Threads: any.
 * Memory:  nothing is kept; what points, points into what was given.
 */
#ifndef NET_NATS_LAYOUT_H
#define NET_NATS_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/frame.h"
#include "net/nats/names.h"

/* A digest, as text. */
void layout_digest(const void *data, size_t bytes,
                   char hex[NATS_DIGEST_CHARS + 1]);
bool layout_is_hex(const char *text, size_t chars);
/* A name of a route: letters, digits, - and _. */
bool layout_is_route(const char *text);
/* 32 hex digits of chance; false: the host has none. */
bool layout_id(char id[NATS_ID_CHARS + 1]);

/* What lies elsewhere: "<bytes> <SHA-256>". */
struct layout_body {
    uint64_t bytes;
    char digest[NATS_DIGEST_CHARS + 1];
};
bool layout_body(struct layout_body *body, const char *text);

/* "<caller>.<serial>" */
struct layout_from {
    char caller[NATS_ID_CHARS + 1];
    uint64_t serial;
};
bool layout_from(struct layout_from *from, const char *text);

/* The headers of a message of calls. */
struct layout_head {
    struct layout_from from;
    char script[NATS_DIGEST_CHARS + 1]; /* or empty */
    bool has_body;
    struct layout_body body;
    uint64_t wait_ms; /* 0: not said */
    unsigned frames;
};
/* A header's value, or NULL. */
typedef const char *(*layout_get_fn)(void *message, const char *name);
/* False, and *what: it is none of ours.  *head has what could be read. */
bool layout_head(struct layout_head *head, layout_get_fn get, void *message,
                 const char **what);

/* Where a JetStream message came from: its reply subject, $JS.ACK... */
struct layout_ack {
    uint64_t delivered, sequence, stored_ns;
};
bool layout_ack(struct layout_ack *ack, const char *subject);

/* A subject of ours: glovebox.to.<id>.<kind>.<serial>; kind points into it. */
bool layout_subject(const char *subject, const char *head, const char *id,
                    const char **kind, size_t *kind_bytes, uint64_t *serial);

/* One call's frames in a payload. */
struct layout_part {
    struct frame first;
    const uint8_t *data; /* borrowed */
    size_t bytes;
    unsigned frames;
    uint64_t timeout_ms; /* 0: not said */
};

/*
 * The next call of a payload, at *at, of a caller or (is_result) a worker.
 * Returns 1; 0 at the end; -1, and *what is wrong.
 */
int layout_next(struct layout_part *part, bool is_result, const void *data,
                size_t bytes, size_t *at, const char **what);
/* The next frame: its body lies at *body.  Returns as next. */
int layout_frame(struct frame *frame, const uint8_t **body, const void *data,
                 size_t bytes, size_t *at, const char **what);

/* What the server says of what was published. */
struct layout_stored {
    uint64_t sequence;
    int code;       /* 0: it is stored; or JetStream's err_code, or 1 */
    char what[160]; /* what is wrong with it */
};
void layout_stored(struct layout_stored *stored, const void *data,
                   size_t bytes);

#endif
