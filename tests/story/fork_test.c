/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork_test.c - a sandbox that begins as a copy of another one is not it.
 *
 * Each script does something when it is loaded, which all copies share, and
 * tells in a call what it has.  Calls come in pairs, in two copies at once.
 */
#include <time.h>

#include "story.h"

struct pair {
    struct gbx_script *script;
    char answer[2][4096];
};

static void run_pair(struct story *s, struct pair *pair)
{
    struct gbx_call *calls[2];
    int rc[2];

    for (int i = 0; i < 2; i++)
        calls[i] = story_call(s, pair->script);
    for (int i = 0; i < 2; i++) {
        rc[i] = story_run(s, calls[i]);
        if (rc[i] < 0)
            print_error("%s\n", s->err.what);
        else
            snprintf(pair->answer[i], sizeof(pair->answer[i]), "%s",
                     story_outputs(calls[i]));
        gbx_call_finish(calls[i]);
    }
    assert_int_equal(rc[0], 0);
    assert_int_equal(rc[1], 0);
}

/* Two copies of a script that has been loaded: the first calls make sure that
 * there is a template. */
static void open_pair(struct story *s, struct pair *pair, const char *text)
{
    s->config.wipe = GBX_WIPE_PER_CALL;
    s->config.pool.total_max = 2;
    pair->script = story_open(s, text);
    run_pair(s, pair);
    run_pair(s, pair);
}

#define TELL(expression)                                                       \
    "def process(c):\n"                                                        \
    "    return {'v': " expression "}\n"

static void differs(struct story *s, const char *text)
{
    struct pair pair;
    char before[2][4096];

    open_pair(s, &pair, text);
    assert_string_not_equal(pair.answer[0], pair.answer[1]);
    memcpy(before, pair.answer, sizeof(before));
    run_pair(s, &pair); /* and from what a wiped one says */
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            assert_string_not_equal(pair.answer[i], before[j]);
    story_close(s, pair.script);
}

/* Both say it, before and after they were wiped. */
static void says(struct story *s, const char *text, const char *want)
{
    struct pair pair;

    open_pair(s, &pair, text);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++)
            assert_string_equal(pair.answer[i], want);
        run_pair(s, &pair);
    }
    story_close(s, pair.script);
}

static void what_the_kernel_draws_differs(void **state)
{
    differs(*state, "import os\nos.urandom(8)\n" TELL("os.urandom(8).hex()"));
}

static void the_module_random_differs(void **state)
{
    differs(*state, "import random\nrandom.random()\n" TELL("random.random()"));
}

/* A process copies the language, and loads the script: which seeds it there. */
static void the_module_random_differs_though_it_was_seeded(void **state)
{
    if (!story_is("microvm"))
        return;
    differs(*state,
            "import random\nrandom.seed(42)\n" TELL("random.getrandbits(62)"));
}

static void uuids_and_secrets_differ(void **state)
{
    differs(*state, "import uuid, secrets\nuuid.uuid1(); uuid.uuid4()\n" TELL(
                        "str(uuid.uuid4()) + secrets.token_hex(8)"));
}

static void time_based_uuids_differ(void **state)
{
    differs(*state, "import uuid\nuuid.uuid1()\n" TELL("str(uuid.uuid1())"));
}

static void openssl_differs(void **state)
{
    differs(*state,
            "import ssl\nssl.RAND_bytes(8)\n" TELL("ssl.RAND_bytes(8).hex()"));
}

static void names_of_temporary_files_differ(void **state)
{
    differs(*state,
            "import tempfile\ntempfile.mktemp()\n" TELL("tempfile.mktemp()"));
}

static void numpys_global_generator_differs(void **state)
{
    struct story *s = *state;

    if (!story_is("microvm") ||
        access("/usr/lib/python3/dist-packages/numpy", R_OK) != 0)
        skip();
    s->config.start_ns = 30000000000;
    differs(s, "import numpy\nnumpy.random.seed(1)\n" TELL(
                   "float(numpy.random.random())"));
}

static void its_own_number_differs(void **state)
{
    if (story_is("microvm"))
        differs(*state, "import os\n" TELL("os.getpid()"));
}

static void it_is_found_in_proc_by_its_number(void **state)
{
    if (story_is("microvm"))
        says(*state,
             "import os\n" TELL("os.readlink('/proc/%d' % os.getpid())"),
             V_TEXT("self"));
}

static void signals_reach_it_by_its_number(void **state)
{
    says(*state,
         "import os, signal\n"
         "got = []\n"
         "signal.signal(signal.SIGUSR1, lambda *a: got.append(1))\n"
         "def process(c):\n"
         "    os.kill(os.getpid(), signal.SIGUSR1)\n"
         "    signal.raise_signal(signal.SIGUSR1)\n"
         "    return {'v': len(got)}\n",
         V_NUMBER(2));
}

static void a_hook_runs_once_in_each_copy(void **state)
{
    says(*state,
         "import glovebox\n"
         "n = 0\n"
         "@glovebox.at_copy\n"
         "def hook():\n"
         "    global n\n"
         "    n += 1\n"
         "def process(c):\n"
         "    return {'v': n <= 1}\n",
         V_BOOLEAN(true));
}

static void the_seed_of_hashes_is_the_same(void **state)
{
    struct story *s = *state;
    struct pair pair;

    if (!story_is("microvm"))
        skip(); /* each start of a process may have its own */
    open_pair(s, &pair, TELL("hash('text')"));
    assert_string_equal(pair.answer[0], pair.answer[1]);
    story_close(s, pair.script);
}

static void monotonic_time_does_not_go_back_and_the_wall_is_right(void **state)
{
    char want[128];

    (void)state;
    snprintf(want, sizeof(want), "%s", V_BOOLEAN(true));
    says(*state,
         "import time\n"
         "m, w, b = time.monotonic(), time.time(),\\\n"
         "    time.clock_gettime(time.CLOCK_BOOTTIME)\n"
         "def process(c):\n"
         "    return {'v': 0 <= time.monotonic() - m < 60\n"
         "            and 0 <= time.time() - w < 60\n"
         "            and 0 <= time.clock_gettime(time.CLOCK_BOOTTIME) - b}\n",
         want);
}

static void a_wall_clock_that_was_frozen_is_the_hosts(void **state)
{
    struct story *s = *state;
    struct pair pair;
    const char *data;
    time_t before;

    open_pair(s, &pair, "import time\n" TELL("int(time.time())"));
    usleep(1100000);
    before = time(NULL); /* a second after it was frozen, and more */
    run_pair(s, &pair);
    data = strstr(pair.answer[0], "\"data\":") + 7;
    assert_in_range(atol(data), before, time(NULL));
    story_close(s, pair.script);
}

static void sleeps_last_as_long_as_they_should(void **state)
{
    says(*state,
         "import time\n"
         "def process(c):\n"
         "    t = time.monotonic()\n"
         "    time.sleep(0.02)\n"
         "    return {'v': 0.02 <= time.monotonic() - t < 5}\n",
         V_BOOLEAN(true));
}

static void open_files_and_their_positions_are_its_own(void **state)
{
    says(*state,
         "f = open('/tmp/file', 'w+')\n"
         "f.write('abcdef'); f.flush(); f.seek(2)\n"
         "def process(c):\n"
         "    got = f.read(2)\n"
         "    f.write('X' * 10); f.flush()\n"
         "    return {'v': got}\n",
         V_TEXT("cd"));
}

static void files_made_before_are_there_and_changes_are_its_own(void **state)
{
    says(*state,
         "import os\n"
         "os.mkdir('/tmp/d'); open('/tmp/d/a', 'w').write('1')\n"
         "def process(c):\n"
         "    seen = ','.join(sorted(os.listdir('/tmp/d')))\n"
         "    open('/tmp/d/b', 'w').write('2'); os.unlink('/tmp/d/a')\n"
         "    return {'v': seen}\n",
         V_TEXT("a"));
}

static void what_is_in_a_pipe_is_there_for_each(void **state)
{
    says(*state,
         "import os, socket\n"
         "r, w = os.pipe(); os.write(w, b'in a pipe')\n"
         "a, b = socket.socketpair(); a.send(b' and a socket')\n"
         "def process(c):\n"
         "    return {'v': (os.read(r, 99) + b.recv(99)).decode()}\n",
         V_TEXT("in a pipe and a socket"));
}

static void directory_mask_and_environment_are_as_they_were(void **state)
{
    says(*state,
         "import os\n"
         "os.chdir('/tmp'); os.umask(0o27); os.environ['E'] = 'e'\n"
         "def process(c):\n"
         "    got = os.getcwd(), oct(os.umask(0)), os.environ['E']\n"
         "    os.chdir('/'); os.environ['E'] = 'f'\n"
         "    return {'v': ' '.join(map(str, got))}\n",
         V_TEXT("/tmp 0o27 e"));
}

static void threads_go_on_in_each(void **state)
{
    if (!story_is("microvm"))
        return; /* of a process only the thread that forks goes on */
    says(*state,
         "import threading, queue\n"
         "to, back = queue.Queue(), queue.Queue()\n"
         "def work():\n"
         "    n = 0\n"
         "    while True:\n"
         "        n += to.get()\n"
         "        back.put(n)\n"
         "threading.Thread(target=work, daemon=True).start()\n"
         "to.put(1); back.get()\n"
         "def process(c):\n"
         "    to.put(5)\n"
         "    return {'v': back.get()}\n",
         V_NUMBER(6));
}

static void timers_are_as_far_away_as_they_were(void **state)
{
    if (!story_is("microvm"))
        return;
    says(*state,
         "import signal\n"
         "signal.signal(signal.SIGALRM, lambda *a: None)\n"
         "signal.alarm(1000)\n"
         "def process(c):\n"
         "    return {'v': 900 < signal.alarm(0) <= 1000}\n",
         V_BOOLEAN(true));
}

static void event_loops_go_on(void **state)
{
    says(*state,
         "import asyncio\n"
         "loop = asyncio.new_event_loop()\n"
         "asyncio.set_event_loop(loop)\n"
         "async def one():\n"
         "    await asyncio.sleep(0.001)\n"
         "    return 1\n"
         "loop.run_until_complete(one())\n"
         "async def process(c):\n"
         "    await asyncio.sleep(0.001)\n"
         "    return {'v': await one()}\n",
         V_NUMBER(1));
}

static void a_limit_holds_in_a_copy_as_in_the_first(void **state)
{
    struct story *s = *state;
    struct pair pair;
    struct gbx_call *call;

    s->config.limits.memory_bytes = 64u << 20;
    open_pair(s, &pair,
              "def process(c):\n"
              "    if c.get_input('in'):\n"
              "        return {'v': len(bytearray(200 << 20))}\n"
              "    return {'v': 0}\n");
    for (int i = 0; i < 2; i++) {
        call = story_call(s, pair.script);
        story_put(s, call, "in", "true");
        assert_true(story_run(s, call) < 0);
        gbx_call_finish(call);
        run_pair(s, &pair);
    }
    story_close(s, pair.script);
}

static void a_copy_that_writes_all_its_memory_is_wiped(void **state)
{
    struct story *s = *state;
    struct pair pair;
    struct gbx_call *call;

    open_pair(s, &pair,
              "keep = []\n"
              "def process(c):\n"
              "    if c.get_input('in'):\n"
              "        keep.append(bytearray(b'x') * (100 << 20))\n"
              "    return {'v': len(keep)}\n");
    for (int i = 0; i < 3; i++) {
        call = story_call(s, pair.script);
        story_put(s, call, "in", "true");
        assert_int_equal(story_run(s, call), 0);
        gbx_call_finish(call);
        run_pair(s, &pair);
        assert_string_equal(pair.answer[0], V_NUMBER(0));
        assert_string_equal(pair.answer[1], V_NUMBER(0));
    }
    story_close(s, pair.script);
}

static void host_calls_and_state_serve_copies_alike(void **state)
{
    struct story *s = *state;
    struct pair pair;
    char want[128];

    open_pair(s, &pair,
              "def process(c):\n"
              "    return {'v': c.state.increment('n', 1)}\n");
    for (int i = 0; i < 2; i++) {
        run_pair(s, &pair);
        for (int j = 0; j < 2; j++) {
            snprintf(want, sizeof(want),
                     "{\"v\":{\"type\":\"Integer\",\"data\":%d}}",
                     5 + i * 2 + j);
            assert_string_equal(pair.answer[j], want);
        }
    }
    story_close(s, pair.script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(what_the_kernel_draws_differs),
        story_test(the_module_random_differs),
        story_test(the_module_random_differs_though_it_was_seeded),
        story_test(uuids_and_secrets_differ),
        story_test(time_based_uuids_differ),
        story_test(openssl_differs),
        story_test(names_of_temporary_files_differ),
        story_test(numpys_global_generator_differs),
        story_test(its_own_number_differs),
        story_test(it_is_found_in_proc_by_its_number),
        story_test(signals_reach_it_by_its_number),
        story_test(a_hook_runs_once_in_each_copy),
        story_test(the_seed_of_hashes_is_the_same),
        story_test(monotonic_time_does_not_go_back_and_the_wall_is_right),
        story_test(a_wall_clock_that_was_frozen_is_the_hosts),
        story_test(sleeps_last_as_long_as_they_should),
        story_test(open_files_and_their_positions_are_its_own),
        story_test(files_made_before_are_there_and_changes_are_its_own),
        story_test(what_is_in_a_pipe_is_there_for_each),
        story_test(directory_mask_and_environment_are_as_they_were),
        story_test(threads_go_on_in_each),
        story_test(timers_are_as_far_away_as_they_were),
        story_test(event_loops_go_on),
        story_test(a_limit_holds_in_a_copy_as_in_the_first),
        story_test(a_copy_that_writes_all_its_memory_is_wiped),
        story_test(host_calls_and_state_serve_copies_alike),
    };

    return story_main("fork", tests);
}
