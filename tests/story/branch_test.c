/* SPDX-License-Identifier: Apache-2.0 */
/*
 * branch_test.c - a copy of a script that lives goes on from there, and neither
 * hears of the other.
 *
 * Each input is a piece of Python that the script evaluates: what one call has
 * left in its variables, another can ask for.
 */
#include <pthread.h>
#include <time.h>

#include "story.h"

static const char *ask(struct story *s, struct gbx_script *script,
                       const char *text)
{
    int code;
    const char *answer = story_evaluate(s, script, NULL, text, &code);

    if (code < 0)
        fail_msg("%s: %s", text, s->err.what);
    return answer;
}

static void fails(struct story *s, struct gbx_script *script, const char *text,
                  int want)
{
    int code;

    story_evaluate(s, script, NULL, text, &code);
    assert_int_equal(code, want);
}

static struct gbx_script *branch_with(struct story *s, struct gbx_script *of,
                                      const struct gbx_branch_config *config)
{
    struct gbx_script *branch;

    if (gbx_script_branch(&branch, of, config, story_deadline(10), &s->err) < 0)
        fail_msg("%s", s->err.what);
    return branch;
}

static struct gbx_script *branch_of(struct story *s, struct gbx_script *of)
{
    return branch_with(s, of, NULL);
}

static void both_go_on_from_there_apart(void **state)
{
    struct story *s = *state;
    struct gbx_script *origin = story_open(s, STORY_EVALUATOR), *branch;

    ask(s, origin, "v.append(1)");
    ask(s, origin, "v.append(2)");
    branch = branch_of(s, origin);
    assert_string_equal(ask(s, branch, "str(v)"), V_TEXT("[1, 2]"));
    ask(s, branch, "v.append('b')");
    ask(s, origin, "v.append('o')");
    assert_string_equal(ask(s, branch, "str(v)"), V_TEXT("[1, 2, 'b']"));
    assert_string_equal(ask(s, origin, "str(v)"), V_TEXT("[1, 2, 'o']"));
    assert_string_equal(gbx_script_metadata(branch),
                        gbx_script_metadata(origin));
    assert_string_equal(gbx_script_isolation(branch), "microvm");
    gbx_script_close(branch);
    assert_string_equal(ask(s, origin, "len(v)"), V_NUMBER(3));
    story_close(s, origin);
}

static int answer(void *context, const struct gbx_message *arguments,
                  struct gbx_builder *built, struct gbx_error *err)
{
    (void)context;
    (void)arguments;
    (void)err;
    gbx_build_integer(built, 7);
    return 0;
}

static void a_branch_may_call_what_its_origin_may(void **state)
{
    static const char *const names[] = {"yes", NULL};
    struct story *s = *state;
    struct gbx_script *origin, *branch, *second;

    assert_int_equal(gbx_runtime_register(s->runtime, "yes", answer, NULL), 0);
    assert_int_equal(gbx_runtime_register(s->runtime, "no", answer, NULL), 0);
    s->config.host_calls = names;
    origin = story_open(s, STORY_EVALUATOR);
    branch = branch_of(s, origin);
    second = branch_of(s, branch);
    assert_string_equal(ask(s, branch, "c.host('yes')"), V_NUMBER(7));
    assert_string_equal(ask(s, second, "c.host('yes')"), V_NUMBER(7));
    fails(s, branch, "c.host('no')", GBX_ESCRIPT);
    fails(s, second, "c.host('no')", GBX_ESCRIPT);
    gbx_script_close(second);
    gbx_script_close(branch);
    story_close(s, origin);
}

static void what_the_host_remembers_goes_apart_too(void **state)
{
    struct story *s = *state;
    struct gbx_script *origin = story_open(s, STORY_EVALUATOR), *branch;

    ask(s, origin, "c.state.set('n', 1)");
    ask(s, origin, "c.state.extend('list', [1, 'two', {'three': [3]}])");
    ask(s, origin, "c.state.set('brief', 1) or c.state.expire('brief', 0.3)");
    branch = branch_of(s, origin);
    assert_string_equal(ask(s, branch, "c.state.increment('n', 5)"),
                        V_NUMBER(6));
    assert_string_equal(ask(s, origin, "c.state.increment('n', 1)"),
                        V_NUMBER(2));
    ask(s, branch, "c.state.push('list', 4)");
    assert_string_equal(ask(s, branch, "str(c.state.get('list'))"),
                        V_TEXT("[1, 'two', {'three': [3]}, 4]"));
    assert_string_equal(ask(s, origin, "len(c.state.get('list'))"),
                        V_NUMBER(3));
    assert_string_equal(ask(s, branch, "time.sleep(0.4) or c.state.size()"),
                        V_NUMBER(2));
    gbx_script_close(branch);
    assert_string_equal(ask(s, origin, "str(sorted(c.state.keys()))"),
                        V_TEXT("['list', 'n']"));
    story_close(s, origin);
}

static void files_and_where_one_reads_them_go_apart(void **state)
{
    struct story *s = *state;
    struct gbx_script *origin = story_open(s, STORY_EVALUATOR), *branch;

    ask(s, origin,
        "v.append(open('/tmp/f', 'w+')) or v[0].write('0123456789')");
    ask(s, origin, "v[0].seek(4) and os.mkdir('/tmp/d') or os.chdir('/tmp/d')");
    branch = branch_of(s, origin);
    assert_string_equal(ask(s, branch, "v[0].read(2)"), V_TEXT("45"));
    assert_string_equal(ask(s, origin, "v[0].read(1)"), V_TEXT("4"));
    ask(s, branch, "v[0].seek(0) or v[0].write('xxxx') and v[0].flush()");
    assert_string_equal(ask(s, branch, "open('/tmp/f').read()"),
                        V_TEXT("xxxx456789"));
    assert_string_equal(ask(s, origin, "open('/tmp/f').read()"),
                        V_TEXT("0123456789"));
    ask(s, branch, "os.remove('/tmp/f')");
    assert_string_equal(ask(s, origin, "os.path.exists('/tmp/f')"),
                        V_BOOLEAN(true));
    assert_string_equal(ask(s, branch, "os.getcwd()"), V_TEXT("/tmp/d"));
    gbx_script_close(branch);
    story_close(s, origin);
}

static void chance_differs(void **state)
{
    struct story *s = *state;
    struct gbx_script *origin = story_open(s, STORY_EVALUATOR), *branch;
    const char draw[] = "str(__import__('random').getrandbits(64)) + ' ' + "
                        "os.urandom(8).hex()";
    char other[4096];

    ask(s, origin, draw);
    branch = branch_of(s, origin);
    snprintf(other, sizeof(other), "%s", ask(s, branch, draw));
    assert_string_not_equal(ask(s, origin, draw), other);
    gbx_script_close(branch);
    story_close(s, origin);
}

/* A thread that counts, asleep most of the time or never. */
static void threads_go_on_in_both(void **state)
{
    static const char *const pauses[] = {"0.001", "0"};
    struct story *s = *state;
    char start[512];

    for (size_t i = 0; i < 2; i++) {
        struct gbx_script *origin = story_open(s, STORY_EVALUATOR), *branch;

        snprintf(start, sizeof(start),
                 "v.append(0) or threading.Thread(daemon=True, target=lambda: "
                 "[v.__setitem__(0, n) or (%s and time.sleep(%s)) "
                 "for n in iter(lambda: v[0] + 1, -1)]).start()",
                 pauses[i], pauses[i]);
        ask(s, origin, start);
        branch = branch_of(s, origin);
        for (int both = 0; both < 2; both++) {
            struct gbx_script *script = both ? origin : branch;

            ask(s, script, "v.append(v[0])");
            assert_string_equal(
                ask(s, script,
                    "[time.sleep(0.01) for _ in iter(lambda: v[0] "
                    "<= v[1], False)] and 'on' or 'on'"),
                V_TEXT("on"));
        }
        gbx_script_close(branch);
        story_close(s, origin);
    }
}

static void a_branch_can_be_branched_and_outlives_its_origin(void **state)
{
    struct story *s = *state;
    struct gbx_script *was = story_open(s, STORY_EVALUATOR), *next;
    char want[64];

    for (int depth = 1; depth <= 5; depth++) {
        ask(s, was, "v.append(c.state.increment('depth', 1))");
        next = branch_of(s, was);
        if (depth == 1)
            story_close(s, was);
        else
            gbx_script_close(was);
        was = next;
        snprintf(want, sizeof(want),
                 "{\"v\":{\"type\":\"Integer\",\"data\":%d}}", depth);
        assert_string_equal(ask(s, was, "v[-1]"), want);
    }
    assert_string_equal(ask(s, was, "str(v)"), V_TEXT("[1, 2, 3, 4, 5]"));
    gbx_script_close(was);
}

static void a_call_that_fails_goes_back_to_the_branching_point(void **state)
{
    struct story *s = *state;
    struct gbx_script *origin = story_open(s, STORY_EVALUATOR), *branch;

    ask(s, origin, "v.append(1)");
    branch = branch_of(s, origin);
    for (int i = 0; i < 3; i++) {
        ask(s, branch, "v.append(2)");
        fails(s, branch, "v.append(3) or 1 / 0", GBX_ESCRIPT);
        assert_string_equal(ask(s, branch, "str(v)"), V_TEXT("[1]"));
        ask(s, branch, "v.append(2)");
        fails(s, branch, "os._exit(3)", GBX_EEXIT);
        assert_string_equal(ask(s, branch, "str(v)"), V_TEXT("[1]"));
    }
    gbx_script_close(branch);
    story_close(s, origin);
}

static void stateful_ones_begin_again_at_the_branching_point(void **state)
{
    struct gbx_branch_config config = {
        .struct_bytes = sizeof(config), .key = "a", .pool.total_max = 2};
    struct story *s = *state;
    struct gbx_script *origin, *branch;
    int code;

    s->config.wipe = GBX_WIPE_NEVER;
    s->config.pool.total_max = 2;
    origin = story_open(s, STORY_EVALUATOR);
    story_evaluate(s, origin, "a", "v.append('a')", &code);
    story_evaluate(s, origin, "b", "v.append('b')", &code);
    branch = branch_with(s, origin, &config);
    story_evaluate(s, branch, "x", "v.append('x')", &code);
    assert_string_equal(story_evaluate(s, branch, "x", "str(v)", &code),
                        V_TEXT("['a', 'x']"));
    assert_string_equal(story_evaluate(s, branch, "y", "str(v)", &code),
                        V_TEXT("['a']"));
    story_evaluate(s, branch, "x", "os._exit(3)", &code);
    assert_int_equal(code, GBX_EEXIT);
    assert_string_equal(story_evaluate(s, branch, "x", "str(v)", &code),
                        V_TEXT("['a']"));
    assert_string_equal(story_evaluate(s, origin, "a", "str(v)", &code),
                        V_TEXT("['a']"));
    gbx_script_close(branch);
    story_close(s, origin);
}

struct tries {
    struct story *s;
    struct gbx_script *branch;
    int failed;
};

/* Each begins at the branching point. */
static void *try_some(void *context)
{
    struct tries *tries = context;

    for (int i = 0; i < 10; i++) {
        struct gbx_message text = {.type = GBX_STRING,
                                   .body = "len(v.append(2) or v)",
                                   .body_bytes =
                                       strlen("len(v.append(2) or v)")};
        struct gbx_error err;
        struct gbx_call *call;
        bool is_right;

        if (gbx_call_begin(&call, tries->branch, story_deadline(10), &err) <
            0) {
            __atomic_fetch_add(&tries->failed, 1, __ATOMIC_RELAXED);
            continue;
        }
        is_right = gbx_call_put(call, "in", &text, &err) == 0 &&
                   gbx_call_run(call, story_deadline(10), &err) == 0;
        if (is_right) {
            const char *port;
            struct gbx_message answer;

            is_right = gbx_call_next(call, &port, &answer) == 0 &&
                       answer.type == GBX_INTEGER && answer.scalar.integer == 2;
        }
        gbx_call_finish(call);
        if (!is_right)
            __atomic_fetch_add(&tries->failed, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void many_tries_begin_at_one_point(void **state)
{
    struct gbx_branch_config config = {.struct_bytes = sizeof(config),
                                       .wipe = GBX_WIPE_PER_CALL,
                                       .pool.total_max = 3};
    struct story *s = *state;
    struct gbx_script *origin = story_open(s, STORY_EVALUATOR);
    struct tries tries = {.s = s};
    pthread_t threads[4];

    ask(s, origin, "v.append(1)");
    tries.branch = branch_with(s, origin, &config);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, try_some, &tries),
                         0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(tries.failed, 0);
    gbx_script_close(tries.branch);
    assert_string_equal(ask(s, origin, "len(v)"), V_NUMBER(1));
    story_close(s, origin);
}

static void what_is_asked_wrongly_is_told(void **state)
{
    struct gbx_branch_config config = {0};
    struct story *s = *state;
    struct gbx_script *origin = story_open(s, STORY_EVALUATOR), *branch;
    struct gbx_call *call;

    assert_int_equal(gbx_script_branch(&branch, origin, &config, 0, &s->err),
                     GBX_EARGUMENT);
    assert_non_null(strstr(s->err.what, "struct_bytes"));
    config =
        (struct gbx_branch_config){.struct_bytes = sizeof(config),
                                   .pool = {.ready_min = 3, .total_max = 2}};
    assert_int_equal(gbx_script_branch(&branch, origin, &config, 0, &s->err),
                     GBX_EARGUMENT);
    assert_non_null(strstr(s->err.what, "ready_min"));
    call = story_call(s, origin);
    assert_int_equal(
        gbx_script_branch(&branch, origin, NULL, story_deadline(0.02), &s->err),
        GBX_ETIME);
    assert_non_null(strstr(s->err.what, "busy"));
    assert_null(branch);
    gbx_call_finish(call);
    ask(s, origin, "v.append(1)");
    story_close(s, origin);
}

/* Whose sandbox, if each has one? */
static void it_is_of_the_one_that_was_meant(void **state)
{
    static const enum gbx_wipe keyed[] = {GBX_WIPE_NEVER, GBX_WIPE_PER_TENANT};
    struct gbx_branch_config config = {.struct_bytes = sizeof(config)};
    struct story *s = *state;
    struct gbx_pool_stats stats;

    for (size_t i = 0; i < 2; i++) {
        struct gbx_script *origin, *branch;
        struct gbx_call *calls[2];
        int code;

        s->config.wipe = keyed[i];
        s->config.pool.total_max = 3;
        s->config.pool.recycle_calls = 4;
        origin = story_open(s, STORY_EVALUATOR);
        story_evaluate(s, origin, "a", "v.append('a')", &code);
        branch = branch_of(s, origin); /* there is only one */
        gbx_script_close(branch);
        for (int n = 0; n < 2; n++) { /* at once: two have one each */
            gbx_call_begin_for(&calls[n], origin, n == 0 ? "a" : "b",
                               story_deadline(10), &s->err);
            story_put(s, calls[n], "in", "\"v.append(1)\"");
        }
        for (int n = 0; n < 2; n++) {
            assert_int_equal(story_run(s, calls[n]), 0);
            gbx_call_finish(calls[n]);
        }
        assert_int_equal(gbx_script_branch(&branch, origin, NULL,
                                           story_deadline(1), &s->err),
                         GBX_EARGUMENT);
        config.key = "nobody";
        assert_int_equal(gbx_script_branch(&branch, origin, &config,
                                           story_deadline(1), &s->err),
                         GBX_EARGUMENT);
        assert_non_null(strstr(s->err.what, "nobody"));
        /* Branches are no calls: none is recycled for them. */
        config.key = "a";
        for (int n = 0; n < 5; n++) {
            branch = branch_with(s, origin, &config);
            assert_string_equal(story_evaluate(s, branch, "x", "str(v)", &code),
                                V_TEXT("['a', 1]"));
            gbx_script_close(branch);
        }
        gbx_script_pool_stats(origin, &stats);
        assert_int_equal(stats.total, 2);
        assert_string_equal(story_evaluate(s, origin, "a", "len(v)", &code),
                            V_NUMBER(2));
        story_close(s, origin);
    }
}

struct closing {
    struct gbx_script *script;
    useconds_t wait_us;
};

static void *close_soon(void *context)
{
    struct closing *closing = context;

    usleep(closing->wait_us);
    gbx_script_close(closing->script);
    return NULL;
}

/* In time for it, or not.  A call that is open keeps the handle good. */
static void its_origin_may_be_closed_meanwhile(void **state)
{
    struct story *s = *state;

    s->config.pool.total_max = 2;
    for (useconds_t wait_us = 0; wait_us < 8000; wait_us += 400) {
        struct closing closing = {story_open(s, STORY_EVALUATOR), wait_us};
        struct gbx_script *branch;
        struct gbx_call *call;
        pthread_t thread;
        int rc;

        ask(s, closing.script, "v.append(1)");
        call = story_call(s, closing.script);
        for (size_t i = 0; i < sizeof(s->open) / sizeof(s->open[0]); i++)
            if (s->open[i] == closing.script)
                s->open[i] = NULL; /* the thread's */
        assert_int_equal(pthread_create(&thread, NULL, close_soon, &closing),
                         0);
        rc = gbx_script_branch(&branch, closing.script, NULL,
                               story_deadline(10), &s->err);
        pthread_join(thread, NULL);
        gbx_call_finish(call);
        if (rc == 0) {
            ask(s, branch, "len(v)");
            gbx_script_close(branch);
        } else if (rc != GBX_ECANCELED && rc != GBX_ETIME) {
            fail_msg("%d: %s", rc, s->err.what);
        }
    }
}

static void a_process_says_that_it_cannot_and_goes_on(void **state)
{
    struct story *s = *state;
    struct gbx_script *origin = story_open(s, STORY_EVALUATOR), *branch;

    ask(s, origin, "v.append(1)");
    assert_int_equal(gbx_script_branch(&branch, origin, NULL, 0, &s->err),
                     GBX_EUNSUPPORTED);
    assert_non_null(strstr(s->err.what, "micro-VM"));
    assert_null(branch);
    assert_string_equal(ask(s, origin, "str(v)"), V_TEXT("[1]"));
    story_close(s, origin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(both_go_on_from_there_apart),
        story_test(a_branch_may_call_what_its_origin_may),
        story_test(what_the_host_remembers_goes_apart_too),
        story_test(files_and_where_one_reads_them_go_apart),
        story_test(chance_differs),
        story_test(threads_go_on_in_both),
        story_test(a_branch_can_be_branched_and_outlives_its_origin),
        story_test(a_call_that_fails_goes_back_to_the_branching_point),
        story_test(stateful_ones_begin_again_at_the_branching_point),
        story_test(many_tries_begin_at_one_point),
        story_test(what_is_asked_wrongly_is_told),
        story_test(it_is_of_the_one_that_was_meant),
        story_test(its_origin_may_be_closed_meanwhile),
    };
    const struct CMUnitTest refused[] = {
        story_test(a_process_says_that_it_cannot_and_goes_on),
    };

    return story_is("microvm") ? story_main("branch", tests)
                               : story_main("branch", refused);
}
