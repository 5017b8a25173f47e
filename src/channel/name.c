/* SPDX-License-Identifier: Apache-2.0 */
/* name.c - a descriptor's name: in it, or in a block of its own. */
#include <stdatomic.h>
#include <string.h>

#include "base/utf8.h"
#include "channel/channel.h"

/* Byte by byte: they are short, and were written just now, byte by byte. */
static bool is_name(const char *name, size_t bytes)
{
    size_t i = 0;

    while (i < bytes && (signed char)name[i] > 0)
        i++;
    return i == bytes || (memchr(name + i, 0, bytes - i) == NULL &&
                          utf8_valid(name + i, bytes - i));
}

int channel_put_name(struct channel *channel, struct gbx_descriptor *descriptor,
                     const char *name, size_t bytes, uint64_t deadline_ns)
{
    int rc;

    if (bytes > GBX_NAME_BYTES_MAX || !is_name(name, bytes))
        return GBX_EARGUMENT;
    memset(&descriptor->name, 0, sizeof(descriptor->name));
    descriptor->flags &= (uint16_t)~GBX_LONG_NAME;
    descriptor->name_bytes = (uint8_t)bytes;
    if (bytes <= GBX_NAME_INLINE_MAX) {
        memcpy(descriptor->name.text, name, bytes);
        return 0;
    }
    rc = channel_reserve(channel, bytes, deadline_ns, &descriptor->name.off);
    if (rc < 0)
        return rc;
    descriptor->flags |= GBX_LONG_NAME;
    memcpy(channel_at(channel, descriptor->name.off), name, bytes);
    return 0;
}

int channel_get_name(struct channel *channel,
                     const struct gbx_descriptor *descriptor,
                     char name[GBX_NAME_BYTES_MAX + 1])
{
    const size_t bytes = descriptor->name_bytes;

    if ((descriptor->flags & GBX_LONG_NAME) != 0) {
        memcpy(name, channel_at(channel, descriptor->name.off), bytes);
        channel_give(channel, descriptor->name.off);
    } else {
        memcpy(name, descriptor->name.text, bytes);
    }
    /* The copy is out of the peer's reach: the checks must look at it alone. */
    atomic_signal_fence(memory_order_acq_rel);
    name[bytes] = '\0';
    return is_name(name, bytes) ? 0 : GBX_EFORMAT;
}
