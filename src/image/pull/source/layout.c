/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c - an image of an OCI layout: a folder with blobs and an index. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/pull/source/blob.h"

#define DEPTH_MAX 4

/* A file of the layout, and nothing that would keep us waiting. */
static int open_file(const struct pull *pull, const char *name,
                     struct gbx_error *err)
{
    auto_fd int dir =
        open(pull->reference.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_fd int fd =
        dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(err, GBX_EFILE, "%.100s: %.90s: %s; is it an OCI layout?",
                    pull->reference.path, name, strerrordesc_np(errno));
    if (!S_ISREG(st.st_mode))
        return fail(err, GBX_EFILE, "%.100s: %.90s is no file",
                    pull->reference.path, name);
    return steal_fd(&fd);
}

static int open_blob(const struct pull *pull, const char *digest,
                     struct gbx_error *err)
{
    char path[STORE_PATH_BYTES];

    store_blob(path, digest);
    return open_file(pull, path, err);
}

/* To free(). */
static int read_small(char **text, size_t *bytes, int fd,
                      const struct pull *pull, struct gbx_error *err)
{
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0 || st.st_size > (off_t)MANIFEST_BYTES_MAX)
        return fail(err, GBX_ELIMIT, "%.100s: a manifest of more than 4 MiB",
                    pull->reference.path);
    *bytes = (size_t)st.st_size;
    *text = malloc(*bytes + 1);
    if (*text == NULL || pread(fd, *text, *bytes, 0) != st.st_size)
        return fail(err, GBX_EHOST, "%s", pull->reference.path);
    (*text)[*bytes] = '\0';
    return 0;
}

static int choose(struct pull *pull, const char *tag, int fd,
                  struct gbx_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    int rc = read_small(&text, &bytes, fd, pull, err);

    pull->wanted.tag = tag;
    if (rc == 0)
        rc = manifest_choose(pull->digest, text, bytes, &pull->wanted, err);
    free(text);
    return rc;
}

static int ask(struct pull *pull, struct gbx_error *err)
{
    auto_fd int index = open_file(pull, "index.json", err);
    int rc = choose(pull, pull->reference.tag, index, err);

    if (rc == 0)
        rc = fail(err, GBX_EFORMAT, "%.100s/index.json is no index",
                  pull->reference.path);
    for (int depth = 0; rc == 1; depth++) { /* an index of indexes, maybe */
        auto_fd int fd = -1;

        if (depth == DEPTH_MAX)
            return fail(err, GBX_ELIMIT,
                        "%.100s: more than %d indexes in each "
                        "other",
                        pull->reference.path, DEPTH_MAX);
        fd = open_blob(pull, pull->digest, err);

        if (fd < 0)
            return fd;
        rc = blob_copy(pull, fd, pull->digest, err);
        if (rc == 0)
            rc = choose(pull, NULL, fd, err);
    }
    if (rc < 0)
        return rc;
    rc = source_read(pull, err);
    if (rc == GBX_EFILE) { /* the configuration is not in the store yet */
        auto_fd int fd = open_blob(pull, pull->manifest.config, err);

        rc = fd < 0 ? fd : blob_copy(pull, fd, pull->manifest.config, err);
        if (rc == 0)
            rc = source_read(pull, err);
    }
    return rc;
}

static int fetch(struct pull *pull, struct gbx_error *err)
{
    int rc = 0;

    pull->bytes = 0;
    for (uint32_t i = 0; rc == 0 && i < pull->manifest.count; i++) {
        const struct record_layer *layer = &pull->manifest.layers[i];
        auto_fd int fd = -1;

        if (blob_is_there(pull->images, layer->digest))
            continue;
        fd = open_blob(pull, layer->digest, err);
        rc = fd < 0 ? fd : blob_copy(pull, fd, layer->digest, err);
    }
    return rc;
}

const struct source source_layout = {ask, fetch};
