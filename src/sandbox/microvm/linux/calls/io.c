/* SPDX-License-Identifier: Apache-2.0 */
/* io.c - bytes in and out of open files. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

#define COUNT_MAX   0x7ffff000u /* Linux's MAX_RW_COUNT */
#define VECTORS_MAX 1024u       /* its UIO_MAXIOV */
#define COPY_BYTES  65536u

/* A reader that is gone kills the writer, unless it catches that. */
static int64_t broken_pipe(struct kernel *kernel, int64_t rc)
{
    siginfo_t info = {.si_signo = SIGPIPE, .si_code = SI_USER};

    if (rc == -EPIPE)
        signal_send(kernel, kernel->current, SIGPIPE, &info);
    return rc;
}

/*
 * One stretch of a call that may wait.  A write goes on where it had to stop,
 * `done` bytes after its begin, until all of it is written.
 */
static int64_t stream(struct kernel *kernel, struct file *file,
                      uint64_t address, uint64_t bytes, bool writes)
{
    struct task_wait *wait = &kernel->current->wait;
    uint64_t done = wait->done;
    int64_t rc;

    if (bytes > COUNT_MAX)
        bytes = COUNT_MAX;
    rc = calls_transfer(kernel, file, address + done, bytes - done, writes,
                        NULL);
    if (!writes || (file->flags & O_NONBLOCK) != 0)
        return calls_wait_for(kernel, file, rc, false);
    if (rc >= 0) {
        done += (uint64_t)rc;
        if (done == bytes || rc == 0 || file->class->poll == NULL)
            return (int64_t)done;
        rc = -EAGAIN; /* it took a part: the rest has to wait */
    }
    if (rc != -EAGAIN && done > 0)
        return (int64_t)done;
    rc = calls_wait_for(kernel, file, rc, false);
    if (rc == KERNEL_WAIT)
        wait->done = done;
    return rc;
}

int64_t call_read(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file = kernel_file(kernel, a[0]);

    return file == NULL ? -EBADF : stream(kernel, file, a[1], a[2], false);
}

int64_t call_write(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file = kernel_file(kernel, a[0]);

    if (file == NULL)
        return -EBADF;
    return broken_pipe(kernel, stream(kernel, file, a[1], a[2], true));
}

static int64_t at_position(struct kernel *kernel, const uint64_t a[6],
                           bool writes)
{
    struct file *file = kernel_file(kernel, a[0]);
    uint64_t position = a[3];

    if (file == NULL)
        return -EBADF;
    if ((int64_t)position < 0)
        return -EINVAL;
    if (file->class->size == NULL)
        return -ESPIPE;
    return calls_transfer(kernel, file, a[1],
                          a[2] > COUNT_MAX ? COUNT_MAX : a[2], writes,
                          &position);
}

int64_t call_pread64(struct kernel *kernel, const uint64_t a[6])
{
    return at_position(kernel, a, false);
}

int64_t call_pwrite64(struct kernel *kernel, const uint64_t a[6])
{
    return at_position(kernel, a, true);
}

/* The list is copied first: what is checked is what is used. */
static int read_vectors(struct kernel *kernel, uint64_t address, uint64_t count,
                        struct iovec **vectors)
{
    uint64_t bytes = 0;
    int rc;

    *vectors = NULL;
    if (count > VECTORS_MAX)
        return -EINVAL;
    *vectors = calloc(count == 0 ? 1 : count, sizeof(**vectors));
    if (*vectors == NULL)
        return -ENOMEM;
    rc =
        user_read(&kernel->space, *vectors, address, count * sizeof(**vectors));
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        uint64_t part = (*vectors)[i].iov_len;

        if ((int64_t)part < 0)
            rc = -EINVAL;
        if (part > COUNT_MAX - bytes)
            (*vectors)[i].iov_len = part = COUNT_MAX - bytes;
        bytes += part;
    }
    return rc;
}

/* position NULL: the file's own, and it may wait before the first byte. */
static int64_t vectored(struct kernel *kernel, const uint64_t a[6], bool writes,
                        uint64_t *position)
{
    struct file *file = kernel_file(kernel, a[0]);
    uint64_t done = 0, skip = kernel->current->wait.done;
    struct iovec *vectors;
    int64_t rc;

    if (file == NULL)
        return -EBADF;
    if (position != NULL && file->class->size == NULL)
        return -ESPIPE;
    rc = read_vectors(kernel, a[1], a[2], &vectors);
    for (uint64_t i = 0; rc >= 0 && i < a[2]; i++) {
        uint64_t bytes = vectors[i].iov_len, from = 0;

        if (bytes == 0)
            continue;
        if (skip >= bytes) { /* written before it had to wait */
            skip -= bytes;
            done += bytes;
            continue;
        }
        from = skip;
        done += from;
        skip = 0;
        rc = calls_transfer(kernel, file,
                            (uint64_t)(uintptr_t)vectors[i].iov_base + from,
                            bytes - from, writes, position);
        if (rc > 0)
            done += (uint64_t)rc;
        if (rc >= 0 && (uint64_t)rc < bytes - from) {
            rc = writes && file->class->poll != NULL ? -EAGAIN : rc;
            break;
        }
    }
    free(vectors);
    if (rc == -EAGAIN && position == NULL && (done == 0 || writes)) {
        rc = calls_wait_for(kernel, file, rc, false);
        if (rc == KERNEL_WAIT) {
            kernel->current->wait.done = done;
            return rc;
        }
    }
    return done > 0 ? (int64_t)done : rc;
}

int64_t call_readv(struct kernel *kernel, const uint64_t a[6])
{
    return vectored(kernel, a, false, NULL);
}

int64_t call_writev(struct kernel *kernel, const uint64_t a[6])
{
    return broken_pipe(kernel, vectored(kernel, a, true, NULL));
}

static int64_t vectored_at(struct kernel *kernel, const uint64_t a[6],
                           bool writes, bool may_be_current)
{
    uint64_t position = a[3];

    if (may_be_current && (int64_t)position == -1)
        return vectored(kernel, a, writes, NULL);
    return (int64_t)position < 0 ? -EINVAL
                                 : vectored(kernel, a, writes, &position);
}

int64_t call_preadv(struct kernel *kernel, const uint64_t a[6])
{
    return vectored_at(kernel, a, false, false);
}

int64_t call_pwritev(struct kernel *kernel, const uint64_t a[6])
{
    return vectored_at(kernel, a, true, false);
}

int64_t call_preadv2(struct kernel *kernel, const uint64_t a[6])
{
    return a[5] != 0 ? -EOPNOTSUPP : vectored_at(kernel, a, false, true);
}

int64_t call_pwritev2(struct kernel *kernel, const uint64_t a[6])
{
    return a[5] != 0 ? -EOPNOTSUPP : vectored_at(kernel, a, true, true);
}

int64_t call_lseek(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file = kernel_file(kernel, a[0]);

    return file == NULL ? -EBADF : file_seek(file, (int64_t)a[1], (int)a[2]);
}

/* Through a buffer of ours: neither end need be memory. */
static int64_t copy(struct file *from, struct file *to, uint64_t *position,
                    uint64_t bytes)
{
    char *buffer = malloc(COPY_BYTES);
    uint64_t done = 0;
    int64_t got = 0, put = 0;

    if (buffer == NULL)
        return -ENOMEM;
    while (done < bytes) {
        uint64_t part = bytes - done < COPY_BYTES ? bytes - done : COPY_BYTES;
        uint64_t at = position != NULL ? *position : from->position;
        struct iovec piece = {buffer, part};

        got = file_read(from, &piece, 1, &at);
        if (got <= 0)
            break;
        piece.iov_len = (size_t)got;
        put = file_write(to, &piece, 1, NULL);
        if (put <= 0)
            break;
        if (position != NULL)
            *position += (uint64_t)put;
        else
            from->position += (uint64_t)put;
        done += (uint64_t)put;
        if (put < got)
            break;
    }
    free(buffer);
    if (done > 0)
        return (int64_t)done;
    return got < 0 ? got : put;
}

int64_t call_sendfile(struct kernel *kernel, const uint64_t a[6])
{
    struct file *to = kernel_file(kernel, a[0]);
    struct file *from = kernel_file(kernel, a[1]);
    uint64_t position, bytes = a[3] > COUNT_MAX ? COUNT_MAX : a[3];
    int64_t rc;

    if (from == NULL || to == NULL)
        return -EBADF;
    if (from->class->size == NULL)
        return -EINVAL;
    if (a[2] != 0 &&
        (rc = user_read(&kernel->space, &position, a[2], sizeof(position))) < 0)
        return rc;
    if (a[2] != 0 && (int64_t)position < 0)
        return -EINVAL;
    rc = copy(from, to, a[2] != 0 ? &position : NULL, bytes);
    if (rc > 0 && a[2] != 0 &&
        user_write(&kernel->space, a[2], &position, sizeof(position)) < 0)
        return -EFAULT;
    return broken_pipe(kernel, calls_wait_for(kernel, to, rc, false));
}

static int64_t settle(struct kernel *kernel, uint64_t number)
{
    return kernel_file(kernel, number) == NULL ? -EBADF : 0;
}

/* What the guest writes lies in memory: there is nothing to wait for. */
int64_t call_fsync(struct kernel *kernel, const uint64_t a[6])
{
    return settle(kernel, a[0]);
}

int64_t call_fdatasync(struct kernel *kernel, const uint64_t a[6])
{
    return settle(kernel, a[0]);
}

int64_t call_syncfs(struct kernel *kernel, const uint64_t a[6])
{
    return settle(kernel, a[0]);
}

int64_t call_sync(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel, (void)a;
    return 0;
}

int64_t call_readahead(struct kernel *kernel, const uint64_t a[6])
{
    return settle(kernel, a[0]);
}

int64_t call_fadvise64(struct kernel *kernel, const uint64_t a[6])
{
    return settle(kernel, a[0]);
}

int64_t call_ftruncate(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file = kernel_file(kernel, a[0]);

    return file == NULL ? -EBADF : file_truncate(file, (int64_t)a[1]);
}

/* Holes cost nothing, so only the length can be given. */
int64_t call_fallocate(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file = kernel_file(kernel, a[0]);
    int64_t size, end;

    if (file == NULL)
        return -EBADF;
    if ((int64_t)a[2] < 0 || (int64_t)a[3] <= 0 ||
        __builtin_add_overflow((int64_t)a[2], (int64_t)a[3], &end))
        return -EINVAL;
    if (file->class->size == NULL || file->class->truncate == NULL)
        return -ENODEV;
    if (a[1] == 1) /* FALLOC_FL_KEEP_SIZE */
        return 0;
    if (a[1] != 0)
        return -EOPNOTSUPP;
    size = file->class->size(file);
    return end > size ? file_truncate(file, end) : 0;
}
