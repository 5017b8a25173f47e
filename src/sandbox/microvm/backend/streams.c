/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streams.c - the descriptors a guest is born with.
 *
 *  0  nothing, or the host's standard input
 *  1  2  output: to the sandbox's callback, or to the host's descriptors
 *  3  4  the halves of the region        5  the bell (abi/region.h)
 *
 * The callback belongs to the thread that runs a call.  What the guest writes
 * while the runner has the processor is kept, as records {stream, bytes, text},
 * until that thread comes for it; a guest that writes more waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "sandbox/microvm/backend/microvm.h"
#include "sandbox/microvm/linux/region_file.h"

struct stream {
    struct file file;
    struct kernel *kernel;
    int number; /* 1 stdout, 2 stderr; 0 stdin */
    int fd;     /* the host's, borrowed, or -1 */
    int own;    /* handle of the same, opened anew: never waits; or NONE */
    bool is_socket;
};

struct record {
    uint32_t stream, bytes;
};

static struct stream *stream_of(struct file *file)
{
    return (struct stream *)file;
}

static struct microvm *vm_of(const struct stream *self)
{
    return self->kernel->owner;
}

static void move_stream(void *object, size_t bytes,
                        const struct heap_move *move)
{
    struct stream *self = object;

    (void)bytes;
    file_move(&self->file, move);
    move_pointer(move, &self->kernel);
}

static const struct heap_type stream_type = {"stream", move_stream};

static size_t total(const struct iovec *pieces, int count)
{
    size_t bytes = 0;

    for (int i = 0; i < count; i++)
        bytes += pieces[i].iov_len;
    return bytes;
}

/* For the text of one more record. */
static size_t room_locked(const struct microvm *vm)
{
    size_t room = MICROVM_OUTPUT_BYTES - vm->buffer_bytes;

    return room > sizeof(struct record) ? room - sizeof(struct record) : 0;
}

static bool has_room(struct microvm *vm)
{
    bool has;

    pthread_mutex_lock(&vm->lock);
    has = room_locked(vm) > 0;
    pthread_mutex_unlock(&vm->lock);
    return has;
}

/* Kept for the thread of the call, as much as there is room for. */
static int64_t keep(struct stream *self, const struct iovec *pieces, int count)
{
    struct microvm *vm = vm_of(self);
    size_t room, bytes = total(pieces, count), done = 0;
    struct record record;
    bool was_empty;

    pthread_mutex_lock(&vm->lock);
    was_empty = vm->buffer_bytes == 0;
    room = room_locked(vm);
    record.stream = (uint32_t)self->number;
    record.bytes = (uint32_t)(bytes < room ? bytes : room);
    if (record.bytes > 0) {
        memcpy(vm->buffer + vm->buffer_bytes, &record, sizeof(record));
        vm->buffer_bytes += sizeof(record);
    }
    for (int i = 0; i < count && done < record.bytes; i++) {
        size_t part = record.bytes - done;

        if (part > pieces[i].iov_len)
            part = pieces[i].iov_len;
        memcpy(vm->buffer + vm->buffer_bytes, pieces[i].iov_base, part);
        vm->buffer_bytes += part;
        done += part;
    }
    if (was_empty && record.bytes > 0)
        runner_tell_locked(vm);
    pthread_mutex_unlock(&vm->lock);
    return record.bytes > 0 || bytes == 0 ? (int64_t)record.bytes : -EAGAIN;
}

static int tell(const struct microvm *vm, int stream, const void *text,
                size_t bytes)
{
    return vm->output == NULL || bytes == 0
               ? 0
               : vm->output(vm->output_context, stream, text, bytes);
}

int streams_deliver(const struct microvm *vm, const char *records, size_t bytes)
{
    struct record record;
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < bytes;
         at += sizeof(record) + record.bytes) {
        memcpy(&record, records + at, sizeof(record));
        rc = tell(vm, (int)record.stream, records + at + sizeof(record),
                  record.bytes);
    }
    return rc;
}

void streams_have_room(struct microvm *vm)
{
    for (int i = 1; i < 3; i++)
        if (vm->kernel->streams[i] != NULL)
            wake(&vm->kernel->waker, vm->kernel->streams[i]);
}

/* What the host's descriptor is ready for; is looked for when it lacks some. */
static unsigned look(struct stream *self, unsigned wanted)
{
    struct pollfd look = {.fd = self->fd, .events = (short)wanted};
    unsigned ready =
        poll(&look, 1, 0) > 0 ? (unsigned)(uint16_t)look.revents : 0;

    if (ready == 0 || (ready & wanted) != wanted)
        vm_of(self)->wants[self->number] = true;
    return ready;
}

/* What a pipe that is ready takes without waiting. */
static size_t fits(size_t bytes)
{
    return bytes < PIPE_BUF ? bytes : PIPE_BUF;
}

/*
 * Without waiting, also where somebody else was quicker than poll said.  The
 * caller's descriptor may not be made so, for it is others' as well.
 */
static ssize_t transfer(const struct stream *self, const struct iovec *pieces,
                        int count, bool writes)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces,
                             .msg_iovlen = (size_t)count};
    const struct handles *handles = &vm_of(self)->handles;
    int fd =
        self->own != HANDLE_NONE ? handles_fd(handles, self->own) : self->fd;

    if (self->is_socket && writes)
        return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (self->is_socket)
        return recvmsg(fd, &message, MSG_DONTWAIT);
    return writes ? writev(fd, pieces, count) : readv(fd, pieces, count);
}

/* To a descriptor of the host, which may be a pipe that nobody reads. */
static int64_t write_host(struct stream *self, const struct iovec *pieces,
                          int count)
{
    size_t bytes = total(pieces, count), done = 0, at = 0;

    for (int i = 0; i < count && done < bytes;) {
        struct iovec piece;
        ssize_t put;

        if (look(self, POLLOUT) == 0)
            return done > 0 ? (int64_t)done : -EAGAIN;
        piece.iov_base = (char *)pieces[i].iov_base + at;
        piece.iov_len = fits(pieces[i].iov_len - at);
        put = transfer(self, &piece, 1, true);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && (errno == EAGAIN || done > 0))
            vm_of(self)->wants[self->number] = true;
        if (put < 0) /* what is done, if any: the rest finds out */
            return done > 0 ? (int64_t)done : -errno;
        done += (size_t)put;
        at += (size_t)put;
        if (at == pieces[i].iov_len)
            i++, at = 0;
    }
    return (int64_t)done;
}

/* A file of the host, with the position that others who have it see, too. */
static int64_t file_transfer(struct file *file, const struct iovec *pieces,
                             int count, uint64_t *position, bool writes)
{
    int fd = stream_of(file)->fd;
    off_t at = position != NULL ? (off_t)*position : -1; /* its own */
    ssize_t n = writes ? pwritev2(fd, pieces, count, at, 0)
                       : preadv2(fd, pieces, count, at, 0);

    if (n > 0 && position != NULL)
        *position += (uint64_t)n;
    return n < 0 ? -errno : n;
}

static int64_t file_stream_read(struct file *file, const struct iovec *pieces,
                                int count, uint64_t *position)
{
    return file_transfer(file, pieces, count, position, false);
}

static int64_t file_stream_write(struct file *file, const struct iovec *pieces,
                                 int count, uint64_t *position)
{
    return file_transfer(file, pieces, count, position, true);
}

static int64_t file_stream_seek(struct file *file, int64_t off, int whence)
{
    off_t at = lseek(stream_of(file)->fd, off, whence);

    return at < 0 ? -errno : at;
}

static int64_t file_stream_size(struct file *file)
{
    struct stat st;

    return fstat(stream_of(file)->fd, &st) < 0 ? -errno : st.st_size;
}

static int file_stream_truncate(struct file *file, uint64_t bytes)
{
    return ftruncate(stream_of(file)->fd, (off_t)bytes) < 0 ? -errno : 0;
}

static int64_t stream_write(struct file *file, const struct iovec *pieces,
                            int count, uint64_t *position)
{
    struct stream *self = stream_of(file);
    struct microvm *vm = vm_of(self);
    int rc = 0;

    (void)position;
    if (self->fd >= 0)
        return write_host(self, pieces, count);
    if (vm->who == MICROVM_RUNNER)
        return keep(self, pieces, count);
    for (int i = 0; rc == 0 && i < count; i++)
        rc = tell(vm, self->number, pieces[i].iov_base, pieces[i].iov_len);
    vm->until_ns = 0; /* the embedder's time is not the guest's */
    if (rc < 0) {
        vm->kernel->stopped = rc;
        vm->kernel->stirred = true;
        return -EIO;
    }
    return (int64_t)total(pieces, count);
}

static unsigned stream_poll(struct file *file)
{
    struct stream *self = stream_of(file);

    if (self->fd < 0 && self->number == 0)
        return POLLIN | POLLHUP;
    if (self->fd < 0)
        return vm_of(self)->who != MICROVM_RUNNER || has_room(vm_of(self))
                   ? POLLOUT
                   : 0;
    return look(self, self->number == 0 ? POLLIN : POLLOUT);
}

static int64_t stream_read(struct file *file, const struct iovec *pieces,
                           int count, uint64_t *position)
{
    struct stream *self = stream_of(file);
    ssize_t got;

    (void)position;
    if (self->fd < 0)
        return 0;
    if (look(self, POLLIN) == 0)
        return -EAGAIN;
    got = transfer(self, pieces, count, false);
    if (got < 0 && errno == EAGAIN)
        vm_of(self)->wants[self->number] = true;
    return got < 0 ? -errno : got;
}

static int stream_stat(struct file *file, struct stat *st)
{
    struct stream *self = stream_of(file);
    struct stat host = {.st_mode = S_IFIFO | 0600};

    if (self->fd >= 0 && fstat(self->fd, &host) < 0)
        return -errno;
    *st = host;
    st->st_nlink = 1;
    st->st_uid = self->kernel->uid;
    st->st_gid = self->kernel->gid;
    st->st_blksize = 4096;
    if (self->fd < 0)
        st->st_ino = (ino_t)self->number + 1;
    return 0;
}

static void stream_close(struct file *file)
{
    struct stream *self = stream_of(file);

    if (self->number < 3)
        self->kernel->streams[self->number] = NULL;
    handles_drop(&vm_of(self)->handles, self->own);
    heap_free(self);
}

static const struct file_class stream_class = {
    .name = "stream",
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .stat = stream_stat,
    .close = stream_close,
};

static const struct file_class file_stream_class = {
    .name = "stream",
    .read = file_stream_read,
    .write = file_stream_write,
    .seek = file_stream_seek,
    .size = file_stream_size,
    .truncate = file_stream_truncate,
    .stat = stream_stat,
    .close = stream_close,
};

/* The bell: whatever is written, the host hears it. */
static int64_t bell_write(struct file *file, const struct iovec *pieces,
                          int count, uint64_t *position)
{
    (void)position;
    stream_of(file)->kernel->rang = true;
    return (int64_t)total(pieces, count);
}

static const struct file_class bell_class = {
    .name = "bell",
    .write = bell_write,
    .stat = stream_stat,
    .close = stream_close,
};

static struct stream *make(struct microvm *vm, const struct file_class *class,
                           int number, unsigned flags)
{
    struct heap *heap = vm->kernel->heap;
    struct stream *self = heap_make(heap, &stream_type, sizeof(*self));

    if (self != NULL)
        *self = (struct stream){
            .file = {.class = class, .references = 1, .flags = flags},
            .kernel = vm->kernel,
            .number = number,
            .fd = -1,
            .own = HANDLE_NONE};
    return self;
}

/* Files are never waited for, and have a position.  Pipes and terminals are
 * opened anew; where that cannot be had, we do without. */
static struct file *make_stream(struct microvm *vm, int number, int fd,
                                unsigned flags)
{
    struct stream *self = make(vm, &stream_class, number, flags);
    char path[32];
    struct stat st;
    int own;

    if (self == NULL)
        return NULL;
    vm->kernel->streams[number] = &self->file;
    self->fd = fd;
    if (fd < 0 || fstat(fd, &st) < 0)
        return &self->file;
    self->is_socket = S_ISSOCK(st.st_mode);
    if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
        self->file.class = &file_stream_class;
    } else if (S_ISFIFO(st.st_mode) || isatty(fd)) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        own = open(path, (int)flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (own >= 0)
            own = handles_add(&vm->handles, own);
        if (own >= 0)
            self->own = own;
    }
    return &self->file;
}

static struct file *make_bell(struct microvm *vm)
{
    struct stream *self = make(vm, &bell_class, GBX_FD_BELL, O_RDWR);

    return self != NULL ? &self->file : NULL;
}

static int give(struct microvm *vm, uint32_t number, struct file *file,
                struct gbx_error *err)
{
    if (file == NULL)
        return fail(err, GBX_EHOST, "no memory for a guest's streams");
    return kernel_install(vm->kernel, file, number, false) < 0
               ? fail(err, GBX_EFILES, "the limit of open files is too small")
               : 0;
}

size_t streams_wanted(struct microvm *vm, struct pollfd waits[3])
{
    size_t count = 0;

    for (int i = 0; i < 3; i++)
        if (vm->wants[i] && vm->kernel->streams[i] != NULL)
            waits[count++] =
                (struct pollfd){.fd = stream_of(vm->kernel->streams[i])->fd,
                                .events = i == 0 ? POLLIN : POLLOUT};
    return count;
}

void streams_came(struct microvm *vm, const struct pollfd *waits, size_t count)
{
    for (int i = 0; i < 3; i++)
        for (size_t j = 0; vm->kernel->streams[i] != NULL && j < count; j++)
            if (waits[j].revents != 0 && vm->wants[i] &&
                waits[j].fd == stream_of(vm->kernel->streams[i])->fd &&
                waits[j].events == (i == 0 ? POLLIN : POLLOUT)) {
                vm->wants[i] = false;
                wake(&vm->kernel->waker, vm->kernel->streams[i]);
            }
}

int streams_open(struct microvm *vm, const int stdio[3], struct gbx_error *err)
{
    static const unsigned flags[3] = {O_RDONLY, O_WRONLY, O_WRONLY};
    int rc = 0;

    memset(vm->wants, 0, sizeof(vm->wants));
    for (int i = 0; rc == 0 && i < 3; i++)
        rc = give(vm, (uint32_t)i,
                  make_stream(vm, i, stdio != NULL ? stdio[i] : -1, flags[i]),
                  err);
    for (int i = 0; rc == 0 && i < 2 && vm->shared != NULL; i++)
        rc = give(vm, i == 0 ? GBX_FD_HOST_HALF : GBX_FD_GUEST_HALF,
                  region_file_make(vm->kernel->heap,
                                   &vm->kernel->space.windows[i], i == 1),
                  err);
    if (rc == 0 && vm->shared != NULL)
        rc = give(vm, GBX_FD_BELL, make_bell(vm), err);
    return rc;
}
