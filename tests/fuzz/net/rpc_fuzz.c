/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_fuzz.c - any text as JSON-RPC: each has an answer, which is JSON. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "net/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static void answers(char *text)
{
    json_t *json = json_loads(text != NULL ? text : "", 0, NULL);

    must(json != NULL && json_object_get(json, "id") != NULL);
    json_decref(json);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    struct rpc_request request;
    int rc = rpc_read(&request, (const char *)data, count);

    answers(
        rpc_error(&request, rc, rc < 0 ? request.what : request.method, NULL));
    if (rc == 0)
        answers(rpc_result(&request, json_deep_copy(request.params)));
    rpc_fini(&request);
    return 0;
}
