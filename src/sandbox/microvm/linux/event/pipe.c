/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe.c - two ends and a buffer, in one piece of memory that goes with the
 * last end.
 *
 * An end wakes the other only.  Who read wakes the writers while less than
 * PIPE_BUF was free before: whoever was told to wait saw it so, and poll says
 * POLLOUT from there on.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>

#include "sandbox/microvm/linux/event/buffer.h"
#include "sandbox/microvm/linux/event/event.h"
#include "sandbox/microvm/linux/event/kind.h"
#include "sandbox/microvm/linux/event/pieces.h"

enum { READER, WRITER };

struct end {
    struct file file;
    struct pipe *pipe;
};

struct pipe {
    struct end ends[2];
    bool open[2];
    struct buffer buffer;
    struct waker *waker;
};

static struct pipe *pipe_of(const struct file *file)
{
    return ((const struct end *)file)->pipe;
}

static void wake_end(struct pipe *pipe, int index)
{
    if (pipe->open[index])
        wake(pipe->waker, &pipe->ends[index].file);
}

static int64_t read_pipe(struct file *file, const struct iovec *pieces,
                         int count, uint64_t *position)
{
    struct pipe *pipe = pipe_of(file);
    struct buffer *buffer = &pipe->buffer;
    uint32_t bytes = pieces_bytes(pieces, count), room = buffer_room(buffer);

    (void)position;
    if (bytes == 0)
        return 0;
    if (buffer->used == 0)
        return pipe->open[WRITER] ? -EAGAIN : 0;
    if (bytes > buffer->used)
        bytes = buffer->used;
    buffer_look(buffer, 0, pieces, count, bytes);
    buffer_drop(buffer, bytes);
    if (room < PIPE_BUF)
        wake_end(pipe, WRITER);
    return bytes;
}

static int64_t write_pipe(struct file *file, const struct iovec *pieces,
                          int count, uint64_t *position)
{
    struct pipe *pipe = pipe_of(file);
    uint32_t bytes = pieces_bytes(pieces, count);
    uint32_t room = buffer_room(&pipe->buffer);
    int rc;

    (void)position;
    if (bytes == 0)
        return 0;
    if (!pipe->open[READER])
        return -EPIPE;
    if (room == 0 || (bytes <= PIPE_BUF && bytes > room))
        return -EAGAIN;
    if (bytes > room)
        bytes = room;
    if ((rc = buffer_put(&pipe->buffer, pieces, count, bytes)) < 0)
        return rc;
    wake_end(pipe, READER);
    return bytes;
}

static unsigned poll_reader(struct file *file)
{
    struct pipe *pipe = pipe_of(file);

    return (pipe->buffer.used > 0 ? POLLIN | POLLRDNORM : 0u) |
           (pipe->open[WRITER] ? 0u : POLLHUP);
}

static unsigned poll_writer(struct file *file)
{
    struct pipe *pipe = pipe_of(file);
    uint32_t room = buffer_room(&pipe->buffer);

    return (room >= PIPE_BUF ? POLLOUT | POLLWRNORM : 0u) |
           (pipe->open[READER] ? 0u : POLLERR);
}

static int stat_pipe(struct file *file, struct stat *st)
{
    (void)file;
    *st = (struct stat){
        .st_mode = S_IFIFO | 0600, .st_nlink = 1, .st_blksize = 4096};
    return 0;
}

static void close_end(struct pipe *pipe, int index)
{
    pipe->open[index] = false;
    if (index == READER)
        buffer_fini(&pipe->buffer); /* nobody will read it */
    wake_end(pipe, !index);
    if (pipe->open[!index])
        return;
    buffer_fini(&pipe->buffer);
    heap_free(pipe);
}

static void close_reader(struct file *file)
{
    close_end(pipe_of(file), READER);
}

static void close_writer(struct file *file)
{
    close_end(pipe_of(file), WRITER);
}

static const struct file_class reader_class = {
    .name = "pipe",
    .read = read_pipe,
    .stat = stat_pipe,
    .poll = poll_reader,
    .close = close_reader,
};

static const struct file_class writer_class = {
    .name = "pipe",
    .write = write_pipe,
    .stat = stat_pipe,
    .poll = poll_writer,
    .close = close_writer,
};

static void move_pipe(void *object, size_t bytes, const struct heap_move *move)
{
    struct pipe *pipe = object;

    (void)bytes;
    for (int i = 0; i < 2; i++) {
        file_move(&pipe->ends[i].file, move);
        move_pointer(move, &pipe->ends[i].pipe);
    }
    buffer_move(&pipe->buffer, move);
    move_pointer(move, &pipe->waker);
}

static const struct heap_type pipe_type = {"pipe", move_pipe};

int event_pipe(struct waker *waker, unsigned flags, struct file *ends[2])
{
    static const struct file_class *const classes[] = {&reader_class,
                                                       &writer_class};
    static const uint32_t modes[] = {O_RDONLY, O_WRONLY};
    struct pipe *pipe;

    if (flags & ~(unsigned)(O_NONBLOCK | O_CLOEXEC))
        return -EINVAL;
    pipe = heap_make(waker->heap, &pipe_type, sizeof(*pipe));
    if (pipe == NULL)
        return -ENOMEM;
    *pipe = (struct pipe){
        .open = {true, true},
        .buffer = {.limit = EVENT_PIPE_BYTES, .heap = waker->heap},
        .waker = waker};
    for (int i = 0; i < 2; i++) {
        pipe->ends[i] = (struct end){
            .file = {.class = classes[i],
                     .references = 1,
                     .flags = modes[i] | (flags & O_NONBLOCK)},
            .pipe = pipe,
        };
        ends[i] = &pipe->ends[i].file;
    }
    return 0;
}

int64_t event_readable_bytes(struct file *file)
{
    if (event_is_socket(file))
        return socket_readable_bytes(file);
    if (file->class == &reader_class || file->class == &writer_class)
        return pipe_of(file)->buffer.used;
    return -ENOTTY;
}
