/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening is a row of steps, and each may fail: the nth call of whatever asks
 * the world for something is made to fail, for every n until none is left.  An
 * error must come of it, and nothing may stay behind: the teardown counts
 * descriptors and children.
 */
#include "story.h"

#include <errno.h>
#include <sys/mman.h>

#include "glovebox/body.h"

static int countdown; /* 0: nothing fails; 1: the next one does */

/* Is it this one's turn? */
static int fails(int sys)
{
    if (countdown == 0 || --countdown > 0)
        return 0;
    errno = sys;
    return 1;
}

/* X(name, result type, parameters, arguments, result and errno of a failure) */
#define STEPS(X)                                                               \
    X(malloc, void *, (size_t n), (n), NULL, ENOMEM)                           \
    X(calloc, void *, (size_t m, size_t n), (m, n), NULL, ENOMEM)              \
    X(realloc, void *, (void *p, size_t n), (p, n), NULL, ENOMEM)              \
    X(strdup, char *, (const char *t), (t), NULL, ENOMEM)                      \
    X(strndup, char *, (const char *t, size_t n), (t, n), NULL, ENOMEM)        \
    X(realpath, char *, (const char *p, char *r), (p, r), NULL, EACCES)        \
    X(read, ssize_t, (int f, void *p, size_t n), (f, p, n), -1, EIO)           \
    X(mmap64, void *,                                                          \
      (void *at, size_t n, int access, int flags, int f, off_t off),           \
      (at, n, access, flags, f, off), MAP_FAILED, ENOMEM)                      \
    X(memfd_create, int, (const char *t, unsigned f), (t, f), -1, EMFILE)      \
    X(ftruncate64, int, (int f, off_t n), (f, n), -1, ENOSPC)                  \
    X(epoll_create1, int, (int f), (f), -1, EMFILE)                            \
    X(timerfd_create, int, (int c, int f), (c, f), -1, EMFILE)

#define X(name, type, parameters, arguments, result, sys)                      \
    type __real_##name parameters;                                             \
    type __wrap_##name parameters;                                             \
    type __wrap_##name parameters                                              \
    {                                                                          \
        return fails(sys) ? (type)(result) : __real_##name arguments;          \
    }
STEPS(X)
#undef X

#define TEXT "def process(c): return {'out': c.get_input('in')}\n"

static void a_runtime_opens_whole_or_not_at_all(void **state)
{
    struct story *s = *state;
    struct gbx_runtime *runtime;
    int n, rc;

    for (n = 1;; n++) {
        countdown = n;
        rc = gbx_runtime_open(&runtime, NULL, &s->err);
        if (countdown > 0)
            break;
        assert_int_equal(rc, GBX_EHOST);
        assert_null(runtime);
    }
    countdown = 0;
    assert_int_equal(rc, 0);
    gbx_runtime_close(runtime);
    assert_true(n > 2); /* something was made to fail at all */
}

static void a_script_opens_whole_or_not_at_all(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;
    char path[128], source[140];
    const struct gbx_secret secrets[] = {{.name = "FILE", .source = source},
                                         {.name = "HOME", .source = "env:PWD"}};
    int n, rc;

    setenv("PWD", "/", 0);
    story_close(s, story_open(s, TEXT)); /* writes the file */
    snprintf(path, sizeof(path), "%s/story.py", s->folder);
    snprintf(source, sizeof(source), "file:%s", path);
    s->config.secrets = secrets;
    s->config.secret_count = 2;
    for (n = 1;; n++) {
        countdown = n;
        rc = gbx_script_open(&script, s->runtime, path, &s->config, &s->err);
        if (countdown > 0)
            break;
        if (rc == 0) { /* a step that has another way */
            gbx_script_close(script);
            continue;
        }
        assert_null(script);
        assert_true(s->err.code == rc && s->err.what[0] != '\0');
    }
    countdown = 0;
    assert_int_equal(rc, 0);
    gbx_script_close(script);
    assert_true(n > 10);
}

/* The same where it is chosen what it runs in, and by what its calls took. */
static void a_script_is_routed_or_not_opened(void **state)
{
    static const char text[] = "{\"rules\": [{\"match\": \"/**\", \"trust\": "
                               "\"trusted\", \"host_calls\": [\"a\"]}]}";
    struct story *s = *state;
    struct gbx_runtime_config config = {.struct_bytes = sizeof(config)};
    struct gbx_script_config how = {.struct_bytes = sizeof(how)};
    struct gbx_config *rules;
    struct gbx_runtime *runtime;
    struct gbx_script *script;
    struct gbx_route route;
    char path[128];
    int n, rc;

    story_close(s, story_open(s, TEXT)); /* writes the file */
    snprintf(path, sizeof(path), "%s/story.py", s->folder);
    assert_int_equal(
        gbx_config_read(&rules, "text", text, strlen(text), &s->err), 0);
    config.rules = rules;
    assert_int_equal(gbx_runtime_open(&runtime, &config, &s->err), 0);
    for (n = 1;; n++) {
        countdown = n;
        rc = gbx_route_explain(runtime, path, &how, &route, &s->err);
        if (rc == 0)
            rc = gbx_script_open(&script, runtime, path, &how, &s->err);
        if (rc == 0) {
            assert_int_equal(gbx_script_route(script)->trust,
                             GBX_TRUST_TRUSTED);
            gbx_script_close(script);
        }
        if (countdown > 0)
            break;
        assert_true(rc == 0 || (s->err.code == rc && s->err.what[0] != '\0'));
    }
    countdown = 0;
    assert_int_equal(rc, 0);
    assert_true(n > 10);
    gbx_runtime_close(runtime);
    gbx_config_close(rules);
}

static void a_call_is_submitted_whole_or_not_at_all(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(s, TEXT);
    struct gbx_call *call;
    int n, rc, refused = 0;

    for (n = 1; n < 100; n++) {
        call = story_call(s, script);
        countdown = n;
        rc = gbx_call_submit(call, story_deadline(10), &s->err);
        gbx_call_finish(call);
        if (countdown > 0)
            break;
        if (rc == 0) /* a step that has another way */
            continue;
        assert_int_equal(rc, GBX_EHOST);
        refused++;
    }
    countdown = 0;
    assert_int_equal(rc, 0);
    assert_true(refused > 1);
    /* After all that, the script still answers. */
    assert_string_equal(story_ask(s, script, "1"),
                        "{\"out\":{\"type\":\"Integer\",\"data\":1}}");
    story_close(s, script);
}

static void a_large_output_without_memory_is_an_error(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "def process(c): return {'out': 'x' * 1000000}\n");
    int n, rc, refused = 0;

    for (n = 1; n < 100; n++) {
        struct gbx_call *call = story_call(s, script);

        countdown = n;
        rc = story_run(s, call);
        gbx_call_finish(call);
        if (countdown > 0)
            break;
        refused += rc != 0;
        assert_true(rc == 0 || rc == GBX_EHOST);
    }
    countdown = 0;
    assert_in_range(refused, 1, n - 1);
    assert_non_null(strstr(story_ask(s, script, NULL), "xxx"));
    story_close(s, script);
}

/* The body of a call's one output, by *how many steps; NULL: not even a copy.
 */
static struct gbx_body *keep_failing(struct story *s, struct gbx_script *script,
                                     int *n, struct gbx_message *message)
{
    struct gbx_call *call = story_call(s, script);
    struct gbx_body *body;
    const char *port;
    int rc;

    story_put(s, call, "in", "7");
    assert_int_equal(story_run(s, call), 0);
    assert_int_equal(gbx_call_next(call, &port, message), 0);
    countdown = *n;
    rc = gbx_call_keep(call, message, &body, &message->body, &s->err);
    *n = countdown;
    countdown = 0;
    gbx_call_finish(call);
    assert_int_equal(rc == 0, body != NULL);
    assert_true(rc == 0 || (rc == GBX_EHOST && s->err.what[0] != '\0'));
    return body;
}

static void a_body_is_kept_or_copied_or_not_there(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "def process(c): return {'out': b'x' * 1000000}\n");
    struct gbx_message message;
    int n, left = 0;

    for (n = 1; left == 0; n++) {
        struct gbx_body *body;

        left = n;
        body = keep_failing(s, script, &left, &message);
        if (body == NULL)
            continue;
        for (size_t i = 0; i < 1000000; i += 999)
            assert_int_equal(((const uint8_t *)message.body)[i], 'x');
        gbx_body_put(body);
    }
    assert_true(n > 2);
    story_close(s, script);
}

/* Shown, or copied; and the script that it is given to answers either way. */
static void a_body_is_given_whole_or_not_at_all(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(
        s,
        "def process(c): return {'v': bytes(c.get_input('in')).count(b'x')}\n");
    struct gbx_message message = {.type = GBX_STREAM, .body_bytes = 1000000};
    struct gbx_body *body;
    void *data;
    int n, rc, left = 0;

    assert_int_equal(gbx_body_make(&body, 1000000, &data, &s->err), 0);
    memset(data, 'x', 1000000);
    message.body = data;
    for (n = 1; left == 0; n++) {
        struct gbx_call *call = story_call(s, script);

        countdown = n;
        rc = gbx_call_put_body(call, "in", &message, body, &s->err);
        left = countdown;
        countdown = 0;
        if (rc < 0) {
            assert_true(s->err.code == rc && s->err.what[0] != '\0');
        } else {
            assert_int_equal(story_run(s, call), 0);
            assert_string_equal(story_outputs(call), V_NUMBER(1000000));
        }
        gbx_call_finish(call);
    }
    assert_true(n > 2 || !story_is("microvm")); /* a copy has no steps */
    gbx_body_put(body);
    story_close(s, script);
}

/* And what it is a branch of, goes on as it was. */
static void a_branch_opens_whole_or_not_at_all(void **state)
{
    static const char remember[] =
        "n = 0\n"
        "def process(c):\n"
        "    global n\n"
        "    n += 1\n"
        "    return {'n': n, 'm': c.state.increment('m', 1)}\n";
    struct story *s = *state;
    struct gbx_script *origin, *branch;
    int n, rc, refused = 0, calls = 0;
    char want[128];

    if (!story_is("microvm"))
        return;
    origin = story_open(s, remember);
    for (n = 1;; n++) {
        snprintf(want, sizeof(want),
                 "{\"n\":{\"type\":\"Integer\",\"data\":%d},"
                 "\"m\":{\"type\":\"Integer\",\"data\":%d}}",
                 calls + 1, calls + 1);
        calls++;
        assert_string_equal(story_ask(s, origin, NULL), want);
        countdown = n;
        rc = gbx_script_branch(&branch, origin, NULL, story_deadline(10),
                               &s->err);
        if (countdown > 0)
            break;
        if (rc == 0) { /* a step that has another way */
            gbx_script_close(branch);
            continue;
        }
        assert_null(branch);
        assert_true(s->err.code == rc && s->err.what[0] != '\0');
        refused++;
    }
    countdown = 0;
    assert_int_equal(rc, 0);
    gbx_script_close(branch);
    story_close(s, origin);
    assert_true(refused > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(a_runtime_opens_whole_or_not_at_all),
        story_test(a_script_opens_whole_or_not_at_all),
        story_test(a_script_is_routed_or_not_opened),
        story_test(a_call_is_submitted_whole_or_not_at_all),
        story_test(a_large_output_without_memory_is_an_error),
        story_test(a_body_is_kept_or_copied_or_not_there),
        story_test(a_body_is_given_whole_or_not_at_all),
        story_test(a_branch_opens_whole_or_not_at_all),
    };

    return story_main("fault", tests);
}
