/* SPDX-License-Identifier: Apache-2.0 */
/* io.c - bytes in and out of open files. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

#define COUNT_MAX  0x7ffff000u /* Linux's MAX_RW_COUNT */
#define COPY_BYTES 65536u

/* What goes at once, and what is done before somebody else may go on. */
#define ROUND_BYTES (4u << 20)

void calls_set_single(struct calls_buffers *buffers,
                      struct calls_single *single, uint64_t address,
                      uint64_t bytes)
{
    bytes = bytes < COUNT_MAX ? bytes : COUNT_MAX;
    single->given.iov_base = (void *)(uintptr_t)address; /* NOLINT: a number */
    single->given.iov_len = bytes;
    *buffers = (struct calls_buffers){.given = &single->given,
                                      .count = 1,
                                      .bytes = bytes,
                                      .pieces = single->pieces,
                                      .room = ARRAY_SIZE(single->pieces)};
}

int64_t calls_gather(struct kernel *kernel, struct calls_buffers *buffers,
                     uint64_t from, unsigned access)
{
    uint64_t all = 0, reached = 0;
    int rc = 0;

    buffers->piece_count = 0;
    for (uint64_t i = 0; i < buffers->count && all < CALLS_SLICE_BYTES; i++) {
        uint64_t bytes = buffers->given[i].iov_len, at = from;

        from -= at < bytes ? at : bytes;
        if (at >= bytes)
            continue;
        bytes -= at;
        if (bytes > CALLS_SLICE_BYTES - all)
            bytes = CALLS_SLICE_BYTES - all;
        rc = user_pieces(&kernel->space,
                         (uint64_t)(uintptr_t)buffers->given[i].iov_base + at,
                         bytes, access, buffers->pieces + buffers->piece_count,
                         buffers->room - buffers->piece_count, &reached);
        if (rc < 0)
            break;
        buffers->piece_count += rc;
        all += reached;
        if (reached < bytes)
            break;
    }
    return rc < 0 && all == 0 ? rc : (int64_t)all;
}

/*
 * A part after the other.  position NULL: the file's own, and it may wait: a
 * write until all of it is written.  `done` is what was done before it waited,
 * or before others had their turn.
 */
static int64_t transfer(struct kernel *kernel, struct file *file,
                        struct calls_buffers *buffers, bool writes,
                        const uint64_t *position)
{
    uint64_t done = kernel->current->wait.done, round = done, at = 0;
    bool is_stream = file->class->size == NULL;
    uint64_t *place = position != NULL ? &at : NULL;
    int64_t rc, reached;

    if (done > buffers->bytes) /* another task has changed the list */
        done = round = buffers->bytes;
    do {
        if (position != NULL)
            at = *position + done;
        rc = reached = calls_gather(kernel, buffers, done,
                                    writes ? TABLES_READ : TABLES_WRITE);
        if (rc >= 0 && writes)
            rc = file_write(file, buffers->pieces, buffers->piece_count, place);
        else if (rc >= 0)
            rc = file_read(file, buffers->pieces, buffers->piece_count, place);
        if (rc <= 0)
            break;
        done += (uint64_t)rc;
        /* Of streams a second read might be another message. */
        if (done == buffers->bytes || (!writes && (is_stream || rc < reached)))
            return (int64_t)done;
    } while (done - round < ROUND_BYTES);
    if (rc > 0)
        return task_go_on(kernel, done);
    if (rc == -EAGAIN && position == NULL && (writes || done == 0)) {
        rc = calls_wait_for(kernel, file, rc, false);
        kernel->current->wait.done = done;
        if (rc == KERNEL_WAIT)
            return rc;
    }
    if (rc == -EPIPE && writes)
        calls_broken_pipe(kernel);
    return done > 0 ? (int64_t)done : rc;
}

void calls_broken_pipe(struct kernel *kernel)
{
    siginfo_t info = {.si_signo = SIGPIPE, .si_code = SI_USER};

    info.si_pid = kernel->pid;
    info.si_uid = kernel->uid;
    signal_send(kernel, kernel->current, SIGPIPE, &info);
}

/* In the midst of a long call, another task may have closed it. */
static int64_t no_file(const struct kernel *kernel)
{
    uint64_t done = kernel->current->wait.done;

    return done > 0 ? (int64_t)done : -EBADF;
}

static int64_t stream(struct kernel *kernel, const uint64_t a[6], bool writes)
{
    struct file *file = kernel_file(kernel, a[0]);
    struct calls_buffers buffers;
    struct calls_single single;

    if (file == NULL)
        return no_file(kernel);
    calls_set_single(&buffers, &single, a[1], a[2]);
    return transfer(kernel, file, &buffers, writes, NULL);
}

int64_t call_read(struct kernel *kernel, const uint64_t a[6])
{
    return stream(kernel, a, false);
}

int64_t call_write(struct kernel *kernel, const uint64_t a[6])
{
    return stream(kernel, a, true);
}

static int64_t at_position(struct kernel *kernel, const uint64_t a[6],
                           bool writes)
{
    struct file *file = kernel_file(kernel, a[0]);
    struct calls_buffers buffers;
    struct calls_single single;

    if (file == NULL)
        return no_file(kernel);
    if ((int64_t)a[3] < 0)
        return -EINVAL;
    if (file->class->size == NULL)
        return -ESPIPE;
    calls_set_single(&buffers, &single, a[1], a[2]);
    return transfer(kernel, file, &buffers, writes, &a[3]);
}

int64_t call_pread64(struct kernel *kernel, const uint64_t a[6])
{
    return at_position(kernel, a, false);
}

int64_t call_pwrite64(struct kernel *kernel, const uint64_t a[6])
{
    return at_position(kernel, a, true);
}

/* A buffer has a piece more than it has whole pages, at most. */
#define PIECES_MAX                                                             \
    (2 * CALLS_VECTORS_MAX + CALLS_SLICE_BYTES / SPACE_PAGE_BYTES)

struct list {
    struct iovec given[CALLS_VECTORS_MAX], pieces[PIECES_MAX];
};

int calls_buffers_open(struct kernel *kernel, struct calls_buffers *buffers,
                       uint64_t address, uint64_t count)
{
    struct list *list;
    int rc;

    *buffers = (struct calls_buffers){.owned = NULL};
    if (count > CALLS_VECTORS_MAX)
        return -EINVAL;
    if ((list = malloc(sizeof(*list))) == NULL)
        return -ENOMEM;
    *buffers = (struct calls_buffers){.owned = list,
                                      .given = list->given,
                                      .count = count,
                                      .pieces = list->pieces,
                                      .room = PIECES_MAX};
    rc = user_read(&kernel->space, list->given, address,
                   count * sizeof(list->given[0]));
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        size_t *part = &list->given[i].iov_len;

        if ((int64_t)*part < 0)
            rc = -EINVAL;
        if (*part > COUNT_MAX - buffers->bytes)
            *part = COUNT_MAX - buffers->bytes;
        buffers->bytes += *part;
    }
    return rc;
}

void calls_buffers_close(struct calls_buffers *buffers)
{
    free(buffers->owned);
    buffers->owned = NULL;
}

/* position NULL: the file's own. */
static int64_t vectored(struct kernel *kernel, const uint64_t a[6], bool writes,
                        const uint64_t *position)
{
    struct file *file = kernel_file(kernel, a[0]);
    struct calls_buffers buffers;
    int64_t rc;

    if (file == NULL)
        return no_file(kernel);
    if (position != NULL && file->class->size == NULL)
        return -ESPIPE;
    rc = calls_buffers_open(kernel, &buffers, a[1], a[2]);
    if (rc == 0)
        rc = transfer(kernel, file, &buffers, writes, position);
    calls_buffers_close(&buffers);
    return rc;
}

int64_t call_readv(struct kernel *kernel, const uint64_t a[6])
{
    return vectored(kernel, a, false, NULL);
}

int64_t call_writev(struct kernel *kernel, const uint64_t a[6])
{
    return vectored(kernel, a, true, NULL);
}

static int64_t vectored_at(struct kernel *kernel, const uint64_t a[6],
                           bool writes, bool may_be_current)
{
    if (may_be_current && (int64_t)a[3] == -1)
        return vectored(kernel, a, writes, NULL);
    return (int64_t)a[3] < 0 ? -EINVAL : vectored(kernel, a, writes, &a[3]);
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
        int64_t own = position != NULL ? 0 : file_seek(from, 0, SEEK_CUR);
        uint64_t at = position != NULL ? *position : (uint64_t)own;
        struct iovec piece = {buffer, part};

        got = own < 0 ? own : file_read(from, &piece, 1, &at);
        if (got <= 0)
            break;
        piece.iov_len = (size_t)got;
        put = file_write(to, &piece, 1, NULL);
        if (put <= 0)
            break;
        if (position != NULL)
            *position += (uint64_t)put;
        else
            file_seek(from, put, SEEK_CUR);
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
    /* It may always do less. */
    uint64_t position, bytes = a[3] > ROUND_BYTES ? ROUND_BYTES : a[3];
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
    if (rc == -EPIPE)
        calls_broken_pipe(kernel);
    return calls_wait_for(kernel, to, rc, false);
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
