/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "net/outgoing.h"

struct outgoing *outgoing_new(const void *data, size_t bytes)
{
    struct outgoing *out = malloc(sizeof(*out) + LWS_PRE + bytes);

    if (out == NULL)
        return NULL;
    *out = (struct outgoing){.bytes = bytes, .own_bytes = bytes};
    memcpy(out->data + LWS_PRE, data, bytes);
    return out;
}

void outgoing_drop(struct outgoing *out)
{
    if (out == NULL)
        return;
    if (out->release != NULL)
        out->release(out->context, out->at > 0);
    free(out->copy);
    free(out);
}

bool outgoing_keep(struct outgoing *out)
{
    const size_t bytes = out->bytes - out->own_bytes;

    if (bytes > 0 && out->copy == NULL) {
        out->copy = malloc(bytes);
        if (out->copy == NULL)
            return false;
        memcpy(out->copy, out->lent, bytes);
        out->lent = out->copy;
    }
    out->release = NULL;
    return true;
}

uint8_t *outgoing_next(struct outgoing *out, struct outgoing_piece *piece,
                       size_t *bytes)
{
    uint8_t *to = piece->bytes + LWS_PRE;
    size_t count = out->bytes - out->at, own = 0;

    count = count > PIECE_BYTES ? PIECE_BYTES : count;
    *bytes = count;
    if (out->at + count <= out->own_bytes)
        return out->data + LWS_PRE + out->at;
    if (out->at < out->own_bytes) {
        own = out->own_bytes - out->at;
        memcpy(to, out->data + LWS_PRE + out->at, own);
    }
    memcpy(to + own, out->lent + (out->at + own - out->own_bytes), count - own);
    return to;
}

int outgoing_write(struct outgoing *out, struct lws *wsi, uint8_t *from,
                   size_t bytes)
{
    const int flags =
        lws_write_ws_flags(out->is_text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY,
                           out->at == 0, out->at + bytes == out->bytes);

    if (lws_write(wsi, from, bytes, (enum lws_write_protocol)flags) < 0)
        return -1;
    out->at += bytes;
    return 0;
}
