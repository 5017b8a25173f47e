/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest_fuzz.c - any JSON as an index, a manifest and a configuration.
 *
 *   input: the manifest | NUL | the configuration
 *
 * What is accepted has valid digests, as many diffs as layers, and a platform
 * that was wanted; what is not, is told.
 */
#include <string.h>

#include "base/check.h"
#include "image/pull/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_manifest(const struct manifest *manifest)
{
    must(digest_is_valid(manifest->config));
    must(manifest->count <= RECORD_LAYERS_MAX);
    for (uint32_t i = 0; i < manifest->count; i++)
        must(digest_is_valid(manifest->layers[i].digest));
}

static void check_config(const struct manifest *manifest)
{
    char chain[DIGEST_BYTES];

    for (uint32_t i = 0; i < manifest->count; i++)
        must(digest_is_valid(manifest->layers[i].diff));
    must(strncmp(manifest->platform, "linux/amd64", 11) == 0);
    must(manifest_chain(manifest, chain, NULL) == 0 && digest_is_valid(chain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *end = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t bytes = end != NULL ? (size_t)(end - text) : size;
    struct wanted wanted = {.name = "x"};
    struct manifest manifest;
    struct gbx_error err = {0};
    char digest[DIGEST_BYTES];
    int rc;

    must(wanted_parse(&wanted, NULL, &err) == 0);
    rc = manifest_choose(digest, text, bytes, &wanted, &err);
    must(rc != 1 || digest_is_valid(digest));
    must(rc >= 0 || err.what[0] != '\0');
    wanted.tag = "a";
    manifest_choose(digest, text, bytes, &wanted, &err);
    rc = manifest_read(&manifest, text, bytes, &wanted, &err);
    must(rc == 0 || err.what[0] != '\0');
    if (rc == 0)
        check_manifest(&manifest);
    if (rc == 0 && end != NULL &&
        manifest_add_config(&manifest, end + 1, size - bytes - 1, &wanted,
                            &err) == 0)
        check_config(&manifest);
    manifest_fini(&manifest);
    return 0;
}
