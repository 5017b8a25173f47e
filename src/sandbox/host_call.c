/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "sandbox/host_call.h"

int host_calls_add(struct host_calls *table, const char *name, gbx_host_fn fn,
                   void *context)
{
    size_t bytes = name != NULL ? strlen(name) : 0;
    struct host_call *call;

    if (bytes == 0 || bytes > HOST_CALL_NAME_MAX || fn == NULL)
        return GBX_EARGUMENT;
    if (host_calls_find(table, name) != NULL)
        return GBX_EARGUMENT;
    if (table->count == HOST_CALLS_MAX)
        return GBX_ELIMIT;
    call = &table->calls[table->count++];
    memcpy(call->name, name, bytes + 1);
    call->fn = fn;
    call->context = context;
    call->is_askers = call->is_secret = false;
    return 0;
}

int host_calls_add_asked(struct host_calls *table, const char *name,
                         gbx_host_fn fn, void *context)
{
    int rc = host_calls_add(table, name, fn, context);

    if (rc == 0)
        table->calls[table->count - 1].is_askers = true;
    return rc;
}

const struct host_call *host_calls_find(const struct host_calls *table,
                                        const char *name)
{
    for (uint32_t i = 0; i < table->count; i++)
        if (strcmp(table->calls[i].name, name) == 0)
            return &table->calls[i];
    return NULL;
}
