/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kept.c - scripts that have been loaded, from one process to the next: their
 * templates, and what they said of themselves.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

/* All that its sandboxes depend on. */
static void make_key(struct gbx_script *script, struct bytes_out *key)
{
    const struct sandbox_config config = script_sandbox_config(script);

    cache_key(key, &config);
    bytes_put_text(key, config.bundle.folder);
    bytes_put_text(key, script->file);
    bytes_put_block(key, script->source, script->source_bytes);
    bytes_put_text(key, script->config.config_json);
    bytes_put_text(key, script->config.actor_id);
}

static void put_said(const struct gbx_script *script, struct bytes_out *out)
{
    uint64_t count = 0;

    bytes_put_text(out, script->metadata);
    while (script->inports != NULL && script->inports[count] != NULL)
        count++;
    bytes_put_number(out, script->inports == NULL ? UINT64_MAX : count);
    for (uint64_t i = 0; i < count && script->inports != NULL; i++)
        bytes_put_text(out, script->inports[i]);
}

/* In one piece, as report.c makes them. */
static char **take_inports(struct bytes_in *in, uint64_t count)
{
    const struct bytes_in from = *in;
    size_t bytes = 0;
    char **ports, *at;

    if (count > SCRIPT_PORTS_MAX)
        return NULL;
    for (uint64_t i = 0; i < count; i++) {
        const char *port = bytes_take_text(in);

        if (port == NULL)
            return NULL;
        bytes += strlen(port) + 1;
    }
    ports = malloc((count + 1) * sizeof(*ports) + bytes);
    if (ports == NULL)
        return NULL;
    *in = from;
    at = (char *)(ports + count + 1);
    for (uint64_t i = 0; i < count; i++) {
        const char *port = bytes_take_text(in);

        ports[i] = at;
        strcpy(at, port);
        at += strlen(at) + 1;
    }
    ports[count] = NULL;
    return ports;
}

static bool take_said(struct gbx_script *script, const struct bytes_out *said)
{
    struct bytes_in in = {said->bytes, said->bytes + said->count, false};
    const char *metadata = bytes_take_text(&in);
    uint64_t count = bytes_take_number(&in);

    if (in.failed || metadata == NULL)
        return false;
    script->metadata = strdup(metadata);
    if (count != UINT64_MAX)
        script->inports = take_inports(&in, count);
    if (script->metadata != NULL &&
        (count == UINT64_MAX || script->inports != NULL))
        return true;
    free(script->metadata);
    script->metadata = NULL;
    return false;
}

void kept_load(struct gbx_script *script)
{
    const struct sandbox_config config = script_sandbox_config(script);
    const struct cache *cache = &script->runtime->cache;
    struct bytes_out key = {0}, said;
    struct template *template;

    if (cache->dir_fd < 0 || script->config.trace != NULL)
        return;
    make_key(script, &key);
    template = cache_load(cache, &config, &key, &said);
    if (template != NULL && take_said(script, &said)) {
        pool_set_template(&script->pool, template);
        script->is_cached = true;
    }
    template_put(template);
    bytes_out_fini(&said);
    bytes_out_fini(&key);
}

void kept_save(struct gbx_script *script)
{
    const struct cache *cache = &script->runtime->cache;
    struct template *template = NULL;
    struct bytes_out key = {0}, said = {0};

    if (script->pool.template != NULL && cache->dir_fd >= 0 &&
        !script->is_cached && script->metadata != NULL)
        template = template_get(script->pool.template);
    pool_close(&script->pool); /* and its sandboxes tell what they touched */
    if (template == NULL)
        return;
    make_key(script, &key);
    put_said(script, &said);
    cache_save(cache, template, &key, &said);
    template_put(template);
    bytes_out_fini(&said);
    bytes_out_fini(&key);
}
