/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller.c - calls of a script on a remote host, with a heartbeat of one's
 * choice; prints the ports that each has sent to, and how it ended.
 *
 *   caller URL SCRIPT HEARTBEAT_MS [TIMEOUT_MS ...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "glovebox/runtime.h"

static uint64_t deadline_of(const char *timeout_ms)
{
    struct timespec now;

    if (timeout_ms == NULL)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec +
           strtoull(timeout_ms, NULL, 10) * 1000000u;
}

static void call(struct gbx_script *script, const char *timeout_ms)
{
    struct gbx_error err = {.what = ""};
    struct gbx_message message;
    struct gbx_call *call;
    const char *port;
    int rc = gbx_call_begin(&call, script, 0, &err);

    if (rc == 0) {
        rc = gbx_call_run(call, deadline_of(timeout_ms), &err);
        while (gbx_call_next(call, &port, &message) == 0)
            printf("%s ", port);
        gbx_call_finish(call);
    }
    printf("%s: %s\n", rc == 0 ? "OK" : gbx_error_name(rc), err.what);
}

int main(int argc, char **argv)
{
    const struct gbx_script_config config = {.struct_bytes = sizeof(config),
                                             .isolation = GBX_ISOLATION_REMOTE};
    struct gbx_host_config host = {.struct_bytes = sizeof(host)};
    struct gbx_runtime *runtime;
    struct gbx_script *script;
    struct gbx_error err = {.what = ""};
    int rc;

    if (argc < 4)
        return 2;
    host.url = argv[1];
    host.heartbeat_ms = (uint32_t)atoi(argv[3]);
    if (gbx_runtime_open(&runtime, NULL, &err) < 0)
        return 1;
    rc = gbx_runtime_add_host(runtime, &host, &err);
    if (rc == 0)
        rc = gbx_script_open(&script, runtime, argv[2], &config, &err);
    if (rc == 0) {
        for (int i = 4; i < argc || i == 4; i++)
            call(script, i < argc ? argv[i] : NULL);
        gbx_script_close(script);
    } else {
        printf("%s: %s\n", gbx_error_name(rc), err.what);
    }
    gbx_runtime_close(runtime);
    return 0;
}
