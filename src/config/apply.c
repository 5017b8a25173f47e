/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.c - what holds for a script: the defaults, and over them, field by
 * field, each rule that matches its path and its actor's name, in their order.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "config/config.h"
#include "config/text/pattern.h"

#define ROUTE_FIELDS                                                           \
    (1u << CONFIG_TRUST | 1u << CONFIG_ISOLATION | 1u << CONFIG_FLOOR)

char *config_real_path(const char *path)
{
    char *real = realpath(path, NULL), *here, *joined;

    if (real != NULL || path[0] == '/')
        return real != NULL ? real : strdup(path);
    here = realpath(".", NULL);
    if (here == NULL)
        return NULL;
    joined = malloc(strlen(here) + strlen(path) + 2);
    if (joined != NULL) {
        strcpy(joined, here);
        strcat(joined, "/");
        strcat(joined, strncmp(path, "./", 2) == 0 ? path + 2 : path);
    }
    free(here);
    return joined;
}

/* Relative ones are below the file's folder, whose name is no pattern. */
static bool matches_path(const struct gbx_config *config, const char *match,
                         const char *path)
{
    const size_t bytes = strlen(config->folder);
    const bool is_root = bytes == 1;

    if (match[0] == '/')
        return pattern_matches(match, path);
    if (strncmp(match, "./", 2) == 0)
        match += 2;
    return strncmp(path, config->folder, bytes) == 0 &&
           (is_root || path[bytes] == '/') &&
           pattern_matches(match, path + bytes + !is_root);
}

static bool matches(const struct gbx_config *config,
                    const struct config_rule *rule, const char *path,
                    const char *actor)
{
    if (rule->actor != NULL &&
        (actor == NULL || strcmp(rule->actor, actor) != 0))
        return false;
    return rule->match == NULL ||
           (path != NULL && matches_path(config, rule->match, path));
}

static void copy_field(struct config_values *to,
                       const struct config_values *from,
                       enum config_field field)
{
    const struct config_key *key = config_key(field);

    memcpy((char *)to + key->off, (const char *)from + key->off, key->bytes);
    if (key->kind == MOUNTS)
        to->script.mount_count = from->script.mount_count;
    if (key->kind == SECRETS)
        to->script.secret_count = from->script.secret_count;
}

void config_override(struct config_settings *settings,
                     const struct config_settings *by)
{
    for (enum config_field i = 0; i < CONFIG_FIELDS; i++)
        if (by->given & 1u << i)
            copy_field(&settings->values, &by->values, i);
    settings->given |= by->given;
    if (by->from != NULL)
        settings->from = by->from;
}

void config_merge(const struct gbx_config *config, const char *path,
                  const char *actor, struct config_settings *merged)
{
    *merged = config->defaults;
    for (uint32_t i = 0; i < config->rule_count; i++)
        if (matches(config, &config->rules[i], path, actor))
            config_override(merged, &config->rules[i].settings);
}

static bool is_zero(const void *values, const struct config_key *key)
{
    static const char zero[sizeof(struct gbx_script_config)];

    return memcmp((const char *)values + key->off, zero, key->bytes) == 0;
}

int gbx_config_apply(const struct gbx_config *config, const char *path,
                     struct gbx_script_config *script, struct gbx_error *err)
{
    struct config_values values = {.script = *script};
    struct config_settings merged;
    char *real = path != NULL ? config_real_path(path) : NULL;

    if (real == NULL && path != NULL)
        return fail(err, GBX_EHOST, "%s", path);
    config_merge(config, real, script->actor_id, &merged);
    free(real);
    for (enum config_field i = 0; i < CONFIG_FIELDS; i++) {
        if (!(merged.given & 1u << i) || !is_zero(&values, config_key(i)))
            continue;
        copy_field(&values, &merged.values, i);
        if (1u << i & ROUTE_FIELDS && merged.from != NULL)
            values.script.route.from = merged.from;
    }
    *script = values.script;
    return 0;
}
