/* SPDX-License-Identifier: Apache-2.0 */
/* hosts.c - the other hosts of a runtime: those it was given, and those that
 * its rules name, when a script may go there. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "runtime/runtime.h"
#include "sandbox/remote/fleet.h"

#define TOKEN_BYTES 1024

static int read_token(const char *path, char token[TOKEN_BYTES],
                      struct gbx_error *err)
{
    FILE *file = fopen(path, "re");
    const char *why = file == NULL ? strerrordesc_np(errno) : NULL;

    token[0] = '\0';
    if (file != NULL && fgets(token, TOKEN_BYTES, file) != NULL)
        token[strcspn(token, "\r\n")] = '\0';
    if (file != NULL)
        fclose(file);
    if (token[0] != '\0')
        return 0;
    errno = 0;
    return fail(err, GBX_EFILE, "a host's token, %.150s: %s", path,
                why != NULL ? why : "its first line is empty");
}

static int add(struct gbx_runtime *runtime,
               const struct gbx_host_config *config, struct gbx_error *err)
{
    struct gbx_host_config host = *config;
    struct fleet *fleet = runtime->fleet;
    char token[TOKEN_BYTES];
    int rc = 0;

    if (fleet == NULL) {
        rc = fleet_open(&fleet, runtime->libexec_dir, err);
        runtime->fleet = fleet;
    }
    if (rc == 0 && config->token_path != NULL) {
        rc = read_token(config->token_path, token, err);
        host.token = token;
    }
    return rc == 0 ? fleet_add(fleet, &host, err) : rc;
}

int gbx_runtime_add_host(struct gbx_runtime *runtime,
                         const struct gbx_host_config *config,
                         struct gbx_error *err)
{
    int rc = error_check_bytes("gbx_host_config", config->struct_bytes,
                               sizeof(*config), err);

    if (rc < 0)
        return rc;
    if (config->url == NULL)
        return fail(err, GBX_EARGUMENT, "a host has a URL");
    if (config->token != NULL && config->token_path != NULL)
        return fail(err, GBX_EARGUMENT,
                    "a host's token is given, or its file, not both");
    pthread_mutex_lock(&runtime->hosts_lock);
    rc = add(runtime, config, err);
    pthread_mutex_unlock(&runtime->hosts_lock);
    return rc;
}

static bool may_go(const struct gbx_script_config *script)
{
    bool may = script->isolation == GBX_ISOLATION_REMOTE;

    for (uint32_t i = 0; i < GBX_ISOLATIONS; i++)
        may = may || script->route.allowed[i] == GBX_ISOLATION_REMOTE;
    return may;
}

int hosts_want(struct gbx_runtime *runtime,
               const struct gbx_script_config *script, struct gbx_error *err)
{
    const struct gbx_host_config *hosts;
    uint32_t count;
    int rc = 0;

    if (runtime->rules == NULL || !may_go(script))
        return 0;
    count = gbx_config_hosts(runtime->rules, &hosts);
    pthread_mutex_lock(&runtime->hosts_lock);
    while (rc == 0 && runtime->rule_hosts < count) {
        rc = add(runtime, &hosts[runtime->rule_hosts], err);
        runtime->rule_hosts += rc == 0;
    }
    pthread_mutex_unlock(&runtime->hosts_lock);
    return rc;
}

size_t gbx_runtime_hosts(struct gbx_runtime *runtime,
                         struct gbx_host_stats *stats, size_t room)
{
    struct fleet *fleet = runtime->fleet;

    return fleet != NULL ? fleet_stats(fleet, stats, room) : 0;
}
