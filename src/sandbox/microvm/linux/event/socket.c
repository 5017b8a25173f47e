/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.c - pairs of AF_UNIX sockets, and what is said about shutting them.
 *
 * Each socket has a buffer of what came for it.  A datagram lies in it behind
 * a head with its length, so many small ones take no more memory than a large
 * one.  Streams and packets tell their peer when they are shut or closed;
 * datagrams do not, as on Linux.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>

#include "base/check.h"
#include "sandbox/microvm/linux/event/buffer.h"
#include "sandbox/microvm/linux/event/event.h"
#include "sandbox/microvm/linux/event/kind.h"
#include "sandbox/microvm/linux/event/option.h"
#include "sandbox/microvm/linux/event/pieces.h"

#define SHUT_IN  1u
#define SHUT_OUT 2u
#define SHUT_ALL (SHUT_IN | SHUT_OUT)

#define HEAD_BYTES ((uint32_t)sizeof(uint32_t))

struct socket {
    struct file file;
    struct pair *pair;
    struct buffer inbox;
    unsigned shut;
    int error; /* SO_ERROR, positive */
    struct options options;
    bool open;
    bool refused; /* a datagram was: the peer is gone */
};

struct pair {
    struct socket sockets[2];
    int type;
    struct waker *waker;
};

static const struct file_class socket_class;

int event_is_socket(const struct file *file)
{
    return file->class == &socket_class;
}

static struct socket *peer_of(struct socket *socket)
{
    struct pair *pair = socket->pair;

    return &pair->sockets[socket == &pair->sockets[0]];
}

static void wake_socket(struct socket *socket)
{
    if (socket->open)
        wake(socket->pair->waker, &socket->file);
}

static bool is_stream(const struct socket *socket)
{
    return socket->pair->type == SOCK_STREAM;
}

/* Does it hear of its peer's end? */
static bool is_connected(const struct socket *socket)
{
    return socket->pair->type != SOCK_DGRAM;
}

static int take_error(struct socket *socket)
{
    int error = socket->error;

    socket->error = 0;
    return error;
}

/* The length of the oldest datagram; there is one. */
static uint32_t first_datagram(const struct buffer *inbox)
{
    uint32_t bytes;

    buffer_look(inbox, 0, &(struct iovec){&bytes, HEAD_BYTES}, 1, HEAD_BYTES);
    return bytes;
}

/* Linux's measure of when sending again is worth it. */
static bool is_writable(const struct buffer *inbox)
{
    return inbox->used <= inbox->limit / 4;
}

static int64_t send_stream(struct socket *socket, const struct iovec *pieces,
                           int count)
{
    struct socket *peer = peer_of(socket);
    uint32_t bytes = pieces_bytes(pieces, count);
    uint32_t room = buffer_room(&peer->inbox);
    int rc;

    if (socket->shut & SHUT_OUT)
        return -EPIPE;
    if (bytes == 0)
        return 0;
    if (room == 0)
        return -EAGAIN;
    if (bytes > room)
        bytes = room;
    if ((rc = buffer_put(&peer->inbox, pieces, count, bytes)) < 0)
        return rc;
    wake_socket(peer);
    return bytes;
}

static int may_send_datagram(struct socket *socket, uint32_t bytes)
{
    struct socket *peer = peer_of(socket);

    if (bytes > EVENT_SOCKET_BYTES - HEAD_BYTES)
        return -EMSGSIZE;
    if (socket->error != 0)
        return -take_error(socket);
    if (socket->shut & SHUT_OUT)
        return -EPIPE;
    if (!peer->open) {
        bool again = socket->refused;

        socket->refused = true;
        return again ? -ENOTCONN : -ECONNREFUSED;
    }
    if (peer->shut & SHUT_IN)
        return -EPIPE;
    return buffer_room(&peer->inbox) < HEAD_BYTES + bytes ? -EAGAIN : 0;
}

static int64_t send_datagram(struct socket *socket, const struct iovec *pieces,
                             int count)
{
    struct socket *peer = peer_of(socket);
    uint32_t bytes = pieces_bytes(pieces, count);
    int rc = may_send_datagram(socket, bytes);

    if (rc < 0)
        return rc;
    rc = buffer_put(&peer->inbox, &(struct iovec){&bytes, HEAD_BYTES}, 1,
                    HEAD_BYTES);
    if (rc < 0)
        return rc;
    must(buffer_put(&peer->inbox, pieces, count, bytes) == 0);
    wake_socket(peer);
    return bytes;
}

int64_t event_send(struct file *file, const struct iovec *pieces, int count,
                   int flags)
{
    struct socket *socket = (struct socket *)file;

    if (!event_is_socket(file))
        return -ENOTSOCK;
    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    return is_stream(socket) ? send_stream(socket, pieces, count)
                             : send_datagram(socket, pieces, count);
}

static int64_t recv_stream(struct socket *socket, const struct iovec *pieces,
                           int count, int flags)
{
    struct buffer *inbox = &socket->inbox;
    uint32_t bytes = pieces_bytes(pieces, count);
    bool was_writable = is_writable(inbox);

    if (inbox->used == 0) {
        if (socket->error != 0)
            return -take_error(socket);
        return socket->shut & SHUT_IN ? 0 : -EAGAIN;
    }
    if (bytes > inbox->used)
        bytes = inbox->used;
    buffer_look(inbox, 0, pieces, count, bytes);
    if (flags & MSG_PEEK)
        return bytes;
    buffer_drop(inbox, bytes);
    if (!was_writable)
        wake_socket(peer_of(socket));
    return bytes;
}

/* There is no datagram: an end of file, or to be waited for? */
static int no_datagram(const struct socket *socket, int flags)
{
    bool waits = !(flags & MSG_DONTWAIT) && !(socket->file.flags & O_NONBLOCK);

    if (!(socket->shut & SHUT_IN))
        return -EAGAIN;
    return waits || is_connected(socket) ? 0 : -EAGAIN;
}

static int64_t recv_datagram(struct socket *socket, const struct iovec *pieces,
                             int count, int flags, uint64_t *whole, int *more)
{
    struct buffer *inbox = &socket->inbox;
    uint32_t bytes = pieces_bytes(pieces, count), all;

    if (socket->error != 0)
        return -take_error(socket);
    if (inbox->used == 0)
        return no_datagram(socket, flags);
    *whole = all = first_datagram(inbox);
    if (bytes < all)
        *more = MSG_TRUNC;
    else
        bytes = all;
    buffer_look(inbox, HEAD_BYTES, pieces, count, bytes);
    if (!(flags & MSG_PEEK)) {
        buffer_drop(inbox, HEAD_BYTES + all);
        wake_socket(peer_of(socket)); /* any room may be what it waits for */
    }
    return flags & MSG_TRUNC ? all : bytes;
}

int64_t event_recv(struct file *file, const struct iovec *pieces, int count,
                   int flags, uint64_t *whole, int *more)
{
    struct socket *socket = (struct socket *)file;
    uint64_t bytes = 0;
    int cut = 0;
    int64_t done;

    if (!event_is_socket(file))
        return -ENOTSOCK;
    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (is_stream(socket)) {
        done = recv_stream(socket, pieces, count, flags);
        bytes = done > 0 ? (uint64_t)done : 0;
    } else {
        done = recv_datagram(socket, pieces, count, flags, &bytes, &cut);
    }
    if (whole != NULL)
        *whole = bytes;
    if (more != NULL)
        *more = cut;
    return done;
}

static int64_t read_socket(struct file *file, const struct iovec *pieces,
                           int count, uint64_t *position)
{
    (void)position;
    if (pieces_bytes(pieces, count) == 0)
        return 0;
    return event_recv(file, pieces, count, 0, NULL, NULL);
}

static int64_t write_socket(struct file *file, const struct iovec *pieces,
                            int count, uint64_t *position)
{
    (void)position;
    return event_send(file, pieces, count, 0);
}

int event_shutdown(struct file *file, int how)
{
    struct socket *socket = (struct socket *)file, *peer;
    unsigned shut;

    if (!event_is_socket(file))
        return -ENOTSOCK;
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
        return -EINVAL;
    shut = (unsigned)how + 1;
    socket->shut |= shut;
    peer = peer_of(socket);
    if (is_connected(socket))
        peer->shut |=
            (shut & SHUT_IN ? SHUT_OUT : 0) | (shut & SHUT_OUT ? SHUT_IN : 0);
    wake_socket(socket);
    wake_socket(peer);
    return 0;
}

static unsigned poll_socket(struct file *file)
{
    struct socket *socket = (struct socket *)file;
    unsigned ready = 0;

    if (socket->error != 0)
        ready |= POLLERR;
    if (socket->shut == SHUT_ALL)
        ready |= POLLHUP;
    if (socket->shut & SHUT_IN)
        ready |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (socket->inbox.used > 0)
        ready |= POLLIN | POLLRDNORM;
    if (is_writable(&peer_of(socket)->inbox))
        ready |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return ready;
}

static int stat_socket(struct file *file, struct stat *st)
{
    (void)file;
    *st = (struct stat){
        .st_mode = S_IFSOCK | 0777, .st_nlink = 1, .st_blksize = 4096};
    return 0;
}

static void close_socket(struct file *file)
{
    struct socket *socket = (struct socket *)file, *peer = peer_of(socket);
    bool unread = socket->inbox.used > 0;

    socket->open = false;
    buffer_fini(&socket->inbox);
    if (!peer->open) {
        heap_free(socket->pair);
        return;
    }
    if (is_connected(socket)) {
        peer->shut = SHUT_ALL;
        if (unread)
            peer->error = ECONNRESET;
    }
    wake_socket(peer);
}

static const struct file_class socket_class = {
    .name = "socket",
    .read = read_socket,
    .write = write_socket,
    .stat = stat_socket,
    .poll = poll_socket,
    .close = close_socket,
};

static void move_pair(void *object, size_t bytes, const struct heap_move *move)
{
    struct pair *pair = object;

    (void)bytes;
    for (int i = 0; i < 2; i++) {
        file_move(&pair->sockets[i].file, move);
        move_pointer(move, &pair->sockets[i].pair);
        buffer_move(&pair->sockets[i].inbox, move);
    }
    move_pointer(move, &pair->waker);
}

static const struct heap_type pair_type = {"sockets", move_pair};

int event_socketpair(struct waker *waker, int type, struct file *ends[2])
{
    int flags = type & (SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct pair *pair;

    switch (type & ~flags) {
    case SOCK_STREAM:
    case SOCK_DGRAM:
    case SOCK_SEQPACKET:
        break;
    default:
        return (unsigned)(type & ~flags) > SOCK_PACKET ? -EINVAL
                                                       : -ESOCKTNOSUPPORT;
    }
    pair = heap_make(waker->heap, &pair_type, sizeof(*pair));
    if (pair == NULL)
        return -ENOMEM;
    *pair = (struct pair){.type = type & ~flags, .waker = waker};
    for (int i = 0; i < 2; i++) {
        pair->sockets[i] = (struct socket){
            .file = {.class = &socket_class,
                     .references = 1,
                     .flags = O_RDWR | (unsigned)(flags & SOCK_NONBLOCK)},
            .pair = pair,
            .inbox = {.limit = EVENT_SOCKET_BYTES, .heap = waker->heap},
            .open = true,
        };
        options_init(&pair->sockets[i].options);
        ends[i] = &pair->sockets[i].file;
    }
    return 0;
}

int event_get_option(struct file *file, int level, int name, int *value)
{
    struct socket *socket = (struct socket *)file;

    if (!event_is_socket(file))
        return -ENOTSOCK;
    if (level != SOL_SOCKET)
        return -EOPNOTSUPP;
    if (name == SO_TYPE)
        *value = socket->pair->type;
    else if (name == SO_ERROR)
        *value = take_error(socket);
    else
        return options_get(&socket->options, name, value);
    return 0;
}

int event_set_option(struct file *file, int level, int name, int value)
{
    struct socket *socket = (struct socket *)file;

    if (!event_is_socket(file))
        return -ENOTSOCK;
    if (level != SOL_SOCKET)
        return -EOPNOTSUPP;
    return options_set(&socket->options, name, value);
}

int64_t socket_readable_bytes(struct file *file)
{
    const struct socket *socket = (const struct socket *)file;
    const struct buffer *inbox = &socket->inbox;
    int64_t bytes = 0;

    if (is_stream(socket) || inbox->used == 0)
        return inbox->used;
    if (socket->pair->type == SOCK_DGRAM)
        return first_datagram(inbox);
    for (uint32_t off = 0, one; off < inbox->used; off += HEAD_BYTES + one) {
        buffer_look(inbox, off, &(struct iovec){&one, HEAD_BYTES}, 1,
                    HEAD_BYTES);
        bytes += one;
    }
    return bytes;
}
