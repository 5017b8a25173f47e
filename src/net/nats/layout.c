/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "net/nats/layout.h"

static void write_hex(char *hex, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < count; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * count] = '\0';
}

void layout_digest(const void *data, size_t bytes,
                   char hex[NATS_DIGEST_CHARS + 1])
{
    uint8_t digest[EVP_MAX_MD_SIZE] = {0};

    EVP_Digest(data, bytes, digest, NULL, EVP_sha256(), NULL);
    write_hex(hex, digest, NATS_DIGEST_CHARS / 2);
}

bool layout_id(char id[NATS_ID_CHARS + 1])
{
    uint8_t bytes[NATS_ID_CHARS / 2];

    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        return false;
    write_hex(id, bytes, sizeof(bytes));
    return true;
}

bool layout_is_hex(const char *text, size_t chars)
{
    return strnlen(text, chars + 1) == chars &&
           strspn(text, "0123456789abcdef") == chars;
}

bool layout_is_route(const char *text)
{
    const size_t chars = strlen(text);

    return chars > 0 && chars <= NATS_ROUTE_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789-_") == chars;
}

/* A decimal number, and no more than that, up to `end`. */
static bool take_number(uint64_t *value, const char **at, char end)
{
    const char *from = *at;
    uint64_t sum = 0;

    for (; **at >= '0' && **at <= '9'; (*at)++) {
        const unsigned digit = (unsigned)(**at - '0');

        if (sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = 10 * sum + digit;
    }
    *value = sum;
    if (*at == from || **at != end)
        return false;
    if (end != '\0')
        (*at)++;
    return true;
}

bool layout_body(struct layout_body *body, const char *text)
{
    if (!take_number(&body->bytes, &text, ' ') ||
        !layout_is_hex(text, NATS_DIGEST_CHARS))
        return false;
    memcpy(body->digest, text, sizeof(body->digest));
    return true;
}

bool layout_from(struct layout_from *from, const char *text)
{
    const char *dot = strchr(text, '.');

    if (dot == NULL || dot - text != NATS_ID_CHARS)
        return false;
    memcpy(from->caller, text, NATS_ID_CHARS);
    from->caller[NATS_ID_CHARS] = '\0';
    dot++;
    return layout_is_hex(from->caller, NATS_ID_CHARS) &&
           take_number(&from->serial, &dot, '\0');
}

static bool bad(const char **what, const char *why)
{
    *what = why;
    return false;
}

bool layout_head(struct layout_head *head, layout_get_fn get, void *message,
                 const char **what)
{
    const char *from = get(message, NATS_FROM);
    const char *frames = get(message, NATS_FRAMES);
    const char *script = get(message, NATS_SCRIPT);
    const char *body = get(message, NATS_BODY);
    const char *wait = get(message, NATS_WAIT);
    uint64_t version;

    *head = (struct layout_head){0};
    if (from == NULL || !layout_from(&head->from, from)) {
        head->from = (struct layout_from){0};
        return bad(what, "Glovebox-From names no caller");
    }
    if (frames == NULL || !take_number(&version, &frames, '\0') ||
        version > UINT16_MAX)
        return bad(what, "Glovebox-Frames is no version");
    head->frames = (unsigned)version;
    if (head->frames != FRAME_VERSION)
        return true; /* who speaks that knows the rest */
    if (script != NULL && !layout_is_hex(script, NATS_DIGEST_CHARS))
        return bad(what, "Glovebox-Script is no digest");
    if (script != NULL)
        memcpy(head->script, script, sizeof(head->script));
    head->has_body = body != NULL;
    if (head->has_body && !layout_body(&head->body, body))
        return bad(what, "Glovebox-Body is no length and digest");
    if (wait != NULL && !take_number(&head->wait_ms, &wait, '\0'))
        return bad(what, "Glovebox-Wait is no number");
    return true;
}

/*
 * $JS.ACK.<stream>.<consumer>.<delivered>.<number>.<number>.<time>.<left>, or
 * newer: $JS.ACK.<domain>.<account>.<stream>. ... .<left>.<chance>
 */
bool layout_ack(struct layout_ack *ack, const char *subject)
{
    const char *parts[13];
    unsigned count = 0, from;
    uint64_t unused;

    if (strncmp(subject, "$JS.ACK.", 8) != 0)
        return false;
    for (const char *at = subject; at != NULL && count < 13;
         at = strchr(at, '.')) {
        at += *at == '.';
        parts[count++] = at;
    }
    if (count != 9 && count < 11)
        return false;
    from = count == 9 ? 4 : 6;
    return take_number(&ack->delivered, &parts[from], '.') &&
           take_number(&ack->sequence, &parts[from + 1], '.') &&
           take_number(&unused, &parts[from + 2], '.') &&
           take_number(&ack->stored_ns, &parts[from + 3], '.');
}

bool layout_subject(const char *subject, const char *head, const char *id,
                    const char **kind, size_t *kind_bytes, uint64_t *serial)
{
    const size_t head_bytes = strlen(head), id_bytes = strlen(id);
    const char *dot;

    if (strncmp(subject, head, head_bytes) != 0)
        return false;
    subject += head_bytes;
    if (strncmp(subject, id, id_bytes) != 0 || subject[id_bytes] != '.')
        return false;
    *kind = subject + id_bytes + 1;
    dot = strchr(*kind, '.');
    if (dot == NULL)
        return false;
    *kind_bytes = (size_t)(dot - *kind);
    dot++;
    return take_number(serial, &dot, '\0');
}

/* ---- payloads ---- */

static int wrong(const char **what, const char *why)
{
    *what = why;
    return -1;
}

int layout_frame(struct frame *frame, const uint8_t **body, const void *data,
                 size_t bytes, size_t *at, const char **what)
{
    const uint8_t *from = (const uint8_t *)data + *at;
    int head;

    if (*at == bytes)
        return 0;
    head = frame_read(frame, from, bytes - *at, what);
    if (head < 0)
        return -1;
    if (head == 0 || frame->body_bytes > bytes - *at - (size_t)head)
        return wrong(what, "the payload ends within a frame");
    *body = from + head;
    *at += (size_t)head + frame->body_bytes;
    return 1;
}

static bool is_last(const struct frame *frame, bool is_result)
{
    return is_result ? frame->kind == FRAME_DONE || frame->kind == FRAME_FAILED
                     : (frame->flags & FRAME_RUNS) != 0;
}

static bool may_be_in(const struct frame *frame, bool is_result)
{
    if (!is_result)
        return frame->kind == FRAME_INPUT;
    return frame->kind == FRAME_OUTPUT || frame->kind == FRAME_PRINT ||
           frame->kind == FRAME_DONE || frame->kind == FRAME_FAILED;
}

int layout_next(struct layout_part *part, bool is_result, const void *data,
                size_t bytes, size_t *at, const char **what)
{
    struct frame frame;
    const uint8_t *body;
    int rc;

    *part = (struct layout_part){.data = (const uint8_t *)data + *at};
    do {
        rc = layout_frame(&frame, &body, data, bytes, at, what);
        if (rc < 0 || (rc == 0 && part->frames == 0))
            return rc;
        if (rc == 0)
            return wrong(what, "the payload ends within a call");
        if (!may_be_in(&frame, is_result))
            return wrong(what, "a kind of frame that does not belong there");
        if (part->frames == 0)
            part->first = frame;
        if (frame.call != part->first.call)
            return wrong(what, "the frames of two calls are mixed");
        if (!is_result && (frame.actor[0] != '\0') != (part->frames == 0))
            return wrong(what, "a call's first frame names the actor");
        if (frame.flags & FRAME_HAS_TIMEOUT)
            part->timeout_ms = frame.scalar;
        part->frames++;
    } while (!is_last(&frame, is_result));
    part->bytes = (size_t)((const uint8_t *)data + *at - part->data);
    return 1;
}

void layout_stored(struct layout_stored *stored, const void *data, size_t bytes)
{
    json_t *said = json_loadb(data, bytes, 0, NULL);
    const json_t *error = json_object_get(said, "error");
    const json_t *sequence = json_object_get(said, "seq");
    const char *text = json_string_value(json_object_get(error, "description"));

    *stored = (struct layout_stored){0};
    if (json_is_integer(sequence) && error == NULL) {
        stored->sequence = (uint64_t)json_integer_value(sequence);
    } else {
        stored->code =
            (int)json_integer_value(json_object_get(error, "err_code"));
        if (stored->code <= 0)
            stored->code = 1;
        snprintf(stored->what, sizeof(stored->what), "%s",
                 text != NULL ? text : "it says nothing that makes sense");
    }
    json_decref(said);
}
