/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define ROOM_FIRST 4096u

void bytes_put(struct bytes_out *out, const void *value, size_t count)
{
    size_t room = out->room == 0 ? ROOM_FIRST : out->room;
    uint8_t *bytes;

    if (out->failed || count == 0)
        return;
    while (room - out->count < count)
        room *= 2;
    if (room != out->room) {
        bytes = realloc(out->bytes, room);
        if (bytes == NULL) {
            out->failed = true;
            return;
        }
        out->bytes = bytes;
        out->room = room;
    }
    memcpy(out->bytes + out->count, value, count);
    out->count += count;
}

void bytes_put_number(struct bytes_out *out, uint64_t number)
{
    bytes_put(out, &number, sizeof(number));
}

void bytes_put_block(struct bytes_out *out, const void *block, size_t count)
{
    bytes_put_number(out, count);
    bytes_put(out, block, count);
}

void bytes_put_text(struct bytes_out *out, const char *text)
{
    bytes_put_block(out, text, text == NULL ? 0 : strlen(text) + 1);
}

void bytes_out_fini(struct bytes_out *out)
{
    free(out->bytes);
    *out = (struct bytes_out){0};
}

void bytes_take(struct bytes_in *in, void *value, size_t count)
{
    if (in->failed || (size_t)(in->end - in->at) < count) {
        in->failed = true;
        memset(value, 0, count);
        return;
    }
    memcpy(value, in->at, count);
    in->at += count;
}

uint64_t bytes_take_number(struct bytes_in *in)
{
    uint64_t number;

    bytes_take(in, &number, sizeof(number));
    return number;
}

const void *bytes_take_block(struct bytes_in *in, size_t *count)
{
    uint64_t wanted = bytes_take_number(in);
    const void *block = in->at;

    *count = 0;
    if (in->failed || wanted > (uint64_t)(in->end - in->at)) {
        in->failed = true;
        return NULL;
    }
    in->at += wanted;
    *count = wanted;
    return block;
}

const char *bytes_take_text(struct bytes_in *in)
{
    size_t count;
    const char *text = bytes_take_block(in, &count);

    if (count == 0)
        return NULL;
    if (text[count - 1] != '\0') {
        in->failed = true;
        return NULL;
    }
    return text;
}
