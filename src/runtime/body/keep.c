/* SPDX-License-Identifier: Apache-2.0 */
/* keep.c - an output's body stays when its call is over. */
#include <string.h>

#include "base/error.h"
#include "channel/body/keep.h"
#include "runtime/runtime.h"
#include "sandbox/borrow.h"

static struct call_output *find(struct gbx_call *call,
                                const struct gbx_message *message)
{
    for (uint32_t i = call->output_count; message->body != NULL && i > 0; i--)
        if (call->outputs[i - 1].message.body == message->body &&
            call->outputs[i - 1].message.body_bytes == message->body_bytes)
            return &call->outputs[i - 1];
    return NULL;
}

static int copy(struct gbx_call *call, const struct gbx_message *message,
                struct gbx_body **body, const void **data,
                struct gbx_error *err)
{
    void *to;
    int rc = gbx_body_make(body, message->body_bytes, &to, err);

    if (rc < 0)
        return rc;
    memcpy(to, message->body, message->body_bytes);
    call->sandbox->channel.count.copied_bytes += message->body_bytes;
    *data = to;
    return 0;
}

int gbx_call_keep(struct gbx_call *call, const struct gbx_message *message,
                  struct gbx_body **body, const void **data,
                  struct gbx_error *err)
{
    struct region *region = &call->sandbox->region;
    const struct gbx_message said = *message; /* data may be its body */
    struct call_output *output = find(call, message);
    uint64_t most = (region->half_bytes - GBX_ARENA_OFF) / 2;

    *body = NULL;
    *data = NULL;
    if (output == NULL)
        return fail(err, GBX_EARGUMENT, "this call has no such output");
    if (output->body_off == 0)
        return copy(call, &said, body, data, err);
    *data = said.body;
    *body = borrow_find(call->sandbox, output->body_off);
    if (*body != NULL) { /* it is somebody else's, and passed on */
        gbx_body_get(*body);
        return 0;
    }
    sandbox_take_back(call->sandbox);
    *body = keep_body(region, output->body_off, said.body_bytes, most);
    if (*body == NULL)
        return copy(call, &said, body, data, err);
    output->body_off = 0;
    return 0;
}
