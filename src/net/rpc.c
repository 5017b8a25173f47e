/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "net/rpc.h"

static int bad(struct rpc_request *request, int code, const char *what)
{
    snprintf(request->what, sizeof(request->what), "%s", what);
    return code;
}

int rpc_read(struct rpc_request *request, const char *text, size_t bytes)
{
    json_error_t error;
    const json_t *id;

    *request = (struct rpc_request){.method = ""};
    request->all = json_loadb(text, bytes,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (request->all == NULL) {
        snprintf(request->what, sizeof(request->what),
                 "Parse error: line %d, column %d: %s", error.line,
                 error.column, error.text);
        return RPC_PARSE;
    }
    if (!json_is_object(request->all))
        return bad(request, RPC_INVALID, "Invalid Request: no object");
    id = json_object_get(request->all, "id");
    if (json_is_string(id) || json_is_number(id))
        request->id = id;
    else if (id != NULL && !json_is_null(id))
        return bad(request, RPC_INVALID,
                   "Invalid Request: id is neither a string nor a number");
    if (strcmp(json_string_value(json_object_get(request->all, "jsonrpc")) !=
                       NULL
                   ? json_string_value(json_object_get(request->all, "jsonrpc"))
                   : "",
               "2.0") != 0)
        return bad(request, RPC_INVALID,
                   "Invalid Request: jsonrpc is not \"2.0\"");
    if (!json_is_string(json_object_get(request->all, "method")))
        return bad(request, RPC_INVALID, "Invalid Request: no method");
    request->method =
        json_string_value(json_object_get(request->all, "method"));
    request->params = json_object_get(request->all, "params");
    if (request->params != NULL && !json_is_object(request->params))
        return bad(request, RPC_INVALID,
                   "Invalid Request: params are no object");
    return 0;
}

void rpc_fini(struct rpc_request *request)
{
    json_decref(request->all);
    request->all = NULL;
}

/* Takes it. */
static char *write(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);

    json_decref(json);
    return text;
}

static json_t *answer(const struct rpc_request *request)
{
    json_t *json = json_pack("{s:s}", "jsonrpc", "2.0");

    json_object_set_new(json, "id",
                        request->id != NULL ? json_deep_copy(request->id)
                                            : json_null());
    return json;
}

char *rpc_result(const struct rpc_request *request, json_t *result)
{
    json_t *json = answer(request);

    json_object_set_new(json, "result", result);
    return write(json);
}

char *rpc_error(const struct rpc_request *request, int code,
                const char *message, json_t *data)
{
    json_t *json = answer(request), *error = json_object(),
           *text = json_string(message);

    json_object_set_new(error, "code", json_integer(code));
    /* A script's words need not be UTF-8. */
    json_object_set_new(error, "message",
                        text != NULL ? text : json_string("?"));
    if (data != NULL)
        json_object_set_new(error, "data", data);
    json_object_set_new(json, "error", error);
    return write(json);
}

char *rpc_notification(const char *method, json_t *params)
{
    json_t *json = json_pack("{s:s,s:s}", "jsonrpc", "2.0", "method", method);

    json_object_set_new(json, "params", params);
    return write(json);
}
