/* SPDX-License-Identifier: Apache-2.0 */
/* What scripts do to their own process, and what is left of it. */
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

#define ONE     "{\"type\":\"Integer\",\"data\":1}"
#define DONE(n) "DONE output {\"type\":\"Integer\",\"data\":" #n "}\n"

/* The call fails with this in it, and the next one works. */
static void fails_once(const char *source, const char *part)
{
    host_load(&host, source);
    host_input(&host, "input", ONE);
    host_run(&host);
    if (strncmp(host.said, "FAILED", 6) != 0 || strstr(host.said, part) == NULL)
        fail_msg("wanted FAILED and %s, got %s", part, host.said);
    host_run(&host);
    assert_string_equal(host.said, DONE(7));
}

#define ONCE(body)                                                             \
    "import os, sys\n"                                                         \
    "def process(c):\n"                                                        \
    " if not c.has_input('input'): return 7\n"                                 \
    " " body "\n"

static void an_exception_is_told_as_python_tells_it(void **state)
{
    (void)state;
    fails_once("def helper(x):\n"
               "    return 1 / x\n"
               "class Mine(Exception):\n"
               "    pass\n"
               "def process(c):\n"
               "    if not c.has_input('input'): return 7\n"
               "    try:\n"
               "        helper(0)\n"
               "    except ZeroDivisionError as e:\n"
               "        raise Mine('it \"broke\"') from e\n",
               "FAILED {\"type\":\"Mine\",\"message\":\"it \\\"broke\\\"\","
               "\"traceback\":\"Traceback (most recent call last):\\n"
               "  File \\\"test.py\\\", line 8, in process\\n"
               "    helper(0)\\n"
               "  File \\\"test.py\\\", line 2, in helper\\n"
               "    return 1 / x\\n"
               "           ~~^~~\\n"
               "ZeroDivisionError: division by zero\\n\\n"
               "The above exception was the direct cause of the following "
               "exception:\\n\\n"
               "Traceback (most recent call last):\\n"
               "  File \\\"test.py\\\", line 10, in process\\n"
               "    raise Mine('it \\\"broke\\\"') from e\\n"
               "Mine: it \\\"broke\\\"\\n\"}");
}

static void frames_of_ours_and_of_the_event_loop_are_not_shown(void **state)
{
    (void)state;
    fails_once("import asyncio\n"
               "async def process(c):\n"
               "    if not c.has_input('input'): return 7\n"
               "    await asyncio.sleep(0)\n"
               "    c.state.get(object())\n",
               "\"traceback\":\"Traceback (most recent call last):\\n"
               "  File \\\"test.py\\\", line 5, in process\\n"
               "    c.state.get(object())\\n"
               "TypeError: ");
}

static void whatever_is_raised_leaves_the_sandbox_usable(void **state)
{
    static const struct {
        const char *source, *part;
    } cases[] = {
        {ONCE("sys.exit(3)"), "{\"type\":\"SystemExit\",\"message\":\"3\""},
        {ONCE("raise KeyboardInterrupt"), "KeyboardInterrupt"},
        {ONCE("raise BaseException('b')"), "\"message\":\"b\""},
        {ONCE("def a(): b()\n def b(): a()\n a()"), "RecursionError"},
        {ONCE("raise ValueError('x' * 1000000)"), "bytes left out"},
        {ONCE("raise ExceptionGroup('g', [ValueError(i) for i in "
              "range(1000)])"),
         "ExceptionGroup"},
        {ONCE("raise OSError(24, 'x')"), "\"limit\":\"files\""},
        {ONCE("raise OSError(28, 'x')"), "\"limit\":\"disk\""},
        {ONCE("raise MemoryError"), "\"limit\":\"memory\""},
        {ONCE("bytearray(1 << 60)"), "\"limit\":\"memory\""},
        {ONCE("raise RuntimeError(\"can't start new thread\")"),
         "\"limit\":\"processes\""},
        {ONCE("return (yield_ for yield_ in [])"), "generator"},
        {"class E(Exception):\n def __str__(self): raise E\n"
         "def process(c):\n"
         " if c.has_input('input'): raise E\n return 7\n",
         "(its str() failed)"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        fails_once(cases[i].source, cases[i].part);
}

static void no_free_descriptor_is_a_limit_with_a_traceback(void **state)
{
    (void)state;
    fails_once(ONCE("import resource\n"
                    " resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
                    " kept = []\n"
                    " while True: kept.append(open('/dev/null'))"),
               "\"limit\":\"files\"");
    assert_non_null(host.said);
}

static void modules_and_builtins_may_be_spoilt(void **state)
{
    (void)state;
    fails_once("import builtins, sys\n"
               "def process(c):\n"
               " if not c.has_input('input'): return 7\n"
               " sys.modules.clear()\n"
               " for name in ('print', 'len', 'str', 'isinstance', 'dict',\n"
               "   'getattr', 'type', 'int', 'list', '__build_class__'):\n"
               "  delattr(builtins, name)\n"
               " builtins.__import__ = None\n"
               " sys.stdout = sys.stderr = None\n"
               " sys.path.clear(); sys.meta_path.clear()\n"
               " raise ValueError('spoilt')\n",
               "\"message\":\"spoilt\",\"traceback\":\"Traceback");
}

static void a_forked_child_never_reaches_the_channel(void **state)
{
    (void)state;
    host_try(&host,
             "import os, sys\n"
             "kept = []\n"
             "def process(c):\n"
             " kept.append(c.get_input('input'))\n"
             " pid = os.fork()\n"
             " if pid == 0:\n"
             "  try: c.send('from', 'child')\n"
             "  except RuntimeError as e: print('child:', e)\n"
             "  kept.clear()\n"
             "  return 'nobody sees this'\n"
             " print('parent')\n"
             " return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n",
             "{\"type\":\"String\",\"data\":\"x\"}");
    assert_string_equal(host.said,
                        "PRINT1 parent\n" DONE(0) "PIPE child: a forked child "
                                                  "cannot talk to the host\n");
    host_try(&host,
             "import multiprocessing as m\n"
             "def square(x): return x * x\n"
             "def process(c):\n"
             " with m.get_context('fork').Pool(2) as p:\n"
             "  return sum(p.map(square, range(4)))\n",
             NULL);
    assert_string_equal(host.said, DONE(14));
    host_try(&host,
             "import subprocess\n"
             "def process(c):\n"
             " subprocess.run(['/bin/echo', 'hi'])\n"
             " return len(subprocess.check_output(['/bin/ls', "
             "'/proc/self/fd'])\n"
             "  .split())\n",
             NULL);
    assert_string_equal(host.said, DONE(4) "PIPE hi\n");
}

static void threads_may_print_send_and_stay(void **state)
{
    (void)state;
    host_try(&host,
             "import threading, time\n"
             "n = 0\n"
             "def forever():\n"
             " global n\n"
             " while True: n += 1; time.sleep(0.0001)\n"
             "threading.Thread(target=forever, daemon=True).start()\n"
             "def process(c):\n"
             " t = threading.Thread(target=lambda: (print('t'), c.send('a', "
             "1)))\n"
             " t.start(); t.join(); return 7\n",
             NULL);
    assert_string_equal(host.said, "PRINT1 t\nOUTPUT a " ONE "\n" DONE(7));
    for (int i = 0; i < 200; i++)
        host_run(&host);
    assert_string_equal(host.said, "PRINT1 t\nOUTPUT a " ONE "\n" DONE(7));
}

static void the_memory_files_are_out_of_reach(void **state)
{
    (void)state;
    host_try(&host,
             "import os\n"
             "def process(c):\n"
             " return len([n for n in range(100)\n"
             "  if os.path.lexists(f'/proc/self/fd/{n}')])\n",
             NULL);
    assert_string_equal(host.said, DONE(3));
}

static void descriptors_below_the_bell_may_be_closed(void **state)
{
    (void)state;
    host_try(&host,
             "import os\n"
             "def process(c):\n"
             " os.closerange(0, 1000); open('/dev/null'); return 7\n",
             NULL);
    assert_string_equal(host.said, DONE(7));
    host_run(&host);
    assert_string_equal(host.said, DONE(7));
}

/* At the first time that the host sleeps: until then nobody needs a bell. */
static void without_a_bell_the_process_ends(void **state)
{
    bool ended = false;

    (void)state;
    host_try(&host,
             "import os, time\n"
             "def process(c):\n os.closerange(0, 5000); time.sleep(0.01)\n",
             NULL);
    for (int i = 0; i < 10 && !ended; i++) {
        host_run(&host);
        ended = strstr(host.said, "END EEXIT") != NULL;
    }
    assert_true(ended);
}

static void an_exit_of_the_process_is_seen(void **state)
{
    (void)state;
    host_try(&host, "import os\ndef process(c): os._exit(0)\n", NULL);
    assert_string_equal(host.said, "END EEXIT\n");
}

static void what_c_code_prints_comes_through_the_pipe(void **state)
{
    (void)state;
    host_try(&host,
             "import ctypes, os\n"
             "def process(c):\n"
             " ctypes.CDLL(None).puts(b'from C'); os.write(2, b'raw\\n')\n"
             " return 7\n",
             NULL);
    assert_string_equal(host.said, DONE(7) "PIPE from C\nraw\n");
}

static void a_broken_input_does_not_spoil_the_next_call(void **state)
{
    (void)state;
    host_load(&host, "def process(c): return 7\n");
    memcpy(host_room(&host, "a", GBX_OBJECT, 0, 2), "\xa1\x61", 2);
    host_input(&host, "b", "{\"type\":\"String\",\"data\":\"unread\"}");
    host_run(&host);
    assert_memory_equal(host.said, "FAILED", 6);
    host_run(&host);
    assert_string_equal(host.said, DONE(7));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(an_exception_is_told_as_python_tells_it),
        TEST(frames_of_ours_and_of_the_event_loop_are_not_shown),
        TEST(whatever_is_raised_leaves_the_sandbox_usable),
        TEST(no_free_descriptor_is_a_limit_with_a_traceback),
        TEST(modules_and_builtins_may_be_spoilt),
        TEST(a_forked_child_never_reaches_the_channel),
        TEST(threads_may_print_send_and_stay),
        TEST(the_memory_files_are_out_of_reach),
        TEST(descriptors_below_the_bell_may_be_closed),
        TEST(without_a_bell_the_process_ends),
        TEST(an_exit_of_the_process_is_seen),
        TEST(what_c_code_prints_comes_through_the_pipe),
        TEST(a_broken_input_does_not_spoil_the_next_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
