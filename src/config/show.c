/* SPDX-License-Identifier: Apache-2.0 */
/* show.c - a configuration as one would write it. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/text/amount.h"
#include "config/config.h"

static uint64_t number_of(const struct config_values *values,
                          const struct config_key *key)
{
    const char *at = (const char *)values + key->off;
    uint64_t large = 0;
    uint32_t small = 0;

    memcpy(key->bytes == 4 ? (void *)&small : &large, at, key->bytes);
    return key->bytes == 4 ? small : large;
}

static json_t *amount(const struct config_values *values,
                      const struct config_key *key)
{
    uint64_t number = number_of(values, key);
    char text[32];

    if (key == config_key(CONFIG_SPIN) && number == 1)
        number = 0;
    amount_show(key->kind == SIZE ? AMOUNT_SIZE : AMOUNT_TIME, number, text);
    return json_string(text);
}

static json_t *isolations(const struct gbx_route_policy *policy)
{
    json_t *list;

    if (policy->allowed[0] == GBX_ISOLATION_AUTO)
        return json_string("auto");
    list = json_array();
    for (uint32_t i = 0;
         i < GBX_ISOLATIONS && policy->allowed[i] != GBX_ISOLATION_AUTO; i++)
        if (json_array_append_new(list, json_string(gbx_isolation_name(
                                            (int)policy->allowed[i]))) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *names(const char *const *all)
{
    json_t *list = json_array();

    for (; *all != NULL; all++)
        if (json_array_append_new(list, json_string(*all)) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *secrets(const struct gbx_script_config *script)
{
    json_t *all = json_object();

    for (size_t i = 0; i < script->secret_count; i++)
        if (json_object_set_new(all, script->secrets[i].name,
                                json_string(script->secrets[i].source)) < 0) {
            json_decref(all);
            return NULL;
        }
    return all;
}

static json_t *mounts(const struct gbx_script_config *script)
{
    json_t *list = json_array();

    for (size_t i = 0; i < script->mount_count; i++) {
        const struct gbx_mount *mount = &script->mounts[i];

        if (json_array_append_new(
                list, json_sprintf("%s:%s:%s", mount->source, mount->target,
                                   mount->is_writable ? "cow" : "ro")) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static const char *text_of(const struct config_values *values,
                           const struct config_key *key)
{
    const char *text;

    memcpy(&text, (const char *)values + key->off, sizeof(text));
    return text;
}

static json_t *show_value(const struct config_values *values,
                          const struct config_key *key)
{
    switch (key->kind) {
    case WORD:
        return json_string(key->words[number_of(values, key) - 1]);
    case ISOLATIONS:
        return isolations(&values->script.route);
    case NAMES:
        return names(values->script.host_calls);
    case TEXT:
        return json_string(text_of(values, key));
    case MOUNTS:
        return mounts(&values->script);
    case SECRETS:
        return secrets(&values->script);
    case OBJECT:
        return json_loads(values->script.config_json, JSON_ALLOW_NUL, NULL);
    case PATH:
        return json_string(values->cache);
    case FLAG:
        return json_boolean(number_of(values, key) != 0);
    case NUMBER:
        return json_integer((json_int_t)number_of(values, key));
    default:
        return amount(values, key);
    }
}

/* False: no memory. */
static bool add_settings(json_t *to, const struct config_settings *settings)
{
    for (enum config_field i = 0; i < CONFIG_FIELDS; i++) {
        const struct config_key *key = config_key(i);
        json_t *group = to;

        if (!(settings->given & 1u << i))
            continue;
        if (key->group[0] != '\0') {
            group = json_object_get(to, key->group);
            if (group == NULL) {
                group = json_object();
                if (json_object_set_new(to, key->group, group) < 0)
                    return false;
            }
        }
        if (json_object_set_new(group, key->name,
                                show_value(&settings->values, key)) < 0)
            return false;
    }
    return true;
}

static bool add_text(json_t *to, const char *key, const char *text)
{
    return text == NULL || json_object_set_new(to, key, json_string(text)) == 0;
}

static bool add_rules(json_t *to, const struct gbx_config *config)
{
    json_t *list = json_array();

    if (json_object_set_new(to, "rules", list) < 0)
        return false;
    for (uint32_t i = 0; i < config->rule_count; i++) {
        json_t *rule = json_object();

        if (json_array_append_new(list, rule) < 0 ||
            !add_text(rule, "match", config->rules[i].match) ||
            !add_text(rule, "actor", config->rules[i].actor) ||
            !add_settings(rule, &config->rules[i].settings))
            return false;
    }
    return true;
}

static bool add_host(json_t *list, const struct gbx_host_config *config)
{
    json_t *host = json_object();
    const struct {
        const char *key, *text;
    } texts[] = {{"url", config->url},
                 {"token_file", config->token_path},
                 {"ca", config->ca_path}};
    char heartbeat[32];

    if (json_array_append_new(list, host) < 0)
        return false;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (!add_text(host, texts[i].key, texts[i].text))
            return false;
    amount_show(AMOUNT_TIME, config->heartbeat_ms * UINT64_C(1000000),
                heartbeat);
    return config->heartbeat_ms == 0 ||
           json_object_set_new(host, "heartbeat", json_string(heartbeat)) == 0;
}

static bool add_hosts(json_t *to, const struct gbx_config *config)
{
    json_t *list = config->host_count > 0 ? json_array() : NULL;

    if (config->host_count == 0)
        return true;
    if (json_object_set_new(to, "hosts", list) < 0)
        return false;
    for (uint32_t i = 0; i < config->host_count; i++)
        if (!add_host(list, &config->hosts[i]))
            return false;
    return true;
}

int gbx_config_show(const struct gbx_config *config, const char *path,
                    char **json, struct gbx_error *err)
{
    struct config_settings settings;
    char *real = path != NULL ? config_real_path(path) : NULL;
    json_t *all = json_object(), *defaults = json_object();

    *json = NULL;
    config_merge(config, real, NULL, &settings);
    if (json_object_set_new(all, "defaults", defaults) == 0 &&
        (path == NULL || real != NULL) && add_settings(defaults, &settings) &&
        (path != NULL || add_rules(all, config)) && add_hosts(all, config))
        *json = json_dumps(all, JSON_INDENT(2));
    json_decref(all);
    free(real);
    return *json != NULL ? 0 : fail(err, GBX_EHOST, "no memory to show it");
}
