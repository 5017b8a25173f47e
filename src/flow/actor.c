/* SPDX-License-Identifier: Apache-2.0 */
/* actor.c - what an actor's run calls: glovebox/actor.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "flow/run.h"

int gbx_actor_input_at(const struct gbx_actor *actor, uint32_t index,
                       const char **port, struct gbx_message *message)
{
    if (index >= actor->input_count)
        return GBX_EAGAIN;
    *port = actor->node->inports[actor->ports[index]]->name;
    *message = actor->inputs[index].message;
    return 0;
}

int gbx_actor_input(const struct gbx_actor *actor, const char *port,
                    struct gbx_message *message)
{
    const char *name;

    for (uint32_t i = 0; i < actor->input_count; i++)
        if (gbx_actor_input_at(actor, i, &name, message) == 0 &&
            strcmp(name, port) == 0)
            return 0;
    return GBX_EAGAIN;
}

int gbx_actor_room(struct gbx_actor *actor, size_t bytes, void **room)
{
    struct body *body;

    *room = NULL;
    if (actor->room_count == GBX_ACTOR_ROOMS_MAX || bytes > GBX_BODY_BYTES_MAX)
        return GBX_ELIMIT;
    body = body_make(bytes);
    if (body == NULL)
        return GBX_EHOST;
    actor->rooms[actor->room_count++] = body;
    *room = body_bytes(body);
    return 0;
}

/* Where the message's body lies, if that is ours to hold. */
static struct body *body_of(const struct gbx_actor *actor,
                            const struct gbx_message *message)
{
    for (uint32_t i = 0; i < actor->input_count; i++)
        if (body_has(actor->inputs[i].body, message))
            return actor->inputs[i].body;
    for (uint32_t i = 0; i < actor->room_count; i++)
        if (body_has(actor->rooms[i], message))
            return actor->rooms[i];
    return NULL;
}

int gbx_actor_send_at(struct gbx_actor *actor, uint32_t port,
                      const struct gbx_message *message)
{
    if ((unsigned)message->type >= GBX_TYPE_COUNT ||
        message->body_bytes > GBX_BODY_BYTES_MAX)
        return GBX_EARGUMENT;
    if (port >= actor->node->outport_count)
        return GBX_EPORT;
    return run_send(actor, port, message, body_of(actor, message));
}

int gbx_actor_send(struct gbx_actor *actor, const char *port,
                   const struct gbx_message *message)
{
    const struct flow_node *node = actor->node;

    /* A native node's outports are its type's, and do not change. */
    for (uint32_t i = 0; i < node->outport_count; i++)
        if (strcmp(node->outports[i], port) == 0)
            return gbx_actor_send_at(actor, i, message);
    return GBX_EPORT;
}

int gbx_actor_fail(struct gbx_actor *actor, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(actor->reason, sizeof(actor->reason), format, arguments);
    va_end(arguments);
    return GBX_ESCRIPT;
}

void gbx_actor_wake_at(struct gbx_actor *actor, uint64_t at_ns)
{
    actor->node->wake_ns = at_ns;
}
