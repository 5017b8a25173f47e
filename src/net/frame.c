/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <string.h>

#include "net/frame.h"

static uint32_t get4(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t get8(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

static int bad(const char **what, const char *why)
{
    *what = why;
    return -1;
}

int frame_read(struct frame *frame, const uint8_t *data, size_t bytes,
               const char **what)
{
    uint32_t actor, port;

    if (memcmp(data, "GBX1", bytes < 4 ? bytes : 4) != 0)
        return bad(what, "no frame of version 1");
    if (bytes < FRAME_BYTES)
        return 0;
    port = data[7];
    actor = get4(data + 12);
    if (data[4] < FRAME_INPUT || data[4] > FRAME_ASK)
        return bad(what, "no such kind of frame");
    if (actor > FRAME_NAME_MAX)
        return bad(what, "an actor's id has at most 255 bytes");
    *frame = (struct frame){.kind = (enum frame_kind)data[4],
                            .type = data[5],
                            .flags = data[6],
                            .call = get4(data + 8),
                            .scalar = get8(data + 16),
                            .body_bytes = get8(data + 24)};
    if ((frame->call == 0) != (frame->kind == FRAME_HELLO))
        return bad(what, "a call's number is not 0, but for a HELLO");
    if (bytes < FRAME_BYTES + actor + port)
        return 0;
    memcpy(frame->actor, data + FRAME_BYTES, actor);
    memcpy(frame->port, data + FRAME_BYTES + actor, port);
    if (memchr(frame->actor, '\0', actor) != NULL ||
        memchr(frame->port, '\0', port) != NULL)
        return bad(what, "a name with a zero in it");
    return (int)(FRAME_BYTES + actor + port);
}

int frame_take(struct frame_head *head, struct frame *frame,
               const uint8_t **data, size_t *bytes)
{
    const size_t before = head->count;
    size_t more = sizeof(head->bytes) - before;
    const char *what;
    int length;

    more = more > *bytes ? *bytes : more;
    memcpy(head->bytes + before, *data, more);
    length = frame_read(frame, head->bytes, before + more, &what);
    if (length < 0 || (length == 0 && before + more == sizeof(head->bytes)))
        return -1;
    if (length > 0)
        more = (size_t)length - before;
    head->count += more;
    *data += more;
    *bytes -= more;
    return length > 0;
}

size_t frame_write(const struct frame *frame, uint8_t head[FRAME_HEAD_MAX])
{
    const size_t actor = strlen(frame->actor), port = strlen(frame->port);
    const uint32_t four[] = {htole32(frame->call), htole32((uint32_t)actor)};
    const uint64_t eight[] = {htole64(frame->scalar),
                              htole64(frame->body_bytes)};

    memcpy(head, "GBX1", 4);
    head[4] = (uint8_t)frame->kind;
    head[5] = frame->type;
    head[6] = frame->flags;
    head[7] = (uint8_t)port;
    memcpy(head + 8, four, sizeof(four));
    memcpy(head + 16, eight, sizeof(eight));
    memcpy(head + FRAME_BYTES, frame->actor, actor);
    memcpy(head + FRAME_BYTES + actor, frame->port, port);
    return FRAME_BYTES + actor + port;
}
