/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kept.c - scripts that have been loaded, from one process to the next: their
 * templates, and what they said of themselves.
 */
#include "runtime/runtime.h"

/* All that its sandboxes depend on. */
static void make_key(struct gbx_script *script, struct bytes_out *key)
{
    const struct sandbox_config config = script_sandbox_config(script);

    cache_key(key, &config);
    bytes_put_text(key, config.bundle.folder);
    grants_put(&script->grants, key);
    bytes_put_text(key, script->file);
    bytes_put_block(key, script->source, script->source_bytes);
    bytes_put_text(key, script->config.config_json);
    bytes_put_text(key, script->config.actor_id);
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
    if (template != NULL && said_take(script, &said)) {
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
    said_put(script, &said);
    cache_save(cache, template, &key, &said);
    template_put(template);
    bytes_out_fini(&said);
    bytes_out_fini(&key);
}
