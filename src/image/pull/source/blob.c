/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/layer/hash.h"
#include "image/pull/source/blob.h"

#define BLOCK_BYTES (256u << 10)

bool blob_is_there(const struct gbx_images *images, const char *digest)
{
    char path[STORE_PATH_BYTES];

    store_blob(path, digest);
    return faccessat(images->fd, path, R_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int differs(const struct pull *pull, const char *is, const char *wanted,
                   struct gbx_error *err)
{
    return fail(err, GBX_EFORMAT,
                "image %.80s: what came for %.26s... has the digest %.26s...",
                pull->name, wanted, is);
}

int blob_put(const struct pull *pull, const void *bytes, size_t count,
             const char *digest, struct gbx_error *err)
{
    char is[DIGEST_BYTES], path[STORE_PATH_BYTES];
    int rc;

    if (!hash_bytes(bytes, count, is))
        return fail(err, GBX_EHOST, "no memory for a digest");
    if (strcmp(is, digest) != 0)
        return differs(pull, is, digest, err);
    store_blob(path, digest);
    rc = store_write(pull->images, path, bytes, count);
    errno = -rc;
    return rc < 0 ? fail(err, GBX_EHOST, "%s/%s", pull->images->path, path) : 0;
}

/* A block of what is being put.  0 is the end, -1 an error that is told. */
typedef ssize_t blob_read_fn(void *context, void *block, size_t bytes,
                             struct gbx_error *err);

struct writer {
    struct pull *pull;
    int fd;
    uint64_t bytes;
    struct hash hash;
};

static int write_all(struct writer *writer, blob_read_fn *fn, void *context,
                     struct gbx_error *err)
{
    static char block[BLOCK_BYTES];
    ssize_t n;

    while ((n = fn(context, block, sizeof(block), err)) > 0) {
        if (fd_write_at(writer->fd, block, (size_t)n, writer->bytes) < 0)
            return fail(err, GBX_EHOST, "a blob in %s",
                        writer->pull->images->path);
        hash_add(&writer->hash, block, (size_t)n);
        writer->bytes += (uint64_t)n;
        writer->pull->bytes += (uint64_t)n;
        source_progress(writer->pull, GBX_IMAGE_FETCH);
    }
    return n < 0 ? GBX_EFORMAT : 0;
}

/* digest: what it must be, or "", and then what it is. */
static int put(struct pull *pull, char digest[DIGEST_BYTES], uint64_t *bytes,
               blob_read_fn *fn, void *context, struct gbx_error *err)
{
    struct writer writer = {.pull = pull, .fd = -1};
    char is[DIGEST_BYTES] = "", path[STORE_PATH_BYTES];
    int rc;

    writer.fd = openat(pull->draft_fd, "blob",
                       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (writer.fd < 0)
        return fail(err, GBX_EHOST, "a blob in %s", pull->images->path);
    hash_begin(&writer.hash);
    rc = write_all(&writer, fn, context, err);
    if (!hash_end(&writer.hash, is) && rc == 0)
        rc = fail(err, GBX_EHOST, "no memory for a digest");
    close_fd(&writer.fd);
    if (rc == 0 && digest[0] != '\0' && strcmp(is, digest) != 0)
        rc = differs(pull, is, digest, err);
    if (rc < 0)
        return rc;
    strcpy(digest, is);
    *bytes = writer.bytes;
    store_blob(path, digest);
    return renameat(pull->draft_fd, "blob", pull->images->fd, path) < 0
               ? fail(err, GBX_EHOST, "%s/%s", pull->images->path, path)
               : 0;
}

static ssize_t read_file(void *context, void *block, size_t bytes,
                         struct gbx_error *err)
{
    ssize_t n;

    do
        n = read(*(int *)context, block, bytes);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        fail(err, GBX_EFORMAT, "a blob cannot be read: %s",
             strerrordesc_np(errno));
    return n;
}

int blob_copy(struct pull *pull, int fd, const char *digest,
              struct gbx_error *err)
{
    char wanted[DIGEST_BYTES];
    uint64_t bytes;

    strcpy(wanted, digest);
    return put(pull, wanted, &bytes, read_file, &fd, err);
}

static ssize_t read_entry(void *context, void *block, size_t bytes,
                          struct gbx_error *err)
{
    la_ssize_t n = archive_read_data(context, block, bytes);

    if (n < 0)
        fail(err, GBX_EFORMAT, "the archive is damaged: %.100s",
             archive_error_string(context));
    return n < 0 ? -1 : n;
}

int blob_extract(struct pull *pull, struct archive *archive,
                 char digest[DIGEST_BYTES], uint64_t *bytes,
                 struct gbx_error *err)
{
    digest[0] = '\0';
    return put(pull, digest, bytes, read_entry, archive, err);
}
