/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
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

/* Not on the command line, where everybody could read it. */
static int read_token(const char *path, char token[1024], struct gbx_error *err)
{
    FILE *file = fopen(path, "re");
    const char *why = file == NULL ? strerrordesc_np(errno) : NULL;

    token[0] = '\0';
    if (file != NULL && fgets(token, 1024, file) != NULL)
        token[strcspn(token, "\r\n")] = '\0';
    if (file != NULL)
        fclose(file);
    if (token[0] != '\0')
        return 0;
    *err = (struct gbx_error){.code = GBX_EARGUMENT};
    snprintf(err->what, sizeof(err->what), "--remote-token %.150s: %s", path,
             why != NULL ? why : "its first line is empty");
    return err->code;
}

int remotes_add(const struct remotes *remotes, struct gbx_runtime *runtime,
                struct gbx_error *err)
{
    char token[1024];
    int rc = 0;

    if (remotes->count > 0 && remotes->token_path != NULL)
        rc = read_token(remotes->token_path, token, err);
    for (size_t i = 0; i < remotes->count && rc == 0; i++)
        rc = gbx_runtime_add_host(
            runtime,
            &(struct gbx_host_config){
                .struct_bytes = sizeof(struct gbx_host_config),
                .url = remotes->urls[i],
                .token = remotes->token_path != NULL ? token : NULL,
                .ca_path = remotes->ca_path,
                .heartbeat_ms = remotes->heartbeat_ms},
            err);
    return rc;
}
