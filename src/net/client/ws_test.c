/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/client/ws.h"

static struct ws_reader reader;
static struct ws_part part;

/* What comes of these bytes, in pieces of this size: "b5! t3 p2!", the op, how
 * many bytes, and whether it was the last.  Parts of one frame are added up. */
static const char *read_all(const void *bytes, size_t count, size_t step)
{
    static char said[200];
    size_t at = 0, sum = 0, length = 0;

    reader = (struct ws_reader){0};
    said[0] = '\0';
    while (at < count) {
        const uint8_t *data = (const uint8_t *)bytes + at;
        size_t left = count - at < step ? count - at : step;
        int rc;

        at += left;
        while ((rc = ws_read(&reader, &data, &left, &part)) > 0) {
            sum += part.bytes;
            if (!part.is_last && reader.has_head)
                continue; /* the frame goes on */
            length += (size_t)snprintf(said + length, sizeof(said) - length,
                                       "%s%c%zu%s", length > 0 ? " " : "",
                                       part.op == WS_TEXT     ? 't'
                                       : part.op == WS_BINARY ? 'b'
                                       : part.op == WS_PING   ? 'p'
                                       : part.op == WS_PONG   ? 'q'
                                                              : 'c',
                                       sum, part.is_last ? "!" : "");
            sum = 0;
        }
        if (rc < 0)
            return "bad";
    }
    return said;
}

#define READ(text) read_all(text, sizeof(text) - 1, step)

static void frames_are_read_in_pieces_of_any_size(void **state)
{
    static uint8_t large[10 + 70000] = {0x82, 127, 0, 0,    0,
                                        0,    0,   1, 0x11, 0x70};

    (void)state;
    for (size_t step = 1; step < 20; step++) {
        assert_string_equal(READ("\x82\x05hello"), "b5!");
        assert_string_equal(READ("\x81\x03\x61\x62\x63\x82\x00"), "t3! b0!");
        assert_string_equal(READ("\x02\x02he\x89\x02??\x00\x01l\x80\x02lo"),
                            "b2 p2! b1 b2!");
        assert_string_equal(READ("\x88\x02\x03\xe8\x8a\x00"), "c2! q0!");
        assert_string_equal(READ("\x82\x7e\x00\x03xyz"), "b3!");
        assert_string_equal(READ("\x82\x05hel"), "");
    }
    assert_string_equal(read_all(large, sizeof(large), 4096), "b70000!");
}

static void what_no_server_may_say_is_refused(void **state)
{
    const size_t step = 100;

    (void)state;
    assert_string_equal(READ("\x82\x85maskhello"), "bad"); /* masked */
    assert_string_equal(READ("\xc2\x00"), "bad");          /* an extension */
    assert_string_equal(READ("\x83\x00"), "bad");          /* no such frame */
    assert_string_equal(READ("\x8b\x00"), "bad");
    assert_string_equal(READ("\x80\x00"), "bad");          /* of no message */
    assert_string_equal(READ("\x02\x01x\x82\x00"), "bad"); /* of two */
    assert_string_equal(READ("\x09\x00"), "bad");          /* half a ping */
    assert_string_equal(READ("\x89\x7e\x00\x7e"), "bad");  /* a long one */
    assert_string_equal(READ("\x82\x7f\x80\0\0\0\0\0\0\0"), "bad");
}

static void what_is_written_is_masked(void **state)
{
    static const uint8_t mask[] = {1, 2, 0xff, 4};
    static const struct {
        uint64_t bytes;
        size_t head;
    } cases[] = {{0, 6},     {125, 6},    {126, 8},
                 {65535, 8}, {65536, 14}, {1ull << 40, 14}};
    uint8_t head[WS_HEAD_MAX], text[21], back[21];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const size_t count =
            ws_write_head(head, WS_BINARY, true, cases[i].bytes, mask);

        assert_int_equal(count, cases[i].head);
        assert_int_equal(head[0], 0x82);
        assert_int_equal(head[1] & 0x80, 0x80);
        assert_memory_equal(head + count - 4, mask, 4);
        /* A server's would be the same without the mask: read it so. */
        head[1] &= 0x7f;
        reader = (struct ws_reader){0};
        const uint8_t *data = head;
        size_t left = count - 4;

        assert_int_equal(ws_read(&reader, &data, &left, &part),
                         cases[i].bytes == 0);
        assert_int_equal(reader.left, cases[i].bytes);
    }
    for (size_t bytes = 0; bytes <= sizeof(text); bytes++) {
        for (size_t i = 0; i < bytes; i++)
            text[i] = (uint8_t)(i * 37);
        ws_mask(back, text, bytes, mask);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(back[i], text[i] ^ mask[i % 4]);
        ws_mask(back, back, bytes, mask);
        assert_memory_equal(back, text, bytes);
    }
}

static void a_reply_is_what_belongs_to_the_key(void **state)
{
    static const char accept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    static const struct {
        const char *text;
        int status;
        bool has;
    } cases[] = {
        {"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: "
         "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
         101, false},
        {"HTTP/1.1 101 Yes\r\nX: "
         "y\r\nsec-websocket-accept:s3pPLMBiTxaQ9kYGzzhZRbK"
         "+xOo= \r\nSec-WebSocket-Protocol: glovebox.1\r\n\r\n",
         101, true},
        {"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: x\r\n\r\n", 0, false},
        {"HTTP/1.1 101 Yes\r\nX-Sec-WebSocket-Accept: "
         "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
         0, false},
        {"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: "
         "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: "
         "permessage-deflate\r\n\r\n",
         0, false},
        {"HTTP/1.1 401 No\r\n\r\n", 401, false},
        {"HTTP/1.1 9999 No\r\n\r\n", 0, false},
        {"SSH-2.0-OpenSSH\r\n\r\n", 0, false},
        {"", 0, false},
    };
    bool has;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(ws_read_reply(cases[i].text, accept, &has),
                         cases[i].status);
        assert_int_equal(has, cases[i].has);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_read_in_pieces_of_any_size),
        cmocka_unit_test(what_no_server_may_say_is_refused),
        cmocka_unit_test(what_is_written_is_masked),
        cmocka_unit_test(a_reply_is_what_belongs_to_the_key),
    };

    return cmocka_run_group_tests_name("ws", tests, NULL, NULL);
}
