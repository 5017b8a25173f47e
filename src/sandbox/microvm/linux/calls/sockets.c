/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockets.c - pairs of sockets between tasks.  There is no network: a socket
 * that could reach anything cannot be made, so those calls that only make sense
 * for one answer as for a socket that is already connected.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

#define VECTORS_MAX 1024u
#define BYTES_MAX   0x7ffff000u

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
    if ((int)a[0] != AF_UNIX)
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

/* Of a list of the guest's buffers: host memory, all of it. */
struct buffers {
    struct iovec given[VECTORS_MAX];
    struct iovec pieces[VECTORS_MAX + USER_PIECES];
    int count;
};

static int gather(struct kernel *kernel, uint64_t address, uint64_t count,
                  unsigned access, struct buffers *buffers)
{
    uint64_t all = 0, reached;
    int rc;

    if (count > VECTORS_MAX)
        return -EMSGSIZE;
    rc = user_read(&kernel->space, buffers->given, address,
                   count * sizeof(struct iovec));
    buffers->count = 0;
    for (uint64_t i = 0; rc >= 0 && i < count; i++) {
        uint64_t bytes = buffers->given[i].iov_len;
        int room = (int)(VECTORS_MAX + USER_PIECES) - buffers->count;

        if (bytes > BYTES_MAX - all)
            return -EINVAL;
        if (bytes == 0)
            continue;
        rc = user_pieces(
            &kernel->space, (uint64_t)(uintptr_t)buffers->given[i].iov_base,
            bytes, access, buffers->pieces + buffers->count, room, &reached);
        if (rc >= 0) {
            buffers->count += rc;
            all += reached;
        }
        if (rc < 0 || reached < bytes)
            break; /* the rest is cut off */
    }
    return rc < 0 && all == 0 ? rc : 0;
}

static int64_t send_pieces(struct kernel *kernel, struct file *socket,
                           const struct buffers *buffers, uint64_t flags)
{
    siginfo_t info = {.si_signo = SIGPIPE, .si_code = SI_USER};
    int64_t rc =
        event_send(socket, buffers->pieces, buffers->count, (int)flags);

    if (rc == -EPIPE && (flags & MSG_NOSIGNAL) == 0)
        signal_send(kernel, kernel->current, SIGPIPE, &info);
    return calls_wait_for(kernel, socket, rc, (flags & MSG_DONTWAIT) != 0);
}

/* One buffer, as a list of one. */
static int gather_one(struct kernel *kernel, uint64_t address, uint64_t bytes,
                      unsigned access, struct buffers *buffers)
{
    uint64_t reached;
    int rc = user_pieces(&kernel->space, address,
                         bytes < BYTES_MAX ? bytes : BYTES_MAX, access,
                         buffers->pieces, VECTORS_MAX, &reached);

    buffers->count = rc < 0 ? 0 : rc;
    return rc < 0 ? rc : 0;
}

int64_t call_sendto(struct kernel *kernel, const uint64_t a[6])
{
    struct buffers *buffers = malloc(sizeof(*buffers));
    struct file *socket;
    int64_t rc = find(kernel, a[0], &socket);

    if (rc == 0 && buffers == NULL)
        rc = -ENOMEM;
    if (rc == 0 && a[4] != 0)
        rc = -EISCONN;
    if (rc == 0)
        rc = gather_one(kernel, a[1], a[2], TABLES_READ, buffers);
    if (rc == 0)
        rc = send_pieces(kernel, socket, buffers, a[3]);
    free(buffers);
    return rc;
}

/* Who sent it: nobody has a name. */
static int tell_no_address(struct kernel *kernel, uint64_t length_at)
{
    static const uint32_t none;

    return length_at == 0
               ? 0
               : user_write(&kernel->space, length_at, &none, sizeof(none));
}

int64_t call_recvfrom(struct kernel *kernel, const uint64_t a[6])
{
    struct buffers *buffers = malloc(sizeof(*buffers));
    struct file *socket;
    int64_t rc = find(kernel, a[0], &socket);
    uint64_t whole = 0;
    int more = 0;

    if (rc == 0 && buffers == NULL)
        rc = -ENOMEM;
    if (rc == 0)
        rc = gather_one(kernel, a[1], a[2], TABLES_WRITE, buffers);
    if (rc == 0)
        rc = event_recv(socket, buffers->pieces, buffers->count, (int)a[3],
                        &whole, &more);
    free(buffers);
    if (rc >= 0 && more != 0 && (a[3] & MSG_TRUNC) != 0)
        rc = (int64_t)whole;
    if (rc >= 0 && tell_no_address(kernel, a[4] == 0 ? 0 : a[5]) < 0)
        return -EFAULT;
    return rc != -EAGAIN
               ? rc
               : calls_wait_for(kernel, socket, rc, (a[3] & MSG_DONTWAIT) != 0);
}

int64_t call_sendmsg(struct kernel *kernel, const uint64_t a[6])
{
    struct buffers *buffers = malloc(sizeof(*buffers));
    struct file *socket;
    struct msghdr head;
    int64_t rc = find(kernel, a[0], &socket);

    if (rc == 0 && buffers == NULL)
        rc = -ENOMEM;
    if (rc == 0)
        rc = user_read(&kernel->space, &head, a[1], sizeof(head));
    if (rc == 0 && head.msg_controllen != 0) {
        kernel_note_unsupported(kernel, "control messages of sockets");
        rc = -EINVAL;
    }
    if (rc == 0)
        rc = gather(kernel, (uint64_t)(uintptr_t)head.msg_iov, head.msg_iovlen,
                    TABLES_READ, buffers);
    if (rc == 0)
        rc = send_pieces(kernel, socket, buffers, a[2]);
    free(buffers);
    return rc;
}

int64_t call_recvmsg(struct kernel *kernel, const uint64_t a[6])
{
    struct buffers *buffers = malloc(sizeof(*buffers));
    struct file *socket;
    struct msghdr head;
    int64_t rc = find(kernel, a[0], &socket);
    uint64_t whole = 0;
    int more = 0;

    if (rc == 0 && buffers == NULL)
        rc = -ENOMEM;
    if (rc == 0)
        rc = user_read(&kernel->space, &head, a[1], sizeof(head));
    if (rc == 0)
        rc = gather(kernel, (uint64_t)(uintptr_t)head.msg_iov, head.msg_iovlen,
                    TABLES_WRITE, buffers);
    if (rc == 0)
        rc = event_recv(socket, buffers->pieces, buffers->count, (int)a[2],
                        &whole, &more);
    free(buffers);
    if (rc == -EAGAIN)
        return calls_wait_for(kernel, socket, rc, (a[2] & MSG_DONTWAIT) != 0);
    if (rc < 0)
        return rc;
    head.msg_namelen = 0;
    head.msg_controllen = 0;
    head.msg_flags = more;
    if (user_write(&kernel->space, a[1], &head, sizeof(head)) < 0)
        return -EFAULT;
    return more != 0 && (a[2] & MSG_TRUNC) != 0 ? (int64_t)whole : rc;
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
