/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.c - an image of a docker-archive: what docker save and podman save
 * write, packed or not.
 *
 * It is read twice: manifest.json, which says what the other files are, may
 * come last.  A file's name is only compared with those that manifest.json has;
 * its bytes become a blob under their own digest.  Docker's archives have no
 * manifest as registries have it, so one is made, always the same of the same.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/error.h"
#include "image/layer/hash.h"
#include "image/pull/source/blob.h"

#define BLOCK_BYTES   65536
#define MANIFEST      "manifest.json"
#define OCI_TYPE      "application/vnd.oci.image."
#define CONFIG_TYPE   OCI_TYPE "config.v1+json"
#define LAYER_TYPE    OCI_TYPE "layer.v1.tar"
#define MANIFEST_TYPE OCI_TYPE "manifest.v1+json"

/* What became of a file of the archive. */
struct part {
    const char *name; /* borrowed from the JSON */
    char digest[DIGEST_BYTES];
    uint64_t bytes;
    bool is_there;
};

struct load {
    struct pull *pull;
    json_t *json;       /* owned: all of manifest.json */
    const json_t *item; /* the image of it that is meant */
    struct part parts[RECORD_LAYERS_MAX + 1]; /* the configuration is first */
    size_t count;
};

static int load_failed(const struct load *load, const char *why,
                       struct gbx_error *err)
{
    return fail(err, GBX_EFORMAT, "%.120s: %s", load->pull->name, why);
}

/* To each entry: 1 goes on, 0 or a code ends it. */
typedef int entry_fn(struct load *load, struct archive *archive,
                     struct archive_entry *entry, struct gbx_error *err);

static int walk(struct load *load, entry_fn *fn, struct gbx_error *err)
{
    const char *path = load->pull->reference.path;
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    int rc = 1;

    if (archive == NULL)
        return fail(err, GBX_EHOST, "no memory to read %s", path);
    archive_read_support_filter_gzip(archive);
    archive_read_support_filter_zstd(archive);
    archive_read_support_format_tar(archive);
    if (archive_read_open_filename(archive, path, BLOCK_BYTES) != ARCHIVE_OK)
        rc = fail(err, GBX_EFILE, "%.120s: %.100s", load->pull->name,
                  archive_error_string(archive));
    while (rc == 1) {
        int next = archive_read_next_header(archive, &entry);

        if (next == ARCHIVE_EOF)
            break;
        if (next != ARCHIVE_OK && next != ARCHIVE_WARN)
            rc = load_failed(load, archive_error_string(archive), err);
        else
            rc = fn(load, archive, entry, err);
    }
    archive_read_free(archive);
    return rc == 1 ? 0 : rc;
}

static int find_manifest(struct load *load, struct archive *archive,
                         struct archive_entry *entry, struct gbx_error *err)
{
    const char *name = archive_entry_pathname(entry);
    const la_int64_t bytes = archive_entry_size(entry);
    char *text;

    if (name == NULL || strcmp(name, MANIFEST) != 0)
        return 1;
    if (bytes > (la_int64_t)MANIFEST_BYTES_MAX)
        return load_failed(load, "its manifest.json has more than 4 MiB", err);
    text = malloc((size_t)bytes + 1);
    if (text != NULL &&
        archive_read_data(archive, text, (size_t)bytes) == bytes)
        load->json = json_loadb(text, (size_t)bytes, 0, NULL);
    free(text);
    return json_is_array(load->json)
               ? 0
               : load_failed(load, "its manifest.json is no JSON list", err);
}

/* Is one of an item's tags the one that was asked for, however written? */
static bool has_tag(const json_t *item, const char *wanted)
{
    char one[REFERENCE_NAME_BYTES], other[REFERENCE_NAME_BYTES];
    struct reference reference;
    json_t *tag;
    size_t i;

    if (reference_parse(&reference, wanted, NULL) < 0)
        return false;
    reference_name(&reference, other);
    json_array_foreach(json_object_get(item, "RepoTags"), i, tag)
    {
        const char *text = json_string_value(tag);

        if (text == NULL || reference_parse(&reference, text, NULL) < 0)
            continue;
        reference_name(&reference, one);
        if (strcmp(one, other) == 0)
            return true;
    }
    return false;
}

static int choose(struct load *load, struct gbx_error *err)
{
    const char *tag = load->pull->reference.tag;
    char list[100] = "";
    json_t *item;
    size_t i;

    json_array_foreach(load->json, i, item)
    {
        const char *first = json_string_value(
            json_array_get(json_object_get(item, "RepoTags"), 0));

        if (tag[0] == '\0' ? json_array_size(load->json) == 1
                           : has_tag(item, tag))
            load->item = item;
        if (first != NULL)
            snprintf(list + strlen(list), sizeof(list) - strlen(list), " %s",
                     first);
    }
    if (load->item != NULL)
        return 0;
    return fail(err, GBX_EFILE, "%.100s: %s; there is%s", load->pull->name,
                tag[0] != '\0' ? "no such image" : "not one image alone",
                list[0] != '\0' ? list : " none with a name");
}

static int list_parts(struct load *load, struct gbx_error *err)
{
    const json_t *layers = json_object_get(load->item, "Layers");

    load->parts[0].name =
        json_string_value(json_object_get(load->item, "Config"));
    load->count = json_array_size(layers) + 1;
    if (load->count > RECORD_LAYERS_MAX + 1)
        return load_failed(load, "more than 256 layers", err);
    for (size_t i = 1; i < load->count; i++)
        load->parts[i].name = json_string_value(json_array_get(layers, i - 1));
    for (size_t i = 0; i < load->count; i++)
        if (load->parts[i].name == NULL)
            return load_failed(load, "its manifest.json lacks names of files",
                               err);
    return 0;
}

/* The same layer may be there more than once. */
static int take_part(struct load *load, struct archive *archive,
                     struct archive_entry *entry, struct gbx_error *err)
{
    const char *name = archive_entry_pathname(entry);
    struct part *first = NULL;
    int rc;

    for (size_t i = 0; name != NULL && i < load->count; i++) {
        struct part *part = &load->parts[i];

        if (strcmp(part->name, name) != 0 || part->is_there)
            continue;
        if (archive_entry_filetype(entry) != AE_IFREG ||
            archive_entry_hardlink(entry) != NULL)
            return load_failed(load,
                               "a layer in it is a link to another; skopeo "
                               "copy makes an oci: of it, which can be pulled",
                               err);
        if (first == NULL) {
            rc = blob_extract(load->pull, archive, part->digest, &part->bytes,
                              err);
            if (rc < 0)
                return rc;
            first = part;
        } else {
            strcpy(part->digest, first->digest);
            part->bytes = first->bytes;
        }
        part->is_there = true;
    }
    return 1;
}

static json_t *descriptor(const char *type, const struct part *part)
{
    return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest",
                     part->digest, "size", (json_int_t)part->bytes);
}

static int put_manifest(struct load *load, struct gbx_error *err)
{
    json_t *layers = json_array(), *object;
    char *text;
    int rc;

    for (size_t i = 1; i < load->count; i++)
        json_array_append_new(layers, descriptor(LAYER_TYPE, &load->parts[i]));
    object = json_pack(
        "{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", MANIFEST_TYPE,
        "config", descriptor(CONFIG_TYPE, &load->parts[0]), "layers", layers);
    text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (text == NULL || !hash_bytes(text, strlen(text), load->pull->digest))
        rc = fail(err, GBX_EHOST, "no memory for a manifest");
    else
        rc = blob_put(load->pull, text, strlen(text), load->pull->digest, err);
    free(text);
    return rc;
}

static int load_all(struct load *load, struct gbx_error *err)
{
    int rc;

    if ((rc = walk(load, find_manifest, err)) < 0)
        return rc;
    if (load->json == NULL)
        return load_failed(load,
                           "it has no manifest.json: docker save writes "
                           "one",
                           err);
    if ((rc = choose(load, err)) < 0 || (rc = list_parts(load, err)) < 0 ||
        (rc = walk(load, take_part, err)) < 0)
        return rc;
    for (size_t i = 0; i < load->count; i++)
        if (!load->parts[i].is_there)
            return load_failed(load,
                               "a file that its manifest.json names is "
                               "not there",
                               err);
    if ((rc = put_manifest(load, err)) < 0)
        return rc;
    return source_read(load->pull, err);
}

static int ask(struct pull *pull, struct gbx_error *err)
{
    struct load *load = calloc(1, sizeof(*load));
    int rc;

    if (load == NULL)
        return fail(err, GBX_EHOST, "no memory to read an archive");
    load->pull = pull;
    rc = load_all(load, err);
    json_decref(load->json);
    free(load);
    return rc;
}

static int fetch(struct pull *pull, struct gbx_error *err)
{
    (void)pull;
    (void)err;
    return 0; /* ask has brought all */
}

const struct source source_archive = {ask, fetch};
