/* SPDX-License-Identifier: Apache-2.0 */
/* socket_test.h - what the two tests of sockets share. */
#ifndef SANDBOX_MICROVM_LINUX_EVENT_SOCKET_TEST_H
#define SANDBOX_MICROVM_LINUX_EVENT_SOCKET_TEST_H

#include "sandbox/microvm/linux/event/event_test.h"

#define DATAGRAM_MAX (EVENT_SOCKET_BYTES - 4)
#define KINDS        3

static const int kinds[KINDS] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

static char bytes[2 * EVENT_SOCKET_BYTES];

static inline void open_pair(int type, struct file *ends[2])
{
    assert_int_equal(event_socketpair(&waker, type, ends), 0);
    forget_wakes();
}

static inline int64_t send_to(struct file *socket, const void *from,
                              size_t count)
{
    char *copy = malloc(count + 1);
    struct iovec piece = {copy, count};
    int64_t done;

    memcpy(copy, from, count);
    done = event_send(socket, &piece, 1, 0);
    free(copy);
    return done;
}

static inline int64_t recv_flags(struct file *socket, void *to, size_t count,
                                 int flags)
{
    struct iovec piece = {to, count};

    return event_recv(socket, &piece, 1, flags, NULL, NULL);
}

static inline int64_t recv_from(struct file *socket, void *to, size_t count)
{
    return recv_flags(socket, to, count, 0);
}

static inline int option(struct file *socket, int name)
{
    int value = -1;

    assert_int_equal(event_get_option(socket, SOL_SOCKET, name, &value), 0);
    return value;
}

static inline unsigned ready(struct file *socket)
{
    return poll_of(socket) & (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
}

#endif
