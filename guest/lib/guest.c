/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.c - the guest's channel: the shared code of src/channel.  How a guest
 * sleeps and wakes its host is in linux.c and wasm.c.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"

#include "guest.h"
#include "guest_private.h"

#define PRINT_BYTES 65536u /* in one descriptor */

static struct gbx_guest the_guest = {.bell_fd = -1};

static int bell_grow(void *context, uint64_t bytes)
{
    struct gbx_guest *guest = context;
    struct gbx_descriptor grow = {.kind = GBX_KIND_GROW, .scalar = bytes};
    struct gbx_descriptor answer;
    int rc = gbx_guest_ask(guest, &grow, &answer);

    if (rc < 0)
        return rc;
    if (answer.flags & GBX_IS_ERROR) {
        gbx_guest_give(guest, answer.body_off);
        return GBX_ELIMIT;
    }
    channel_grew(&guest->channel, answer.scalar);
    return 0;
}

int guest_begin(struct gbx_guest *guest, uint8_t *base, uint64_t half_bytes)
{
    const struct channel_config config = {
        .side = CHANNEL_GUEST,
        .base = base,
        .half_bytes = half_bytes,
        .bell = {.sleep = guest_sleep,
                 .ring = guest_ring,
                 .grow = bell_grow,
                 .context = guest},
    };

    channel_init(&guest->channel, &config);
    guest->window_bytes = 2 * half_bytes;
    return 0;
}

int gbx_guest_attach(struct gbx_guest **guest)
{
    must(the_guest.channel.config.base == NULL);
    *guest = &the_guest;
    return guest_map(&the_guest);
}

bool gbx_guest_is_detached(const struct gbx_guest *guest)
{
    return guest->detached;
}

/* What ends everything, seen after the channel was used. */
static int outcome(const struct gbx_guest *guest, int rc)
{
    return guest->lost ? GBX_EHOST : rc;
}

int gbx_guest_recv(struct gbx_guest *guest, struct gbx_descriptor *d)
{
    struct channel *channel = &guest->channel;
    int rc;

    if (guest->detached)
        return GBX_ECANCELED;
    channel->config.spin_ns =
        atomic_load_explicit(&channel->peer->spin_ns, memory_order_relaxed);
    rc = channel_recv(channel, d, 0);
    if (rc == 0)
        guest->call = d->call;
    return outcome(guest, rc);
}

int gbx_guest_try_recv(struct gbx_guest *guest, struct gbx_descriptor *d)
{
    int rc = channel_try_recv(&guest->channel, d);

    if (rc == 0)
        guest->call = d->call;
    return rc;
}

void *gbx_guest_at(const struct gbx_guest *guest, uint64_t off)
{
    return channel_at(&guest->channel, off);
}

uint64_t gbx_guest_off(const struct gbx_guest *guest, const void *place)
{
    /* As numbers: the place may be of any object. */
    uint64_t off = (uint64_t)(uintptr_t)place -
                   (uint64_t)(uintptr_t)guest->channel.config.base;

    return off < guest->window_bytes ? off : UINT64_MAX;
}

bool gbx_guest_is_mine(const struct gbx_guest *guest, uint64_t off)
{
    return off >= guest->channel.mine_off &&
           off - guest->channel.mine_off < guest->window_bytes / 2;
}

int gbx_guest_get_name(struct gbx_guest *guest, const struct gbx_descriptor *d,
                       char name[GBX_NAME_BYTES_MAX + 1])
{
    return channel_get_name(&guest->channel, d, name);
}

void gbx_guest_give(struct gbx_guest *guest, uint64_t off)
{
    if (!guest->detached && off != 0)
        channel_give(&guest->channel, off);
}

int gbx_guest_reserve(struct gbx_guest *guest, size_t bytes, uint64_t *off)
{
    int rc;

    if (guest->detached)
        return GBX_ECANCELED;
    rc = channel_try_reserve(&guest->channel, bytes, off);
    if (rc == GBX_EARENA)
        rc = channel_reserve(&guest->channel, bytes,
                             clock_now_ns() + GBX_GUEST_RESERVE_NS, off);
    return outcome(guest, rc);
}

void gbx_guest_drop(struct gbx_guest *guest, uint64_t off)
{
    if (!guest->detached)
        channel_drop(&guest->channel, off);
}

int gbx_guest_hold(struct gbx_guest *guest, uint64_t off, uint64_t bytes)
{
    if (guest->detached)
        return GBX_ECANCELED;
    return channel_hold(&guest->channel, off, bytes);
}

int gbx_guest_set_name(struct gbx_guest *guest, struct gbx_descriptor *d,
                       const char *name, size_t bytes)
{
    uint64_t deadline_ns;

    if (guest->detached)
        return GBX_ECANCELED;
    if (bytes > GBX_NAME_BYTES_MAX)
        return GBX_EARGUMENT;
    deadline_ns =
        bytes > GBX_NAME_INLINE_MAX ? clock_now_ns() + GBX_GUEST_RESERVE_NS : 0;
    return channel_put_name(&guest->channel, d, name, bytes, deadline_ns);
}

int gbx_guest_send(struct gbx_guest *guest, struct gbx_descriptor *d)
{
    if (guest->detached)
        return GBX_ECANCELED;
    d->call = guest->call;
    if (d->kind == GBX_KIND_DONE || d->kind == GBX_KIND_FAILED)
        d->handler_ns = guest->handler_ns;
    return outcome(guest, channel_send(&guest->channel, d, 0));
}

int gbx_guest_say(struct gbx_guest *guest, enum gbx_kind kind)
{
    struct gbx_descriptor d = {.kind = (uint8_t)kind};

    return gbx_guest_send(guest, &d);
}

int gbx_guest_send_copy(struct gbx_guest *guest, struct gbx_descriptor *d,
                        const void *body, size_t bytes)
{
    int rc;

    if (bytes > GBX_BODY_BYTES_MAX)
        return GBX_ELIMIT;
    d->body_bytes = (uint32_t)bytes;
    d->body_off = 0;
    if (bytes > 0) {
        rc = gbx_guest_reserve(guest, bytes, &d->body_off);
        if (rc < 0)
            return rc;
        memcpy(gbx_guest_at(guest, d->body_off), body, bytes);
    }
    rc = gbx_guest_send(guest, d);
    if (rc < 0 && bytes > 0)
        gbx_guest_drop(guest, d->body_off);
    return rc;
}

int gbx_guest_ask(struct gbx_guest *guest, struct gbx_descriptor *question,
                  struct gbx_descriptor *answer)
{
    int rc = gbx_guest_send(guest, question);

    if (rc < 0)
        return rc;
    rc = outcome(guest, channel_recv(&guest->channel, answer, 0));
    if (rc == 0 && answer->kind != GBX_KIND_ANSWER)
        return GBX_EBROKEN;
    return rc;
}

int gbx_guest_print(struct gbx_guest *guest, int stream, const char *text,
                    size_t bytes)
{
    while (bytes > 0) {
        size_t part = bytes < PRINT_BYTES ? bytes : PRINT_BYTES;
        struct gbx_descriptor d = {.kind = GBX_KIND_PRINT,
                                   .type = GBX_STREAM,
                                   .scalar = (uint64_t)stream};
        int rc = gbx_guest_send_copy(guest, &d, text, part);

        if (rc < 0)
            return rc;
        text += part;
        bytes -= part;
    }
    return 0;
}

void gbx_guest_took(struct gbx_guest *guest, uint64_t handler_ns)
{
    guest->handler_ns = handler_ns;
}

void gbx_guest_copied(struct gbx_guest *guest, uint64_t bytes)
{
    /* Only we write it, so a load and a store will do. */
    if (!guest->detached)
        atomic_store_explicit(
            &guest->channel.mine->copied_bytes,
            bytes + atomic_load_explicit(&guest->channel.mine->copied_bytes,
                                         memory_order_relaxed),
            memory_order_relaxed);
}

bool gbx_guest_is_copied(struct gbx_guest *guest, uint8_t seed[32])
{
    const struct gbx_half_head *head = guest->channel.peer;

    if (head->copy == guest->copy)
        return false;
    guest->copy = head->copy;
    memcpy(seed, head->seed, sizeof(head->seed));
    return true;
}
