/* SPDX-License-Identifier: Apache-2.0 */
/* The script API: Reflow's spellings, state, config, prints, exceptions. */
#include "story.h"

/* Reflow's own example, unchanged: the decorator is nobody's import. */
static void reflows_positional_actor_runs_unchanged(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "import json\n"
                      "\n"
                      "@actor({\n"
                      "    \"component\": \"test_multiplier\",\n"
                      "    \"description\": \"Multiplies input by 2\",\n"
                      "    \"inports\": [\"input\"],\n"
                      "    \"outports\": [\"output\"]\n"
                      "})\n"
                      "async def process(context):\n"
                      "    value = context.get_input(\"input\", 0)\n"
                      "    await context.send_output(\"output\", value * 2)\n"
                      "    return {\"status\": \"completed\"}\n");
    struct gbx_call *call = story_call(s, script);

    assert_non_null(strstr(gbx_script_metadata(script), "test_multiplier"));
    story_put(s, call, "input", "21");
    assert_int_equal(story_run(s, call), 0);
    assert_string_equal(story_outputs(call),
                        "{\"output\":{\"type\":\"Integer\",\"data\":42},"
                        "\"status\":{\"type\":\"String\",\"data\":"
                        "\"completed\"}}");
    gbx_call_finish(call);
    story_close(s, script);
}

static void reflows_documented_actor_runs_unchanged(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(
        s, "from reflow import actor, ActorContext, Message\n"
           "@actor(name=\"DataProcessor\", inports=[\"data\",\"config\"], "
           "outports=[\"processed\",\"metrics\"], await_all_inports=False,\n"
           "       memory=\"256MB\", timeout=30, state_backend=\"redis\")\n"
           "async def process_data(context: ActorContext):\n"
           "    data = context.get_payload().get(\"data\").unwrap()\n"
           "    n = await context.get_state().increment(\"process_count\")\n"
           "    return {\"processed\": Message.array(data), \"metrics\": "
           "Message.object({\"count\": n})}\n");
    struct gbx_call *call;

    for (int i = 1; i <= 2; i++) {
        char want[200];

        call = story_call(s, script);
        story_put(s, call, "data", "[1,2]");
        assert_int_equal(story_run(s, call), 0);
        snprintf(want, sizeof(want),
                 "{\"processed\":{\"type\":\"Array\",\"data\":[1,2]},"
                 "\"metrics\":{\"type\":\"Object\",\"data\":{\"count\":%d}}}",
                 i);
        assert_string_equal(story_outputs(call), want);
        gbx_call_finish(call);
    }
    story_close(s, script);
}

static void a_bare_decorator_with_a_metadata_variable_works(void **state)
{
    assert_string_equal(
        story_ask_once(*state,
                       "__actor_metadata__ = {'component': 'c',\n"
                       "    'inports': ['in'], 'outports': ['out']}\n"
                       "@actor\n"
                       "async def run_it(context):\n"
                       "    return {'out': context.get_input('in') + 1}\n",
                       "1"),
        "{\"out\":{\"type\":\"Integer\",\"data\":2}}");
}

static void the_only_function_of_a_file_is_its_actor(void **state)
{
    assert_string_equal(
        story_ask_once(*state,
                       "import math\n"
                       "def _helper(x): return math.sqrt(x)\n"
                       "def root(context):\n"
                       "    return {'out': _helper(context.payload['in'])}\n",
                       "9"),
        "{\"out\":{\"type\":\"Float\",\"data\":3.0}}");
}

static void asyncio_works_when_a_script_uses_it(void **state)
{
    assert_string_equal(
        story_ask_once(*state,
                       "import asyncio\n"
                       "async def one(n):\n"
                       "    await asyncio.sleep(0.001)\n"
                       "    return n\n"
                       "@actor({'component': 'a'})\n"
                       "async def process(context):\n"
                       "    return {'out': sum(await asyncio.gather("
                       "*map(one, range(10))))}\n",
                       NULL),
        "{\"out\":{\"type\":\"Integer\",\"data\":45}}");
}

static void asyncio_may_be_imported_late(void **state)
{
    assert_string_equal(story_ask_once(*state,
                                       "async def process(context):\n"
                                       "    import asyncio\n"
                                       "    await asyncio.sleep(0.001)\n"
                                       "    async with asyncio.timeout(5):\n"
                                       "        await asyncio.sleep(0)\n"
                                       "    return {'out': 1}\n",
                                       NULL),
                        "{\"out\":{\"type\":\"Integer\",\"data\":1}}");
}

static void seen_at(void *context, const char *port,
                    const struct gbx_message *message)
{
    struct story *s = context;

    (void)message;
    /* The print before the output has arrived, the one after has not. */
    assert_string_equal(port, "out");
    assert_string_equal(s->printed[0], "before\n");
}

static void outputs_are_delivered_at_once_and_in_order_with_prints(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "async def process(context):\n"
                      "    print('before')\n"
                      "    await context.send_output('out', 1)\n"
                      "    print('after')\n");
    struct gbx_call *call = story_call(s, script);

    gbx_call_on_output(call, seen_at, s);
    assert_int_equal(story_run(s, call), 0);
    assert_string_equal(s->printed[0], "before\nafter\n");
    gbx_call_finish(call);
    story_close(s, script);
}

struct heard {
    char text[64];
    size_t bytes;
};

static void hear(void *context, int stream, const void *text, size_t bytes)
{
    struct heard *heard = context;

    assert_true(stream == 1 && bytes < sizeof(heard->text) - heard->bytes);
    memcpy(heard->text + heard->bytes, text, bytes);
    heard->bytes += bytes;
}

static void a_script_may_be_heard_apart(void **state)
{
    struct story *s = *state;
    struct heard heard = {.bytes = 0};
    struct gbx_script *script;

    s->config.output = hear;
    s->config.output_context = &heard;
    script = story_open(s, "print('loaded')\n"
                           "def process(c): print('called')\n");
    story_ask(s, script, NULL);
    story_close(s, script);
    /* Another host may have had it loaded. */
    assert_string_equal(heard.text,
                        story_is("remote") ? "called\n" : "loaded\ncalled\n");
    assert_int_equal(s->printed_bytes[0], 0);
}

static void prints_are_streams_and_never_results(void **state)
{
    struct story *s = *state;

    assert_string_equal(
        story_ask_once(s,
                       "import sys, os, subprocess\n"
                       "def process(c):\n"
                       "    print('{\"outputs\": {\"out\": 2}}')\n"
                       "    print('oops', file=sys.stderr)\n"
                       "    os.write(1, b'raw\\n')\n"
                       "    try: subprocess.run(['echo', 'child'])\n"
                       "    except OSError as e: print(e.strerror)\n"
                       "    return {'out': 1}\n",
                       NULL),
        "{\"out\":{\"type\":\"Integer\",\"data\":1}}");
    assert_non_null(strstr(s->printed[0], "{\"outputs\": {\"out\": 2}}\n"));
    assert_non_null(strstr(s->printed[0], "raw\n"));
    assert_non_null(
        strstr(s->printed[0], story_is("process") || story_is("remote")
                                  ? "child\n"
                                  : "Function not implemented\n"));
    assert_string_equal(s->printed[1], "oops\n");
}

static void an_exception_arrives_whole(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;
    struct gbx_call *call;
    struct gbx_failure failure;

    s->config.wipe = GBX_WIPE_NEVER; /* and the sandbox lives on */
    script = story_open(s, "n = 0\n"
                           "def deep(x):\n"
                           "    raise ValueError('no ' + x)\n"
                           "def process(c):\n"
                           "    global n\n"
                           "    n += 1\n"
                           "    if n == 1:\n"
                           "        deep('luck')\n"
                           "    return {'n': n}\n");
    call = story_call(s, script);
    assert_int_equal(story_run(s, call), GBX_ESCRIPT);
    gbx_call_failure(call, &failure);
    assert_string_equal(failure.type, "ValueError");
    assert_string_equal(failure.message, "no luck");
    assert_non_null(strstr(failure.traceback, "story.py\", line 3, in deep"));
    assert_non_null(strstr(failure.traceback, "raise ValueError('no ' + x)"));
    assert_null(strstr(failure.traceback, "glovebox"));
    gbx_call_finish(call);
    if (!story_is("remote")) /* whose host wipes it */
        assert_string_equal(story_ask(s, script, NULL),
                            "{\"n\":{\"type\":\"Integer\",\"data\":2}}");
    story_close(s, script);
}

static void outputs_before_an_exception_are_not_lost(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(s, "def process(c):\n"
                                              "    c.send_output('a', 1)\n"
                                              "    1 / 0\n");
    struct gbx_call *call = story_call(s, script);

    assert_int_equal(story_run(s, call), GBX_ESCRIPT);
    assert_string_equal(story_outputs(call),
                        "{\"a\":{\"type\":\"Integer\",\"data\":1}}");
    gbx_call_finish(call);
    story_close(s, script);
}

static void state_is_kept_from_call_to_call(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "def process(c):\n"
                      "    st = c.state\n"
                      "    st.set('k', {'a': [1]})\n"
                      "    st.push('l', 1); st.push('l', 'two')\n"
                      "    st.extend('l', [3.5])\n"
                      "    return {'r': [st.get('k'), st.get('none', 7),\n"
                      "        st.increment('n'), st.increment('n', 10),\n"
                      "        st.decrement('n'), st.get('l'), st.pop('l'),\n"
                      "        st.exists('l'), st.ttl('n'),\n"
                      "        st.expire('n', 100), st.keys(), st.keys('l*'),\n"
                      "        st.delete('k'), st.delete('k')]}\n");

    assert_string_equal(
        story_ask(s, script, NULL),
        "{\"r\":{\"type\":\"Array\",\"data\":[{\"a\":[1]},7,1,11,10,"
        "[1,\"two\",3.5],1,true,-1,true,[\"k\",\"l\",\"n\"],[\"l\"],true,"
        "false]}}");
    assert_non_null(strstr(story_ask(s, script, NULL), "11,21,20,"));
    story_close(s, script);
}

static void state_is_awaited_in_async_handlers(void **state)
{
    assert_string_equal(
        story_ask_once(*state,
                       "async def process(c):\n"
                       "    await c.state.set('a', 1)\n"
                       "    return {'out': await c.state.get('a')}\n",
                       NULL),
        "{\"out\":{\"type\":\"Integer\",\"data\":1}}");
}

static void state_outlives_the_sandbox(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "import os\n"
                      "def process(c):\n"
                      "    n = c.state.increment('n')\n"
                      "    if c.get_input('in') == 'exit': os._exit(3)\n"
                      "    return {'n': n}\n");
    const char *metadata = gbx_script_metadata(script);
    struct gbx_call *call;

    assert_string_equal(story_ask(s, script, NULL),
                        "{\"n\":{\"type\":\"Integer\",\"data\":1}}");
    call = story_call(s, script);
    story_put(s, call, "in", "\"exit\"");
    assert_int_equal(story_run(s, call), GBX_EEXIT);
    gbx_call_finish(call);
    assert_string_equal(story_ask(s, script, NULL),
                        "{\"n\":{\"type\":\"Integer\",\"data\":2}}");
    assert_ptr_equal(gbx_script_metadata(script), metadata);
    assert_non_null(strstr(metadata, "process"));
    story_close(s, script);
}

static void the_configuration_is_the_callers(void **state)
{
    struct story *s = *state;

    s->config.config_json = "{\"gain\": 2.5, \"names\": [\"x\"]}";
    s->config.actor_id = "node-7";
    assert_string_equal(
        story_ask_once(s,
                       "def process(c):\n"
                       "    return {'out': [c.config['gain'], "
                       "c.config['names'], c.actor_id]}\n",
                       NULL),
        "{\"out\":{\"type\":\"Array\",\"data\":[2.5,[\"x\"],\"node-7\"]}}");
}

static int add_up(void *context, const struct gbx_message *arguments,
                  struct gbx_builder *answer, struct gbx_error *err)
{
    struct gbx_reader r;
    struct gbx_item item;
    int64_t sum = 0;

    (void)context;
    gbx_reader_init(&r, arguments->body, arguments->body_bytes);
    while (gbx_read(&r, &item) == 0) {
        if (item.depth == 1 && item.kind != GBX_ITEM_INTEGER) {
            strcpy(err->what, "only integers add up");
            err->code = GBX_EARGUMENT;
            return GBX_EARGUMENT;
        }
        if (item.depth == 1)
            sum += item.value.integer;
    }
    gbx_build_integer(answer, sum);
    return 0;
}

static void a_script_can_ask_what_its_host_offers(void **state)
{
    struct story *s = *state;

    assert_int_equal(gbx_runtime_register(s->runtime, "add", add_up, NULL), 0);
    assert_string_equal(
        story_ask_once(s,
                       "def process(c):\n"
                       "    why = []\n"
                       "    for call in (('add', 'x'), ('nothing',)):\n"
                       "        try: c.host(*call)\n"
                       "        except Exception as e: why.append(str(e))\n"
                       "    return {'out': [c.host('add', 1, 2, 3)] + why}\n",
                       NULL),
        "{\"out\":{\"type\":\"Array\",\"data\":[6,\"only integers add up\","
        "\"this host offers no call \\\"nothing\\\"\"]}}");
}

/* Whoever runs a script for somebody else passes on all that it asks. */
static int say_what_is_asked(void *context, const char *name,
                             const struct gbx_message *arguments,
                             struct gbx_builder *answer, struct gbx_error *err)
{
    (void)err;
    if (strcmp(name, "bad") == 0)
        return GBX_EUNSUPPORTED;
    (*(unsigned *)context)++;
    gbx_build_array(answer, 2);
    gbx_build_text(answer, name, strlen(name));
    gbx_build_item(answer, arguments->body, arguments->body_bytes);
    return 0;
}

static void one_function_may_answer_all_that_a_script_asks(void **state)
{
    struct story *s = *state;
    unsigned asked = 0;

    assert_int_equal(gbx_runtime_register(s->runtime, "add", add_up, NULL), 0);
    s->config.ask = say_what_is_asked;
    s->config.ask_context = &asked;
    assert_string_equal(
        story_ask_once(s,
                       "def process(c):\n"
                       "    try: c.host('bad')\n"
                       "    except Exception as e: why = str(e)\n"
                       "    return {'out': [c.host('add', 1), c.host('x'),\n"
                       "                    c.state.get('k'), why]}\n",
                       NULL),
        "{\"out\":{\"type\":\"Array\",\"data\":[[\"add\",[1]],[\"x\",[]],"
        "\"state.get\","
        "\"bad: this host lacks something that is needed\"]}}");
    assert_int_equal(asked, 3);
}

static void numpy_sees_the_message_in_place(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;

    if (access("/usr/lib/python3/dist-packages/numpy", F_OK) < 0) {
        print_message("python3-numpy is not installed\n");
        skip();
    }
    script = story_open(
        s, "import numpy as np\n"
           "def process(c):\n"
           "    a = np.frombuffer(c.get_input('in'), np.uint8)\n"
           "    o = np.asarray(c.output_array('sum', 'i', (2,)))\n"
           "    o[:] = a.sum(), a.flags.owndata\n"
           "    return {'sum': o, 'half': a[::2].astype('float32')}\n");
    assert_string_equal(
        story_ask(s, script, "{\"type\":\"Stream\",\"data\":[1,2,3]}"),
        "{\"sum\":{\"type\":\"Array\",\"data\":[6,0]},"
        "\"half\":{\"type\":\"Array\",\"data\":[1.0,3.0]}}");
    story_close(s, script);
}

static void the_standard_library_is_there(void **state)
{
    assert_string_equal(
        story_ask_once(*state,
                       "import json, re, zlib, sqlite3, ctypes, ssl, hashlib, "
                       "threading, tempfile, decimal, datetime, uuid\n"
                       "def process(c):\n"
                       "    t = threading.Thread(target=lambda: None)\n"
                       "    t.start(); t.join()\n"
                       "    with tempfile.TemporaryFile() as f: f.write(b'x')\n"
                       "    db = sqlite3.connect(':memory:')\n"
                       "    return {'out': db.execute('select 2*3')"
                       ".fetchone()[0]}\n",
                       NULL),
        "{\"out\":{\"type\":\"Integer\",\"data\":6}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(a_script_may_be_heard_apart),
        story_test(reflows_positional_actor_runs_unchanged),
        story_test(reflows_documented_actor_runs_unchanged),
        story_test(a_bare_decorator_with_a_metadata_variable_works),
        story_test(the_only_function_of_a_file_is_its_actor),
        story_test(asyncio_works_when_a_script_uses_it),
        story_test(asyncio_may_be_imported_late),
        story_test(outputs_are_delivered_at_once_and_in_order_with_prints),
        story_test(prints_are_streams_and_never_results),
        story_test(an_exception_arrives_whole),
        story_test(outputs_before_an_exception_are_not_lost),
        story_test(state_is_kept_from_call_to_call),
        story_test(state_is_awaited_in_async_handlers),
        story_test(state_outlives_the_sandbox),
        story_test(the_configuration_is_the_callers),
        story_test(a_script_can_ask_what_its_host_offers),
        story_test(one_function_may_answer_all_that_a_script_asks),
        story_test(numpy_sees_the_message_in_place),
        story_test(the_standard_library_is_there),
    };

    return story_main("script", tests);
}
