/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/microvm/linux/event/event_test.h"

#define DATAGRAM_MAX (EVENT_SOCKET_BYTES - 4)
#define KINDS        3

static const int kinds[KINDS] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

static char bytes[2 * EVENT_SOCKET_BYTES];

static void open_pair(int type, struct file *ends[2])
{
    assert_int_equal(event_socketpair(&waker, type, ends), 0);
    forget_wakes();
}

static int64_t send_to(struct file *socket, const void *from, size_t count)
{
    char *copy = malloc(count + 1);
    struct iovec piece = {copy, count};
    int64_t done;

    memcpy(copy, from, count);
    done = event_send(socket, &piece, 1, 0);
    free(copy);
    return done;
}

static int64_t recv_flags(struct file *socket, void *to, size_t count,
                          int flags)
{
    struct iovec piece = {to, count};

    return event_recv(socket, &piece, 1, flags, NULL, NULL);
}

static int64_t recv_from(struct file *socket, void *to, size_t count)
{
    return recv_flags(socket, to, count, 0);
}

static int option(struct file *socket, int name)
{
    int value = -1;

    assert_int_equal(event_get_option(socket, SOL_SOCKET, name, &value), 0);
    return value;
}

static unsigned ready(struct file *socket)
{
    return poll_of(socket) & (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
}

static void streams_join_what_datagrams_keep_apart(void **state)
{
    static const struct {
        int type;
        int64_t first, second, readable;
    } cases[] = {
        {SOCK_STREAM, 6, -EAGAIN, 6},
        {SOCK_DGRAM, 4, 2, 4},
        {SOCK_SEQPACKET, 4, 2, 6},
    };
    char got[16];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file *ends[2];

        open_pair(cases[i].type, ends);
        assert_int_equal(event_readable_bytes(ends[1]), 0);
        assert_int_equal(send_to(ends[0], "one ", 4), 4);
        assert_true(was_woken(ends[1]) && !was_woken(ends[0]));
        assert_int_equal(send_to(ends[0], "2!", 2), 2);
        assert_int_equal(event_readable_bytes(ends[1]), cases[i].readable);
        assert_int_equal(recv_from(ends[0], got, 16), -EAGAIN);
        assert_int_equal(recv_from(ends[1], got, 16), cases[i].first);
        assert_int_equal(recv_from(ends[1], got, 16), cases[i].second);
        assert_int_equal(recv_from(ends[1], got, 16), -EAGAIN);
        put_both(ends);
    }
}

static void each_direction_is_its_own(void **state)
{
    char got[4];

    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct file *ends[2];

        open_pair(kinds[i], ends);
        for (int end = 0; end < 2; end++)
            assert_int_equal(write_text(ends[end], end ? "b" : "a"), 1);
        for (int end = 0; end < 2; end++) {
            assert_int_equal(read_bytes(ends[end], got, 4), 1);
            assert_int_equal(got[0], end ? 'a' : 'b');
        }
        put_both(ends);
    }
}

static void a_datagram_is_cut_and_its_rest_is_gone(void **state)
{
    static const struct {
        size_t room;
        int flags;
        int64_t want;
        int more;
    } cases[] = {
        {8, 0, 6, 0},
        {6, 0, 6, 0},
        {5, 0, 5, MSG_TRUNC},
        {0, 0, 0, MSG_TRUNC},
        {5, MSG_TRUNC, 6, MSG_TRUNC},
        {0, MSG_TRUNC, 6, MSG_TRUNC},
        {8, MSG_TRUNC, 6, 0},
        {5, MSG_PEEK, 5, MSG_TRUNC},
        {0, MSG_PEEK | MSG_TRUNC, 6, MSG_TRUNC},
        {8, MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL, 6, 0},
    };

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
        size_t n = i / 2;
        char got[] = "........";
        struct iovec piece = {got, cases[n].room};
        struct file *ends[2];
        uint64_t whole = 99;
        int more = 99;

        open_pair(i % 2 ? SOCK_DGRAM : SOCK_SEQPACKET, ends);
        assert_int_equal(send_to(ends[0], "abcdef", 6), 6);
        assert_int_equal(send_to(ends[0], "next", 4), 4);
        assert_int_equal(
            event_recv(ends[1], &piece, 1, cases[n].flags, &whole, &more),
            cases[n].want);
        assert_int_equal(whole, 6);
        assert_int_equal(more, cases[n].more);
        assert_memory_equal(got, "abcdef",
                            cases[n].room < 6 ? cases[n].room : 6);
        assert_int_equal(got[cases[n].room < 6 ? cases[n].room : 6], '.');
        assert_int_equal(recv_from(ends[1], got, 8),
                         cases[n].flags & MSG_PEEK ? 6 : 4);
        put_both(ends);
    }
}

static void a_stream_is_looked_at_and_stays(void **state)
{
    struct file *ends[2];
    char got[8] = "";
    uint64_t whole;
    int more;

    (void)state;
    open_pair(SOCK_STREAM, ends);
    send_to(ends[0], "abc", 3);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(recv_flags(ends[1], got, 2, MSG_PEEK), 2);
        assert_memory_equal(got, "ab", 2);
    }
    assert_int_equal(event_recv(ends[1], &(struct iovec){got, 2}, 1, MSG_TRUNC,
                                &whole, &more),
                     2);
    assert_true(whole == 2 && more == 0);
    assert_int_equal(recv_flags(ends[1], got, 8, MSG_WAITALL), 1);
    assert_int_equal(got[0], 'c');
    put_both(ends);
}

static void an_empty_datagram_is_a_datagram(void **state)
{
    char got[4];

    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct file *ends[2];
        bool stream = kinds[i] == SOCK_STREAM;

        open_pair(kinds[i], ends);
        assert_int_equal(send_to(ends[0], "", 0), 0);
        assert_int_equal(was_woken(ends[1]), !stream);
        assert_int_equal(read_bytes(ends[1], got, 0), 0); /* takes nothing */
        assert_int_equal(recv_from(ends[1], got, 4), stream ? -EAGAIN : 0);
        assert_int_equal(recv_from(ends[1], got, 4), -EAGAIN);
        assert_int_equal(recv_from(ends[1], got, 0), -EAGAIN);
        put_both(ends);
    }
}

static void a_send_fits_or_is_cut_or_waits(void **state)
{
    static const struct {
        size_t used, count;
        int64_t stream, datagram;
    } cases[] = {
        {0, DATAGRAM_MAX, DATAGRAM_MAX, DATAGRAM_MAX},
        {0, DATAGRAM_MAX + 1, DATAGRAM_MAX + 1, -EMSGSIZE},
        {0, EVENT_SOCKET_BYTES + 1, EVENT_SOCKET_BYTES, -EMSGSIZE},
        {1, DATAGRAM_MAX + 4, DATAGRAM_MAX + 3, -EMSGSIZE},
        {1, DATAGRAM_MAX, DATAGRAM_MAX, -EAGAIN},
        {1000, DATAGRAM_MAX - 1004, DATAGRAM_MAX - 1004, DATAGRAM_MAX - 1004},
        {1000, DATAGRAM_MAX - 1003, DATAGRAM_MAX - 1003, -EAGAIN},
        {DATAGRAM_MAX, 1, 1, -EAGAIN},
        {DATAGRAM_MAX, 4, 4, -EAGAIN},
        {DATAGRAM_MAX, 5, 4, -EAGAIN},
        {DATAGRAM_MAX, 0, 0, -EAGAIN},
    };

    (void)state;
    for (size_t i = 0; i < KINDS * ARRAY_SIZE(cases); i++) {
        size_t n = i / KINDS;
        struct file *ends[2];
        int64_t want = kinds[i % KINDS] == SOCK_STREAM ? cases[n].stream
                                                       : cases[n].datagram;

        open_pair(kinds[i % KINDS], ends);
        if (cases[n].used > 0)
            assert_int_equal(send_to(ends[0], bytes, cases[n].used),
                             cases[n].used);
        forget_wakes();
        assert_int_equal(send_to(ends[0], bytes, cases[n].count), want);
        assert_int_equal(was_woken(ends[1]), want > 0);
        put_both(ends);
    }
}

/* Many small ones cost no more memory than they are allowed. */
static void tiny_datagrams_fill_a_socket(void **state)
{
    struct file *ends[2];
    uint32_t sent = 0, got = 0;

    (void)state;
    open_pair(SOCK_DGRAM, ends);
    while (send_to(ends[0], "", 0) == 0)
        sent++;
    assert_int_equal(sent, EVENT_SOCKET_BYTES / 4);
    assert_int_equal(ready(ends[0]), 0);
    assert_int_equal(event_readable_bytes(ends[1]), 0);
    while (recv_from(ends[1], bytes, 1) == 0)
        got++;
    assert_int_equal(got, sent);
    assert_int_equal(ready(ends[0]), POLLOUT);
    put_both(ends);
}

static void whoever_receives_wakes_those_who_could_not_send(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct file *ends[2];

        open_pair(kinds[i], ends);
        send_to(ends[0], bytes, 20000);
        send_to(ends[0], bytes, 20000);
        assert_int_equal(ready(ends[0]), 0);
        forget_wakes();
        assert_int_equal(recv_flags(ends[1], bytes, 20000, MSG_PEEK), 20000);
        assert_int_equal(wake_count, 0);
        assert_int_equal(recv_from(ends[1], bytes, 20000), 20000);
        assert_true(was_woken(ends[0]) && !was_woken(ends[1]));
        assert_int_equal(recv_from(ends[1], bytes, 20000), 20000);
        assert_int_equal(ready(ends[0]), POLLOUT);
        put_both(ends);
    }
}

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

static void the_peers_end_is_told_as_linux_tells_it(void **state)
{
    static const struct {
        int type;
        bool unread; /* by the one that is closed */
        unsigned ready;
        int error;
        int64_t sends[2], recvs[3]; /* "abc" is there */
    } cases[] = {
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
    char got[4];

    (void)state;
    for (size_t i = 0; i < 3 * ARRAY_SIZE(cases); i++) {
        size_t n = i / 3;
        struct file *ends[2];

        open_pair(cases[n].type, ends);
        send_to(ends[0], "abc", 3);
        if (cases[n].unread)
            send_to(ends[1], "unread", 6);
        forget_wakes();
        put(ends[0]);
        assert_true(was_woken(ends[1]));
        assert_int_equal(ready(ends[1]), cases[n].ready);
        switch (i % 3) {
        case 0:
            for (int j = 0; j < 2; j++)
                assert_int_equal(send_to(ends[1], "x", 1), cases[n].sends[j]);
            break;
        case 1:
            for (int j = 0; j < 3; j++)
                assert_int_equal(recv_from(ends[1], got, 4), cases[n].recvs[j]);
            break;
        case 2:
            assert_int_equal(option(ends[1], SO_ERROR), cases[n].error);
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

static void without_memory_nothing_is_sent(void **state)
{
    struct iovec piece = {bytes, 10};

    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct file *ends[2];

        fail_in = 1;
        assert_int_equal(event_socketpair(&waker, kinds[i], ends), -ENOMEM);
        open_pair(kinds[i], ends);
        fail_in = 1;
        assert_int_equal(event_send(ends[0], &piece, 1, 0), -ENOMEM);
        assert_int_equal(wake_count, 0);
        assert_int_equal(recv_from(ends[1], bytes, 10), -EAGAIN);
        assert_int_equal(event_send(ends[0], &piece, 1, 0), 10);
        assert_int_equal(recv_from(ends[1], bytes, 11), 10);
        put_both(ends);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(streams_join_what_datagrams_keep_apart),
        TEST(each_direction_is_its_own),
        TEST(a_datagram_is_cut_and_its_rest_is_gone),
        TEST(a_stream_is_looked_at_and_stays),
        TEST(an_empty_datagram_is_a_datagram),
        TEST(a_send_fits_or_is_cut_or_waits),
        TEST(tiny_datagrams_fill_a_socket),
        TEST(whoever_receives_wakes_those_who_could_not_send),
        TEST(shutting_a_direction_is_heard_on_both_ends),
        TEST(what_came_before_is_read_after_shutting),
        TEST(the_peers_end_is_told_as_linux_tells_it),
        TEST(options_are_remembered),
        TEST(what_a_socket_does_not_have_is_refused),
        TEST(other_files_are_no_sockets),
        TEST(a_pair_has_the_type_it_was_given),
        TEST(without_memory_nothing_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
