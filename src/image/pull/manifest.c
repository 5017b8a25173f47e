/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/error.h"
#include "image/layer/hash.h"
#include "image/pull/manifest.h"

#define TAG_KEY "org.opencontainers.image.ref.name"

int wanted_parse(struct wanted *wanted, const char *platform,
                 struct gbx_error *err)
{
    const char *at = platform != NULL ? platform : "linux/amd64";
    char *const parts[] = {wanted->os, wanted->architecture, wanted->variant};

    for (int i = 0; i < 3; i++)
        parts[i][0] = '\0';
    for (int i = 0; i < 3 && at != NULL; i++) {
        const size_t bytes = strcspn(at, "/");

        if (bytes == 0 || bytes >= PLATFORM_BYTES / 4)
            break;
        memcpy(parts[i], at, bytes);
        parts[i][bytes] = '\0';
        at = at[bytes] == '/' ? at + bytes + 1 : NULL;
    }
    return at == NULL && wanted->architecture[0] != '\0'
               ? 0
               : fail(err, GBX_EARGUMENT,
                      "platform %.60s: it is one as linux/amd64 or "
                      "linux/arm/v7",
                      platform);
}

static int bad(const struct wanted *wanted, const char *why,
               struct gbx_error *err)
{
    return fail(err, GBX_EFORMAT, "image %.100s: %s", wanted->name, why);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

static json_t *parse(const char *text, size_t bytes,
                     const struct wanted *wanted, struct gbx_error *err)
{
    json_t *object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);

    if (json_is_object(object))
        return object;
    json_decref(object);
    bad(wanted, "its manifest is no JSON object", err);
    return NULL;
}

static bool take_descriptor(const json_t *item, char digest[DIGEST_BYTES],
                            uint64_t *bytes)
{
    const json_t *size = json_object_get(item, "size");

    snprintf(digest, DIGEST_BYTES, "%s", text_of(item, "digest"));
    *bytes = (uint64_t)json_integer_value(size);
    return digest_is_valid(digest) && json_is_integer(size) &&
           json_integer_value(size) >= 0 &&
           json_integer_value(size) < 1ll << 50;
}

/* ---- an index ---- */

static bool has_tag(const json_t *item, const struct wanted *wanted)
{
    return wanted->tag == NULL || wanted->tag[0] == '\0' ||
           strcmp(text_of(json_object_get(item, "annotations"), TAG_KEY),
                  wanted->tag) == 0;
}

/* Without a platform it may be the one. */
static bool fits(const json_t *item, const struct wanted *wanted)
{
    const json_t *platform = json_object_get(item, "platform");

    if (platform == NULL)
        return true;
    return strcmp(text_of(platform, "os"), wanted->os) == 0 &&
           strcmp(text_of(platform, "architecture"), wanted->architecture) ==
               0 &&
           (wanted->variant[0] == '\0' ||
            strcmp(text_of(platform, "variant"), wanted->variant) == 0);
}

/* What there is instead, for a person. */
static void list_others(char *list, size_t room, const json_t *items,
                        bool has_tags)
{
    size_t at = 0, i;
    json_t *item;

    list[0] = '\0';
    json_array_foreach(items, i, item)
    {
        const json_t *platform = json_object_get(item, "platform");
        const char *tag =
            text_of(json_object_get(item, "annotations"), TAG_KEY);
        char one[80];

        if (has_tags)
            snprintf(one, sizeof(one), "%s", tag);
        else
            snprintf(one, sizeof(one), "%s/%s", text_of(platform, "os"),
                     text_of(platform, "architecture"));
        if (one[0] == '\0' || strstr(list, one) != NULL ||
            strncmp(one, "unknown", 7) == 0 || at + strlen(one) + 3 >= room)
            continue;
        at += (size_t)snprintf(list + at, room - at, "%s%s", at > 0 ? ", " : "",
                               one);
    }
}

static int choose(char digest[DIGEST_BYTES], const json_t *items,
                  const struct wanted *wanted, struct gbx_error *err)
{
    const json_t *found = NULL;
    size_t tagged = 0, fitting = 0, i;
    char list[120];
    uint64_t bytes;
    json_t *item;

    json_array_foreach(items, i, item)
    {
        if (!has_tag(item, wanted))
            continue;
        tagged++;
        if (!fits(item, wanted))
            continue;
        if (fitting++ == 0)
            found = item;
    }
    list_others(list, sizeof(list), items, tagged == 0 || fitting > 1);
    if (tagged == 0)
        return fail(err, GBX_EFILE, "%.100s: no such image; there is %s",
                    wanted->name, list[0] != '\0' ? list : "none");
    if (found == NULL)
        return fail(err, GBX_EUNSUPPORTED,
                    "image %.80s has nothing for %.20s/%.20s; it has %s",
                    wanted->name, wanted->os, wanted->architecture, list);
    if (wanted->tag != NULL && fitting > 1 &&
        json_object_get(found, "platform") == NULL)
        return fail(err, GBX_EARGUMENT,
                    "%.100s has more than one image; add :TAG, one of %s",
                    wanted->name, list);
    return take_descriptor(found, digest, &bytes)
               ? 1
               : bad(wanted, "its index has no sha256 digest", err);
}

int manifest_choose(char digest[DIGEST_BYTES], const char *text, size_t bytes,
                    const struct wanted *wanted, struct gbx_error *err)
{
    json_t *object = parse(text, bytes, wanted, err);
    const json_t *items = json_object_get(object, "manifests");
    int rc = 0;

    if (object == NULL)
        return GBX_EFORMAT;
    if (json_is_array(items))
        rc = choose(digest, items, wanted, err);
    json_decref(object);
    return rc;
}

/* ---- a manifest ---- */

static int take_layers(struct manifest *manifest, const json_t *list,
                       const struct wanted *wanted, struct gbx_error *err)
{
    const size_t count = json_array_size(list);

    if (count > RECORD_LAYERS_MAX)
        return fail(err, GBX_ELIMIT, "image %.100s has more than %u layers",
                    wanted->name, RECORD_LAYERS_MAX);
    manifest->layers = calloc(count + 1, sizeof(*manifest->layers));
    if (manifest->layers == NULL)
        return fail(err, GBX_EHOST, "no memory for layers");
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        struct record_layer *layer = &manifest->layers[i];
        const char *type = text_of(item, "mediaType");

        if (!take_descriptor(item, layer->digest, &layer->bytes))
            return bad(wanted, "a layer has no sha256 digest and size", err);
        if (strstr(type, "tar") == NULL || strstr(type, "encrypted") != NULL)
            return fail(err, GBX_EUNSUPPORTED,
                        "image %.80s has a layer of type \"%.80s\"; only tar, "
                        "packed by gzip, zstd or not at all, is known",
                        wanted->name, type);
    }
    manifest->count = (uint32_t)count;
    return 0;
}

int manifest_read(struct manifest *manifest, const char *text, size_t bytes,
                  const struct wanted *wanted, struct gbx_error *err)
{
    json_t *object = parse(text, bytes, wanted, err);
    const json_t *list = json_object_get(object, "layers");
    int rc = GBX_EFORMAT;

    *manifest = (struct manifest){0};
    if (object == NULL)
        return rc;
    if (json_object_get(object, "fsLayers") != NULL)
        rc = fail(err, GBX_EUNSUPPORTED,
                  "image %.80s is of schema 1, which nobody makes any more; "
                  "push it again",
                  wanted->name);
    else if (!json_is_array(list) ||
             !take_descriptor(json_object_get(object, "config"),
                              manifest->config, &manifest->config_bytes))
        rc =
            bad(wanted, "its manifest has no layers, or no configuration", err);
    else
        rc = take_layers(manifest, list, wanted, err);
    json_decref(object);
    return rc;
}

static int take_config(struct manifest *manifest, const json_t *object,
                       const struct wanted *wanted, struct gbx_error *err)
{
    const json_t *diffs =
        json_object_get(json_object_get(object, "rootfs"), "diff_ids");
    const char *os = text_of(object, "os"),
               *architecture = text_of(object, "architecture");

    if (strcmp(os, wanted->os) != 0 ||
        strcmp(architecture, wanted->architecture) != 0)
        return fail(err, GBX_EUNSUPPORTED,
                    "image %.80s is for %.20s/%.20s, not for %.20s/%.20s",
                    wanted->name, os, architecture, wanted->os,
                    wanted->architecture);
    snprintf(manifest->platform, sizeof(manifest->platform),
             "%.20s/%.20s%s%.20s", os, architecture,
             text_of(object, "variant")[0] ? "/" : "",
             text_of(object, "variant"));
    if (json_array_size(diffs) != manifest->count)
        return bad(wanted,
                   "its configuration has another number of layers than its "
                   "manifest",
                   err);
    for (uint32_t i = 0; i < manifest->count; i++) {
        char *diff = manifest->layers[i].diff;
        const char *text = json_string_value(json_array_get(diffs, i));

        snprintf(diff, DIGEST_BYTES, "%s", text != NULL ? text : "");
        if (!digest_is_valid(diff))
            return bad(wanted, "a layer has no sha256 diff ID", err);
    }
    return 0;
}

int manifest_add_config(struct manifest *manifest, const char *text,
                        size_t bytes, const struct wanted *wanted,
                        struct gbx_error *err)
{
    json_t *object = parse(text, bytes, wanted, err);
    int rc = object == NULL ? GBX_EFORMAT
                            : take_config(manifest, object, wanted, err);

    json_decref(object);
    return rc;
}

/* As OCI's image specification has it (ChainID). */
int manifest_chain(const struct manifest *manifest, char chain[DIGEST_BYTES],
                   struct gbx_error *err)
{
    char text[2 * DIGEST_BYTES];

    if (manifest->count == 0)
        return hash_bytes("", 0, chain)
                   ? 0
                   : fail(err, GBX_EHOST, "no memory for a digest");
    strcpy(chain, manifest->layers[0].diff);
    for (uint32_t i = 1; i < manifest->count; i++) {
        int bytes = snprintf(text, sizeof(text), "%s %s", chain,
                             manifest->layers[i].diff);

        if (!hash_bytes(text, (size_t)bytes, chain))
            return fail(err, GBX_EHOST, "no memory for a digest");
    }
    return 0;
}

void manifest_fini(struct manifest *manifest)
{
    free(manifest->layers);
    *manifest = (struct manifest){0};
}
