/* SPDX-License-Identifier: Apache-2.0 */
/*
 * form.h - a form (multipart/form-data) that asks for a run, as it comes: its
 * fields are the members of the JSON of POST /v1/run; other fields are inputs,
 * by their ports' names: a file is bytes, as they are.
 *
 *  form_open(&form, type, most, &err);
 *  ... for each piece of the body:
 *  while ((rc = form_take(&form, &at, end, &err)) == FORM_LARGE)
 *      form_place(&form, call, left, &err);
 *  form_end(&form, &err);
 *
 * Threads: one at a time.
 * Memory:  what is not placed is kept, `most` bytes of it; it is the form's.
 */
#ifndef DAEMON_API_FORM_H
#define DAEMON_API_FORM_H

#include <jansson.h>
#include <stdbool.h>

#include "glovebox/call.h"
#include "net/body/multipart.h"

#define FORM_STREAMS_MAX 64u
#define FORM_LARGE       1 /* of form_take */

struct form {
    json_t *members; /* owned, with "inputs", when it is at its end */
    struct form_stream {
        char port[MULTIPART_NAME_MAX + 1];
        uint8_t *data; /* owned */
        size_t bytes;
    } streams[FORM_STREAMS_MAX]; /* bytes that were kept */
    size_t stream_count;

    /* Its own: */
    struct multipart reader;
    json_t *inputs;           /* owned: JSON, and texts */
    bool is_member, is_bytes; /* the part that is read; it is kept: */
    uint8_t *data;            /* owned */
    size_t bytes, room;
    struct gbx_call *call; /* or, it is written into this one's sandbox, at: */
    uint8_t *place;
    size_t place_bytes;
    uint64_t kept, most;
};

/* type: the body's; NULL: it is no form, but one input, for `port`, and all
 * that comes is its bytes.  Returns 0; GBX_EFORMAT, GBX_EHOST: it is to be
 * closed, too. */
int form_open(struct form *form, const char *type, const char *port,
              uint64_t most, struct gbx_error *err);
void form_close(struct form *form);

/* Some of the body; *at is moved behind what is read.  Returns 0: all of it;
 * FORM_LARGE: what comes is worth a place; GBX_EFORMAT, GBX_EARGUMENT;
 * GBX_ELIMIT: more than may be kept; GBX_EHOST. */
int form_take(struct form *form, const uint8_t **at, const uint8_t *end,
              struct gbx_error *err);

/* After FORM_LARGE: a call, and how much of the body is left at most.  It is
 * borrowed until form_end.  Returns as gbx_call_room. */
int form_place(struct form *form, struct gbx_call *call, uint64_t left,
               struct gbx_error *err);

/* The body is there.  Returns 0, GBX_EFORMAT or GBX_EARGUMENT. */
int form_end(struct form *form, struct gbx_error *err);

#endif
