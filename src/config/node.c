/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.c - what a node of a graph says of its actor, by the keys of a file.
 *
 * All else in its metadata is the actor's own.  A graph may come from anybody:
 * the policy (what is allowed, and how far a script is trusted) is not in it,
 * only a choice from what that allows; and a client's may bring less, not more.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "config/value.h"

static const char *const node_keys[] = {"comment", "limits", "pool", NULL};

static const struct object node_object = {.what = "it",
                                          .group = "",
                                          .others = node_keys,
                                          .fields = 1u << CONFIG_IMAGE |
                                                    1u << CONFIG_ISOLATION,
                                          .is_open = true,
                                          .read_other = read_group};

static int read_text(struct gbx_config *config, const char *metadata,
                     struct gbx_error *err)
{
    const size_t bytes = strlen(metadata);
    struct reader reader = {.config = config,
                            .err = err,
                            .has_no_lines = true,
                            .place = {metadata, metadata + bytes, 1}};
    int rc;
    json_t *value = read_json(&reader, metadata, bytes, &rc);

    if (value != NULL)
        rc = read_settings(&reader, &node_object, &config->defaults, value);
    json_decref(value);
    if (rc == 0 &&
        config->defaults.values.script.route.allowed[1] != GBX_ISOLATION_AUTO)
        rc = value_fail(&reader, "\"isolation\" is a list; a node has one");
    return rc;
}

/* ---- of a client ---- */

static int refuse(const struct gbx_config *own, enum config_field field,
                  const char *remedy, struct gbx_error *err)
{
    return fail(err, GBX_EARGUMENT, "%s: \"%s\" is not a client's to say; %s",
                own->name, config_key(field)->name, remedy);
}

static int check_client(const struct gbx_config *own,
                        const struct gbx_pool_config *bound,
                        struct gbx_error *err)
{
    const struct config_settings *settings = &own->defaults;
    const struct gbx_pool_config *pool = &settings->values.script.pool;
    const uint32_t most = bound->total_max != 0 ? bound->total_max : 1;

    if (settings->given & 1u << CONFIG_IMAGE)
        return refuse(own, CONFIG_IMAGE,
                      "a rule of the configuration there may name one", err);
    if (settings->given & 1u << CONFIG_ISOLATION)
        return refuse(own, CONFIG_ISOLATION, "whoever runs it decides", err);
    if (pool->ready_min > most || pool->total_max > most)
        return fail(err, GBX_EARGUMENT,
                    "%s: \"pool\" is more than a client's %u sandboxes",
                    own->name, most);
    return 0;
}

static void bound_limits(struct gbx_script_config *script,
                         const struct gbx_limits *limits)
{
#define X(field, least, most)                                                  \
    if (limits->field != 0 && (script->limits_max.field == 0 ||                \
                               script->limits_max.field > limits->field))      \
        script->limits_max.field = limits->field;
    GBX_LIMITS(X)
#undef X
}

/* ---- */

static void apply(const struct gbx_config *own, bool is_client,
                  struct gbx_script_config *script)
{
    const struct gbx_script_config *says = &own->defaults.values.script;
    const struct gbx_script_config before = *script;
    struct config_settings settings = {.values.script = *script};

    config_override(&settings, &own->defaults);
    *script = settings.values.script;
    script->route = before.route; /* policy */
    if (before.isolation == GBX_ISOLATION_AUTO)
        script->isolation = says->route.allowed[0];
    if (says->image != NULL)
        script->root = NULL;
    if (is_client) {
        script->limits = before.limits;
        bound_limits(script, &says->limits);
    }
}

int gbx_config_apply_node(struct gbx_config **texts, const char *metadata,
                          int is_client, struct gbx_script_config *script,
                          struct gbx_error *err)
{
    struct gbx_config *own;
    int rc;

    *texts = NULL;
    if (metadata == NULL)
        return 0;
    own = config_new("metadata", err);
    if (own == NULL)
        return GBX_EHOST;
    rc = read_text(own, metadata, err);
    if (rc == 0 && is_client)
        rc = check_client(own, &script->pool, err);
    if (rc < 0) {
        gbx_config_close(own);
        return rc;
    }
    apply(own, is_client != 0, script);
    *texts = own;
    return 0;
}
