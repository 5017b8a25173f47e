/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "flow/kind/ports.h"

#define TIMEOUT_MS 30000
#define BACKOFF_MS 100

/* A port is its name, or an object that has it.  NULL with *rc 0: not told; an
 * empty list is what scripts have who say nothing. */
static const char **names(const json_t *list, int *rc)
{
    const size_t count = json_array_size(list);
    const char **made;

    *rc = 0;
    if (count == 0)
        return NULL;
    made = calloc(count + 1, sizeof(*made));
    if (made == NULL)
        *rc = GBX_EHOST;
    for (size_t i = 0; i < count && *rc == 0; i++) {
        const json_t *port = json_array_get(list, i);

        if (json_is_object(port))
            port = json_object_get(port, "name");
        made[i] = json_string_value(port);
        if (made[i] == NULL)
            *rc = GBX_EFORMAT;
    }
    return made;
}

int ports_read(struct ports *ports, const char *metadata)
{
    json_t *json = json_loads(metadata, 0, NULL);
    int rc = 0, rc_out = 0;

    *ports = (struct ports){.json = json};
    if (!json_is_object(json))
        return GBX_EFORMAT;
    ports->inports = names(json_object_get(json, "inports"), &rc);
    ports->outports = names(json_object_get(json, "outports"), &rc_out);
    ports->awaits_all =
        json_is_true(json_object_get(json, "await_all_inports"));
    return rc < 0 ? rc : rc_out;
}

void ports_fini(struct ports *ports)
{
    free(ports->inports);
    free(ports->outports);
    json_decref(ports->json);
    *ports = (struct ports){.json = NULL};
}

/* What a member is, where it is there.  Returns 0 or -1. */
static int take(const json_t *json, const char *name, uint64_t most,
                uint64_t *number)
{
    const json_t *value = json_object_get(json, name);

    if (value == NULL)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > most)
        return -1;
    *number = (uint64_t)json_integer_value(value);
    return 0;
}

static int take_priority(const json_t *json, uint8_t *priority)
{
    static const char *const names_of[] = {"high", "normal", "low"};
    const json_t *value = json_object_get(json, "priority");

    if (value == NULL)
        return 0;
    for (uint8_t i = 0; i < ARRAY_SIZE(names_of); i++)
        if (json_is_string(value) &&
            strcmp(json_string_value(value), names_of[i]) == 0) {
            *priority = i;
            return 0;
        }
    return -1;
}

static int take_state(const json_t *json, bool *keeps)
{
    const json_t *value = json_object_get(json, "state");
    const char *text = json_string_value(value);

    if (value == NULL)
        return 0;
    if (text == NULL)
        return -1;
    *keeps = strcmp(text, "persistent") == 0;
    return *keeps || strcmp(text, "memory") == 0 ? 0 : -1;
}

int node_options_read(struct node_options *options, const char *node,
                      const char *metadata, struct gbx_error *err)
{
    uint64_t retries = 0, backoff_ms = BACKOFF_MS, queue = 0,
             timeout_ms = TIMEOUT_MS;
    const struct {
        const char *name;
        uint64_t *number, most;
    } members[] = {
        {"retries", &retries, 1000000},
        {"backoff_ms", &backoff_ms, 3600000},
        {"queue", &queue, 1u << 20},
        {"timeout_ms", &timeout_ms, 86400000},
    };
    json_t *json = json_loads(metadata, JSON_REJECT_DUPLICATES, NULL);
    int rc = 0;

    *options = (struct node_options){.priority = 1};
    if (!json_is_object(json))
        rc = fail(err, GBX_EARGUMENT,
                  "node %s: its metadata are no JSON object", node);
    for (size_t i = 0; i < ARRAY_SIZE(members) && rc == 0; i++)
        if (take(json, members[i].name, members[i].most, members[i].number) < 0)
            rc = fail(err, GBX_EARGUMENT,
                      "node %s: metadata.%s: a whole number from 0 to %llu",
                      node, members[i].name,
                      (unsigned long long)members[i].most);
    if (rc == 0 && take_priority(json, &options->priority) < 0)
        rc = fail(err, GBX_EARGUMENT,
                  "node %s: metadata.priority: \"high\", \"normal\" or \"low\"",
                  node);
    if (rc == 0 && take_state(json, &options->keeps) < 0)
        rc =
            fail(err, GBX_EARGUMENT,
                 "node %s: metadata.state: \"memory\" or \"persistent\"", node);
    json_decref(json);
    options->retries = (uint32_t)retries;
    options->backoff_ns = backoff_ms * 1000000;
    options->queue = (uint32_t)queue;
    options->timeout_ns = timeout_ms * 1000000;
    return rc;
}
