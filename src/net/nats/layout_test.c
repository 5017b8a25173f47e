/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/nats/address.h"
#include "net/nats/layout.h"
#include "net/nats/node.h"

#define ID     "0123456789abcdef0123456789abcdef"
#define DIGEST ID ID

/* ---- headers ---- */

static const char *const good[][2] = {{NATS_FROM, ID ".7"},
                                      {NATS_FRAMES, "1"},
                                      {NATS_SCRIPT, DIGEST},
                                      {NATS_BODY, "5000000 " DIGEST},
                                      {NATS_WAIT, "30000"}};

struct spoiled {
    const char *name, *value;
};

static const char *get(void *message, const char *name)
{
    const struct spoiled *spoiled = message;

    if (spoiled->name != NULL && strcmp(name, spoiled->name) == 0)
        return spoiled->value;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (strcmp(name, good[i][0]) == 0)
            return good[i][1];
    return NULL;
}

static void a_head_is_read(void **state)
{
    struct layout_head head;
    const char *what;

    (void)state;
    assert_true(layout_head(&head, get, &(struct spoiled){0}, &what));
    assert_string_equal(head.from.caller, ID);
    assert_int_equal(head.from.serial, 7);
    assert_string_equal(head.script, DIGEST);
    assert_true(head.has_body);
    assert_int_equal(head.body.bytes, 5000000);
    assert_string_equal(head.body.digest, DIGEST);
    assert_int_equal(head.wait_ms, 30000);
    assert_true(
        layout_head(&head, get, &(struct spoiled){NATS_SCRIPT, NULL}, &what));
    assert_string_equal(head.script, "");
}

static void a_head_that_is_spoiled_is_refused(void **state)
{
    static const struct spoiled all[] = {
        {NATS_FROM, NULL},
        {NATS_FROM, ""},
        {NATS_FROM, ID},
        {NATS_FROM, ID "."},
        {NATS_FROM, ID ".x"},
        {NATS_FROM, ID ".1x"},
        {NATS_FROM, ID ".18446744073709551616"},
        {NATS_FROM, "x" ID ".1"},
        {NATS_FROM, "0123456789abcdef0123456789abcdeF.1"},
        {NATS_FROM, "0123456789abcdef.>.9abcdef01234.1"},
        {NATS_FRAMES, NULL},
        {NATS_FRAMES, ""},
        {NATS_FRAMES, "-1"},
        {NATS_FRAMES, "65536"},
        {NATS_SCRIPT, ""},
        {NATS_SCRIPT, ID},
        {NATS_SCRIPT, DIGEST "0"},
        {NATS_BODY, ""},
        {NATS_BODY, "5"},
        {NATS_BODY, "5 " ID},
        {NATS_BODY, "5  " DIGEST},
        {NATS_BODY, "-5 " DIGEST},
        {NATS_WAIT, ""},
        {NATS_WAIT, "1.5"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct layout_head head;
        struct spoiled one = all[i];
        const char *what = NULL;

        assert_false(layout_head(&head, get, &one, &what));
        assert_non_null(what);
    }
}

static void of_another_version_only_who_asks_is_read(void **state)
{
    struct layout_head head;
    const char *what;

    (void)state;
    assert_true(
        layout_head(&head, get, &(struct spoiled){NATS_FRAMES, "9"}, &what));
    assert_int_equal(head.frames, 9);
    assert_false(head.has_body);
}

/* ---- subjects ---- */

static void an_acknowledgement_says_how_often(void **state)
{
    static const char *const bad[] = {"",
                                      "$JS.ACK.",
                                      "$JS.ACK.s.c.x.2.3.4.5",
                                      "$JS.ACK.s.c.1.2.3.4",
                                      "$JS.ACK.d.a.s.c.1.2.3.4",
                                      "_INBOX.s.c.1.2.3.4.5.6.7"};
    struct layout_ack ack;

    (void)state;
    assert_true(layout_ack(&ack, "$JS.ACK.S.c.3.77.8.1700000000000000000.9"));
    assert_int_equal(ack.delivered, 3);
    assert_int_equal(ack.sequence, 77);
    assert_int_equal(ack.stored_ns, 1700000000000000000u);
    assert_true(layout_ack(&ack, "$JS.ACK.d.acc.S.c.4.78.8.5.9.rnd"));
    assert_int_equal(ack.delivered, 4);
    assert_int_equal(ack.stored_ns, 5);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(layout_ack(&ack, bad[i]));
}

static void a_subject_of_ours_has_a_kind_and_a_serial(void **state)
{
    static const char *const bad[] = {"glovebox.to." ID,
                                      "glovebox.to." ID ".result",
                                      "glovebox.to." ID ".result.",
                                      "glovebox.to." ID ".result.1.2",
                                      "glovebox.to.x.result.1",
                                      "glovebox.worker." ID ".result.1"};
    const char *kind;
    size_t bytes;
    uint64_t serial;

    (void)state;
    assert_true(layout_subject("glovebox.to." ID ".result.42", "glovebox.to.",
                               ID, &kind, &bytes, &serial));
    assert_int_equal(bytes, 6);
    assert_memory_equal(kind, "result", 6);
    assert_int_equal(serial, 42);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(
            layout_subject(bad[i], "glovebox.to.", ID, &kind, &bytes, &serial));
}

/* ---- payloads ---- */

static size_t put(uint8_t *to, struct frame frame)
{
    const size_t head = frame_write(&frame, to);

    memset(to + head, 'b', frame.body_bytes);
    return head + frame.body_bytes;
}

static size_t put_call(uint8_t *to, uint32_t number)
{
    size_t at = put(to, (struct frame){.kind = FRAME_INPUT,
                                       .call = number,
                                       .flags = FRAME_HAS_TIMEOUT,
                                       .scalar = 500,
                                       .actor = "#1/k"});

    return at + put(to + at, (struct frame){.kind = FRAME_INPUT,
                                            .call = number,
                                            .flags = FRAME_RUNS,
                                            .body_bytes = 9,
                                            .port = "in"});
}

static void calls_are_found_one_by_one(void **state)
{
    uint8_t payload[1024];
    const size_t one = put_call(payload, 5);
    const size_t both = one + put_call(payload + one, 6);
    struct layout_part part;
    const char *what;
    size_t at = 0;

    (void)state;
    assert_int_equal(layout_next(&part, false, payload, both, &at, &what), 1);
    assert_int_equal(part.first.call, 5);
    assert_int_equal(part.bytes, one);
    assert_int_equal(part.timeout_ms, 500);
    assert_int_equal(layout_next(&part, false, payload, both, &at, &what), 1);
    assert_int_equal(part.first.call, 6);
    assert_int_equal(layout_next(&part, false, payload, both, &at, &what), 0);
    at = 0; /* they are no results */
    assert_int_equal(layout_next(&part, true, payload, both, &at, &what), -1);
}

static void a_payload_that_is_cut_is_refused(void **state)
{
    uint8_t payload[1024];
    const size_t one = put_call(payload, 5);
    struct layout_part part;
    const char *what = NULL;

    (void)state;
    for (size_t bytes = 1; bytes < one; bytes++) {
        size_t at = 0;

        assert_int_equal(layout_next(&part, false, payload, bytes, &at, &what),
                         -1);
        assert_non_null(what);
    }
}

static void frames_of_two_calls_do_not_mix(void **state)
{
    uint8_t payload[1024];
    struct layout_part part;
    const char *what;
    size_t bytes = 0, at = 0;

    (void)state;
    bytes += put(payload, (struct frame){.kind = FRAME_PRINT, .call = 1});
    bytes +=
        put(payload + bytes, (struct frame){.kind = FRAME_DONE, .call = 2});
    assert_int_equal(layout_next(&part, true, payload, bytes, &at, &what), -1);
}

/* ---- the rest ---- */

static void the_server_says_what_it_stored(void **state)
{
    static const struct {
        const char *text;
        int code;
        uint64_t sequence;
    } all[] = {
        {"{\"stream\":\"S\",\"seq\":7}", 0, 7},
        {"{\"stream\":\"S\",\"seq\":7,\"duplicate\":true}", 0, 7},
        {"{\"error\":{\"code\":503,\"err_code\":10077,\"description\":\"x\"}}",
         10077, 0},
        {"{\"error\":{},\"seq\":7}", 1, 0},
        {"{}", 1, 0},
        {"[]", 1, 0},
        {"", 1, 0},
        {"x", 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct layout_stored stored;

        layout_stored(&stored, all[i].text, strlen(all[i].text));
        assert_int_equal(stored.code, all[i].code);
        assert_int_equal(stored.sequence, all[i].sequence);
    }
}

static void a_node_is_what_was_written(void **state)
{
    struct node node = {.id = ID,
                        .host = "a.example",
                        .product = "gloveboxd 1",
                        .route = "gpu",
                        .isolations = {"microvm", "wasm"},
                        .isolation_count = 2,
                        .oldest = 1,
                        .newest = 2,
                        .workers = 4,
                        .busy = 3,
                        .waiting = 2,
                        .calls = 1ull << 40,
                        .is_draining = true};
    struct node read;
    char *text = node_write(&node);

    (void)state;
    assert_non_null(text);
    assert_true(node_read(&read, text, strlen(text)));
    assert_memory_equal(&read, &node, sizeof(node));
    free(text);
    node.host[0] = '\033'; /* it would be shown to somebody */
    text = node_write(&node);
    assert_false(node_read(&read, text, strlen(text)));
    free(text);
}

static void a_url_is_taken_apart(void **state)
{
    static const char *const bad[] = {
        "",          "nats:/x",          "http://x",         "nats://",
        "nats://x?", "nats://x?route=.", "nats://x?route",   "nats://x/a b",
        "nats://@",  "nats://x?cert=a",  "nats://x?other=1", "nats://x/a/b"};
    struct address a;

    (void)state;
    assert_int_equal(
        address_read(&a, "tls://u:p@a:1,b:2/gpu?ca=/c&replicas=3", NULL), 0);
    assert_true(a.is_tls);
    assert_int_equal(a.server_count, 2);
    assert_string_equal(a.servers[0], "nats://u:p@a:1");
    assert_string_equal(a.servers[1], "nats://u:p@b:2");
    assert_string_equal(a.route, "gpu");
    assert_string_equal(a.ca, "/c");
    assert_int_equal(a.replicas, 3);
    assert_string_equal(a.shown, "tls://a:1,b:2");
    address_fini(&a);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const bool is_fine = strcmp(bad[i], "nats://x?") == 0;

        assert_int_equal(address_read(&a, bad[i], NULL),
                         is_fine ? 0 : GBX_EARGUMENT);
        address_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_read),
        cmocka_unit_test(a_head_that_is_spoiled_is_refused),
        cmocka_unit_test(of_another_version_only_who_asks_is_read),
        cmocka_unit_test(an_acknowledgement_says_how_often),
        cmocka_unit_test(a_subject_of_ours_has_a_kind_and_a_serial),
        cmocka_unit_test(calls_are_found_one_by_one),
        cmocka_unit_test(a_payload_that_is_cut_is_refused),
        cmocka_unit_test(frames_of_two_calls_do_not_mix),
        cmocka_unit_test(the_server_says_what_it_stored),
        cmocka_unit_test(a_node_is_what_was_written),
        cmocka_unit_test(a_url_is_taken_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
