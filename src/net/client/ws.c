/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/client/ws.h"

#define FINAL    0x80u
#define RESERVED 0x70u
#define MASKED   0x80u

static bool is_control(enum ws_op op)
{
    return op >= WS_CLOSE;
}

/* How long the head is, once its first two bytes are there. */
static size_t head_length(const struct ws_reader *r)
{
    const uint8_t length = r->head[1] & 0x7f;

    return r->head_bytes < 2 ? 2 : length == 127 ? 10 : length == 126 ? 4 : 2;
}

/* Returns 0, or -1: no server may say so. */
static int take_head(struct ws_reader *r)
{
    const uint8_t length = r->head[1] & 0x7f;
    const unsigned op = r->head[0] & 0x0f;

    r->op = (enum ws_op)op;
    r->is_final = (r->head[0] & FINAL) != 0;
    r->left = length < 126 ? length : 0;
    for (size_t i = 2; i < r->head_bytes; i++)
        r->left = r->left << 8 | r->head[i];
    if ((r->head[0] & RESERVED) != 0 || (r->head[1] & MASKED) != 0 ||
        r->left >> 63 != 0)
        return -1;
    if (op > WS_BINARY && (op < WS_CLOSE || op > WS_PONG))
        return -1;
    if (is_control(r->op))
        return r->is_final && r->left <= WS_CONTROL_MAX ? 0 : -1;
    /* A message goes on, or another one begins; not both. */
    if ((op == WS_CONTINUATION) != (r->message != WS_CONTINUATION))
        return -1;
    if (op != WS_CONTINUATION)
        r->message = r->op;
    return 0;
}

static int read_head(struct ws_reader *r, const uint8_t **data, size_t *bytes)
{
    while (r->head_bytes < head_length(r)) {
        if (*bytes == 0)
            return 0;
        r->head[r->head_bytes++] = *(*data)++;
        (*bytes)--;
    }
    if (take_head(r) < 0)
        return -1;
    r->has_head = true;
    r->control_bytes = 0;
    return 1;
}

static void next_frame(struct ws_reader *r)
{
    r->has_head = false;
    r->head_bytes = 0;
}

/* It is handed out whole. */
static int read_control(struct ws_reader *r, size_t bytes, const uint8_t *data,
                        struct ws_part *part)
{
    memcpy(r->control + r->control_bytes, data, bytes);
    r->control_bytes += bytes;
    if (r->left > 0)
        return 0;
    *part = (struct ws_part){.op = r->op,
                             .data = r->control,
                             .bytes = r->control_bytes,
                             .is_last = true};
    next_frame(r);
    return 1;
}

int ws_read(struct ws_reader *r, const uint8_t **data, size_t *bytes,
            struct ws_part *part)
{
    const uint8_t *from;
    size_t count;
    int rc = r->has_head ? 1 : read_head(r, data, bytes);

    if (rc <= 0 || (*bytes == 0 && r->left > 0))
        return rc < 0 ? -1 : 0;
    from = *data;
    count = *bytes < r->left ? *bytes : (size_t)r->left;
    *data += count;
    *bytes -= count;
    r->left -= count;
    if (is_control(r->op))
        return read_control(r, count, from, part);
    *part = (struct ws_part){.op = r->message,
                             .data = from,
                             .bytes = count,
                             .is_last = r->left == 0 && r->is_final};
    if (part->is_last)
        r->message = WS_CONTINUATION;
    if (r->left == 0)
        next_frame(r);
    return 1;
}

size_t ws_write_head(uint8_t head[WS_HEAD_MAX], enum ws_op op, bool is_last,
                     uint64_t bytes, const uint8_t mask[WS_MASK_BYTES])
{
    const unsigned wide = bytes < 126 ? 0 : bytes <= 0xffff ? 2 : 8;
    size_t at = 2;

    head[0] = (uint8_t)((is_last ? FINAL : 0) | op);
    head[1] = (uint8_t)(MASKED | (wide == 0 ? bytes : wide == 2 ? 126u : 127u));
    for (unsigned i = wide; i > 0; i--)
        head[at++] = (uint8_t)(bytes >> (8 * (i - 1)));
    memcpy(head + at, mask, WS_MASK_BYTES);
    return at + WS_MASK_BYTES;
}

void ws_mask(uint8_t *to, const uint8_t *from, size_t bytes,
             const uint8_t mask[WS_MASK_BYTES])
{
    uint64_t wide, word;
    size_t at = 0;

    memcpy(&wide, mask, WS_MASK_BYTES);
    memcpy((uint8_t *)&wide + WS_MASK_BYTES, mask, WS_MASK_BYTES);
    for (; at + sizeof(word) <= bytes; at += sizeof(word)) {
        memcpy(&word, from + at, sizeof(word));
        word ^= wide;
        memcpy(to + at, &word, sizeof(word));
    }
    for (; at < bytes; at++)
        to[at] = from[at] ^ mask[at % WS_MASK_BYTES];
}

/* ---- the handshake's reply ---- */

/* A header's value, without blanks around it: how long, or -1. */
static int find(const char *text, const char *name, const char **value)
{
    const size_t length = strlen(name);
    const char *line = text, *end;

    while ((line = strstr(line, "\r\n")) != NULL) {
        line += 2;
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        *value = line + length + 1;
        *value += strspn(*value, " \t");
        end = strstr(*value, "\r\n");
        if (end == NULL)
            return -1;
        while (end > *value && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        return (int)(end - *value);
    }
    return -1;
}

int ws_read_reply(const char *text, const char *accept, bool *has_protocol)
{
    const char *value;
    int status, bytes;

    *has_protocol = false;
    if (strncmp(text, "HTTP/1.1 ", 9) != 0 &&
        strncmp(text, "HTTP/1.0 ", 9) != 0)
        return 0;
    status = atoi(text + 9);
    if (status < 100 || status > 599)
        return 0;
    if (status != 101)
        return status;
    bytes = find(text, "sec-websocket-accept", &value);
    if (bytes != (int)strlen(accept) ||
        memcmp(value, accept, (size_t)bytes) != 0 ||
        find(text, "sec-websocket-extensions", &value) > 0)
        return 0;
    *has_protocol = find(text, "sec-websocket-protocol", &value) > 0;
    return 101;
}
