/* SPDX-License-Identifier: Apache-2.0 */
/* The script API, as docs/python.md promises it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

#include "host.h"

static struct host host;

static int start(void **state)
{
    (void)state;
    host_start(&host);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    host_stop(&host);
    return 0;
}

#define ONE  "{\"type\":\"Integer\",\"data\":1}"
#define DONE "DONE output {\"type\":"

static void said(const char *source, const char *want)
{
    host_try(&host, source, ONE);
    assert_string_equal(host.said, want);
}

static void fails(const char *source, const char *part)
{
    host_try(&host, source, ONE);
    if (strncmp(host.said, "FAILED", 6) != 0 || strstr(host.said, part) == NULL)
        fail_msg("wanted FAILED and %s, got %s", part, host.said);
}

static void the_examples_of_reflow_run_unchanged(void **state)
{
    (void)state;
    host_load(&host,
              "import json\n\n@actor({\n    \"component\": "
              "\"test_multiplier\",\n    \"description\": \"Multiplies input "
              "by 2\",\n    \"inports\": [\"input\"],\n    \"outports\": "
              "[\"output\"]\n})\nasync def process(context):\n    value = "
              "context.get_input(\"input\", 0)\n    await "
              "context.send_output(\"output\", value * 2)\n    return "
              "{\"status\": \"completed\"}\n");
    assert_string_equal(
        host.said,
        "LOADED {\"component\":\"test_multiplier\",\"description\":"
        "\"Multiplies input by 2\",\"inports\":[\"input\"],\"outports\":"
        "[\"output\"],\"await_all_inports\":false}\n");
    host_input(&host, "input", "{\"type\":\"Integer\",\"data\":21}");
    host_run(&host);
    assert_string_equal(
        host.said, "OUTPUT output {\"type\":\"Integer\",\"data\":42}\n"
                   "DONE status {\"type\":\"String\",\"data\":\"completed\"}"
                   "\n");

    host_load(&host,
              "from reflow import actor, ActorContext, Message\n"
              "@actor(name=\"DataProcessor\", inports=[\"data\",\"config\"], "
              "outports=[\"processed\",\"metrics\"], await_all_inports=False,\n"
              "       memory=\"256MB\", timeout=30, state_backend=\"redis\")\n"
              "async def process_data(context: ActorContext):\n"
              "    data = context.get_payload().get(\"data\").unwrap()\n"
              "    n = await context.get_state().increment(\"process_count\")\n"
              "    return {\"processed\": Message.array(data), \"metrics\": "
              "Message.object({\"count\": n})}\n");
    for (int i = 1; i <= 2; i++) {
        char want[200];

        host_input(&host, "data", "{\"type\":\"Array\",\"data\":[1,\"'\"]}");
        host_run(&host);
        snprintf(want, sizeof(want),
                 "OUTPUT processed {\"type\":\"Array\",\"data\":[1,\"'\"]}\n"
                 "DONE metrics {\"type\":\"Object\",\"data\":{\"count\":%d}}\n",
                 i);
        assert_string_equal(host.said, want);
    }
}

static void the_handler_is_found_where_people_put_it(void **state)
{
    static const struct {
        const char *source, *component;
    } cases[] = {
        {"@actor\ndef a(c): pass\n__actor_metadata__ = {'component': 'x'}",
         "x"},
        {"@actor()\nasync def marked(c): pass\ndef process(c): pass", "marked"},
        {"def f(c): pass\nf.__actor_metadata__ = {'name': 'y'}\n"
         "def process(c): pass",
         "y"},
        {"def helper(c): pass\ndef process(c): pass", "process"},
        {"from json import dumps\ndef _private(): pass\ndef lonely(c): pass",
         "lonely"},
        {"@actor(name='one')\ndef a(c): pass\n"
         "@actor(name='two')\ndef b(c): pass\n"
         "__actor_metadata__ = {'component': 'two'}",
         "two"},
        {"import glovebox, reflow\nassert glovebox is reflow\n"
         "@reflow.actor(name='z', inports=[{'name': 'p'}])\n"
         "class F: pass\n",
         NULL},
        {"class C:\n def m(self, c): pass\nprocess = C().m", "m"},
    };
    char want[200];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        host_load(&host, cases[i].source);
        if (cases[i].component == NULL) {
            assert_non_null(strstr(host.said, "@actor marks a function"));
            continue;
        }
        snprintf(want, sizeof(want), "LOADED {\"component\":\"%s\"",
                 cases[i].component);
        host.said[strlen(want)] = '\0';
        assert_string_equal(host.said, want);
    }
}

static void one_of_several_actors_is_chosen_by_the_actor_id(void **state)
{
    const char *source = "@actor(name='A')\ndef a(c): return c.actor_id\n"
                         "@actor(name='B')\ndef b(c): return c.actor_id\n";

    (void)state;
    host_load(&host, source);
    assert_non_null(strstr(host.said, "several actors in it: A, B"));
    host_load_as(&host, source, "f.py", "B", "{}");
    host_run(&host);
    assert_string_equal(host.said, DONE "\"String\",\"data\":\"B\"}\n");
}

static void a_script_without_an_actor_is_told_what_was_looked_for(void **state)
{
    (void)state;
    host_load(&host, "x = 1\n");
    assert_memory_equal(host.said, "FAILED", 6);
    assert_non_null(strstr(host.said, "no actor function in it: looked for"));
    host_load(&host, "def a(c): pass\ndef b(c): pass\n");
    assert_non_null(strstr(host.said, "it has 2"));
}

static void a_syntax_error_names_the_file_and_the_line(void **state)
{
    (void)state;
    host_load_as(&host, "x = 1\ndef f(:\n  pass\n", "mine.py", "", "{}");
    assert_memory_equal(host.said, "FAILED {\"type\":\"SyntaxError\"", 28);
    assert_non_null(strstr(host.said, "File \\\"mine.py\\\", line 2\\n"));
    assert_non_null(strstr(host.said, "^"));
}

static void the_context_has_what_scripts_ask_for(void **state)
{
    (void)state;
    host_load_as(&host,
                 "import time\n"
                 "def process(c):\n"
                 " assert c.has_input('input') and not c.has_input('x')\n"
                 " assert c.get_input('x') is None\n"
                 " assert c.get_input('x', default=3) == 3\n"
                 " assert c.get_input(port='input') == 1\n"
                 " assert c.payload == {'input': 1}\n"
                 " m = c.get_payload()['input']\n"
                 " assert m == Message.integer(1) and not m.is_error()\n"
                 " assert c.get_payload().get('x') is None\n"
                 " assert c.config == c.get_config() == {'k': [1]}\n"
                 " assert abs(c.timestamp / 1000 - time.time()) < 5\n"
                 " assert isinstance(c, ActorContext) and c.actor_id == 'me'\n"
                 " c.send('a', 1); c.send_output(port='b', value=2)\n"
                 " c.send_output_sync('c', 3); c.send_async_output('d', 4)\n"
                 " assert c.get_outputs() == dict(a=1, b=2, c=3, d=4)\n"
                 " return c.get_outputs()['d']\n",
                 "f.py", "me", "{\"k\":[1]}");
    host_input(&host, "input", ONE);
    host_run(&host);
    assert_string_equal(host.said,
                        "OUTPUT a {\"type\":\"Integer\",\"data\":1}\n"
                        "OUTPUT b {\"type\":\"Integer\",\"data\":2}\n"
                        "OUTPUT c {\"type\":\"Integer\",\"data\":3}\n"
                        "OUTPUT d {\"type\":\"Integer\",\"data\":4}\n" DONE
                        "\"Integer\",\"data\":4}\n");
}

static void what_is_returned_goes_to_the_only_outport(void **state)
{
    (void)state;
    said("@actor(outports=['half'])\ndef f(c): return 1",
         "DONE half {\"type\":\"Integer\",\"data\":1}\n");
    said("@actor(outports=['x', 'y'])\ndef f(c): return 1",
         DONE "\"Integer\",\"data\":1}\n");
    said("def f(c): return {}", "DONE\n");
    said("def f(c): pass", "DONE\n");
    said("def f(c): return c.send('x', 1)",
         "OUTPUT x {\"type\":\"Integer\",\"data\":1}\nDONE\n");
    said("def f(c): return {str(i): i for i in range(10)} and {'9': None}",
         "DONE 9 {\"type\":\"Optional\",\"data\":null}\n");
    fails("def f(c): return {1: 2}", "the name of a port is a str, not int");
    fails("def f(c): return {'': 2}", "the name of a port has 1 to 255 bytes");
    fails("def f(c): c.send('\\0', 2)", "the name of a port has");
    host_try(&host, "def f(c): return {'p' * 255: 1, 'q' * 40: 2}", NULL);
    assert_memory_equal(host.said, "OUTPUT pppp", 11);
}

static void state_is_kept_by_the_host(void **state)
{
    (void)state;
    said(
        "def f(c):\n"
        " s = c.state\n"
        " assert s.get('k') is None and s.get('k', 5) == 5\n"
        " s.set('k', {'a': [1, None]}); assert s.get('k') == {'a': [1, None]}\n"
        " s.set('n', None); assert s.get('n', 5) is None\n"
        " assert s.increment('i') == 1 and s.increment('i', 4) == 5\n"
        " assert s.decrement('i', n=2) == 3\n"
        " assert s.push('l', 'x') == 1 and s.extend('l', ['y', 'z']) == 3\n"
        " assert s.get('l') == ['x', 'y', 'z'] and s.pop('l') == 'x'\n"
        " assert s.pop('none') is None\n"
        " assert s.exists('k') and s.has('k') and not s.exists('q')\n"
        " assert s.keys() == ['i', 'k', 'l', 'n'] and s.keys('i*') == ['i']\n"
        " assert s.expire('i', 100) and 0 < s.ttl('i') <= 100\n"
        " assert s.ttl('k') == -1 and s.size() == 4\n"
        " assert s.delete('k') and not s.remove('k')\n"
        " s.set_all({'m': 1}); assert s.getAll() == {'m': 1}\n"
        " c.set_state('t', 2); assert c.get_state('t') == 2\n"
        " s.clear(); return s.size()\n",
        DONE "\"Integer\",\"data\":0}\n");
    said("async def f(c):\n"
         " s = c.get_state()\n"
         " n = await s.increment('i')\n"
         " m = s.increment('i'); assert m.done() and m.result() == n + 1\n"
         " assert await s.get('none', 'd') == 'd'\n"
         " await s.set('x', (1, 2)); assert await c.get_state('x') == [1, 2]\n"
         " return n\n",
         DONE "\"Integer\",\"data\":1}\n");
    fails("def f(c):\n c.state.set('t', 'x'); c.state.increment('t')\n",
          "HostError");
    fails("def f(c):\n c.host('no.such', 1, 2)\n", "no call no.such");
}

static void print_goes_its_own_way_and_keeps_its_place(void **state)
{
    (void)state;
    said("import sys\nprint('at load')\n"
         "def f(c):\n"
         " print('a'); c.send('x', 1); print('b', end='')\n"
         " c.send('y', 2); print('c', file=sys.stderr)\n"
         " sys.stdout.buffer.write(b'd\\n'); print('{\"outputs\": 3}')\n",
         "PRINT1 a\n"
         "OUTPUT x {\"type\":\"Integer\",\"data\":1}\n"
         "PRINT1 b|\n"
         "OUTPUT y {\"type\":\"Integer\",\"data\":2}\n"
         "PRINT2 c\nPRINT1 d\nPRINT1 {\"outputs\": 3}\nDONE\n");
    host.is_quiet = true;
    host_try(&host, "def f(c):\n for i in range(20000): print('x' * 100)\n",
             NULL);
    assert_string_equal(host.said, "DONE\n");
    host.is_quiet = false;
    fails("def f(c): input()", "EOFError");
}

static void a_coroutine_may_use_asyncio_and_keeps_its_loop(void **state)
{
    static const char *const imports[] = {
        "import asyncio\n",         /* known from the start */
        "def g(): import asyncio\n" /* somebody else's word for it */
    };
    char source[1024];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(imports); i++) {
        snprintf(source, sizeof(source),
                 "%s"
                 "async def one(x):\n import asyncio\n"
                 " await asyncio.sleep(0.001); return x\n"
                 "async def process(c):\n"
                 " import asyncio\n"
                 " await c.send('early', 1)\n"
                 " r = await asyncio.gather(one(1), one(2))\n"
                 " async with asyncio.timeout(5):\n"
                 "  await asyncio.sleep(0)\n"
                 " loop = asyncio.get_running_loop()\n"
                 " return {'r': r, 'id': id(loop) == "
                 "globals().setdefault('l', id(loop))}\n",
                 imports[i]);
        host_load(&host, source);
        for (int k = 0; k < 2; k++) {
            host_run(&host);
            assert_string_equal(
                host.said, "OUTPUT early {\"type\":\"Integer\",\"data\":1}\n"
                           "OUTPUT r {\"type\":\"Array\",\"data\":[1,2]}\n"
                           "DONE id {\"type\":\"Boolean\",\"data\":true}\n");
        }
    }
}

static void asyncio_may_come_in_the_middle_of_a_handler(void **state)
{
    (void)state;
    said("async def process(c):\n"
         " a = __import__('asy' + 'ncio')\n"
         " await a.sleep(0.001)\n"
         " r = await a.gather(a.sleep(0, 'x'), a.sleep(0, 'y'))\n"
         " return r\n",
         DONE "\"Array\",\"data\":[\"x\",\"y\"]}\n");
    host_run(&host);
    assert_string_equal(host.said, DONE "\"Array\",\"data\":[\"x\",\"y\"]}\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(the_examples_of_reflow_run_unchanged),
        TEST(the_handler_is_found_where_people_put_it),
        TEST(one_of_several_actors_is_chosen_by_the_actor_id),
        TEST(a_script_without_an_actor_is_told_what_was_looked_for),
        TEST(a_syntax_error_names_the_file_and_the_line),
        TEST(the_context_has_what_scripts_ask_for),
        TEST(what_is_returned_goes_to_the_only_outport),
        TEST(state_is_kept_by_the_host),
        TEST(print_goes_its_own_way_and_keeps_its_place),
        TEST(a_coroutine_may_use_asyncio_and_keeps_its_loop),
        TEST(asyncio_may_come_in_the_middle_of_a_handler),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
