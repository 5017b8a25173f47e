/* SPDX-License-Identifier: Apache-2.0 */
/* What a call that fails has changed of its script's state is as it was. */
#include <poll.h>
#include <pthread.h>

#include "glovebox/state.h"
#include "story.h"

static const char *ask(struct story *s, struct gbx_script *script,
                       const char *text)
{
    int code;
    const char *answer = story_evaluate(s, script, "k", text, &code);

    if (code < 0)
        fail_msg("%s: %s", text, s->err.what);
    return answer;
}

#define ALL "str(sorted(c.state.get_all().items()))"
#define WAS V_TEXT("[('list', [1, 2, 3]), ('n', 1)]")

static struct gbx_script *open_filled(struct story *s)
{
    struct gbx_script *script = story_open(s, STORY_EVALUATOR);

    ask(s, script, "c.state.set('n', 1)");
    ask(s, script, "c.state.extend('list', [1, 2, 3])");
    return script;
}

static struct gbx_call *begin(struct story *s, struct gbx_script *script,
                              const char *key, const char *text)
{
    struct gbx_message message = {
        .type = GBX_STRING, .body = text, .body_bytes = strlen(text)};
    struct gbx_call *call;

    assert_int_equal(
        gbx_call_begin_for(&call, script, key, story_deadline(10), &s->err), 0);
    assert_int_equal(gbx_call_put(call, "in", &message, &s->err), 0);
    return call;
}

static void a_call_that_fails_leaves_the_state_as_it_was(void **state)
{
    static const struct {
        const char *end;
        int code;
    } ends[] = {
        {"1 / 0", GBX_ESCRIPT},
        {"exec('raise SystemExit(3)')", GBX_EEXIT},
        {"os._exit(3)", GBX_EEXIT},
        {"os.kill(os.getpid(), 9)", GBX_ESIGNAL},
        {"list(map(c.send_output, ['v'] * 600, range(600)))", GBX_ELIMIT},
        {"time.sleep(20)", GBX_ETIME},
    };
    static const char *const changes[] = {
        "c.state.increment('n', 5)", "c.state.set('new', 5)",
        "c.state.delete('n')",       "c.state.pop('list')",
        "c.state.push('list', 4)",   "c.state.clear()",
        "c.state.set_all({'x': 1})", "c.state.expire('n', 0)",
    };
    struct story *s = *state;
    struct gbx_script *script = open_filled(s);
    char text[512] = "[";

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        strcat(strcat(text, changes[i]), ", ");
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char whole[600];
        struct gbx_call *call;
        int rc;

        snprintf(whole, sizeof(whole), "%s%s]", text, ends[i].end);
        call = begin(s, script, "k", whole);
        rc = gbx_call_run(call,
                          story_deadline(ends[i].code == GBX_ETIME ? 0.5 : 10),
                          &s->err);
        gbx_call_finish(call);
        if (rc != ends[i].code && !(i == 1 && rc == GBX_ESCRIPT))
            fail_msg("%s: %s", ends[i].end, gbx_error_name(rc));
        assert_string_equal(ask(s, script, ALL), WAS);
    }
    story_close(s, script);
}

static void a_call_that_is_given_up_has_changed_nothing(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_filled(s);
    struct gbx_call *call;
    struct pollfd p;

    call = begin(s, script, "k",
                 "c.send_output('v', c.state.increment('n', 5)) or "
                 "time.sleep(20)");
    assert_int_equal(gbx_call_submit(call, story_deadline(10), &s->err), 0);
    p = (struct pollfd){.fd = gbx_call_fd(call), .events = POLLIN};
    for (int i = 0; i < 2; i++) {
        poll(&p, 1, 200);
        gbx_call_collect(call, &s->err);
    }
    gbx_call_finish(call);
    assert_string_equal(ask(s, script, ALL), WAS);
    call = begin(s, script, "k", "c.state.clear() or time.sleep(20)");
    gbx_call_cancel(call);
    assert_int_equal(gbx_call_run(call, 0, &s->err), GBX_ECANCELED);
    gbx_call_finish(call);
    assert_string_equal(ask(s, script, ALL), WAS);
    story_close(s, script);
}

/* The script hears why, and may go on. */
static void who_catches_what_the_state_refused_goes_on(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "def process(c):\n"
                      "    c.state.set('a', 1)\n"
                      "    try: c.state.increment('a', 'x')\n"
                      "    except Exception: c.state.set('b', 2)\n"
                      "    return {'v': sorted(c.state.keys())}\n");
    struct gbx_call *call = story_call(s, script);

    assert_int_equal(story_run(s, call), 0);
    assert_string_equal(story_outputs(call),
                        "{\"v\":{\"type\":\"Array\",\"data\":[\"a\",\"b\"]}}");
    gbx_call_finish(call);
    story_close(s, script);
}

struct turn {
    struct gbx_script *script;
    int good, bad;
};

#define TURNS 50

/* Every third fails, after it has counted. */
static void *count_up(void *context)
{
    struct turn *turn = context;

    for (int i = 0; i < TURNS; i++) {
        const char *text = i % 3 == 2 ? "[c.state.increment('n'), "
                                        "c.state.push('list', 1), 1 / 0]"
                                      : "[c.state.increment('n'), "
                                        "c.state.push('list', 1)]";
        struct gbx_message m = {
            .type = GBX_STRING, .body = text, .body_bytes = strlen(text)};
        struct gbx_error err;
        struct gbx_call *call;
        int rc = gbx_call_begin(&call, turn->script, story_deadline(20), &err);

        if (rc == 0)
            rc = gbx_call_put(call, "in", &m, &err);
        if (rc == 0)
            rc = gbx_call_run(call, story_deadline(20), &err);
        gbx_call_finish(call);
        if (rc == 0)
            turn->good++;
        else if (rc != GBX_ESCRIPT || i % 3 != 2)
            turn->bad++;
    }
    return NULL;
}

static void of_calls_at_once_each_counts_once(void **state)
{
    static const enum gbx_wipe wipes[] = {GBX_WIPE_ON_ERROR, GBX_WIPE_PER_CALL};
    struct story *s = *state;

    for (size_t w = 0; w < 2; w++) {
        struct turn turns[3] = {{0}};
        pthread_t threads[3];
        struct gbx_script *script;
        char want[64];
        int good = 0;

        s->config.wipe = wipes[w];
        s->config.pool.total_max = 3;
        script = story_open(s, STORY_EVALUATOR);
        for (int i = 0; i < 3; i++) {
            turns[i].script = script;
            assert_int_equal(
                pthread_create(&threads[i], NULL, count_up, &turns[i]), 0);
        }
        for (int i = 0; i < 3; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(turns[i].bad, 0);
            good += turns[i].good;
        }
        snprintf(want, sizeof(want), V_TEXT("[%d, %d]"), good, good);
        assert_string_equal(
            ask(s, script, "str([c.state.get('n'), len(c.state.get('list'))])"),
            want);
        story_close(s, script);
    }
}

/* One call has changed a key, and has not ended. */
static struct gbx_call *hold(struct story *s, struct gbx_script *script)
{
    struct gbx_call *call =
        begin(s, script, "a",
              "str([c.state.increment('n', 5), c.state.pop('list'), "
              "c.send_output('v', 0), time.sleep(0.3)])");

    assert_int_equal(gbx_call_submit(call, story_deadline(10), &s->err), 0);
    for (int i = 0; i < 100; i++) {
        struct gbx_message message;
        const char *port;

        assert_int_equal(gbx_call_collect(call, &s->err), GBX_EAGAIN);
        if (gbx_call_next(call, &port, &message) == 0)
            return call;
        usleep(2000);
    }
    fail_msg("it sent nothing");
    return NULL;
}

static void who_cannot_wait_is_told_who_has_it(void **state)
{
    struct story *s = *state;
    struct gbx_call *call, *other;
    struct gbx_script *script;
    struct gbx_failure failure;
    int rc;

    s->config.pool.total_max = 2;
    script = open_filled(s);
    call = hold(s, script);
    other = begin(s, script, "b", "c.state.get('n')");
    assert_int_equal(gbx_call_submit(other, story_deadline(10), &s->err), 0);
    while ((rc = gbx_call_collect(other, &s->err)) == GBX_EAGAIN)
        usleep(1000);
    assert_int_equal(rc, GBX_ESCRIPT);
    gbx_call_failure(other, &failure);
    assert_non_null(
        strstr(failure.message, "\"n\" is being changed by another"));
    gbx_call_finish(other);
    while ((rc = gbx_call_collect(call, &s->err)) == GBX_EAGAIN)
        usleep(1000);
    if (rc < 0)
        fail_msg("%s", s->err.what);
    gbx_call_finish(call);
    assert_string_equal(ask(s, script, "c.state.get('n')"), V_NUMBER(6));
    story_close(s, script);
}

static void a_branch_does_not_know_what_may_be_taken_back(void **state)
{
    const struct gbx_branch_config config = {.struct_bytes = sizeof(config),
                                             .key = "k"};
    struct story *s = *state;
    struct gbx_script *script, *branch;
    struct gbx_call *call;
    int rc;

    s->config.pool.total_max = 2;
    s->config.wipe = GBX_WIPE_NEVER;
    script = open_filled(s);
    call = hold(s, script);
    rc = gbx_script_branch(&branch, script, &config, story_deadline(10),
                           &s->err);
    if (rc == GBX_EUNSUPPORTED) {
        gbx_call_finish(call);
        story_close(s, script);
        skip();
    }
    assert_int_equal(rc, 0);
    assert_string_equal(ask(s, branch, ALL), WAS);
    while ((rc = gbx_call_collect(call, &s->err)) == GBX_EAGAIN)
        usleep(1000);
    if (rc < 0)
        fail_msg("%s", s->err.what);
    gbx_call_finish(call);
    assert_string_equal(ask(s, branch, ALL), WAS);
    assert_string_equal(ask(s, script, "c.state.get('n')"), V_NUMBER(6));
    /* And what fails in a branch is taken back there. */
    story_evaluate(s, branch, "k", "c.state.clear() or 1 / 0", &rc);
    assert_int_equal(rc, GBX_ESCRIPT);
    assert_string_equal(ask(s, branch, ALL), WAS);
    gbx_script_close(branch);
    story_close(s, script);
}

static void what_is_kept_is_there_again(void **state)
{
    struct story *s = *state;
    char path[160], log[170];

    snprintf(path, sizeof(path), "%s/state.db", s->folder);
    snprintf(log, sizeof(log), "%s-wal", path);
    for (int turn = 0; turn < 3; turn++) {
        struct gbx_script *script;
        struct gbx_state *kept;
        char want[64];
        int code;

        if (gbx_state_open(&kept, path, 256u << 10, &s->err) < 0)
            fail_msg("%s", s->err.what);
        s->config.state = kept;
        s->config.actor_id = "one";
        script = story_open(s, STORY_EVALUATOR);
        snprintf(want, sizeof(want),
                 "{\"v\":{\"type\":\"Integer\","
                 "\"data\":%d}}",
                 turn + 1);
        assert_string_equal(ask(s, script, "c.state.increment('n')"), want);
        story_evaluate(s, script, "k", "c.state.increment('n') and 1 / 0",
                       &code);
        assert_int_equal(code, GBX_ESCRIPT);
        /* What does not fit into the file fails the call, and is taken back. */
        story_evaluate(s, script, "k",
                       "[c.state.increment('n'), "
                       "c.state.set('large', 'x' * 1000000)] and 1",
                       &code);
        assert_int_equal(code, GBX_EDISK);
        assert_non_null(strstr(s->err.what, "the file or its disk is full"));
        assert_string_equal(ask(s, script, "c.state.exists('large')"),
                            V_BOOLEAN(false));
        story_close(s, script);
        gbx_state_close(kept);
    }
    unlink(path);
    unlink(log);
}

static void a_state_that_is_kept_has_a_name_of_its_own(void **state)
{
    struct story *s = *state;
    struct gbx_script *script, *branch;
    struct gbx_state *kept;
    char path[160], log[170];

    snprintf(path, sizeof(path), "%s/state.db", s->folder);
    snprintf(log, sizeof(log), "%s-wal", path);
    assert_int_equal(gbx_state_open(&kept, path, 0, &s->err), 0);
    s->config.state = kept;
    assert_int_equal(story_try(s, STORY_EVALUATOR, &branch), GBX_EARGUMENT);
    assert_non_null(strstr(s->err.what, "it needs a name (actor_id)"));
    s->config.actor_id = "one";
    script = open_filled(s);
    assert_int_equal(story_try(s, STORY_EVALUATOR, &branch), GBX_EARGUMENT);
    assert_non_null(strstr(s->err.what, "the state of one open already"));
    /* A branch has a copy, in memory. */
    if (gbx_script_branch(&branch, script, NULL, story_deadline(10), &s->err) ==
        0) {
        ask(s, branch, "c.state.clear()");
        gbx_script_close(branch);
    }
    assert_string_equal(ask(s, script, ALL), WAS);
    story_close(s, script);
    script = story_open(s, STORY_EVALUATOR);
    assert_string_equal(ask(s, script, ALL), WAS);
    story_close(s, script);
    gbx_state_close(kept);
    unlink(path);
    unlink(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(a_call_that_fails_leaves_the_state_as_it_was),
        story_test(a_call_that_is_given_up_has_changed_nothing),
        story_test(who_catches_what_the_state_refused_goes_on),
        story_test(of_calls_at_once_each_counts_once),
        story_test(who_cannot_wait_is_told_who_has_it),
        story_test(a_branch_does_not_know_what_may_be_taken_back),
        story_test(what_is_kept_is_there_again),
        story_test(a_state_that_is_kept_has_a_name_of_its_own),
    };

    return story_main("state", tests);
}
