/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts that want out, want more, or want the host's attention for ever. */
#include "story.h"

#include <fcntl.h>

static void a_script_that_exits_is_told_apart(void **state)
{
    struct story *s = *state;

    story_expect(s, "import os\ndef process(c): os._exit(7)\n", GBX_EEXIT);
    assert_non_null(strstr(s->err.what, "7"));
}

static void sys_exit_is_an_error_like_any_other(void **state)
{
    struct story *s = *state;

    story_expect(s, "import sys\ndef process(c): sys.exit('bye')\n",
                 GBX_ESCRIPT);
    assert_non_null(strstr(s->err.what, "SystemExit"));
}

static void a_script_that_kills_itself_is_told_by_its_signal(void **state)
{
    struct story *s = *state;

    story_expect(s,
                 "import os, signal\n"
                 "def process(c): os.kill(os.getpid(), signal.SIGKILL)\n",
                 GBX_ESIGNAL);
    assert_non_null(strstr(s->err.what, "signal 9"));
    story_expect(s,
                 "import ctypes\n"
                 "def process(c): ctypes.string_at(8)\n",
                 GBX_ESIGNAL);
    assert_non_null(strstr(s->err.what, "signal 11"));
}

static void a_script_that_kills_everybody_kills_only_itself(void **state)
{
    story_expect(*state,
                 "import os, signal, time\n"
                 "def process(c):\n"
                 "    for pid in (1, -1):\n"
                 "        try: os.kill(pid, signal.SIGKILL)\n"
                 "        except OSError: pass\n"
                 "    raise RuntimeError\n",
                 GBX_ESCRIPT);
}

static void a_script_that_never_returns_is_stopped(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(s, "def process(c):\n"
                                              "    while True: pass\n");
    uint64_t before_ns = story_deadline(0);
    struct gbx_call *call = story_call(s, script);

    assert_int_equal(gbx_call_run(call, story_deadline(0.2), &s->err),
                     GBX_ETIME);
    assert_true(story_deadline(0) - before_ns < 5000000000u);
    gbx_call_finish(call);
    story_close(s, script);
}

static const char flood[] = "def process(c):\n"
                            "    v = c.get_input('in')\n"
                            "    while True: c.send_output('x', v)\n";

static void take_time(void *context, const char *port,
                      const struct gbx_message *message)
{
    int *count = context;

    (void)port;
    (void)message;
    ++*count;
    usleep(1000); /* so that the ring is never empty */
}

/* The deadline is looked at although the guest never lets the host wait. */
static void a_script_that_never_stops_sending_is_stopped(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(s, flood);
    uint64_t before_ns = story_deadline(0);
    struct gbx_call *call = story_call(s, script);
    int count = 0;

    story_put(s, call, "in", "{\"type\":\"Stream\",\"data\":[1]}");
    gbx_call_on_output(call, take_time, &count);
    assert_int_equal(gbx_call_run(call, story_deadline(0.2), &s->err),
                     GBX_ETIME);
    assert_true(story_deadline(0) - before_ns < 5000000000u);
    assert_true(count > 0);
    gbx_call_finish(call);
    story_close(s, script);
}

static void a_script_that_never_loads_is_stopped(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;

    s->config.start_ns = 300000000;
    assert_int_equal(story_try(s, "while True: pass\n", &script), GBX_ETIME);
    assert_null(script);
}

static void memory_has_a_limit(void **state)
{
    struct story *s = *state;

    s->config.limits.memory_bytes = 64 << 20;
    story_expect(s, "def process(c): bytearray(1 << 30)\n", GBX_EMEMORY);
    story_expect(s,
                 "def process(c):\n"
                 "    l = []\n"
                 "    while True: l.append(bytearray(1 << 20))\n",
                 GBX_EMEMORY);
}

static void cpu_time_has_a_limit(void **state)
{
    struct story *s = *state;

    s->config.limits.cpu_ns = 3000000000; /* emulated, Python's start is 1 s */
    story_expect(s, "def process(c):\n    while True: pass\n", GBX_ECPU);
}

static void processes_have_a_limit(void **state)
{
    struct story *s = *state;

    s->config.limits.processes = 8;
    story_expect(s,
                 "import threading, time\n"
                 "def process(c):\n"
                 "    while True:\n"
                 "        threading.Thread(target=time.sleep,\n"
                 "                         args=[100]).start()\n",
                 GBX_EPROCESSES);
    if (!story_is("process"))
        return; /* there are threads, but no other processes */
    story_expect(s,
                 "import os, time\n"
                 "def process(c):\n"
                 "    while True:\n"
                 "        if os.fork() == 0: time.sleep(100)\n",
                 GBX_EPROCESSES);
}

static void a_fork_bomb_ends_with_its_sandbox(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(s, "import os\n"
                                              "def process(c):\n"
                                              "    while True:\n"
                                              "        try: os.fork()\n"
                                              "        except OSError: pass\n");
    struct gbx_call *call = story_call(s, script);

    assert_int_equal(gbx_call_run(call, story_deadline(0.5), &s->err),
                     GBX_ETIME);
    gbx_call_finish(call);
    story_close(s, script); /* the teardown looks for children */
}

static void open_files_have_a_limit(void **state)
{
    story_expect(*state,
                 "def process(c):\n"
                 "    l = [open('/dev/null') for i in range(10000)]\n",
                 GBX_EFILES);
}

static void the_private_disk_has_a_limit(void **state)
{
    struct story *s = *state;

    s->config.limits.disk_bytes = 1 << 20;
    story_expect(s,
                 "def process(c):\n"
                 "    with open('/tmp/x', 'wb') as f: f.write(bytes(2 << 20))"
                 "\n",
                 GBX_EDISK);
}

static void printing_has_a_limit(void **state)
{
    struct story *s = *state;

    story_expect(s,
                 "def process(c):\n"
                 "    for i in range(1 << 30): print('x' * 1023)\n",
                 GBX_EOUTPUT);
    assert_true(s->printed_bytes[0] <= 16 << 20);
    story_expect(s,
                 "import os\n"
                 "def process(c):\n"
                 "    for i in range(1 << 30): os.write(1, b'x' * 1024)\n",
                 GBX_EOUTPUT);
}

static void closing_all_descriptors_does_not_break_the_channel(void **state)
{
    assert_string_equal(
        story_ask_once(*state,
                       "import os\n"
                       "def process(c):\n"
                       "    os.closerange(0, 100)\n"
                       "    return {'out': c.get_input('in')}\n",
                       "5"),
        "{\"out\":{\"type\":\"Integer\",\"data\":5}}");
}

/* Whatever a script writes over the half that it may write, the host gets an
 * error or an answer, in time, and the next call works. */
static void a_scribbled_region_harms_only_its_sandbox(void **state)
{
    static const char text[] =
        "import ctypes, random, os\n"
        "BASE = 0x200000000000\n"
        "def half():\n"
        "    return ctypes.c_uint64.from_address(BASE + 24).value\n"
        "def process(c):\n"
        "    r = random.Random(bytes(c.get_input('in')))\n"
        "    at = BASE + half()\n"
        "    for i in range(r.randrange(1, 40)):\n"
        "        off = r.choice([r.randrange(448), r.randrange(4096, 20480),\n"
        "                        (2 << 20) + r.randrange(4096)])\n"
        "        ctypes.memset(at + off, r.randrange(256), r.randrange(1, 64))"
        "\n"
        "        if i % 4 == 0: c.send_output('x', bytes(r.randrange(99)))\n"
        "    return {'out': c.get_input('in')}\n";
    struct story *s = *state;
    struct gbx_script *script = story_open(s, text);
    int broken = 0;

    for (int seed = 0; seed < 40; seed++) {
        struct gbx_call *call = story_call(s, script);
        void *data;
        int rc;

        rc = gbx_call_room(call, "in", GBX_STREAM, 8, &data, &s->err);
        if (rc == 0) {
            memset(data, seed, 8);
            rc = gbx_call_run(call, story_deadline(0.1), &s->err);
        }
        assert_true(rc == 0 || rc == GBX_ETIME || rc == GBX_EBROKEN ||
                    rc == GBX_EBOUNDS || rc == GBX_EFORMAT ||
                    rc == GBX_ESCRIPT || rc == GBX_ESIGNAL || rc == GBX_EEXIT ||
                    rc == GBX_EOUTPUT || rc == GBX_EARENA || rc == GBX_ERING);
        broken += rc != 0;
        gbx_call_finish(call);
    }
    assert_true(broken > 0);
    story_close(s, script);
}

static void the_hosts_half_cannot_be_written(void **state)
{
    story_expect(*state,
                 "import ctypes\n"
                 "def process(c): ctypes.memset(0x200000000000 + 64, 1, 1)\n",
                 GBX_ESIGNAL);
}

static void the_host_is_out_of_sight(void **state)
{
    char text[2048];

    /* A micro-VM has a zero and a /sys/kernel of its own. */
    snprintf(
        text, sizeof(text),
        "import os, socket\n"
        "def tried(f, *a):\n"
        "    try: f(*a); return 'done'\n"
        "    except OSError: return 'refused'\n"
        "def process(c):\n"
        "    return {'out': [os.path.exists('/etc/shadow'),\n"
        "        os.path.exists('/root') or os.path.exists('/dev/%s'), "
        "os.path.exists('/home'),\n"
        "        os.path.exists('/sys/%s'), os.path.exists('/srv'),\n"
        "        tried(open, '/x', 'w'), tried(open, '/usr/x', 'w'),\n"
        "        tried(open, '/script/x', 'w'), tried(open, '/tmp/x', 'w'),"
        "\n"
        "        tried(os.mknod, '/tmp/n', 0o60600, 0xfe00),\n"
        "        tried(socket.socket, socket.AF_INET), tried(os.setuid, 0),"
        "\n"
        "        tried(os.chroot, '/tmp'), os.getuid() != 0]}\n",
        story_is("process") ? "zero" : "kvm",
        story_is("process") ? "kernel" : "class");
    assert_string_equal(
        story_ask_once(*state, text, NULL),
        "{\"out\":{\"type\":\"Array\",\"data\":[false,false,false,false,false,"
        "\"refused\",\"refused\",\"refused\",\"done\",\"refused\",\"refused\","
        "\"refused\",\"refused\",true]}}");
}

static void a_hidden_folder_is_not_there(void **state)
{
    STORY_NOT_REMOTE("a script comes alone");
    struct story *s = *state;
    static const char text[] = "import os\n"
                               "def process(c):\n"
                               "    return {'out': os.path.exists("
                               "'/script/story.py')}\n";

    assert_string_equal(story_ask_once(s, text, NULL),
                        "{\"out\":{\"type\":\"Boolean\",\"data\":true}}");
    s->config.hide_folder = 1;
    assert_string_equal(story_ask_once(s, text, NULL),
                        "{\"out\":{\"type\":\"Boolean\",\"data\":false}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(a_script_that_exits_is_told_apart),
        story_test(sys_exit_is_an_error_like_any_other),
        story_test(a_script_that_kills_itself_is_told_by_its_signal),
        story_test(a_script_that_kills_everybody_kills_only_itself),
        story_test(a_script_that_never_returns_is_stopped),
        story_test(a_script_that_never_stops_sending_is_stopped),
        story_test(a_script_that_never_loads_is_stopped),
        story_test(memory_has_a_limit),
        story_test(cpu_time_has_a_limit),
        story_test(processes_have_a_limit),
        story_test(a_fork_bomb_ends_with_its_sandbox),
        story_test(open_files_have_a_limit),
        story_test(the_private_disk_has_a_limit),
        story_test(printing_has_a_limit),
        story_test(closing_all_descriptors_does_not_break_the_channel),
        story_test(a_scribbled_region_harms_only_its_sandbox),
        story_test(the_hosts_half_cannot_be_written),
        story_test(the_host_is_out_of_sight),
        story_test(a_hidden_folder_is_not_there),
    };

    return story_main("hostile", tests);
}
