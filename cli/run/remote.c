/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/cli.h"
#include "cli/run/remote.h"

enum {
    OPTION_REMOTE = 2048,
    OPTION_REMOTE_TOKEN,
    OPTION_REMOTE_CA,
    OPTION_REMOTE_HEARTBEAT,
    OPTION_IDEMPOTENT
};

static const struct argp_option options[] = {
    {"remote", OPTION_REMOTE, "URL", 0,
     "Run it on this host, a gloveboxd (ws://HOST:PORT, wss://HOST:PORT); may "
     "come again: each call goes to the one with least to do.  Means "
     "--isolation remote, where nothing else is said",
     0},
    {"remote-token", OPTION_REMOTE_TOKEN, "FILE", 0,
     "The first line of it is the token that these hosts want", 0},
    {"remote-ca", OPTION_REMOTE_CA, "FILE", 0,
     "Who signs their certificates (PEM); default: whom this computer trusts",
     0},
    {"remote-heartbeat", OPTION_REMOTE_HEARTBEAT, "TIME", 0,
     "They are asked how they are so often, and given up when they are silent "
     "for three times as long; default 5s",
     0},
    {"idempotent", OPTION_IDEMPOTENT, NULL, 0,
     "A call whose remote host is lost may be run again on another", 0},
    {0}};

static uint32_t heartbeat(const char *arg, struct argp_state *state)
{
    const uint64_t ns = cli_option_time("remote-heartbeat", arg, state);

    if (ns < 100000000 || ns > 3600000000000ull)
        argp_error(state, "--remote-heartbeat %s: 100ms to 1h", arg);
    return (uint32_t)(ns / 1000000);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct remotes *remotes = state->input;

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
    case OPTION_IDEMPOTENT:
        remotes->is_idempotent = 1;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp remotes_argp = {.options = options, .parser = parse};

void remotes_settle(const struct remotes *remotes,
                    struct gbx_script_config *script)
{
    if (remotes->count > 0 && script->isolation == GBX_ISOLATION_AUTO)
        script->isolation = GBX_ISOLATION_REMOTE;
    script->is_idempotent = remotes->is_idempotent;
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
