/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.c - is all in the store what it claims to be?
 *
 * Blobs are hashed.  A layer is unpacked once more, and compared, file by file.
 * What is damaged is put away, so that the next pull brings it again; but not
 * what is in use.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/layer/hash.h"
#include "image/layer/notes.h"
#include "image/pull/bring.h"
#include "image/pull/report.h"
#include "image/store/find.h"
#include "image/store/folder.h"
#include "image/store/names.h"

#define BLOCK_BYTES (256u << 10)

struct check {
    struct gbx_images *images;
    int count; /* of damages */
    int rc;    /* the first thing that could not be done, with its: */
    struct gbx_error *err;
};

/* Of errno: that this host lacks something says nothing of the store.  Then no
 * more is looked at, and nothing is put away. */
static bool host_lacks(struct check *check, const char *path)
{
    if (errno != ENOMEM && errno != EMFILE && errno != ENFILE)
        return false;
    if (check->rc == 0)
        check->rc = fail(check->err, GBX_EHOST, "%.120s/%.80s",
                         check->images->path, path);
    return true;
}

static void damaged(struct check *check, const char *path, const char *why)
{
    report_damage("%s: %s", path, why);
    check->count++;
}

/* A file, or a folder, unless somebody uses it. */
static void put_away(struct check *check, const char *path)
{
    auto_fd int held = find_hold(check->images, path, true);

    if (held == -EAGAIN)
        report_damage("%s stays, because it is in use", path);
    else
        folder_remove(check->images->fd, path, NULL);
}

/* ---- blobs ---- */

static bool hash_file(int fd, char digest[DIGEST_BYTES])
{
    static char block[BLOCK_BYTES];
    struct hash hash;
    ssize_t n;

    hash_begin(&hash);
    while ((n = read(fd, block, sizeof(block))) > 0)
        hash_add(&hash, block, (size_t)n);
    if (!hash_end(&hash, digest) && n == 0) {
        errno = ENOMEM;
        return false;
    }
    return n == 0;
}

static void check_blob(struct check *check, const char *name)
{
    char path[STORE_PATH_BYTES + NAME_MAX], digest[DIGEST_BYTES];
    auto_fd int fd = -1;

    snprintf(path, sizeof(path), STORE_BLOBS "/%s", name);
    errno = 0;
    fd = openat(check->images->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && hash_file(fd, digest) &&
        strcmp(digest_hex(digest), name) == 0)
        return;
    if (host_lacks(check, path))
        return;
    damaged(check, path, "its bytes are not those that its name says");
    put_away(check, path);
}

static void check_blobs(struct check *check)
{
    int fd = openat(check->images->fd, STORE_BLOBS,
                    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (dir == NULL) {
        close_fd(&fd);
        if (!host_lacks(check, STORE_BLOBS))
            damaged(check, STORE_BLOBS, strerrordesc_np(errno));
        return;
    }
    while (check->rc == 0 && (errno = 0, entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            check_blob(check, entry->d_name);
    if (errno != 0 && !host_lacks(check, STORE_BLOBS))
        damaged(check, STORE_BLOBS, strerrordesc_np(errno));
    closedir(dir);
}

/* ---- a layer and what it should be ---- */

static bool same_bytes(int one, int other, off_t bytes)
{
    static char blocks[2][BLOCK_BYTES];

    for (off_t off = 0; off < bytes;) {
        ssize_t n = pread(one, blocks[0], BLOCK_BYTES, off);

        if (n <= 0 || pread(other, blocks[1], (size_t)n, off) != n ||
            memcmp(blocks[0], blocks[1], (size_t)n) != 0)
            return false;
        off += n;
    }
    return true;
}

static bool same_file(int one, int other, const char *name, off_t bytes)
{
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    auto_fd int a = openat(one, name, flags), b = openat(other, name, flags);

    return a >= 0 && b >= 0 && same_bytes(a, b, bytes);
}

static bool same_link(int one, int other, const char *name)
{
    char a[PATH_MAX], b[PATH_MAX];
    ssize_t n = readlinkat(one, name, a, sizeof(a));

    return n >= 0 && readlinkat(other, name, b, sizeof(b)) == n &&
           memcmp(a, b, (size_t)n) == 0;
}

/* Both descriptors are taken.  path grows to what differs. */
static bool same_folder(int one, int other, char path[PATH_MAX]);

static bool same_entry(int one, int other, const char *name,
                       char path[PATH_MAX])
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    struct stat a, b;

    if (fstatat(one, name, &a, AT_SYMLINK_NOFOLLOW) < 0 ||
        fstatat(other, name, &b, AT_SYMLINK_NOFOLLOW) < 0 ||
        a.st_mode != b.st_mode)
        return false;
    if (S_ISDIR(a.st_mode))
        return same_folder(openat(one, name, flags), openat(other, name, flags),
                           path);
    if (a.st_size != b.st_size || a.st_mtim.tv_sec != b.st_mtim.tv_sec)
        return false;
    return S_ISLNK(a.st_mode) ? same_link(one, other, name)
                              : same_file(one, other, name, a.st_size);
}

static size_t count_names(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    size_t count = 0;

    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    else
        close_fd(&copy);
    return count;
}

static bool same_folder(int one, int other, char path[PATH_MAX])
{
    const size_t bytes = strlen(path);
    bool same =
        one >= 0 && other >= 0 && count_names(one) == count_names(other);
    DIR *dir = one < 0 ? NULL : fdopendir(one);
    const struct dirent *entry;

    while (same && dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path + bytes, PATH_MAX - bytes, "/%s", entry->d_name);
        same = same_entry(one, other, entry->d_name, path);
        if (same)
            path[bytes] = '\0';
    }
    if (dir != NULL)
        closedir(dir);
    else
        close_fd(&one);
    close_fd(&other);
    return same;
}

static bool same_layer(int one, int other, char path[PATH_MAX])
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    struct stat a, b;

    return fstatat(one, NOTES_FILE, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(other, NOTES_FILE, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
           a.st_size == b.st_size &&
           same_file(one, other, NOTES_FILE, a.st_size) &&
           same_folder(openat(one, LAYER_FILES, flags),
                       openat(other, LAYER_FILES, flags), path);
}

static int unpack_again(struct check *check, int fd,
                        const struct record_layer *layer, struct gbx_error *err)
{
    const struct layer_limits limits = {UINT64_MAX / 2, UINT32_MAX, UINT32_MAX};
    struct layer_source source = {
        .digest = layer->digest, .diff = layer->diff, .bytes = layer->bytes};
    char blob[STORE_PATH_BYTES];
    auto_fd int from = -1;

    store_blob(blob, layer->digest);
    from = source.fd = openat(check->images->fd, blob, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return errno == ENOENT
                   ? fail(err, GBX_EFILE, "%s is not there", blob)
                   : fail(err, GBX_EHOST, "%s/%s", check->images->path, blob);
    return layer_unpack(fd, &source, &limits, err);
}

static void check_layer(struct check *check, const struct record_layer *layer)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    char path[STORE_PATH_BYTES], draft[STORE_PATH_BYTES];
    char where[PATH_MAX] = "", why[PATH_MAX + 64];
    struct gbx_error err = {0};
    auto_fd int is = -1;
    int fd, rc;

    snprintf(path, sizeof(path), STORE_LAYERS "/%s", digest_hex(layer->diff));
    is = openat(check->images->fd, path, flags);
    if (is < 0) {
        if (!host_lacks(check, path))
            damaged(check, path, "the layer is not there");
        return;
    }
    fd = store_draft(check->images, draft);
    if (fd < 0) {
        check->rc = fail(check->err, GBX_EHOST, "a draft in %.120s: %s",
                         check->images->path, strerrordesc_np(-fd));
        return;
    }
    rc = unpack_again(check, fd, layer, &err);
    errno = 0;
    if (rc == GBX_EHOST) {
        check->rc = fail(check->err, rc, "%s", err.what);
    } else if (rc < 0) {
        damaged(check, path, err.what);
    } else if (!same_layer(is, fd, where) && !host_lacks(check, path)) {
        snprintf(why, sizeof(why), "differs from its blob at %s", where);
        damaged(check, path, why);
        put_away(check, path);
    }
    store_drop(check->images, &fd, draft);
}

/* ---- records ---- */

static void expect(struct check *check, const char *path, const char *why)
{
    if (faccessat(check->images->fd, path, R_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
        !host_lacks(check, path))
        damaged(check, path, why);
}

static void check_record(struct check *check, const struct record *record)
{
    const int before = check->count;
    char path[STORE_PATH_BYTES], why[GBX_ERROR_TEXT_MAX];

    store_blob(path, record->digest);
    snprintf(why, sizeof(why), "the manifest of %.100s is not there",
             record->name);
    expect(check, path, why);
    store_blob(path, record->config);
    snprintf(why, sizeof(why), "the configuration of %.100s is not there",
             record->name);
    expect(check, path, why);
    for (uint32_t i = 0; check->rc == 0 && i < record->layer_count; i++)
        check_layer(check, &record->layers[i]);
    expect(check, record->root, "the root is not there");
    /* It has files in common with what was damaged. */
    if (check->count > before &&
        strncmp(record->root, STORE_ROOTS, strlen(STORE_ROOTS)) == 0)
        put_away(check, record->root);
}

/* What the lists pass over. */
static void check_files(struct check *check, const char *folder, size_t read)
{
    auto_fd int fd =
        openat(check->images->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    errno = fd < 0 ? errno : 0;
    if ((fd < 0 || count_names(fd) != read + 2) && !host_lacks(check, folder))
        damaged(check, folder, "a file in it cannot be read");
}

int verify(struct gbx_images *images, struct gbx_error *err)
{
    struct check check = {.images = images, .err = err};
    auto_fd int lock = store_lock_alone(images, err);
    struct records records = {0};
    struct names names = {0};
    int rc;

    if (lock < 0)
        return lock;
    check_blobs(&check);
    rc = check.rc < 0 ? check.rc : records_read(&records, images, err);
    if (rc == 0)
        rc = names_read(&names, images, err);
    if (rc == 0) {
        check_files(&check, STORE_IMAGES, records.count);
        check_files(&check, STORE_NAMES, names.count);
    }
    for (size_t i = 0; rc == 0 && check.rc == 0 && i < records.count; i++)
        check_record(&check, &records.all[i]);
    for (size_t i = 0; rc == 0 && i < names.count; i++)
        if (records_find(&records, names.all[i].digest) == NULL)
            damaged(&check, names.all[i].name, "its image is not there");
    records_fini(&records);
    names_fini(&names);
    if (rc == 0)
        rc = check.rc;
    return rc < 0 ? rc : check.count;
}
