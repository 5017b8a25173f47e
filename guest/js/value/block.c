/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block.c - memory of the region as an ArrayBuffer.
 *
 * The engine frees a buffer's memory through one function of its own; a buffer
 * whose memory lies in the region ends here instead, where the block is given
 * back.  The host's memory is read-only, so its buffers are made immutable by
 * the prelude (transferToImmutable): a script that writes to one gets a
 * TypeError.
 */
#include <stdlib.h>

#include "guest_js.h"

static struct block *living; /* all blocks */

static void unlist(struct block *block)
{
    *block->prev = block->next;
    if (block->next != NULL)
        block->next->prev = block->prev;
}

static struct block *block_new(uint32_t address, uint32_t bytes)
{
    struct block *block = calloc(1, sizeof(*block));

    if (block == NULL)
        return NULL;
    block->address = address;
    block->bytes = bytes;
    block->holders = 1;
    block->next = living;
    block->prev = &living;
    if (living != NULL)
        living->prev = &block->next;
    living = block;
    return block;
}

void block_give(struct block *block)
{
    struct block *owner = block->owner;

    if (--block->holders > 0)
        return;
    unlist(block);
    if (owner != NULL)
        block_give(owner);
    else if (block->is_mine)
        gbx_guest_drop(program.guest, block->off);
    else
        gbx_guest_give(program.guest, block->off);
    free(block);
}

bool native_release(uint32_t address)
{
    for (struct block *b = living; b != NULL; b = b->next)
        if (b->address == address) {
            block_give(b);
            return true;
        }
    return address >= engine.heap_max;
}

struct block *block_hold(const struct gbx_descriptor *d)
{
    const void *body = gbx_guest_at(program.guest, d->body_off);
    struct block *block = block_new(engine_address(body), d->body_bytes);

    if (block == NULL) {
        gbx_guest_give(program.guest, d->body_off);
        raise_error("InternalError", "no memory for a message");
        return NULL;
    }
    block->off = d->body_off;
    block->type = d->type;
    block->body_bytes = d->body_bytes;
    return block;
}

js_value block_buffer(struct block *block, uint32_t skipped)
{
    js_value buffer;

    block->address += skipped;
    block->bytes -= skipped;
    buffer = js_new_buffer(block->address, block->bytes);
    if (buffer == JS_NONE)
        block_give(block);
    return buffer;
}

js_value block_part(struct block *owner, const void *data, uint32_t bytes)
{
    struct block *part = block_new(engine_address(data), bytes);

    if (part == NULL) {
        raise_error("InternalError", "no memory for a message");
        return JS_NONE;
    }
    owner->holders++;
    part->owner = owner;
    part->type = GBX_ANY; /* of no use to anybody but as bytes */
    return block_buffer(part, 0);
}

js_value block_of_mine(uint64_t bytes, uint8_t dtype)
{
    struct block *block;
    uint64_t off;
    int rc = bytes > GBX_BODY_BYTES_MAX - BLOCK_HEAD_ROOM
                 ? GBX_ELIMIT
                 : gbx_guest_reserve(program.guest,
                                     (size_t)bytes + BLOCK_HEAD_ROOM, &off);

    if (rc < 0) {
        raise_code(rc, "", (size_t)bytes);
        return JS_NONE;
    }
    block = block_new(
        engine_address(gbx_guest_at(program.guest, off + BLOCK_HEAD_ROOM)),
        (uint32_t)bytes);
    if (block == NULL) {
        gbx_guest_drop(program.guest, off);
        raise_error("InternalError", "no memory for a buffer");
        return JS_NONE;
    }
    block->off = off;
    block->is_mine = true;
    block->dtype = dtype;
    return block_buffer(block, 0);
}

struct block *block_find(uint32_t address, uint32_t bytes)
{
    if (address < engine.heap_max || bytes == 0)
        return NULL; /* nearly always: no memory of the region */
    for (struct block *b = living; b != NULL; b = b->next)
        if (address >= b->address &&
            (uint64_t)address + bytes <= (uint64_t)b->address + b->bytes)
            return b->owner != NULL ? b->owner : b;
    return NULL;
}
