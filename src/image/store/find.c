/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/store/find.h"
#include "image/store/names.h"

int find_settle(struct reference *reference, const char *text,
                struct gbx_error *err)
{
    int rc = reference_parse(reference, text, err);
    char *path;

    if (rc < 0 || reference->path[0] == '\0')
        return rc;
    path = realpath(reference->path, NULL);
    if (path == NULL || strlen(path) >= sizeof(reference->path)) {
        free(path);
        return fail(err, GBX_EFILE, "%s: %s", text, strerrordesc_np(errno));
    }
    strcpy(reference->path, path);
    free(path);
    return 0;
}

static int find_digest(struct record *record, const struct gbx_images *images,
                       const char *start, struct gbx_error *err)
{
    struct records records;
    struct record *found;
    char digest[DIGEST_BYTES];
    int rc;

    if (digest_is_valid(start))
        return record_read(record, images, start, err);
    rc = records_read(&records, images, err);
    if (rc < 0)
        return rc;
    found = records_begin(&records, start);
    if (found != NULL)
        strcpy(digest, found->digest);
    records_fini(&records);
    return found != NULL
               ? record_read(record, images, digest, err)
               : fail(err, GBX_EFILE,
                      "%s: no image in %.80s begins so, or more than one does",
                      start, images->path);
}

int find_record(struct record *record, const struct gbx_images *images,
                const struct reference *reference, struct gbx_error *err)
{
    char name[REFERENCE_NAME_BYTES], digest[DIGEST_BYTES];
    int rc;

    *record = (struct record){0};
    if (reference->kind == REFERENCE_DIGEST)
        return find_digest(record, images, reference->digest, err);
    reference_name(reference, name);
    rc = name_read(images, name, digest, err);
    if (rc == GBX_EFILE && reference->digest[0] != '\0' &&
        record_read(record, images, reference->digest, NULL) == 0)
        return 0; /* it came by another name */
    if (rc < 0)
        return rc;
    rc = record_read(record, images, digest, err);
    return rc == GBX_EFILE
               ? fail(err, GBX_EFORMAT,
                      "image %.100s has lost its record; pull it again", name)
               : rc;
}

int find_hold(const struct gbx_images *images, const char *root, bool alone)
{
    auto_fd int fd =
        openat(images->fd, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (flock(fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    /* Until then somebody may have removed it. */
    return store_is_current(images, root, fd) ? steal_fd(&fd) : -ENOENT;
}
