/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suspend_test.c - more actors than a process has room for: those that idle are
 * put away with all they know, and none of them can tell.
 *
 * This process may have few descriptors, so that some dozens are too many.
 */
#include <sys/resource.h>

#include "story.h"

/* Of which a share may be awake, and as many be parked (pool/idle.c). */
#define FILES 480u
#define ROOM  (2 * FILES / 24)

static struct rlimit files_before;

static void set_files(rlim_t count)
{
    struct rlimit limit = files_before;

    limit.rlim_cur = count;
    assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void close_actors(struct story *s, struct gbx_script *script)
{
    story_close(s, script);
    set_files(files_before.rlim_cur);
}

static const char *ask(struct story *s, struct gbx_script *script,
                       const char *key, const char *text)
{
    int code;
    const char *answer = story_evaluate(s, script, key, text, &code);

    if (code < 0)
        fail_msg("%s: %s: %s", key, text, s->err.what);
    return answer;
}

/* The first one is what the others are clones of, and stays: nobody else is it.
 */
static struct gbx_script *open_actors(struct story *s, enum gbx_wipe wipe)
{
    struct gbx_script *script;

    assert_return_code(getrlimit(RLIMIT_NOFILE, &files_before), 0);
    set_files(FILES);
    s->config.wipe = wipe;
    s->config.pool.total_max = 4 * ROOM;
    script = story_open(s, STORY_EVALUATOR);
    ask(s, script, "first", "0");
    return script;
}

/* Others come until nobody who was there before is awake, or parked. */
static void crowd_out(struct story *s, struct gbx_script *script)
{
    struct gbx_pool_stats before, after;
    char key[20];

    gbx_script_pool_stats(script, &before);
    for (unsigned i = 0; i < 2 * ROOM; i++) {
        snprintf(key, sizeof(key), "other %u", i);
        ask(s, script, key, "v.append(0)");
    }
    gbx_script_pool_stats(script, &after);
    assert_in_range(after.suspended - before.suspended, ROOM / 2, 2 * ROOM + 4);
}

static void each_of_many_knows_what_it_knew(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_actors(s, GBX_WIPE_NEVER);
    struct gbx_pool_stats stats;
    char key[20], want[64];

    for (unsigned round = 1; round <= 3; round++)
        for (unsigned i = 0; i < 3 * ROOM; i++) {
            snprintf(key, sizeof(key), "actor %u", i);
            ask(s, script, key, "v.append(1)");
            if (round == 1)
                ask(s, script, key, "c.state.set(str(os.getpid()), len(v))");
            snprintf(want, sizeof(want),
                     "{\"v\":{\"type\":\"Integer\",\"data\":%u}}", round);
            assert_string_equal(ask(s, script, key, "len(v)"), want);
        }
    /* Each under one number for all its life. */
    snprintf(want, sizeof(want), "{\"v\":{\"type\":\"Integer\",\"data\":%u}}",
             3 * ROOM);
    assert_string_equal(ask(s, script, "actor 0", "c.state.size()"), want);
    assert_string_equal(
        ask(s, script, "actor 1", "c.state.exists(str(os.getpid()))"),
        V_BOOLEAN(true));
    gbx_script_pool_stats(script, &stats);
    assert_in_range(stats.suspended, 3 * ROOM, 30 * ROOM);
    assert_int_equal(stats.total, 3 * ROOM + 1);
    assert_int_equal(stats.built, 3 * ROOM + 1);
    close_actors(s, script);
}

static void files_memory_and_chance_go_on(void **state)
{
    static const char *const before[] = {
        "v.append(open('/tmp/f', 'w+')) or v[0].write('0123456789')",
        "v[0].seek(4) and os.mkdir('/tmp/d') or os.chdir('/tmp/d')",
        "v.append(bytearray(range(256)) * 20000)",
        "v.append(os.pipe()) or os.write(v[2][1], b'in a pipe')",
        "random.seed(7) or v.append(random.random())",
        "v.append(os.umask(0o27)) or os.environ.update(A='b')",
        "v.append(time.monotonic())"};
    static const char *const after[][2] = {
        {"v[0].read(3)", V_TEXT("456")},
        {"os.getcwd()", V_TEXT("/tmp/d")},
        {"v[1] == bytearray(range(256)) * 20000", V_BOOLEAN(true)},
        {"os.read(v[2][0], 100).decode()", V_TEXT("in a pipe")},
        {"random.random() == [random.seed(7), random.random(), "
         "random.random()][2]",
         V_BOOLEAN(true)},
        {"os.umask(0)", V_NUMBER(23)},
        {"os.environ['A']", V_TEXT("b")},
        {"0 < time.monotonic() - v[5] < 60", V_BOOLEAN(true)}};
    struct story *s = *state;
    struct gbx_script *script = open_actors(s, GBX_WIPE_NEVER);

    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
        ask(s, script, "one", before[i]);
    crowd_out(s, script);
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++)
        assert_string_equal(ask(s, script, "one", after[i][0]), after[i][1]);
    close_actors(s, script);
}

/* A thread that counts every few milliseconds, while there is a call. */
static void threads_go_on(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_actors(s, GBX_WIPE_NEVER);

    ask(s, script, "one",
        "v.append(0) or threading.Thread(daemon=True, target=lambda: "
        "[v.__setitem__(0, n) or time.sleep(0.002) "
        "for n in iter(lambda: v[0] + 1, -1)]).start()");
    for (int round = 0; round < 3; round++) {
        ask(s, script, "one", "v.append(v[0])");
        crowd_out(s, script);
        assert_string_equal(
            ask(s, script, "one",
                "[time.sleep(0.01) for _ in iter(lambda: v[0] <= v[-1], "
                "False)] and 'on' or 'on'"),
            V_TEXT("on"));
    }
    close_actors(s, script);
}

/* What came and went through the shared memory before it was put away. */
static void large_messages_come_and_go(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_actors(s, GBX_WIPE_NEVER);

    for (int round = 0; round < 3; round++) {
        assert_int_equal(strlen(ask(s, script, "one", "'x' * 3000")),
                         strlen(V_TEXT("")) + 3000);
        ask(s, script, "one", "v.append('y' * 5000000) or len(v)");
        crowd_out(s, script);
        assert_string_equal(ask(s, script, "one", "v.pop() == 'y' * 5000000"),
                            V_BOOLEAN(true));
    }
    close_actors(s, script);
}

static void who_cannot_come_back_loses_nothing(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_actors(s, GBX_WIPE_NEVER);
    int code;

    ask(s, script, "one", "v.append('kept')");
    crowd_out(s, script);
    for (int i = 0; i < 3; i++) {
        s->err.what[0] = '\0';
        set_files(4); /* fewer than there are */
        story_evaluate(s, script, "one", "v[0]", &code);
        set_files(FILES);
        assert_true(code < 0 && code != GBX_ETIME);
        assert_non_null(strstr(s->err.what, "ulimit -n"));
    }
    assert_string_equal(ask(s, script, "one", "v[0]"), V_TEXT("kept"));
    close_actors(s, script);
}

/* Back to its template, which it is still a clone of. */
static void a_failed_call_leaves_no_trace_in_one_that_was_away(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_actors(s, GBX_WIPE_ON_ERROR);
    struct gbx_call *calls[3 * ROOM];
    struct gbx_pool_stats stats;
    int code;

    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 3 * ROOM / 4; i++) {
            calls[i] = story_call(s, script);
            story_put(s, calls[i], "in",
                      round == 1 && i % 2 == 0 ? "\"v.append(1) or 1 / 0\""
                                               : "\"len(v.append(1) or v)\"");
        }
        for (unsigned i = 0; i < 3 * ROOM / 4; i++) {
            code = story_run(s, calls[i]);
            assert_int_equal(code, round == 1 && i % 2 == 0 ? GBX_ESCRIPT : 0);
        }
        for (unsigned i = 0; i < 3 * ROOM / 4; i++)
            gbx_call_finish(calls[i]);
    }
    gbx_script_pool_stats(script, &stats);
    assert_true(stats.wiped > 0);
    assert_int_equal(stats.broken, 0);
    close_actors(s, script);
}

static void a_branch_of_one_that_was_away(void **state)
{
    struct gbx_branch_config config = {.struct_bytes = sizeof(config),
                                       .key = "one"};
    struct story *s = *state;
    struct gbx_script *script = open_actors(s, GBX_WIPE_NEVER), *branch;

    ask(s, script, "one", "v.append('kept')");
    crowd_out(s, script);
    assert_return_code(gbx_script_branch(&branch, script, &config,
                                         story_deadline(10), &s->err),
                       0);
    ask(s, branch, "x", "v.append('mine')");
    assert_string_equal(ask(s, branch, "x", "str(v)"),
                        V_TEXT("['kept', 'mine']"));
    assert_string_equal(ask(s, script, "one", "str(v)"), V_TEXT("['kept']"));
    gbx_script_close(branch);
    close_actors(s, script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(each_of_many_knows_what_it_knew),
        story_test(files_memory_and_chance_go_on),
        story_test(threads_go_on),
        story_test(large_messages_come_and_go),
        story_test(who_cannot_come_back_loses_nothing),
        story_test(a_failed_call_leaves_no_trace_in_one_that_was_away),
        story_test(a_branch_of_one_that_was_away),
    };

    return story_main("suspend", tests);
}
