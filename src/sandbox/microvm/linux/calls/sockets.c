/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockets.c - pairs of sockets between tasks.  There is no network: a socket
 * that could reach anything cannot be made, so those calls that only make sense
 * for one answer as for a socket that is already connected.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

static int find(struct kernel *kernel, uint64_t number, struct file **socket)
{
    *socket = kernel_file(kernel, number);
    if (*socket == NULL)
        return -EBADF;
    return event_is_socket(*socket) ? 0 : -ENOTSOCK;
}

/* A name would be of a server here, and there is none: the C library asks for
 * one of them (nscd), and does without. */
int64_t call_socket(struct kernel *kernel, const uint64_t a[6])
{
    if ((int)a[0] == AF_UNIX)
        kernel->lacks = "sockets with names: there is no server";
    else
        kernel_note_unsupported(kernel, "the network: there is none");
    return -EACCES;
}

int64_t call_socketpair(struct kernel *kernel, const uint64_t a[6])
{
    bool close_on_exec = (a[1] & SOCK_CLOEXEC) != 0;
    struct file *ends[2];
    int rc;

    if ((int)a[0] != AF_UNIX)
        return -EAFNOSUPPORT;
    if ((int)a[2] != 0)
        return -EPROTONOSUPPORT;
    rc = event_socketpair(&kernel->waker, (int)a[1] & ~SOCK_CLOEXEC, ends);
    if (rc < 0)
        return rc;
    return calls_install_pair(kernel, ends, close_on_exec, a[3]);
}

/* A slice, which is more than any socket has room for. */
static int64_t gather_all(struct kernel *kernel, struct calls_buffers *buffers,
                          uint64_t from)
{
    uint64_t wanted = buffers->bytes - from;
    int64_t rc = calls_gather(kernel, buffers, from, TABLES_READ);

    if (wanted > CALLS_SLICE_BYTES)
        wanted = CALLS_SLICE_BYTES;
    return rc >= 0 && (uint64_t)rc < wanted ? -EFAULT : rc;
}

/* What of the buffers went before the call had to wait. */
static uint64_t done_before(const struct kernel *kernel,
                            const struct calls_buffers *buffers)
{
    uint64_t done = kernel->current->wait.done;

    return done < buffers->bytes ? done : buffers->bytes;
}

/* It ends with what is done, unless it waits to go on from there. */
static int64_t wait_for_rest(struct kernel *kernel, struct file *socket,
                             int64_t rc, bool never, uint64_t done)
{
    rc = calls_wait_for(kernel, socket, rc, never);
    if (rc == KERNEL_WAIT)
        kernel->current->wait.done = done;
    return rc == KERNEL_WAIT || done == 0 ? rc : (int64_t)done;
}

/* All of it, if it may wait. */
static int64_t send_all(struct kernel *kernel, struct file *socket,
                        struct calls_buffers *buffers, uint64_t flags)
{
    uint64_t done = done_before(kernel, buffers);
    int64_t rc;

    do {
        rc = gather_all(kernel, buffers, done);
        if (rc >= 0)
            rc = event_send(socket, buffers->pieces, buffers->piece_count,
                            (int)flags);
        if (rc > 0)
            done += (uint64_t)rc;
    } while (rc > 0 && done < buffers->bytes);
    if (rc == -EPIPE && (flags & MSG_NOSIGNAL) == 0)
        calls_broken_pipe(kernel);
    return wait_for_rest(kernel, socket, rc, (flags & MSG_DONTWAIT) != 0, done);
}

int64_t call_sendto(struct kernel *kernel, const uint64_t a[6])
{
    struct calls_buffers buffers;
    struct calls_single single;
    struct file *socket;
    int64_t rc = find(kernel, a[0], &socket);

    if (rc < 0)
        return rc;
    if (a[4] != 0)
        return -EISCONN;
    calls_set_single(&buffers, &single, a[1], a[2]);
    return send_all(kernel, socket, &buffers, a[3]);
}

/* Who sent it: nobody has a name. */
static int tell_no_address(struct kernel *kernel, uint64_t length_at)
{
    static const uint32_t none;

    return length_at == 0
               ? 0
               : user_write(&kernel->space, length_at, &none, sizeof(none));
}

/* MSG_WAITALL means something where there are no messages to keep apart. */
static bool waits_for_all(struct file *socket, uint64_t flags)
{
    int type;

    return (flags & MSG_WAITALL) != 0 &&
           (flags & (MSG_PEEK | MSG_DONTWAIT)) == 0 &&
           event_get_option(socket, SOL_SOCKET, SO_TYPE, &type) == 0 &&
           type == SOCK_STREAM;
}

static int64_t receive_all(struct kernel *kernel, struct file *socket,
                           struct calls_buffers *buffers, uint64_t flags,
                           int *more)
{
    uint64_t done = done_before(kernel, buffers), whole;
    int64_t rc;

    do {
        rc = calls_gather(kernel, buffers, done, TABLES_WRITE);
        if (rc >= 0)
            rc = event_recv(socket, buffers->pieces, buffers->piece_count,
                            (int)flags, &whole, more);
        if (rc > 0)
            done += (uint64_t)rc;
    } while (rc > 0 && done < buffers->bytes);
    return wait_for_rest(kernel, socket, rc, false, done);
}

static int64_t receive(struct kernel *kernel, struct file *socket,
                       struct calls_buffers *buffers, uint64_t flags, int *more)
{
    uint64_t whole = 0;
    int64_t rc;

    if (waits_for_all(socket, flags))
        return receive_all(kernel, socket, buffers, flags, more);
    rc = calls_gather(kernel, buffers, 0, TABLES_WRITE);
    if (rc >= 0)
        rc = event_recv(socket, buffers->pieces, buffers->piece_count,
                        (int)flags, &whole, more);
    if (rc >= 0 && *more != 0 && (flags & MSG_TRUNC) != 0)
        rc = (int64_t)whole;
    return calls_wait_for(kernel, socket, rc, (flags & MSG_DONTWAIT) != 0);
}

int64_t call_recvfrom(struct kernel *kernel, const uint64_t a[6])
{
    struct calls_buffers buffers;
    struct calls_single single;
    struct file *socket;
    int64_t rc = find(kernel, a[0], &socket);
    int more = 0;

    if (rc < 0)
        return rc;
    calls_set_single(&buffers, &single, a[1], a[2]);
    rc = receive(kernel, socket, &buffers, a[3], &more);
    if (rc >= 0 && tell_no_address(kernel, a[4] == 0 ? 0 : a[5]) < 0)
        return -EFAULT;
    return rc;
}

/* A message's head, and its buffers. */
static int64_t open_message(struct kernel *kernel, const uint64_t a[6],
                            struct file **socket, struct msghdr *head,
                            struct calls_buffers *buffers)
{
    int rc = find(kernel, a[0], socket);

    *buffers = (struct calls_buffers){.owned = NULL};
    if (rc == 0)
        rc = user_read(&kernel->space, head, a[1], sizeof(*head));
    if (rc == 0 && head->msg_iovlen > CALLS_VECTORS_MAX)
        rc = -EMSGSIZE;
    if (rc == 0)
        rc = calls_buffers_open(kernel, buffers,
                                (uint64_t)(uintptr_t)head->msg_iov,
                                head->msg_iovlen);
    return rc;
}

int64_t call_sendmsg(struct kernel *kernel, const uint64_t a[6])
{
    struct calls_buffers buffers;
    struct file *socket;
    struct msghdr head;
    int64_t rc = open_message(kernel, a, &socket, &head, &buffers);

    if (rc == 0 && head.msg_controllen != 0) {
        kernel_note_unsupported(kernel, "control messages of sockets");
        rc = -EINVAL;
    }
    if (rc == 0)
        rc = send_all(kernel, socket, &buffers, a[2]);
    calls_buffers_close(&buffers);
    return rc;
}

int64_t call_recvmsg(struct kernel *kernel, const uint64_t a[6])
{
    struct calls_buffers buffers;
    struct file *socket;
    struct msghdr head;
    int64_t rc = open_message(kernel, a, &socket, &head, &buffers);
    int more = 0;

    if (rc == 0)
        rc = receive(kernel, socket, &buffers, a[2], &more);
    calls_buffers_close(&buffers);
    if (rc < 0)
        return rc;
    head.msg_namelen = 0;
    head.msg_controllen = 0;
    head.msg_flags = more;
    return user_write(&kernel->space, a[1], &head, sizeof(head)) < 0 ? -EFAULT
                                                                     : rc;
}

int64_t call_shutdown(struct kernel *kernel, const uint64_t a[6])
{
    struct file *socket;
    int rc = find(kernel, a[0], &socket);

    return rc < 0 ? rc : event_shutdown(socket, (int)a[1]);
}

static int64_t answer(struct kernel *kernel, uint64_t number, int with)
{
    struct file *socket;
    int rc = find(kernel, number, &socket);

    return rc < 0 ? rc : with;
}

int64_t call_connect(struct kernel *kernel, const uint64_t a[6])
{
    return answer(kernel, a[0], -EISCONN);
}

int64_t call_accept(struct kernel *kernel, const uint64_t a[6])
{
    return answer(kernel, a[0], -EINVAL);
}

int64_t call_accept4(struct kernel *kernel, const uint64_t a[6])
{
    return answer(kernel, a[0], -EINVAL);
}

int64_t call_bind(struct kernel *kernel, const uint64_t a[6])
{
    return answer(kernel, a[0], -EINVAL);
}

int64_t call_listen(struct kernel *kernel, const uint64_t a[6])
{
    return answer(kernel, a[0], -EINVAL);
}

/* AF_UNIX without a path. */
static int64_t tell_name(struct kernel *kernel, const uint64_t a[6])
{
    static const sa_family_t family = AF_UNIX;
    uint32_t room, bytes = sizeof(family);
    struct file *socket;
    int rc = find(kernel, a[0], &socket);

    if (rc < 0 ||
        (rc = user_read(&kernel->space, &room, a[2], sizeof(room))) < 0)
        return rc;
    if ((int32_t)room < 0)
        return -EINVAL;
    rc = user_write(&kernel->space, a[1], &family, room < bytes ? room : bytes);
    return rc < 0 ? rc
                  : user_write(&kernel->space, a[2], &bytes, sizeof(bytes));
}

int64_t call_getsockname(struct kernel *kernel, const uint64_t a[6])
{
    return tell_name(kernel, a);
}

int64_t call_getpeername(struct kernel *kernel, const uint64_t a[6])
{
    return tell_name(kernel, a);
}

int64_t call_setsockopt(struct kernel *kernel, const uint64_t a[6])
{
    struct file *socket;
    int value = 0, rc = find(kernel, a[0], &socket);

    if (rc < 0)
        return rc;
    if ((int)a[4] >= (int)sizeof(value) &&
        (rc = user_read(&kernel->space, &value, a[3], sizeof(value))) < 0)
        return rc;
    return event_set_option(socket, (int)a[1], (int)a[2], value);
}

int64_t call_getsockopt(struct kernel *kernel, const uint64_t a[6])
{
    struct file *socket;
    uint32_t room;
    int value = 0, rc = find(kernel, a[0], &socket);

    if (rc < 0 ||
        (rc = event_get_option(socket, (int)a[1], (int)a[2], &value)) < 0 ||
        (rc = user_read(&kernel->space, &room, a[4], sizeof(room))) < 0)
        return rc;
    if ((int32_t)room < 0)
        return -EINVAL;
    if (room > sizeof(value))
        room = sizeof(value);
    rc = user_write(&kernel->space, a[3], &value, room);
    return rc < 0 ? rc : user_write(&kernel->space, a[4], &room, sizeof(room));
}
