/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_fuzz.c - any text as the metadata of a graph's node.
 *
 * Whatever it says, it changes no policy; and of a client, no limit but
 * downwards, no image and no isolation.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "glovebox/runtime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void apply(const char *metadata, int is_client)
{
    const struct gbx_script_config before = {
        .limits.files = 100, .limits_max.files = 50, .pool.total_max = 4};
    struct gbx_script_config script = before;
    struct gbx_config *texts;
    struct gbx_error err = {0};
    int rc = gbx_config_apply_node(&texts, metadata, is_client, &script, &err);

    must(memcmp(&script.route, &before.route, sizeof(before.route)) == 0);
    must((unsigned)script.isolation <= GBX_ISOLATION_REMOTE);
    must(script.image == NULL || script.image[0] != '\0');
    if (is_client) {
        must(script.image == NULL && script.isolation == GBX_ISOLATION_AUTO);
        must(memcmp(&script.limits, &before.limits, sizeof(before.limits)) ==
             0);
        must(script.limits_max.files >= 8 && script.limits_max.files <= 50);
        must(script.pool.total_max <= 4 && script.pool.ready_min <= 4);
    }
    must(rc == 0 || (texts == NULL && err.code == rc && err.what[0] != '\0'));
    must(rc == 0 || rc == GBX_EFORMAT || rc == GBX_EARGUMENT);
    gbx_config_close(texts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *metadata = malloc(size + 1);

    memcpy(metadata, data, size);
    metadata[size] = '\0';
    apply(metadata, 0);
    apply(metadata, 1);
    free(metadata);
    return 0;
}
