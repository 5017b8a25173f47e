/* SPDX-License-Identifier: Apache-2.0 */
/* follow.c - a channel goes on where another one stood. */
#include <string.h>

#include "channel/channel.h"

void channel_follow(struct channel *channel, const struct channel *was)
{
    uint32_t ahead = was->ring_copied - was->ring_head;

    channel->ring_tail = was->ring_tail;
    channel->ring_head = was->ring_head;
    channel->give_tail = was->give_tail;
    channel->bell = was->bell;
    channel->ring_read = was->ring_read;
    channel->ring_copied = was->ring_copied;
    channel->give_head = was->give_head;
    channel->give_end = was->give_end;
    channel->peer_arena_bytes = was->peer_arena_bytes;
    channel->broken = was->broken;
    channel->arena.bytes = was->arena.bytes;
    channel->arena.count = was->arena.count;
    channel->arena.lent = was->arena.lent;
    /* Small after a load, and all there is to know of an arena. */
    memcpy(channel->arena.blocks, was->arena.blocks,
           was->arena.count * sizeof(struct arena_block));
    if (ahead > 0)
        memcpy(channel->ahead, was->ahead, sizeof(channel->ahead));
}
