/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that outlive their call, and are given to other scripts. */
#include "glovebox/body.h"
#include "story.h"

#define LEN (1u << 20)

/* Sends so many bytes of 's' out of the middle of a longer buffer of 0xc5, and
 * then what is asked for. */
static const char producer[] =
    "import array\n"
    "def process(c):\n"
    "    n, kind = c.get_input('n'), c.get_input('kind')\n"
    "    if kind == 'array':\n"
    "        a = c.output_array('out', 'int32', (n // 4,))\n"
    "        a[:] = memoryview(array.array('i', range(n // 4)))\n"
    "        return {'out': a}\n"
    "    if kind == 'text':\n"
    "        return {'out': 's' * n}\n"
    "    whole = c.output_buffer('out', n + 20000)\n"
    "    whole[:] = b'\\xc5' * len(whole)\n"
    "    whole[7000:7000 + n] = b's' * n\n"
    "    c.send_output('out', whole if kind == 'all' else\n"
    "                  whole[7000:7000 + n])\n";

static const char counter[] =
    "def process(c):\n"
    "    v = c.get_input('in')\n"
    "    return {'v': bytes(v).count(b's') * (len(v) == "
    "1048576"
    ")}\n";

static const char passer[] = "def process(c):\n"
                             "    return {'out': c.get_input('in')}\n";

/* What is kept of an output. */
struct kept {
    struct gbx_message message;
    struct gbx_body *body;
};

static void run(struct story *s, struct gbx_call *call)
{
    if (story_run(s, call) < 0)
        fail_msg("%s", s->err.what);
}

/* The one output of a call, which is over then. */
static struct kept keep(struct story *s, struct gbx_call *call)
{
    struct kept kept;
    const char *port;
    const void *data;

    run(s, call);
    assert_int_equal(gbx_call_next(call, &port, &kept.message), 0);
    if (gbx_call_keep(call, &kept.message, &kept.body, &data, &s->err) < 0)
        fail_msg("%s", s->err.what);
    kept.message.body = data;
    gbx_call_finish(call);
    return kept;
}

static struct kept produce(struct story *s, struct gbx_script *script,
                           const char *kind)
{
    struct gbx_call *call = story_call(s, script);
    char json[64];

    snprintf(json, sizeof(json), "{\"type\":\"Integer\",\"data\":%u}", LEN);
    story_put(s, call, "n", json);
    snprintf(json, sizeof(json), "{\"type\":\"String\",\"data\":\"%s\"}", kind);
    story_put(s, call, "kind", json);
    return keep(s, call);
}

static struct gbx_call *call_with(struct story *s, struct gbx_script *script,
                                  const struct kept *kept)
{
    struct gbx_call *call = story_call(s, script);

    if (gbx_call_put_body(call, "in", &kept->message, kept->body, &s->err) < 0)
        fail_msg("%s", s->err.what);
    return call;
}

/* A body is shown by a micro-VM, and else copied once. */
static void expect_copied(struct gbx_call *call, uint64_t bytes)
{
    struct gbx_call_stats stats;

    gbx_call_stats(call, &stats);
    if (story_is("microvm"))
        assert_in_range(stats.copied_bytes, 0, 2 * 4096 + 16);
    else
        assert_in_range(stats.copied_bytes, bytes, bytes + 16);
}

static void expect_count(struct story *s, struct gbx_script *script,
                         const struct kept *kept)
{
    struct gbx_call *call = call_with(s, script, kept);

    run(s, call);
    assert_string_equal(story_outputs(call), V_NUMBER(1048576));
    expect_copied(call, LEN);
    gbx_call_finish(call);
}

static bool is_all(const struct kept *kept, int byte)
{
    const uint8_t *bytes = kept->message.body;

    for (size_t i = 0; i < kept->message.body_bytes; i++)
        if (bytes[i] != byte)
            return false;
    return true;
}

static void a_kept_body_outlives_its_script(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(s, producer);
    struct kept kept[3];

    /* Later calls write elsewhere. */
    for (size_t i = 0; i < 3; i++) {
        kept[i] = produce(s, script, "part");
        assert_int_equal(kept[i].message.body_bytes, LEN);
        assert_true(gbx_body_is_loose(kept[i].body));
    }
    story_close(s, script);
    for (size_t i = 0; i < 3; i++) {
        assert_true(is_all(&kept[i], 's'));
        gbx_body_put(kept[i].body);
    }
}

static void it_is_given_to_another_script(void **state)
{
    struct story *s = *state;
    struct gbx_script *from = story_open(s, producer),
                      *to = story_open(s, counter);
    struct kept kept = produce(s, from, "part");

    for (size_t i = 0; i < 3; i++)
        expect_count(s, to, &kept);
    story_close(s, from);
    expect_count(s, to, &kept);
    gbx_body_put(kept.body);
    story_close(s, to);
}

static void so_is_what_the_host_has_made(void **state)
{
    struct story *s = *state;
    struct gbx_script *to = story_open(s, counter);
    struct kept kept = {.message = {.type = GBX_STREAM, .body_bytes = LEN}};
    void *data;

    assert_int_equal(gbx_body_make(&kept.body, LEN, &data, &s->err), 0);
    memset(data, 's', LEN);
    kept.message.body = data;
    expect_count(s, to, &kept);
    gbx_body_put(kept.body);
    story_close(s, to);
}

static void an_array_keeps_its_elements(void **state)
{
    struct story *s = *state;
    struct gbx_script *from = story_open(s, producer),
                      *to =
                          story_open(s, "def process(c):\n"
                                        "    v = c.get_input('in')\n"
                                        "    return {'v': v.format == 'i' and\n"
                                        "            v.tolist() ==\n"
                                        "            list(range(len(v)))}\n");
    struct kept kept = produce(s, from, "array");
    struct gbx_call *call = call_with(s, to, &kept);

    run(s, call);
    assert_string_equal(story_outputs(call), V_BOOLEAN(true));
    expect_copied(call, LEN);
    gbx_call_finish(call);
    gbx_body_put(kept.body);
    story_close(s, from);
    story_close(s, to);
}

static void it_is_passed_on_as_it_lies(void **state)
{
    struct story *s = *state;
    struct gbx_script *from = story_open(s, producer),
                      *by = story_open(s, passer), *to = story_open(s, counter);
    struct kept kept = produce(s, from, "part"), passed;

    passed = keep(s, call_with(s, by, &kept));
    if (story_is("microvm"))
        assert_ptr_equal(passed.body, kept.body);
    gbx_body_put(kept.body);
    story_close(s, from);
    story_close(s, by);
    expect_count(s, to, &passed);
    gbx_body_put(passed.body);
    story_close(s, to);
}

static void many_read_it_at_once(void **state)
{
    struct story *s = *state;
    struct gbx_script *from = story_open(s, producer), *to[3];
    struct kept kept = produce(s, from, "part");
    struct gbx_call *calls[3];

    for (size_t i = 0; i < 3; i++) {
        to[i] = story_open(s, counter);
        calls[i] = call_with(s, to[i], &kept);
        assert_int_equal(gbx_call_submit(calls[i], story_deadline(10), &s->err),
                         0);
    }
    gbx_body_put(kept.body);
    for (size_t i = 0; i < 3; i++) {
        int rc;

        while ((rc = gbx_call_collect(calls[i], &s->err)) == GBX_EAGAIN)
            usleep(1000);
        assert_int_equal(rc, 0);
        assert_string_equal(story_outputs(calls[i]), V_NUMBER(1048576));
        gbx_call_finish(calls[i]);
        story_close(s, to[i]);
    }
    story_close(s, from);
}

static void who_reads_it_sees_nothing_else(void **state)
{
    struct story *s = *state;
    struct gbx_script *from = story_open(s, producer),
                      *to = story_open(s, STORY_SEARCHER);
    struct kept part = produce(s, from, "part"), all;
    struct gbx_call *call = call_with(s, to, &part);

    run(s, call);
    assert_string_equal(story_outputs(call), V_NUMBER(0));
    gbx_call_finish(call);
    gbx_body_put(part.body);

    /* Sent, it is found: the search can. */
    all = produce(s, from, "all");
    call = call_with(s, to, &all);
    run(s, call);
    assert_string_not_equal(story_outputs(call), V_NUMBER(0));
    gbx_call_finish(call);
    gbx_body_put(all.body);
    story_close(s, from);
    story_close(s, to);
}

static void a_reader_that_dies_gives_it_back(void **state)
{
    struct story *s = *state;
    struct gbx_script *from, *to;
    struct gbx_call *call;
    struct kept kept;

    s->config.limits.message_bytes = 8u << 20;
    from = story_open(s, producer);
    to = story_open(s, "import os\n"
                       "def process(c):\n"
                       "    v = c.get_input('in')\n"
                       "    os._exit(3)\n");
    for (size_t i = 0; i < 20; i++) {
        uint64_t copied;
        struct gbx_call_stats stats;

        call = story_call(s, from);
        story_put(s, call, "n", "{\"type\":\"Integer\",\"data\":2097152}");
        story_put(s, call, "kind", "{\"type\":\"String\",\"data\":\"part\"}");
        run(s, call);
        gbx_call_stats(call, &stats);
        copied = stats.copied_bytes;
        assert_true(copied < 4096);
        assert_int_equal(
            gbx_call_next(call, &(const char *){NULL}, &kept.message), 0);
        assert_int_equal(gbx_call_keep(call, &kept.message, &kept.body,
                                       &kept.message.body, &s->err),
                         0);
        gbx_call_stats(call, &stats);
        assert_int_equal(stats.copied_bytes, copied); /* kept, not copied */
        gbx_call_finish(call);

        call = call_with(s, to, &kept);
        gbx_body_put(kept.body);
        assert_int_equal(story_run(s, call), GBX_EEXIT);
        gbx_call_finish(call);
    }
    story_close(s, from);
    story_close(s, to);
}

/* Half of what a script may send is kept where it lies; the rest is copied. */
static void too_much_is_copied(void **state)
{
    struct story *s = *state;
    struct gbx_script *from;
    struct kept kept[12];
    size_t loose = 0;

    s->config.limits.message_bytes = 16u << 20;
    from = story_open(s, producer);
    for (size_t i = 0; i < 12; i++) {
        kept[i] = produce(s, from, "part");
        loose += (size_t)gbx_body_is_loose(kept[i].body);
    }
    assert_in_range(loose, 5, 8);
    for (size_t i = 0; i < 12; i++) {
        assert_true(is_all(&kept[i], 's'));
        gbx_body_put(kept[i].body);
    }
    kept[0] = produce(s, from, "part");
    assert_true(gbx_body_is_loose(kept[0].body));
    gbx_body_put(kept[0].body);
    story_close(s, from);
}

static void text_is_a_copy_that_nobody_changes(void **state)
{
    struct story *s = *state;
    struct gbx_script *from = story_open(s, producer);
    struct kept kept = produce(s, from, "text");

    assert_int_equal(kept.message.type, GBX_STRING);
    assert_false(gbx_body_is_loose(kept.body));
    assert_true(is_all(&kept, 's'));
    gbx_body_put(kept.body);
    story_close(s, from);
}

static void what_is_not_there_is_refused(void **state)
{
    struct story *s = *state;
    struct gbx_script *from = story_open(s, producer),
                      *to = story_open(s, passer);
    struct kept kept = produce(s, from, "part");
    struct gbx_call *call = story_call(s, to);
    struct gbx_message beyond = kept.message;
    struct gbx_body *none;
    const void *data;

    beyond.body_bytes++;
    assert_int_equal(gbx_call_put_body(call, "in", &beyond, kept.body, &s->err),
                     GBX_EBOUNDS);
    assert_non_null(strstr(s->err.what, "\"in\""));
    story_put(s, call, "in", "{\"type\":\"Flow\"}");
    run(s, call);
    assert_int_equal(gbx_call_keep(call, &kept.message, &none, &data, &s->err),
                     GBX_EARGUMENT);
    assert_null(none);
    gbx_call_finish(call);
    gbx_body_put(kept.body);
    story_close(s, from);
    story_close(s, to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(a_kept_body_outlives_its_script),
        story_test(it_is_given_to_another_script),
        story_test(so_is_what_the_host_has_made),
        story_test(an_array_keeps_its_elements),
        story_test(it_is_passed_on_as_it_lies),
        story_test(many_read_it_at_once),
        story_test(who_reads_it_sees_nothing_else),
        story_test(a_reader_that_dies_gives_it_back),
        story_test(too_much_is_copied),
        story_test(text_is_a_copy_that_nobody_changes),
        story_test(what_is_not_there_is_refused),
    };

    return story_main("bodies", tests);
}
