/* SPDX-License-Identifier: Apache-2.0 */
/* reflow_call.c - a call becomes a "process", and is its actor's only one. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "glovebox/message.h"
#include "sandbox/remote/reflow.h"

static json_t *payload(struct remote *self)
{
    json_t *all = json_object();

    for (unsigned i = 0; i < self->input_count; i++) {
        const struct remote_input *input = &self->inputs[i];
        const struct gbx_descriptor *d = &input->descriptor;
        struct gbx_message message = {.type = d->type,
                                      .flags = d->flags & GBX_TYPED};
        char *text;

        if (d->kind == GBX_KIND_CALL && (d->flags & GBX_HAS_MESSAGE) == 0)
            continue;
        if (d->type == GBX_BOOLEAN)
            message.scalar.boolean = d->scalar != 0;
        else
            memcpy(&message.scalar, &d->scalar, sizeof(d->scalar));
        if (d->body_bytes > 0) {
            message.body = channel_at(&self->guest, d->body_off);
            message.body_bytes = d->body_bytes;
        }
        if (gbx_message_to_json(&text, &message, GBX_JSON_PLAIN, NULL) < 0) {
            json_decref(all);
            return NULL;
        }
        json_object_set_new(
            all, input->port,
            json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
        free(text);
    }
    return all;
}

static json_int_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (json_int_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int reflow_call_locked(struct remote *self, net_release_fn release)
{
    const struct host_script *loaded =
        host_script_locked(self->host, self->script);
    json_t *inputs = payload(self);
    char id[32];
    int rc;

    if (inputs == NULL) {
        remote_end(self, GBX_EFORMAT,
                   "an input has no JSON, which a Reflow runtime speaks");
        return GBX_EFORMAT;
    }
    snprintf(id, sizeof(id), "c%u", self->call);
    rc = reflow_send(
        self->host,
        reflow_request(
            id, "process",
            json_pack("{s:o,s:{},s:{s:s,s:s,s:s},s:s,s:I}", "payload", inputs,
                      "config", "state", "namespace", "default", "actor_id",
                      loaded->actor, "redis_url", "redis://localhost:6379",
                      "actor_id", loaded->actor, "timestamp", now_ms())),
        release, self);
    if (self->host->running == NULL)
        self->host->running = json_object();
    if (rc == 0)
        json_object_set_new(self->host->running, loaded->actor,
                            json_integer(self->call));
    return rc;
}

/* Until its result is there, also where nobody waits for it any more. */
bool reflow_is_taken_locked(struct fleet_host *host,
                            const struct fleet_script *script)
{
    const struct host_script *loaded = host_script_locked(host, script);

    return loaded != NULL &&
           json_object_get(host->running, loaded->actor) != NULL;
}

void reflow_note_result_locked(struct fleet_host *host, uint32_t call)
{
    const char *actor;
    json_t *running;
    void *next;

    json_object_foreach_safe(host->running, next, actor, running)
    {
        if ((uint32_t)json_integer_value(running) == call)
            json_object_del(host->running, actor);
    }
}
