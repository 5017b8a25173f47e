/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/microvm/linux/event/socket_test.h"

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

static void without_memory_nothing_is_sent(void **state)
{
    struct iovec piece = {bytes, 10};

    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct file *ends[2];

        heap_fail_in = 1;
        assert_int_equal(event_socketpair(&waker, kinds[i], ends), -ENOMEM);
        open_pair(kinds[i], ends);
        heap_fail_in = 1;
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
        TEST(without_memory_nothing_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
