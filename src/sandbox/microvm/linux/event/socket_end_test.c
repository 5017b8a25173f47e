/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/microvm/linux/event/socket_test.h"

static void shutting_a_direction_is_heard_on_both_ends(void **state)
{
    enum { OUT = POLLOUT, IN = POLLIN | POLLRDHUP };
    static const struct {
        int how;
        unsigned own, peer;                       /* poll */
        int64_t send, recv, peer_send, peer_recv; /* of 1 byte */
    } connected[] =
        {
            {SHUT_WR, OUT, OUT | IN, -EPIPE, -EAGAIN, 1, 0},
            {SHUT_RD, OUT | IN, OUT, 1, 0, -EPIPE, -EAGAIN},
            {SHUT_RDWR, OUT | IN | POLLHUP, OUT | IN | POLLHUP, -EPIPE, 0,
             -EPIPE, 0},
        },
      datagram[] = {
          {SHUT_WR, OUT, OUT, -EPIPE, -EAGAIN, 1, -EAGAIN},
          {SHUT_RD, OUT | IN, OUT, 1, 0, -EPIPE, -EAGAIN},
          {SHUT_RDWR, OUT | IN | POLLHUP, OUT, -EPIPE, 0, -EPIPE, -EAGAIN},
      };
    char got[1];

    (void)state;
    for (size_t i = 0; i < KINDS * ARRAY_SIZE(connected); i++) {
        bool is_datagram = kinds[i % KINDS] == SOCK_DGRAM;
        size_t n = i / KINDS;
        int how = connected[n].how;
        unsigned own = is_datagram ? datagram[n].own : connected[n].own;
        unsigned peer = is_datagram ? datagram[n].peer : connected[n].peer;
        struct file *ends[2];

        open_pair(kinds[i % KINDS], ends);
        assert_int_equal(event_shutdown(ends[0], how), 0);
        assert_true(was_woken(ends[0]) && was_woken(ends[1]));
        assert_int_equal(ready(ends[0]), own);
        assert_int_equal(ready(ends[1]), peer);
        assert_int_equal(recv_from(ends[0], got, 1), connected[n].recv);
        assert_int_equal(recv_from(ends[1], got, 1),
                         is_datagram ? datagram[n].peer_recv
                                     : connected[n].peer_recv);
        assert_int_equal(send_to(ends[0], "x", 1), connected[n].send);
        assert_int_equal(send_to(ends[1], "x", 1), connected[n].peer_send);
        put_both(ends);
    }
}

static void what_came_before_is_read_after_shutting(void **state)
{
    char got[4];

    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct file *ends[2];

        open_pair(kinds[i] | SOCK_NONBLOCK, ends);
        send_to(ends[0], "abc", 3);
        assert_int_equal(event_shutdown(ends[1], SHUT_RD), 0);
        assert_int_equal(recv_from(ends[1], got, 4), 3);
        assert_int_equal(recv_from(ends[1], got, 4),
                         kinds[i] == SOCK_DGRAM ? -EAGAIN : 0);
        put_both(ends);
    }
}

static const struct {
    int type;
    bool unread; /* by the one that is closed */
    unsigned ready;
    int error;
    int64_t sends[2], recvs[3]; /* "abc" is there */
} ends_of_peers[] = {
    {SOCK_STREAM,
     false,
     POLLIN | POLLRDHUP | POLLHUP | POLLOUT,
     0,
     {-EPIPE, -EPIPE},
     {3, 0, 0}},
    {SOCK_STREAM,
     true,
     POLLIN | POLLRDHUP | POLLHUP | POLLOUT | POLLERR,
     ECONNRESET,
     {-EPIPE, -EPIPE},
     {3, -ECONNRESET, 0}},
    {SOCK_SEQPACKET,
     false,
     POLLIN | POLLRDHUP | POLLHUP | POLLOUT,
     0,
     {-EPIPE, -EPIPE},
     {3, 0, 0}},
    {SOCK_SEQPACKET,
     true,
     POLLIN | POLLRDHUP | POLLHUP | POLLOUT | POLLERR,
     ECONNRESET,
     {-ECONNRESET, -EPIPE},
     {-ECONNRESET, 3, 0}},
    {SOCK_DGRAM,
     false,
     POLLIN | POLLOUT,
     0,
     {-ECONNREFUSED, -ENOTCONN},
     {3, -EAGAIN, -EAGAIN}},
    {SOCK_DGRAM,
     true,
     POLLIN | POLLOUT,
     0,
     {-ECONNREFUSED, -ENOTCONN},
     {3, -EAGAIN, -EAGAIN}},
};

static void the_peers_end_is_told_as_linux_tells_it(void **state)
{
    char got[4];

    (void)state;
    for (size_t i = 0; i < 3 * ARRAY_SIZE(ends_of_peers); i++) {
        size_t n = i / 3;
        struct file *ends[2];

        open_pair(ends_of_peers[n].type, ends);
        send_to(ends[0], "abc", 3);
        if (ends_of_peers[n].unread)
            send_to(ends[1], "unread", 6);
        forget_wakes();
        put(ends[0]);
        assert_true(was_woken(ends[1]));
        assert_int_equal(ready(ends[1]), ends_of_peers[n].ready);
        switch (i % 3) {
        case 0:
            for (int j = 0; j < 2; j++)
                assert_int_equal(send_to(ends[1], "x", 1),
                                 ends_of_peers[n].sends[j]);
            break;
        case 1:
            for (int j = 0; j < 3; j++)
                assert_int_equal(recv_from(ends[1], got, 4),
                                 ends_of_peers[n].recvs[j]);
            break;
        case 2:
            assert_int_equal(option(ends[1], SO_ERROR), ends_of_peers[n].error);
            assert_int_equal(option(ends[1], SO_ERROR), 0);
            break;
        }
        put(ends[1]);
    }
}

static void options_are_remembered(void **state)
{
    static const struct {
        int name, first, set;
        int want, after;
    } cases[] = {
        {SO_DOMAIN, AF_UNIX, 1, -ENOPROTOOPT, AF_UNIX},
        {SO_PROTOCOL, 0, 1, -ENOPROTOOPT, 0},
        {SO_ACCEPTCONN, 0, 1, -ENOPROTOOPT, 0},
        {SO_TYPE, SOCK_STREAM, 2, -ENOPROTOOPT, SOCK_STREAM},
        {SO_ERROR, 0, 2, -ENOPROTOOPT, 0},
        {SO_REUSEADDR, 0, -7, 0, 1},
        {SO_KEEPALIVE, 0, 2, 0, 1},
        {SO_PRIORITY, 0, 6, 0, 6},
        {SO_PRIORITY, 0, 7, -EPERM, 0},
        {SO_PRIORITY, 0, -1, -EPERM, 0},
        {SO_SNDBUF, EVENT_SOCKET_BYTES, 10000, 0, 20000},
        {SO_SNDBUF, EVENT_SOCKET_BYTES, 0, 0, 4608},
        {SO_SNDBUF, EVENT_SOCKET_BYTES, -1, 0, 2 * 212992},
        {SO_RCVBUF, EVENT_SOCKET_BYTES, INT32_MAX, 0, 2 * 212992},
        {SO_RCVBUF, EVENT_SOCKET_BYTES, 0, 0, 2304},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file *ends[2];

        open_pair(SOCK_STREAM, ends);
        assert_int_equal(option(ends[0], cases[i].name), cases[i].first);
        assert_int_equal(
            event_set_option(ends[0], SOL_SOCKET, cases[i].name, cases[i].set),
            cases[i].want);
        assert_int_equal(option(ends[0], cases[i].name), cases[i].after);
        assert_int_equal(option(ends[1], cases[i].name), cases[i].first);
        put_both(ends);
    }
}

static void what_a_socket_does_not_have_is_refused(void **state)
{
    static const int names[] = {SO_PEERCRED, SO_LINGER, SO_RCVTIMEO, -1,
                                0,           INT32_MAX, INT32_MIN};
    static const int levels[] = {0, 6, -1, INT32_MAX};
    static const int hows[] = {-1, 3, INT32_MAX, INT32_MIN};
    struct iovec piece = {bytes, 1};
    struct file *ends[2];
    int value = 5;

    (void)state;
    open_pair(SOCK_STREAM, ends);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_int_equal(
            event_get_option(ends[0], SOL_SOCKET, names[i], &value),
            -ENOPROTOOPT);
        assert_int_equal(event_set_option(ends[0], SOL_SOCKET, names[i], 1),
                         -ENOPROTOOPT);
    }
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
        assert_int_equal(event_get_option(ends[0], levels[i], SO_TYPE, &value),
                         -EOPNOTSUPP);
        assert_int_equal(event_set_option(ends[0], levels[i], SO_TYPE, 1),
                         -EOPNOTSUPP);
    }
    for (size_t i = 0; i < ARRAY_SIZE(hows); i++)
        assert_int_equal(event_shutdown(ends[0], hows[i]), -EINVAL);
    assert_int_equal(value, 5);
    assert_int_equal(event_send(ends[0], &piece, 1, MSG_OOB), -EOPNOTSUPP);
    assert_int_equal(recv_flags(ends[0], bytes, 1, MSG_OOB), -EOPNOTSUPP);
    assert_int_equal(event_send(ends[0], &piece, 1, ~MSG_OOB), 1);
    assert_int_equal(recv_flags(ends[1], bytes, 1, ~MSG_OOB & ~MSG_PEEK), 1);
    put_both(ends);
}

static void other_files_are_no_sockets(void **state)
{
    struct iovec piece = {bytes, 1};
    struct file *ends[2];
    int value;

    (void)state;
    assert_int_equal(event_pipe(&waker, 0, ends), 0);
    assert_false(event_is_socket(ends[0]));
    assert_int_equal(event_send(ends[1], &piece, 1, 0), -ENOTSOCK);
    assert_int_equal(recv_from(ends[0], bytes, 1), -ENOTSOCK);
    assert_int_equal(event_shutdown(ends[0], SHUT_RD), -ENOTSOCK);
    assert_int_equal(event_get_option(ends[0], SOL_SOCKET, SO_TYPE, &value),
                     -ENOTSOCK);
    assert_int_equal(event_set_option(ends[0], SOL_SOCKET, SO_KEEPALIVE, 1),
                     -ENOTSOCK);
    put_both(ends);
}

static void a_pair_has_the_type_it_was_given(void **state)
{
    static const struct {
        int type, want;
    } cases[] = {
        {SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0},
        {SOCK_DGRAM, 0},
        {SOCK_SEQPACKET | SOCK_CLOEXEC, 0},
        {0, -ESOCKTNOSUPPORT},
        {SOCK_RDM, -ESOCKTNOSUPPORT},
        {SOCK_PACKET, -ESOCKTNOSUPPORT},
        {SOCK_PACKET + 1, -EINVAL},
        {15, -EINVAL},
        {SOCK_STREAM | 16, -EINVAL},
        {-1, -EINVAL},
        {INT32_MIN, -EINVAL},
    };
    struct file *ends[2];
    struct stat st;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int type = cases[i].type;

        assert_int_equal(event_socketpair(&waker, type, ends), cases[i].want);
        if (cases[i].want < 0)
            continue;
        assert_true(event_is_socket(ends[0]) && event_is_socket(ends[1]));
        assert_int_equal(ends[0]->flags,
                         O_RDWR | ((unsigned)type & O_NONBLOCK));
        assert_int_equal(option(ends[1], SO_TYPE), type & 0xf);
        assert_int_equal(ends[0]->class->stat(ends[0], &st), 0);
        assert_true(S_ISSOCK(st.st_mode));
        put_both(ends);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(shutting_a_direction_is_heard_on_both_ends),
        TEST(what_came_before_is_read_after_shutting),
        TEST(the_peers_end_is_told_as_linux_tells_it),
        TEST(options_are_remembered),
        TEST(what_a_socket_does_not_have_is_refused),
        TEST(other_files_are_no_sockets),
        TEST(a_pair_has_the_type_it_was_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
