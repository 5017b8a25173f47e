/* SPDX-License-Identifier: Apache-2.0 */
/*
 * said.c - what a script said of itself when it was loaded, for those that are
 * made without loading it: from the cache, or as another's branch.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

void said_put(const struct gbx_script *script, struct bytes_out *out)
{
    uint64_t count = 0;

    bytes_put_text(out, script->metadata);
    while (script->inports != NULL && script->inports[count] != NULL)
        count++;
    bytes_put_number(out, script->inports == NULL ? UINT64_MAX : count);
    for (uint64_t i = 0; i < count && script->inports != NULL; i++)
        bytes_put_text(out, script->inports[i]);
}

/* In one piece, as report.c makes them. */
static char **take_inports(struct bytes_in *in, uint64_t count)
{
    const struct bytes_in from = *in;
    size_t bytes = 0;
    char **ports, *at;

    if (count > SCRIPT_PORTS_MAX)
        return NULL;
    for (uint64_t i = 0; i < count; i++) {
        const char *port = bytes_take_text(in);

        if (port == NULL)
            return NULL;
        bytes += strlen(port) + 1;
    }
    ports = malloc((count + 1) * sizeof(*ports) + bytes);
    if (ports == NULL)
        return NULL;
    *in = from;
    at = (char *)(ports + count + 1);
    for (uint64_t i = 0; i < count; i++) {
        const char *port = bytes_take_text(in);

        ports[i] = at;
        strcpy(at, port);
        at += strlen(at) + 1;
    }
    ports[count] = NULL;
    return ports;
}

bool said_take(struct gbx_script *script, const struct bytes_out *said)
{
    struct bytes_in in = {said->bytes, said->bytes + said->count, false};
    const char *metadata = bytes_take_text(&in);
    uint64_t count = bytes_take_number(&in);

    if (in.failed || metadata == NULL)
        return false;
    script->metadata = strdup(metadata);
    if (count != UINT64_MAX)
        script->inports = take_inports(&in, count);
    if (script->metadata != NULL &&
        (count == UINT64_MAX || script->inports != NULL))
        return true;
    free(script->metadata);
    free(script->inports);
    script->metadata = NULL;
    script->inports = NULL;
    return false;
}
