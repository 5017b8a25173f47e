/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c - glovebox/actor_state.h: the questions that scripts ask of their
 * state (store/calls.c), asked by a run.
 */
#include <string.h>

#include "base/error.h"
#include "flow/node/value.h"
#include "flow/run.h"

/* An array of so many, the first of them a key. */
static struct gbx_builder *begin(struct gbx_actor *actor, uint64_t count,
                                 const char *key)
{
    struct node_state *state = actor->node->memory;

    if (state == NULL)
        state = actor->node->memory = node_state_make();
    if (state == NULL)
        return NULL;
    actor->journal.store = &state->store;
    gbx_builder_fini(&state->question);
    gbx_builder_fini(&state->answer);
    gbx_builder_init(&state->question);
    gbx_builder_init(&state->answer);
    gbx_build_array(&state->question, count);
    gbx_build_text(&state->question, key, strlen(key));
    return &state->question;
}

/* The first item of the answer. */
static int ask(struct gbx_actor *actor, const char *call, struct gbx_item *item)
{
    struct node_state *state = actor->node->memory;
    struct gbx_error err = {.what = ""};
    struct gbx_message question, answer;
    struct gbx_reader r;
    int rc;

    if (state == NULL)
        rc = fail(&err, GBX_EHOST, "%s: no memory", call);
    else if ((rc = gbx_builder_message(&state->question, GBX_ARRAY,
                                       &question)) < 0)
        fail(&err, rc, "%s: a key or value: %s", call, gbx_strerror(rc));
    if (rc == 0)
        rc = store_call_find(call)->fn(&actor->journal, &question,
                                       &state->answer, &err);
    if (rc == 0)
        rc = gbx_builder_message(&state->answer, GBX_ANY, &answer);
    if (rc < 0) {
        gbx_actor_fail(actor, "%s", err.what);
        return rc;
    }
    gbx_reader_init(&r, answer.body, answer.body_bytes);
    return gbx_read(&r, item);
}

/* The answer is [] or [value]: both heads are one byte. */
static int ask_value(struct gbx_actor *actor, const char *call, const char *key,
                     struct gbx_message *value)
{
    const struct gbx_builder *answer;
    struct gbx_item item;
    int rc;

    begin(actor, 1, key);
    rc = ask(actor, call, &item);
    if (rc < 0)
        return rc;
    if (item.count == 0)
        return GBX_EAGAIN;
    answer = &actor->node->memory->answer;
    return node_value_read(value, answer->bytes + 1, answer->count - 1, NULL);
}

int gbx_actor_state_get(struct gbx_actor *actor, const char *key,
                        struct gbx_message *value)
{
    return ask_value(actor, "state.get", key, value);
}

int gbx_actor_state_pop(struct gbx_actor *actor, const char *key,
                        struct gbx_message *value)
{
    return ask_value(actor, "state.pop", key, value);
}

static int ask_with(struct gbx_actor *actor, const char *call, const char *key,
                    const struct gbx_message *value, uint64_t *count)
{
    struct gbx_builder *question = begin(actor, 2, key);
    struct gbx_item item = {.kind = GBX_ITEM_NULL};
    int rc;

    if (question != NULL)
        node_value_build(question, value);
    rc = ask(actor, call, &item);
    if (rc == 0 && count != NULL)
        *count = (uint64_t)item.value.integer;
    return rc;
}

int gbx_actor_state_set(struct gbx_actor *actor, const char *key,
                        const struct gbx_message *value)
{
    return ask_with(actor, "state.set", key, value, NULL);
}

int gbx_actor_state_push(struct gbx_actor *actor, const char *key,
                         const struct gbx_message *value, uint64_t *count)
{
    return ask_with(actor, "state.push", key, value, count);
}

int gbx_actor_state_extend(struct gbx_actor *actor, const char *key,
                           const struct gbx_message *values, uint64_t *count)
{
    return ask_with(actor, "state.extend", key, values, count);
}

int gbx_actor_state_increment(struct gbx_actor *actor, const char *key,
                              int64_t by, int64_t *sum)
{
    const struct gbx_message value = {.type = GBX_INTEGER,
                                      .scalar.integer = by};
    struct gbx_builder *question = begin(actor, 2, key);
    struct gbx_item item;
    int rc;

    if (question != NULL)
        node_value_build(question, &value);
    rc = ask(actor, "state.increment", &item);
    if (rc == 0 && item.kind != GBX_ITEM_INTEGER) {
        gbx_actor_fail(actor, "state.increment: \"%s\" holds a Float", key);
        rc = GBX_EARGUMENT;
    }
    if (rc == 0 && sum != NULL)
        *sum = item.value.integer;
    return rc;
}

static int ask_whether(struct gbx_actor *actor, const char *call,
                       const char *key)
{
    struct gbx_item item;
    int rc;

    begin(actor, 1, key);
    rc = ask(actor, call, &item);
    return rc < 0 ? rc : item.value.boolean;
}

int gbx_actor_state_delete(struct gbx_actor *actor, const char *key)
{
    return ask_whether(actor, "state.delete", key);
}

int gbx_actor_state_exists(struct gbx_actor *actor, const char *key)
{
    return ask_whether(actor, "state.exists", key);
}

int gbx_actor_state_expire(struct gbx_actor *actor, const char *key,
                           double seconds)
{
    struct gbx_builder *question = begin(actor, 2, key);
    struct gbx_item item;
    int rc;

    if (question != NULL)
        gbx_build_float(question, seconds);
    rc = ask(actor, "state.expire", &item);
    return rc < 0 ? rc : item.value.boolean;
}

int gbx_actor_state_ttl(struct gbx_actor *actor, const char *key,
                        int64_t *seconds)
{
    struct gbx_item item;
    int rc;

    begin(actor, 1, key);
    rc = ask(actor, "state.ttl", &item);
    if (rc == 0)
        *seconds = item.value.integer;
    return rc;
}

int gbx_actor_state_keys(struct gbx_actor *actor, const char *pattern,
                         struct gbx_message *keys)
{
    struct gbx_item item;
    int rc;

    begin(actor, 1, pattern);
    rc = ask(actor, "state.keys", &item);
    if (rc < 0)
        return rc;
    return gbx_builder_message(&actor->node->memory->answer, GBX_ARRAY, keys);
}

int run_settle(struct gbx_actor *actor, int rc)
{
    struct gbx_error err = {.what = ""};

    if (rc < 0) {
        store_journal_end(&actor->journal, false);
        return rc;
    }
    rc = store_journal_commit(&actor->journal, &err);
    return rc < 0 ? (gbx_actor_fail(actor, "%s", err.what), rc) : 0;
}
