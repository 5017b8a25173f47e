/* SPDX-License-Identifier: Apache-2.0 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/layer/entry.h"
#include "image/layer/layer.h"
#include "image/layer/stream.h"
#include "image/store/folder.h"

#define TAR_BLOCK 512u

struct unpack {
    struct stream *stream;
    struct archive *archive;
    struct notes notes, named; /* named: folders that have entries */
    struct entry_how how;
    const struct layer_limits *limits;
    uint64_t plain; /* bytes that the stream has given */
    int failed;     /* the stream's code, and its err */
    struct gbx_error err;
};

static la_ssize_t read_block(struct archive *archive, void *context,
                             const void **bytes)
{
    static const char zeros[TAR_BLOCK];
    struct unpack *self = context;
    ssize_t n = stream_read(self->stream, bytes, &self->err);

    /* umoci leaves out what fills the last block; others do not mind. */
    if (n == 0 && self->plain % TAR_BLOCK != 0) {
        n = (ssize_t)(TAR_BLOCK - self->plain % TAR_BLOCK);
        *bytes = zeros;
    }
    if (n >= 0) {
        self->plain += (uint64_t)n;
        return n;
    }
    self->failed = (int)n;
    archive_set_error(archive, EIO, "%s", self->err.what);
    return -1;
}

/* The stream's own error is nearer to the cause. */
static int archive_failed(struct unpack *self, struct gbx_error *err)
{
    if (self->failed == 0)
        return fail(err, stream_code(self->archive),
                    "%.20s is no archive: %.120s", self->how.name,
                    archive_error_string(self->archive));
    if (err != NULL)
        *err = self->err;
    return self->failed;
}

static int put_all(struct unpack *self, struct gbx_error *err)
{
    struct archive_entry *entry;
    uint32_t count = 0;
    int rc;

    for (;;) {
        rc = archive_read_next_header(self->archive, &entry);
        if (rc == ARCHIVE_EOF)
            return 0;
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return archive_failed(self, err);
        if (count++ == self->limits->entries_max)
            return fail(err, GBX_ELIMIT, "%.20s has more than %u files",
                        self->how.name, self->limits->entries_max);
        rc = entry_put(&self->how, self->archive, entry, err);
        if (rc < 0 && self->failed < 0)
            return archive_failed(self, err);
        if (rc < 0)
            return rc;
    }
}

/* Behind the archive's end, which its digest counts, too. */
static int drain(struct unpack *self, struct gbx_error *err)
{
    const void *bytes;
    ssize_t n;

    do
        n = stream_read(self->stream, &bytes, err);
    while (n > 0);
    return (int)n;
}

static int check(struct unpack *self, const struct layer_source *source,
                 struct gbx_error *err)
{
    char digest[DIGEST_BYTES], diff[DIGEST_BYTES];

    if (!stream_digests(self->stream, digest, diff))
        return fail(err, GBX_EHOST, "no memory for a digest");
    if (strcmp(digest, source->digest) != 0)
        return fail(err, GBX_EFORMAT,
                    "layer %s has other bytes than its digest says (%s)",
                    source->digest, digest);
    if (source->diff != NULL && strcmp(diff, source->diff) != 0)
        return fail(err, GBX_EFORMAT,
                    "layer %.20s unpacks to %s, and the image's configuration "
                    "says %.20s",
                    source->digest, diff, source->diff);
    return 0;
}

static int open_archive(struct unpack *self, struct gbx_error *err)
{
    self->archive = archive_read_new();
    if (self->archive == NULL)
        return fail(err, GBX_EHOST, "no memory to unpack a layer");
    archive_read_support_format_tar(self->archive);
    archive_read_support_format_empty(self->archive);
    if (archive_read_open(self->archive, self, NULL, read_block, NULL) !=
        ARCHIVE_OK)
        return archive_failed(self, err);
    return 0;
}

/* Folders: which were only on the way, and the times of the others. */
static int settle(struct unpack *self, int root_fd)
{
    struct notes kept = {0};
    int rc = notes_sort(&self->named);

    if (rc == 0)
        rc = notes_sort(&self->notes);
    for (size_t i = 0; rc == 0 && i < self->named.count; i++) {
        const struct note *note = &self->named.all[i];
        const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                          {.tv_sec = note->time_s}};

        /* By then it may be something else. */
        utimensat(root_fd, note->path[0] != '\0' ? note->path : ".", times,
                  AT_SYMLINK_NOFOLLOW);
    }
    for (size_t i = 0; rc == 0 && i < self->notes.count; i++)
        if (self->notes.all[i].kind != NOTE_IMPLIED ||
            !notes_has(&self->named, NOTE_IMPLIED, self->notes.all[i].path))
            notes_add(&kept, &self->notes.all[i]);
    if (rc == 0)
        rc = notes_sort(&kept);
    notes_fini(&self->notes);
    self->notes = kept;
    return rc;
}

static int unpack(struct unpack *self, int root_fd, int dir_fd,
                  const struct layer_source *source, struct gbx_error *err)
{
    int rc;

    if ((rc = open_archive(self, err)) < 0 || (rc = put_all(self, err)) < 0 ||
        (rc = drain(self, err)) < 0 || (rc = check(self, source, err)) < 0)
        return rc;
    if ((rc = settle(self, root_fd)) < 0 ||
        (rc = notes_write(&self->notes, dir_fd)) < 0) {
        errno = -rc;
        return fail(err, GBX_EHOST, "notes of layer %.20s", source->digest);
    }
    return 0;
}

static int check_bytes(const struct layer_source *source, struct gbx_error *err)
{
    struct stat st;

    if (fstat(source->fd, &st) < 0)
        return fail(err, GBX_EHOST, "layer %.20s", source->digest);
    return (uint64_t)st.st_size == source->bytes
               ? 0
               : fail(err, GBX_EFORMAT,
                      "layer %s has %lld bytes, and its manifest says %llu",
                      source->digest, (long long)st.st_size,
                      (unsigned long long)source->bytes);
}

int layer_unpack(int dir_fd, const struct layer_source *source,
                 const struct layer_limits *limits, struct gbx_error *err)
{
    struct unpack self = {.limits = limits, .how = {.name = source->digest}};
    const struct stream_config config = {source->fd, source->digest,
                                         limits->bytes_max, limits->ratio_max,
                                         source->packed};
    /* Names in archives are bytes, mostly UTF-8: libarchive converts them to
     * the thread's locale, and drops what does not fit. */
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 != (locale_t)0 ? uselocale(utf8) : (locale_t)0;
    auto_fd int root_fd = -1;
    int rc = check_bytes(source, err);

    self.how.bytes_max = limits->bytes_max;
    self.how.notes = &self.notes;
    self.how.named = &self.named;
    if (rc == 0 && mkdirat(dir_fd, LAYER_FILES, 0755) == 0)
        root_fd =
            openat(dir_fd, LAYER_FILES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rc == 0 && root_fd < 0)
        rc = fail(err, GBX_EHOST, "a folder for layer %.20s", source->digest);
    place_init(&self.how.place, root_fd, &self.notes);
    if (rc == 0)
        rc = stream_open(&self.stream, &config, err);
    if (rc == 0)
        rc = unpack(&self, root_fd, dir_fd, source, err);
    archive_read_free(self.archive);
    stream_close(self.stream);
    place_fini(&self.how.place);
    notes_fini(&self.notes);
    notes_fini(&self.named);
    if (utf8 != (locale_t)0) {
        uselocale(before);
        freelocale(utf8);
    }
    return rc;
}
