/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller.c - one call of a script on a remote host, with a heartbeat of one's
 * choice; prints how it ended.
 *
 *   caller URL SCRIPT HEARTBEAT_MS
 */
#include <stdio.h>
#include <stdlib.h>

#include "glovebox/runtime.h"

static int call(struct gbx_runtime *runtime, const char *path,
                struct gbx_error *err)
{
    const struct gbx_script_config config = {.struct_bytes = sizeof(config),
                                             .isolation = GBX_ISOLATION_REMOTE};
    struct gbx_script *script;
    struct gbx_call *call;
    int rc = gbx_script_open(&script, runtime, path, &config, err);

    if (rc < 0)
        return rc;
    rc = gbx_call_begin(&call, script, 0, err);
    if (rc == 0) {
        rc = gbx_call_run(call, 0, err);
        gbx_call_finish(call);
    }
    gbx_script_close(script);
    return rc;
}

int main(int argc, char **argv)
{
    struct gbx_host_config host = {.struct_bytes = sizeof(host)};
    struct gbx_runtime *runtime;
    struct gbx_error err = {.what = ""};
    int rc;

    if (argc != 4)
        return 2;
    host.url = argv[1];
    host.heartbeat_ms = (uint32_t)atoi(argv[3]);
    if (gbx_runtime_open(&runtime, NULL, &err) < 0)
        return 1;
    rc = gbx_runtime_add_host(runtime, &host, &err);
    if (rc == 0)
        rc = call(runtime, argv[2], &err);
    gbx_runtime_close(runtime);
    printf("%s: %s\n", rc == 0 ? "OK" : gbx_error_name(rc), err.what);
    return 0;
}
