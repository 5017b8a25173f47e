/* SPDX-License-Identifier: Apache-2.0 */
/* io.c - what is read from descriptors and written to them. */
#include <string.h>
#include <unistd.h>

#include "sandbox/wasm/wasi/inner.h"

#define ADVICE_MAX   5u
#define DIRENT_BYTES 24u

/* Between two parts of long work. */
static int look_at_time(struct wasi *wasi)
{
    struct pollfd none = {.fd = -1};
    int rc = wasi->config.wait(wasi->config.wait_context, &none, 0, 1);

    return rc < 0 ? wasi_end(wasi, rc) : 0;
}

static int64_t once(struct file *file, const struct iovec *pieces, int count,
                    uint64_t *position, bool writes)
{
    return writes ? file_write(file, pieces, count, position)
                  : file_read(file, pieces, count, position);
}

/* In parts, where it is much; then the pieces are one after the other. */
static int64_t transfer_file(struct wasi *wasi, struct file *file,
                             struct wasi_pieces *pieces, uint64_t *position,
                             bool writes)
{
    int64_t done = 0, n = 0;

    if (pieces->bytes <= WASI_PART_BYTES)
        return once(file, pieces->all, pieces->count, position, writes);
    for (int i = 0; i < pieces->count;) {
        struct iovec *left = &pieces->all[i], part = *left;

        if (part.iov_len > WASI_PART_BYTES)
            part.iov_len = WASI_PART_BYTES;
        n = once(file, &part, 1, position, writes);
        if (n > 0)
            done += n;
        if (n < (int64_t)part.iov_len)
            break;
        left->iov_base = (char *)left->iov_base + n;
        left->iov_len -= (size_t)n;
        i += left->iov_len == 0;
        if (look_at_time(wasi) < 0)
            return -EIO;
    }
    return done > 0 ? done : n;
}

/* All four: a[1] and a[2] are the vector; offset NULL: where the file is. */
static int transfer(struct wasi *wasi, const struct wasi_memory *memory,
                    const uint64_t *a, uint64_t *offset, uint32_t result,
                    bool writes)
{
    struct descriptor *descriptor;
    struct wasi_pieces pieces;
    int64_t n = descriptor_file(wasi, a[0], &descriptor);

    if (n < 0)
        return (int)n;
    if (descriptor_is_dir(descriptor))
        return writes ? -EBADF : -EISDIR;
    if ((descriptor->rights & (writes ? WASI_FD_WRITE : WASI_FD_READ)) == 0)
        return -EBADF;
    n = wasi_pieces(memory, (uint32_t)a[1], (uint32_t)a[2], &pieces);
    if (n == 0 && wasi_reach(memory, result, sizeof(uint32_t)) == NULL)
        n = -EFAULT;
    if (n < 0)
        return (int)n;
    if (descriptor->kind == DESCRIPTOR_FILE)
        n = transfer_file(wasi, descriptor->file, &pieces, offset, writes);
    else if (writes)
        n = stream_write(wasi, descriptor, &pieces, offset);
    else
        n = stream_read(wasi, descriptor, &pieces, offset);
    return n < 0 ? (int)n : wasi_put_u32(memory, result, (uint32_t)n);
}

int wasi_fd_read(struct wasi *wasi, const struct wasi_memory *memory,
                 const uint64_t *a)
{
    return transfer(wasi, memory, a, NULL, (uint32_t)a[3], false);
}

int wasi_fd_write(struct wasi *wasi, const struct wasi_memory *memory,
                  const uint64_t *a)
{
    return transfer(wasi, memory, a, NULL, (uint32_t)a[3], true);
}

int wasi_fd_pread(struct wasi *wasi, const struct wasi_memory *memory,
                  const uint64_t *a)
{
    uint64_t offset = a[3];

    return transfer(wasi, memory, a, &offset, (uint32_t)a[4], false);
}

int wasi_fd_pwrite(struct wasi *wasi, const struct wasi_memory *memory,
                   const uint64_t *a)
{
    uint64_t offset = a[3];

    return transfer(wasi, memory, a, &offset, (uint32_t)a[4], true);
}

static int seek(struct wasi *wasi, const struct wasi_memory *memory,
                uint64_t number, int64_t off, uint32_t whence, uint32_t result)
{
    static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
    struct descriptor *descriptor;
    int64_t at = descriptor_file(wasi, number, &descriptor);

    if (at < 0)
        return (int)at;
    if (descriptor_is_dir(descriptor))
        return -EBADF; /* its positions are cookies */
    if (whence > 2)
        return -EINVAL;
    if (wasi_reach(memory, result, sizeof(uint64_t)) == NULL)
        return -EFAULT;
    at = descriptor->kind == DESCRIPTOR_FILE
             ? file_seek(descriptor->file, off, whences[whence])
             : stream_seek(wasi, descriptor->which, off, whences[whence]);
    return at < 0 ? (int)at : wasi_put_u64(memory, result, (uint64_t)at);
}

int wasi_fd_seek(struct wasi *wasi, const struct wasi_memory *memory,
                 const uint64_t *a)
{
    return seek(wasi, memory, a[0], (int64_t)a[1], (uint32_t)a[2],
                (uint32_t)a[3]);
}

int wasi_fd_tell(struct wasi *wasi, const struct wasi_memory *memory,
                 const uint64_t *a)
{
    return seek(wasi, memory, a[0], 0, 1, (uint32_t)a[1]);
}

/* ---- directories ---- */

struct listing {
    uint8_t *to;
    uint32_t room, used;
};

static bool append(struct listing *listing, const void *bytes, size_t count)
{
    uint32_t left = listing->room - listing->used;
    uint32_t fits = count < left ? (uint32_t)count : left;

    memcpy(listing->to + listing->used, bytes, fits);
    listing->used += fits;
    return fits == count;
}

/* dirent: next (u64), ino (u64), length of the name (u32), type (u8); and then
 * the name.  The last one is cut, which tells that there are more. */
static int list_one(void *context, const struct file_entry *entry)
{
    struct listing *listing = context;
    uint32_t bytes = (uint32_t)strlen(entry->name);
    uint8_t head[DIRENT_BYTES] = {0};

    memcpy(head, &entry->next, sizeof(uint64_t));
    memcpy(head + 8, &entry->ino, sizeof(uint64_t));
    memcpy(head + 16, &bytes, sizeof(uint32_t));
    head[20] = (uint8_t)filetype_of_entry(entry->type);
    return !append(listing, head, sizeof(head)) ||
           !append(listing, entry->name, bytes);
}

int wasi_fd_readdir(struct wasi *wasi, const struct wasi_memory *memory,
                    const uint64_t *a)
{
    struct listing listing = {.room = (uint32_t)a[2]};
    struct descriptor *descriptor;
    int64_t rc = descriptor_dir(wasi, a[0], &descriptor);

    if (rc < 0)
        return (int)rc;
    if ((descriptor->rights & WASI_FD_READDIR) == 0)
        return -EBADF;
    listing.to = wasi_reach(memory, (uint32_t)a[1], listing.room);
    if (listing.to == NULL ||
        wasi_reach(memory, (uint32_t)a[4], sizeof(uint32_t)) == NULL)
        return -EFAULT;
    rc = file_seek(descriptor->file, (int64_t)a[3], SEEK_SET);
    if (rc >= 0)
        rc = file_list(descriptor->file, list_one, &listing);
    return rc < 0 ? (int)rc
                  : wasi_put_u32(memory, (uint32_t)a[4], listing.used);
}

/* ---- what lies in memory needs no more than this ---- */

int wasi_fd_advise(struct wasi *wasi, const struct wasi_memory *memory,
                   const uint64_t *a)
{
    const struct descriptor *descriptor = descriptor_find(wasi, a[0]);

    (void)memory;
    if (descriptor == NULL || descriptor_is_dir(descriptor))
        return -EBADF;
    if (descriptor->kind == DESCRIPTOR_STREAM)
        return -ESPIPE;
    return (uint32_t)a[3] > ADVICE_MAX ? -EINVAL : 0;
}

static int sync_nothing(struct wasi *wasi, const uint64_t *a)
{
    return descriptor_find(wasi, a[0]) == NULL ? -EBADF : 0;
}

int wasi_fd_datasync(struct wasi *wasi, const struct wasi_memory *memory,
                     const uint64_t *a)
{
    (void)memory;
    return sync_nothing(wasi, a);
}

int wasi_fd_sync(struct wasi *wasi, const struct wasi_memory *memory,
                 const uint64_t *a)
{
    (void)memory;
    return sync_nothing(wasi, a);
}

/* Of the tree, and open for writing. */
static int writable(struct wasi *wasi, uint64_t number, struct file **file)
{
    const struct descriptor *descriptor = descriptor_find(wasi, number);

    if (descriptor == NULL || descriptor_is_dir(descriptor))
        return -EBADF;
    if (descriptor->kind == DESCRIPTOR_STREAM)
        return -EINVAL;
    *file = descriptor->file;
    return (descriptor->rights & WASI_FD_WRITE) == 0 ? -EBADF : 0;
}

/* Longer at least; memory is taken where it is written. */
int wasi_fd_allocate(struct wasi *wasi, const struct wasi_memory *memory,
                     const uint64_t *a)
{
    struct file *file;
    int64_t end, size;
    int rc = writable(wasi, a[0], &file);

    (void)memory;
    if (rc < 0)
        return rc;
    if ((int64_t)a[1] < 0 || (int64_t)a[2] <= 0 ||
        __builtin_add_overflow((int64_t)a[1], (int64_t)a[2], &end))
        return -EINVAL;
    if (file->class->size == NULL || file->class->truncate == NULL)
        return -ENODEV;
    size = file->class->size(file);
    return end > size ? file_truncate(file, end) : 0;
}

int wasi_fd_filestat_set_size(struct wasi *wasi,
                              const struct wasi_memory *memory,
                              const uint64_t *a)
{
    struct file *file;
    int rc = writable(wasi, a[0], &file);

    (void)memory;
    return rc < 0 ? rc : file_truncate(file, (int64_t)a[1]);
}
