/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - what Linux checks before it asks the kind of file. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/check.h"
#include "sandbox/files/tree/file.h"

#define ONCE_BYTES 0x7ffff000u /* as Linux: in one read or write */

struct file *file_get(struct file *file)
{
    must(file->references > 0 && file->references < UINT32_MAX);
    file->references++;
    return file;
}

void file_put(struct file *file)
{
    if (file == NULL)
        return;
    must(file->references > 0);
    if (--file->references == 0)
        file->class->close(file);
}

static bool may(const struct file *file, unsigned mode)
{
    unsigned has = file->flags & O_ACCMODE;

    return (file->flags & O_PATH) == 0 && (has == mode || has == O_RDWR);
}

/* How many pieces, the last of them cut, are as much as goes at once. */
static int fit(struct iovec *fitting, const struct iovec *pieces, int count,
               uint64_t *bytes)
{
    int i;

    *bytes = 0;
    for (i = 0; i < count && i < IOV_MAX && *bytes < ONCE_BYTES; i++) {
        fitting[i] = pieces[i];
        if (fitting[i].iov_len > ONCE_BYTES - *bytes)
            fitting[i].iov_len = ONCE_BYTES - *bytes;
        *bytes += fitting[i].iov_len;
    }
    return i;
}

typedef int64_t transfer_fn(struct file *file, const struct iovec *pieces,
                            int count, uint64_t *position);

static int64_t transfer(struct file *file, transfer_fn *fn,
                        const struct iovec *pieces, int count,
                        uint64_t *position)
{
    bool is_seekable = file->class->size != NULL;
    bool is_kept = position == NULL && file->class->seek != NULL;
    struct iovec fitting[IOV_MAX];
    uint64_t bytes, at = 0;
    int64_t n;

    if (position != NULL && !is_seekable)
        return -ESPIPE;
    if (position == NULL)
        position = &file->position;
    if (fn == NULL)
        return -EINVAL;
    if (count < 0)
        return -EINVAL;
    count = fit(fitting, pieces, count, &bytes);
    if (!is_seekable || is_kept)
        return fn(file, fitting, count, NULL);
    at = *position;
    if (at > INT64_MAX || bytes > INT64_MAX - at)
        return -EINVAL;
    n = fn(file, fitting, count, &at);
    *position = at;
    return n;
}

int64_t file_read(struct file *file, const struct iovec *pieces, int count,
                  uint64_t *position)
{
    if (!may(file, O_RDONLY))
        return -EBADF;
    return transfer(file, file->class->read, pieces, count, position);
}

int64_t file_write(struct file *file, const struct iovec *pieces, int count,
                   uint64_t *position)
{
    if (!may(file, O_WRONLY))
        return -EBADF;
    return transfer(file, file->class->write, pieces, count, position);
}

/* A file without holes, as far as a program can tell. */
static int64_t seek_data(struct file *file, int64_t off, int whence)
{
    int64_t size = file->class->size(file);

    if (size < 0)
        return size;
    if (off < 0 || off >= size)
        return -ENXIO;
    return whence == SEEK_DATA ? off : size;
}

int64_t file_seek(struct file *file, int64_t off, int whence)
{
    int64_t from = 0;

    if ((file->flags & O_PATH) != 0)
        return -EBADF;
    if (whence < SEEK_SET || whence > SEEK_HOLE)
        return -EINVAL;
    if (file->class->size == NULL)
        return -ESPIPE;
    if (file->class->seek != NULL)
        return file->class->seek(file, off, whence);
    if (whence == SEEK_CUR)
        from = (int64_t)file->position;
    else if (whence == SEEK_END)
        from = file->class->size(file);
    else if (whence != SEEK_SET)
        off = seek_data(file, off, whence);
    if (from < 0)
        return from;
    if (off < 0 && whence > SEEK_END)
        return off;
    if (__builtin_add_overflow(from, off, &off))
        return -EOVERFLOW;
    if (off < 0)
        return -EINVAL;
    file->position = (uint64_t)off;
    return off;
}

int file_truncate(struct file *file, int64_t bytes)
{
    if ((file->flags & O_PATH) != 0)
        return -EBADF;
    if (bytes < 0 || !may(file, O_WRONLY) || file->class->truncate == NULL)
        return -EINVAL;
    return file->class->truncate(file, (uint64_t)bytes);
}

int file_stat(struct file *file, struct stat *st)
{
    must(file->class->stat != NULL);
    return file->class->stat(file, st);
}

int file_list(struct file *file, file_entry_fn *fn, void *context)
{
    if ((file->flags & O_PATH) != 0)
        return -EBADF;
    if (file->class->list == NULL)
        return -ENOTDIR;
    return file->class->list(file, fn, context);
}

unsigned file_poll(struct file *file)
{
    if ((file->flags & O_PATH) != 0)
        return POLLNVAL;
    if (file->class->poll == NULL)
        return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    return file->class->poll(file);
}

uint64_t file_due_ns(struct file *file)
{
    return file->class->due_ns == NULL ? 0 : file->class->due_ns(file);
}

void file_move(struct file *file, const struct heap_move *move)
{
    move_pointer(move, &file->class);
    move_pointer(move, &file->node);
}
