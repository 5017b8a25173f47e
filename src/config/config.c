/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define TEXTS_BYTES 4096

struct gbx_config *config_new(const char *name, struct gbx_error *err)
{
    struct gbx_config *made = calloc(1, sizeof(*made));

    if (made != NULL && scratch_open(&made->texts, TEXTS_BYTES) == 0) {
        snprintf(made->name, sizeof(made->name), "%s", name);
        return made;
    }
    free(made);
    fail(err, GBX_EHOST, "no memory for a configuration");
    return NULL;
}

int gbx_config_open(struct gbx_config **config, const char *path,
                    struct gbx_error *err)
{
    struct gbx_config *made = config_new("", err);
    char *text = NULL;
    size_t bytes;
    int rc;

    *config = NULL;
    if (made == NULL)
        return GBX_EHOST;
    rc = config_find(made, path, &text, &bytes, err);
    if (rc == 0 && text != NULL)
        rc = config_read(made, text, bytes, err);
    free(text);
    if (rc < 0)
        gbx_config_close(made);
    else
        *config = made;
    return rc;
}

int gbx_config_read(struct gbx_config **config, const char *name,
                    const char *text, size_t bytes, struct gbx_error *err)
{
    struct gbx_config *made = config_new(name, err);
    int rc;

    *config = NULL;
    if (made == NULL)
        return GBX_EHOST;
    made->folder = realpath(".", NULL);
    rc = made->folder != NULL ? config_read(made, text, bytes, err)
                              : fail(err, GBX_EHOST, "the working directory");
    if (rc < 0)
        gbx_config_close(made);
    else
        *config = made;
    return rc;
}

void gbx_config_close(struct gbx_config *config)
{
    if (config == NULL)
        return;
    scratch_close(&config->texts);
    free(config->rules);
    free(config->hosts);
    free(config->folder);
    free(config->path);
    free(config);
}

uint32_t gbx_config_hosts(const struct gbx_config *config,
                          const struct gbx_host_config **hosts)
{
    *hosts = config->hosts;
    return config->host_count;
}

const char *gbx_config_path(const struct gbx_config *config)
{
    return config->path;
}

const char *gbx_config_cache(const struct gbx_config *config)
{
    return config->defaults.values.cache;
}
