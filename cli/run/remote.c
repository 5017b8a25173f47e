/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/cli.h"
#include "cli/run/remote.h"

static uint32_t heartbeat(const char *arg, struct argp_state *state)
{
    const uint64_t ns = cli_option_time("remote-heartbeat", arg, state);

    if (ns < 100000000 || ns > 3600000000000ull)
        argp_error(state, "--remote-heartbeat %s: 100ms to 1h", arg);
    return (uint32_t)(ns / 1000000);
}

error_t remotes_parse(struct remotes *remotes, int key, char *arg,
                      struct argp_state *state)
{
    switch (key) {
    case OPTION_REMOTE:
        if (remotes->count == REMOTES_MAX)
            argp_error(state, "more than %u times --remote", REMOTES_MAX);
        remotes->urls[remotes->count++] = arg;
        return 0;
    case OPTION_REMOTE_TOKEN:
        remotes->token_path = arg;
        return 0;
    case OPTION_REMOTE_CA:
        remotes->ca_path = arg;
        return 0;
    case OPTION_REMOTE_HEARTBEAT:
        remotes->heartbeat_ms = heartbeat(arg, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int remotes_add(const struct remotes *remotes, struct gbx_runtime *runtime,
                struct gbx_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < remotes->count && rc == 0; i++)
        rc = gbx_runtime_add_host(
            runtime,
            &(struct gbx_host_config){
                .struct_bytes = sizeof(struct gbx_host_config),
                .url = remotes->urls[i],
                .ca_path = remotes->ca_path,
                .heartbeat_ms = remotes->heartbeat_ms,
                /* Not a word of ours, which everybody could read. */
                .token_path = remotes->token_path},
            err);
    return rc;
}
