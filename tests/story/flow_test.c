/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts as actors of a flow. */
#include "base/check.h"
#include "story_flow.h"

#define ADD_ONE                                                                \
    "def process(context):\n"                                                  \
    "    return {'out': context.get_input('in') + 1}\n"

static void a_row_of_scripts(void **state)
{
    struct story *s = *state;

    open_flow(s);
    add(s, "a", ADD_ONE, NULL);
    add(s, "b", ADD_ONE, NULL);
    add(s, "c", ADD_ONE, NULL);
    wire(s, "a", "b");
    wire(s, "b", "c");
    begin(s, "c", "out");
    for (int64_t i = 0; i < 500; i++)
        give(s, "a.in", i);
    drain_and_close();
    assert_int_equal(seen.count, 500);
    assert_int_equal(seen.sum, 500 * 499 / 2 + 3 * 500);
    assert_int_equal(seen.last, 502);
    assert_int_equal(seen.letters, 0);
}

static void a_large_body_goes_through(void **state)
{
    static uint8_t bytes[4 << 20];
    const struct gbx_message m = {
        .type = GBX_STREAM, .body = bytes, .body_bytes = sizeof(bytes)};
    struct story *s = *state;

    open_flow(s);
    add(s, "a",
        "def process(context):\n"
        "    return {'out': context.get_input('in')}\n",
        NULL);
    add(s, "b",
        "def process(context):\n"
        "    data = bytearray(context.get_input('in'))\n"
        "    data[0] += 1\n"
        "    return {'out': data}\n",
        NULL);
    wire(s, "a", "b");
    begin(s, "b", "out");
    bytes[0] = 1;
    bytes[sizeof(bytes) - 1] = 9;
    assert_int_equal(gbx_flow_send(flow, "a.in", &m, 0, &s->err), 0);
    drain_and_close();
    assert_int_equal(seen.bytes, sizeof(bytes));
    assert_int_equal(seen.first_byte, 2);
    assert_int_equal(seen.last_byte, 9);
}

static void what_a_script_raises_is_a_letter(void **state)
{
    struct story *s = *state;

    open_flow(s);
    add(s, "a",
        "def process(context):\n"
        "    n = context.get_input('in')\n"
        "    if n == 2: raise ValueError('two')\n"
        "    if n == 3:\n"
        "        import os; os._exit(7)\n"
        "    return {'out': n}\n",
        "{\"retries\": 1, \"backoff_ms\": 1}");
    begin(s, "a", "out");
    for (int64_t i = 0; i < 6; i++)
        give(s, "a.in", i);
    drain_and_close();
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.sum, 0 + 1 + 4 + 5);
    assert_int_equal(seen.letters, 2);
}

static void the_reason_goes_to_outport_error(void **state)
{
    struct story *s = *state;

    open_flow(s);
    add(s, "a",
        "def process(context):\n"
        "    raise ValueError('no')\n",
        NULL);
    begin(s, "a", "error");
    give(s, "a.in", 1);
    drain_and_close();
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.reason, "ValueError: no");
}

static void a_script_that_does_not_end_is_ended(void **state)
{
    struct story *s = *state;

    open_flow(s);
    add(s, "a",
        "def process(context):\n"
        "    while context.get_input('in') == 1: pass\n"
        "    return {'out': 5}\n",
        "{\"timeout_ms\": 300}");
    begin(s, "a", "out");
    give(s, "a.in", 1);
    give(s, "a.in", 0);
    drain_and_close();
    assert_int_equal(seen.letters, 1);
    assert_int_equal(seen.count, 1);
}

static void closing_waits_for_nobody(void **state)
{
    struct story *s = *state;

    open_flow(s);
    add(s, "a",
        "def process(context):\n"
        "    while True: pass\n",
        "{\"timeout_ms\": 0}");
    begin(s, "a", "out");
    give(s, "a.in", 1);
    give(s, "a.in", 2);
    usleep(100000);
    gbx_flow_close(flow);
    assert_int_equal(seen.letters, 2);
}

static void all_inports_are_awaited(void **state)
{
    struct story *s = *state;

    open_flow(s);
    add(s, "a",
        "__actor_metadata__ = {'component': 'a', 'inports': ['x', 'y'],\n"
        "    'outports': ['out'], 'await_all_inports': True}\n"
        "def process(context):\n"
        "    return {'out': 10 * context.get_input('x') +\n"
        "            context.get_input('y')}\n",
        NULL);
    begin(s, "a", "out");
    for (int64_t i = 1; i <= 4; i++)
        give(s, "a.x", i);
    for (int64_t i = 1; i <= 3; i++)
        give(s, "a.y", i);
    /* The fourth waits for its other half. */
    assert_int_equal(gbx_flow_drain(flow, soon(60)), GBX_EAGAIN);
    gbx_flow_close(flow);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.sum, 11 + 22 + 33);
    assert_int_equal(seen.letters, 1);
}

static void a_script_is_loaded_anew_while_it_runs(void **state)
{
    struct story *s = *state;
    char path[128];

    open_flow(s);
    add(s, "a", ADD_ONE, NULL);
    begin(s, "a", "out");
    for (int64_t i = 0; i < 200; i++) {
        give(s, "a.in", 0);
        if (i == 100) {
            write_script(s, "a",
                         "def process(context):\n"
                         "    return {'out': 1000}\n");
            if (gbx_flow_reload(flow, "a", &s->err) < 0)
                fail_msg("%s", s->err.what);
        }
    }
    write_script(s, "a", "this is no Python\n");
    assert_int_equal(gbx_flow_reload(flow, "a", &s->err), GBX_ELOAD);
    give(s, "a.in", 0);
    assert_int_equal(gbx_flow_reload(flow, "b", &s->err), GBX_EARGUMENT);
    drain_and_close();
    snprintf(path, sizeof(path), "%s/a.py", s->folder);
    unlink(path);
    /* None is lost, and the later ones are the later script's. */
    assert_int_equal(seen.count, 201);
    assert_int_equal(seen.last, 1000);
    assert_in_range(seen.sum, 100 * 1000, 200 * 1000 + 200);
}

static void one_that_sends_too_fast_is_held_up(void **state)
{
    struct story *s = *state;

    open_flow(s);
    add(s, "a",
        "async def process(context):\n"
        "    for i in range(context.get_input('in')):\n"
        "        await context.send_output('out', 1)\n",
        NULL);
    add(s, "b", ADD_ONE, "{\"queue\": 8}");
    wire(s, "a", "b");
    begin(s, "b", "out");
    give(s, "a.in", 3000);
    drain_and_close();
    assert_int_equal(seen.count, 3000);
    assert_int_equal(seen.sum, 6000);
}

#define PRINT                                                                  \
    "def process(context):\n"                                                  \
    "    print('x' * context.get_input('in'))\n"                               \
    "    return {'out': 1}\n"

/* Each has its own, over what holds for all; of a client's, only downwards. */
static void a_node_has_limits_of_its_own(void **state)
{
    struct story *s = *state;

    s->config.limits.output_bytes = 100;
    for (int is_client = 0; is_client < 2; is_client++) {
        open_flow_of(s, is_client);
        add(s, "less", PRINT, "{\"limits\": {\"output-limit\": 10}}");
        add(s, "more", PRINT, "{\"limits\": {\"output-limit\": 1000}}");
        add(s, "all", PRINT, "{\"output-limit\": 10}");
        begin(s, "more", "out");
        give(s, "less.in", 20);
        give(s, "all.in", 20);
        give(s, "more.in", 500);
        drain_and_close();
        assert_int_equal(seen.letters, 1 + is_client);
        assert_int_equal(seen.count, 1 - is_client);
        assert_non_null(strstr(seen.reason, "printed more than 10"));
    }
}

static void what_a_node_may_not_say_is_named(void **state)
{
    static const struct {
        const char *metadata, *said;
        int is_client, code;
    } cases[] = {
        {"{\"limits\": {\"memory\": 1}}", "\"memory\" is 1", 0, GBX_EFORMAT},
        {"{\"limits\": {\"memory\": 1}}", "\"memory\" is 1", 1, GBX_EFORMAT},
        {"{\"image\": \"no/such:1\"}", "no/such:1", 0, GBX_EFILE},
        {"{\"image\": \"no/such:1\"}", "\"image\" is not a client's", 1,
         GBX_EARGUMENT},
        {"{\"isolation\": \"process\"}", "\"isolation\" is not a client's", 1,
         GBX_EARGUMENT},
        {"{\"pool\": {\"total\": 9}}", "a client's 1 sandboxes", 1,
         GBX_EARGUMENT},
    };
    struct story *s = *state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        open_flow_of(s, cases[i].is_client);
        write_script(s, "story", PRINT); /* a name that is removed */
        assert_int_equal(gbx_flow_add_node(flow, "a", "story.py",
                                           cases[i].metadata, &s->err),
                         cases[i].code);
        if (strstr(s->err.what, cases[i].said) == NULL)
            fail_msg("%s", s->err.what);
        gbx_flow_close(flow);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(a_row_of_scripts),
        story_test(a_large_body_goes_through),
        story_test(what_a_script_raises_is_a_letter),
        story_test(the_reason_goes_to_outport_error),
        story_test(a_script_that_does_not_end_is_ended),
        story_test(closing_waits_for_nobody),
        story_test(all_inports_are_awaited),
        story_test(a_script_is_loaded_anew_while_it_runs),
        story_test(one_that_sends_too_fast_is_held_up),
        story_test(a_node_has_limits_of_its_own),
        story_test(what_a_node_may_not_say_is_named),
    };

    return story_main("flow of scripts", tests);
}
