/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - 0, 1 and 2: the host's descriptors, or the output callback.
 *
 * A descriptor of the host is shared with whoever else has it, so it can be
 * made neither to wait nor not to.  config.wait says when it is ready; pipes
 * and terminals are then used through a description of our own that does not
 * wait, should somebody else have been quicker.  Where that cannot be had, we
 * do without.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/wasm/wasi/inner.h"

int stream_fd(const struct wasi *wasi, unsigned which)
{
    return wasi->config.stdio != NULL ? wasi->config.stdio[which] : -1;
}

void stream_close(struct wasi *wasi, unsigned which)
{
    if (wasi->streams[which].is_known)
        close_fd(&wasi->streams[which].own);
    wasi->streams[which].is_known = false;
}

/* What it is; looked at once.  NULL: none of the host's. */
static LEAF struct stream *stream_of(struct wasi *wasi, unsigned which)
{
    struct stream *stream = &wasi->streams[which];
    int fd = stream_fd(wasi, which);
    struct stat st;
    char path[32];

    if (fd < 0)
        return NULL;
    if (stream->is_known)
        return stream;
    *stream = (struct stream){.is_known = true, .own = -1};
    if (fstat(fd, &st) < 0)
        return stream; /* and whoever uses it is told */
    stream->mode = st.st_mode;
    stream->is_socket = S_ISSOCK(st.st_mode);
    stream->is_pipe = S_ISFIFO(st.st_mode);
    stream->is_regular = S_ISREG(st.st_mode);
    stream->is_terminal = S_ISCHR(st.st_mode) && isatty(fd);
    if (stream->is_pipe || stream->is_terminal) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        stream->own = open(path, (which == 0 ? O_RDONLY : O_WRONLY) |
                                     O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    return stream;
}

/* Returns 0 when it is ready, -EAGAIN where it shall not wait. */
static int await(struct wasi *wasi, const struct descriptor *descriptor,
                 short events)
{
    const struct stream *stream = &wasi->streams[descriptor->which];
    struct pollfd look = {.fd = stream_fd(wasi, descriptor->which),
                          .events = events};
    bool waits = (descriptor->flags & WASI_NONBLOCK) == 0;
    int rc;

    do {
        rc = wasi->config.wait(wasi->config.wait_context, &look, 1,
                               waits ? 0 : 1);
    } while (rc == 0 && waits);
    if (rc < 0)
        return wasi_end(wasi, rc);
    if (rc == 0)
        return -EAGAIN;
    if ((look.revents & POLLNVAL) != 0)
        return -EBADF;
    /* To write now would be a signal, and the embedder's end. */
    if ((look.revents & POLLERR) != 0 && events == POLLOUT && stream->is_pipe)
        return -EPIPE;
    return 0;
}

static LEAF int64_t get(const struct wasi *wasi, unsigned which,
                        const struct wasi_pieces *pieces)
{
    const struct stream *stream = &wasi->streams[which];
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces->all,
                             .msg_iovlen = (size_t)pieces->count};
    int fd = stream_fd(wasi, which);
    ssize_t n;

    do {
        if (stream->is_socket)
            n = recvmsg(fd, &message, MSG_DONTWAIT);
        else
            n = readv(stream->own >= 0 ? stream->own : fd, pieces->all,
                      pieces->count);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static LEAF int64_t put(const struct wasi *wasi, unsigned which,
                        const void *bytes, size_t count)
{
    const struct stream *stream = &wasi->streams[which];
    int fd = stream_fd(wasi, which);
    ssize_t n;

    if (!stream->is_socket && stream->own < 0 && count > PIPE_BUF)
        count = PIPE_BUF; /* what a pipe that is ready takes */
    do {
        if (stream->is_socket)
            n = send(fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
        else
            n = write(stream->own >= 0 ? stream->own : fd, bytes, count);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* What goes at once into or out of a file, which nobody waits for. */
static void cut(struct wasi_pieces *pieces)
{
    uint64_t left = WASI_PART_BYTES;

    for (int i = 0; i < pieces->count; i++) {
        if (pieces->all[i].iov_len > left)
            pieces->all[i].iov_len = left;
        left -= pieces->all[i].iov_len;
        if (left == 0)
            pieces->count = i + 1;
    }
}

/* Beyond RLIMIT_FSIZE the kernel sends a signal, the embedder's end. */
static LEAF bool is_too_far(int fd, uint64_t bytes, const uint64_t *offset)
{
    uint64_t limit = fd_bytes_max(), at;
    struct stat st;

    if (limit == RLIM_INFINITY)
        return false;
    at = offset != NULL ? *offset : (uint64_t)lseek(fd, 0, SEEK_CUR);
    if ((fcntl(fd, F_GETFL) & O_APPEND) != 0 && fstat(fd, &st) == 0)
        at = (uint64_t)st.st_size;
    return at > limit || bytes > limit - at;
}

/* The position is the one that all see who have the file. */
static LEAF int64_t transfer_file(int fd, struct wasi_pieces *pieces,
                                  const uint64_t *offset, bool writes)
{
    off_t at = offset != NULL ? (off_t)*offset : -1;
    uint64_t bytes;
    ssize_t n;

    if (at < 0 && offset != NULL)
        return -EINVAL;
    cut(pieces);
    bytes = pieces->bytes < WASI_PART_BYTES ? pieces->bytes : WASI_PART_BYTES;
    if (writes && is_too_far(fd, bytes, offset))
        return -EFBIG;
    do {
        n = writes ? pwritev2(fd, pieces->all, pieces->count, at, 0)
                   : preadv2(fd, pieces->all, pieces->count, at, 0);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int64_t stream_read(struct wasi *wasi, const struct descriptor *descriptor,
                    struct wasi_pieces *pieces, const uint64_t *offset)
{
    const struct stream *stream = stream_of(wasi, descriptor->which);
    int64_t n;

    if (stream != NULL && stream->is_regular)
        return transfer_file(stream_fd(wasi, descriptor->which), pieces, offset,
                             false);
    if (offset != NULL)
        return -ESPIPE;
    if (stream == NULL || pieces->bytes == 0)
        return 0;
    cut(pieces);
    do {
        n = await(wasi, descriptor, POLLIN);
        if (n == 0)
            n = get(wasi, descriptor->which, pieces);
    } while (n == -EAGAIN && (descriptor->flags & WASI_NONBLOCK) == 0);
    return n;
}

/* All of it, unless it shall not wait. */
static int64_t write_piece(struct wasi *wasi,
                           const struct descriptor *descriptor,
                           const struct iovec *piece)
{
    const char *bytes = piece->iov_base;
    size_t done = 0;

    while (done < piece->iov_len) {
        int64_t n = await(wasi, descriptor, POLLOUT);

        if (n == 0)
            n = put(wasi, descriptor->which, bytes + done,
                    piece->iov_len - done);
        if (n == -EAGAIN && (descriptor->flags & WASI_NONBLOCK) == 0)
            continue;
        if (n < 0)
            return done > 0 ? (int64_t)done : n;
        done += (size_t)n;
    }
    return (int64_t)done;
}

static int64_t say(struct wasi *wasi, unsigned which, const struct iovec *piece)
{
    int rc = 0;

    if (wasi->config.output != NULL)
        rc = wasi->config.output(wasi->config.output_context, (int)which,
                                 piece->iov_base, piece->iov_len);
    return rc < 0 ? wasi_end(wasi, rc) : (int64_t)piece->iov_len;
}

int64_t stream_write(struct wasi *wasi, const struct descriptor *descriptor,
                     struct wasi_pieces *pieces, const uint64_t *offset)
{
    const struct stream *stream = stream_of(wasi, descriptor->which);
    int64_t done = 0, n = 0;

    if (stream != NULL && stream->is_regular)
        return transfer_file(stream_fd(wasi, descriptor->which), pieces, offset,
                             true);
    if (offset != NULL)
        return -ESPIPE;
    for (int i = 0; i < pieces->count; i++) {
        const struct iovec *piece = &pieces->all[i];

        n = stream == NULL ? say(wasi, descriptor->which, piece)
                           : write_piece(wasi, descriptor, piece);
        if (n > 0)
            done += n;
        if (n < (int64_t)piece->iov_len)
            break;
    }
    return done > 0 ? done : n;
}

LEAF int64_t stream_seek(struct wasi *wasi, unsigned which, int64_t off,
                         int whence)
{
    const struct stream *stream = stream_of(wasi, which);
    off_t at;

    if (stream == NULL || !stream->is_regular)
        return -ESPIPE;
    at = lseek(stream_fd(wasi, which), off, whence);
    return at < 0 ? -errno : at;
}

LEAF int stream_stat(struct wasi *wasi, unsigned which, struct stat *st)
{
    struct stat host;

    *st = (struct stat){.st_ino = which + 1, .st_nlink = 1};
    if (stream_of(wasi, which) == NULL)
        return 0;
    if (fstat(stream_fd(wasi, which), &host) < 0)
        return -errno;
    st->st_mode = host.st_mode;
    if (S_ISREG(host.st_mode)) {
        st->st_size = host.st_size;
        st->st_atim = host.st_atim;
        st->st_mtim = host.st_mtim;
        st->st_ctim = host.st_ctim;
    }
    return 0;
}

/* A character device without a position is what programs take for a terminal;
 * so /dev/null has one. */
uint64_t stream_rights(struct wasi *wasi, unsigned which)
{
    const struct stream *stream = stream_of(wasi, which);

    if (stream != NULL &&
        (stream->is_regular || (S_ISCHR(stream->mode) && !stream->is_terminal)))
        return WASI_RIGHTS_ALL;
    return WASI_RIGHTS_ALL & ~(WASI_FD_SEEK | WASI_FD_TELL);
}

LEAF uint64_t stream_bytes(struct wasi *wasi, unsigned which)
{
    const struct stream *stream = stream_of(wasi, which);
    int count = 0;

    if (stream == NULL || stream->is_regular ||
        ioctl(stream_fd(wasi, which), FIONREAD, &count) < 0)
        return 0;
    return count > 0 ? (uint64_t)count : 0;
}
