/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.c - an image of a registry, by skopeo.
 *
 * First the manifest as the registry has it, whose digest is the image's; of an
 * index, the one for this platform.  Then the configuration, and at last the
 * layers, into blobs/ as they are: skopeo fetches those that are not there, and
 * names each only when it is whole.  It writes manifest and configuration in
 * its own words as well, which nobody refers to: the next prune takes them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/layer/hash.h"
#include "image/pull/source/blob.h"
#include "image/pull/source/skopeo.h"

#define DRAFT_START "oci-put-blob" /* what skopeo calls a layer that comes */
#define TRIES       3              /* of a connection that breaks off */
#define TEXT_BYTES  (REFERENCE_NAME_BYTES + 16)

/* The image that is asked for, or another of the same repository. */
static void name_it(char text[TEXT_BYTES], const struct pull *pull,
                    const char *digest)
{
    const struct reference *reference = &pull->reference;

    if (digest != NULL)
        snprintf(text, TEXT_BYTES, "docker://%s/%s@%s", reference->registry,
                 reference->repository, digest);
    else
        snprintf(text, TEXT_BYTES, "docker://%.*s",
                 (int)REFERENCE_NAME_BYTES - 1, pull->name);
}

static void add_options(struct skopeo *skopeo, bool is_copy)
{
    const struct pull *pull = skopeo->pull;

    if (pull->options.is_insecure || reference_is_loopback(&pull->reference))
        skopeo_add(skopeo,
                   is_copy ? "--src-tls-verify=false" : "--tls-verify=false");
    if (pull->options.auth_file != NULL) {
        skopeo_add(skopeo, is_copy ? "--src-authfile" : "--authfile");
        skopeo_add(skopeo, pull->options.auth_file);
    }
}

static int inspect(struct pull *pull, const char *digest, bool is_config,
                   char **text, size_t *bytes, struct gbx_error *err)
{
    struct skopeo skopeo;
    char name[TEXT_BYTES];

    name_it(name, pull, digest);
    skopeo_begin(&skopeo, pull, "inspect");
    if (is_config)
        skopeo_add(&skopeo, "--config");
    skopeo_add(&skopeo, "--raw");
    add_options(&skopeo, false);
    skopeo_add(&skopeo, name);
    return skopeo_run(&skopeo, text, bytes, NULL, err);
}

/* A manifest, which is a blob then; wanted: the digest it must have, or "". */
static int ask_manifest(struct pull *pull, const char *wanted, char **text,
                        size_t *bytes, struct gbx_error *err)
{
    int rc = inspect(pull, wanted[0] != '\0' ? wanted : NULL, false, text,
                     bytes, err);

    if (rc < 0)
        return rc;
    if (wanted[0] != '\0')
        strcpy(pull->digest, wanted);
    else if (!hash_bytes(*text, *bytes, pull->digest))
        return fail(err, GBX_EHOST, "no memory for a digest");
    return blob_put(pull, *text, *bytes, pull->digest, err);
}

static int ask_config(struct pull *pull, struct gbx_error *err)
{
    char *text = NULL;
    size_t bytes;
    int rc = inspect(pull, pull->digest, true, &text, &bytes, err);

    if (rc == 0)
        rc = blob_put(pull, text, bytes, pull->manifest.config, err);
    free(text);
    return rc < 0 ? rc : source_read(pull, err);
}

static int ask(struct pull *pull, struct gbx_error *err)
{
    char *text = NULL, chosen[DIGEST_BYTES];
    size_t bytes = 0;
    int rc = ask_manifest(pull, pull->reference.digest, &text, &bytes, err);

    if (rc == 0)
        rc = manifest_choose(chosen, text, bytes, &pull->wanted, err);
    free(text);
    text = NULL;
    if (rc == 1 && blob_is_there(pull->images, chosen)) {
        strcpy(pull->digest, chosen);
        rc = 0;
    } else if (rc == 1) {
        rc = ask_manifest(pull, chosen, &text, &bytes, err);
        free(text);
    }
    if (rc < 0)
        return rc;
    rc = source_read(pull, err);
    return rc == GBX_EFILE ? ask_config(pull, err) : rc;
}

/* ---- layers ---- */

static uint64_t bytes_of(int dir_fd, const char *name)
{
    struct stat st;

    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0
               ? (uint64_t)st.st_size
               : 0;
}

/* Those that are whole, and what is in the making. */
static uint64_t look(struct pull *pull)
{
    int fd = openat(pull->draft_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    char path[STORE_PATH_BYTES];
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < pull->manifest.count; i++) {
        store_blob(path, pull->manifest.layers[i].digest);
        bytes += bytes_of(pull->images->fd, path);
    }
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (strncmp(entry->d_name, DRAFT_START, strlen(DRAFT_START)) == 0)
            bytes += bytes_of(fd, entry->d_name);
    if (dir != NULL)
        closedir(dir);
    else
        close_fd(&fd);
    return bytes;
}

static const char *missing(const struct pull *pull)
{
    for (uint32_t i = 0; i < pull->manifest.count; i++)
        if (!blob_is_there(pull->images, pull->manifest.layers[i].digest))
            return pull->manifest.layers[i].digest;
    return NULL;
}

/* Layers that are packed in no way skopeo packs on the way to a layout; but not
 * on that to its own kind of folder, which has files by their digits. */
static int fetch_plain(struct pull *pull, struct gbx_error *err)
{
    char from[TEXT_BYTES], to[STORE_PATH_BYTES + 16];
    struct skopeo skopeo;
    int rc;

    name_it(from, pull, pull->digest);
    snprintf(to, sizeof(to), "dir:%s/plain", pull->draft);
    skopeo_begin(&skopeo, pull, "copy");
    skopeo_add(&skopeo, "--quiet");
    add_options(&skopeo, true);
    skopeo_add(&skopeo, from);
    skopeo_add(&skopeo, to);
    if ((rc = skopeo_run(&skopeo, NULL, NULL, NULL, err)) < 0)
        return rc;
    for (uint32_t i = 0; i < pull->manifest.count; i++) {
        const char *digest = pull->manifest.layers[i].digest;
        char path[STORE_PATH_BYTES + 16], blob[STORE_PATH_BYTES];

        if (blob_is_there(pull->images, digest))
            continue;
        snprintf(path, sizeof(path), "%s/plain/%s", pull->draft,
                 digest_hex(digest));
        store_blob(blob, digest);
        if (renameat(pull->images->fd, path, pull->images->fd, blob) < 0)
            return fail(err, GBX_EFORMAT,
                        "image %.80s: the registry did not send layer %.26s",
                        pull->name, digest);
    }
    return 0;
}

static int fetch(struct pull *pull, struct gbx_error *err)
{
    char from[TEXT_BYTES], to[STORE_PATH_BYTES + 16];
    struct skopeo skopeo;
    int rc = 0;

    if (missing(pull) == NULL)
        return 0;
    name_it(from, pull, pull->digest);
    snprintf(to, sizeof(to), "oci:%s:image", pull->draft);
    for (int i = 0; i < TRIES; i++) {
        const uint64_t before = look(pull);

        skopeo_begin(&skopeo, pull, "copy");
        skopeo_add(&skopeo, "--quiet");
        add_options(&skopeo, true);
        skopeo_add(&skopeo, "--dest-shared-blob-dir");
        skopeo_add(&skopeo, "blobs");
        skopeo_add(&skopeo, from);
        skopeo_add(&skopeo, to);
        rc = skopeo_run(&skopeo, NULL, NULL, look, err);
        /* As long as it brings something. */
        if (rc == 0 || !skopeo_was_cut(&skopeo) || look(pull) <= before)
            break;
    }
    return rc == 0 && missing(pull) != NULL ? fetch_plain(pull, err) : rc;
}

const struct source source_registry = {ask, fetch};
