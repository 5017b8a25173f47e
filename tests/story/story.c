/* SPDX-License-Identifier: Apache-2.0 */
#include "base/count_test.h"
#include "glovebox/doctor.h"
#include "runtime/runtime.h"
#include "sandbox/sandbox.h"
#include "story.h"

#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

static int fds_before, children_before;

/*
 * With GLOVEBOX_TEST_CLONES each sandbox is a clone, of a template that it has
 * for itself; but for those with mounts, which have none.  The linker puts this
 * in front of the real one (--wrap).
 */
int __real_sandbox_open(struct sandbox *sandbox,
                        const struct sandbox_config *config,
                        uint64_t deadline_ns, struct gbx_error *err);
int __wrap_sandbox_open(struct sandbox *sandbox,
                        const struct sandbox_config *config,
                        uint64_t deadline_ns, struct gbx_error *err);

int __wrap_sandbox_open(struct sandbox *sandbox,
                        const struct sandbox_config *config,
                        uint64_t deadline_ns, struct gbx_error *err)
{
    struct template *template;
    int rc;

    if (getenv("GLOVEBOX_TEST_CLONES") == NULL ||
        config->backend->prepare == NULL || config->bundle.grants->count > 0)
        return __real_sandbox_open(sandbox, config, deadline_ns, err);
    rc = template_prepare(&template, config, deadline_ns, err);
    if (rc < 0)
        return rc;
    rc = sandbox_clone(sandbox, config, template, err);
    template_put(template);
    return rc;
}

/* Direct children of this process: a sandbox must leave none. */
static int count_children(void)
{
    char path[64], line[256] = "";
    int count = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof(line), file) != NULL)
        for (char *p = line; *p != '\0'; p++)
            count += *p == ' ';
    fclose(file);
    return count;
}

static void gather(void *context, int stream, const void *text, size_t bytes)
{
    struct story *s = context;
    size_t at = s->printed_bytes[stream - 1];
    size_t room = sizeof(s->printed[0]) - 1;

    if (at < room)
        memcpy(s->printed[stream - 1] + at, text,
               bytes < room - at ? bytes : room - at);
    s->printed_bytes[stream - 1] += bytes;
}

bool story_is(const char *isolation)
{
    const char *wanted = getenv("GLOVEBOX_TEST_ISOLATION");

    return strcmp(wanted != NULL ? wanted : "process", isolation) == 0;
}

const char *story_lacks(void)
{
    static struct gbx_check checks[GBX_CHECKS_MAX];
    const char *needs = story_is("microvm") ? "KVM" : "user namespaces";
    size_t count =
        story_is("wasm") ? 0 : gbx_doctor(checks, GBX_CHECKS_MAX, NULL);

    for (size_t i = 0; i < count && i < GBX_CHECKS_MAX; i++)
        if (strcmp(checks[i].name, needs) == 0 &&
            checks[i].state != GBX_CHECK_OK)
            return checks[i].text;
    return NULL;
}

/*
 * With the isolation remote: one gloveboxd for all tests of the program, which
 * ends with it.  Where it listens, it says itself.
 */
static const char *remote_url(void)
{
    static char url[64];
    const char *daemon = getenv("GLOVEBOX_TEST_DAEMON");
    char line[512];
    int out[2];
    FILE *told;

    if (url[0] != '\0')
        return url;
    assert_non_null(daemon);
    assert_int_equal(pipe(out), 0);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], 2);
        close(out[0]);
        close(out[1]);
        execl(daemon, daemon, "--listen", "127.0.0.1:0", "--isolation",
              "process", NULL);
        _exit(127);
    }
    close(out[1]);
    told = fdopen(out[0], "r"); /* stays open: it says more */
    while (told != NULL && fgets(line, sizeof(line), told) != NULL)
        if (strstr(line, "listens at http://") != NULL) {
            snprintf(url, sizeof(url), "ws://%.40s",
                     strstr(line, "http://") + strlen("http://"));
            url[strcspn(url, "\n")] = '\0';
            return url;
        }
    fail_msg("gloveboxd did not start");
    return NULL;
}

int story_begin(void **state)
{
    struct story *s = calloc(1, sizeof(*s));
    struct gbx_runtime_config config = {
        .struct_bytes = sizeof(config), .output = gather, .output_context = s};

    assert_non_null(s);
    s->config.struct_bytes = sizeof(s->config);
    assert_true(story_is("process") || story_is("microvm") ||
                story_is("wasm") || story_is("remote"));
    s->config.isolation = story_is("microvm")  ? GBX_ISOLATION_MICROVM
                          : story_is("wasm")   ? GBX_ISOLATION_WASM
                          : story_is("remote") ? GBX_ISOLATION_REMOTE
                                               : GBX_ISOLATION_PROCESS;
    s->name = "story.py";
    strcpy(s->folder, "/tmp/glovebox-story-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    if (story_is("remote"))
        remote_url();
    fds_before = count_open_files();
    children_before = count_children();
    assert_return_code(gbx_runtime_open(&s->runtime, &config, &s->err), 0);
    if (story_is("remote"))
        assert_return_code(gbx_runtime_add_host(s->runtime,
                                                &(struct gbx_host_config){
                                                    .struct_bytes = sizeof(
                                                        struct gbx_host_config),
                                                    .url = remote_url()},
                                                &s->err),
                           0);
    *state = s;
    return 0;
}

/* A test failed in the middle of a call: nobody finished it. */
static void abandon(struct gbx_script *script)
{
    struct gbx_call *call;
    struct gbx_error err;

    if (script == NULL)
        return;
    if (gbx_call_begin(&call, script, story_deadline(0.01), &err) < 0)
        return; /* a call of it is open, which keeps it */
    gbx_call_finish(call);
    gbx_script_close(script);
}

int story_end(void **state)
{
    struct story *s = *state;
    char path[128];

    for (size_t i = 0; i < sizeof(s->open) / sizeof(s->open[0]); i++)
        abandon(s->open[i]);
    if (atomic_load(&s->runtime->scripts) != 0)
        fail_msg("a script was left open, or a call of it");
    gbx_runtime_close(s->runtime);
    snprintf(path, sizeof(path), "%s/%s", s->folder, s->name);
    unlink(path);
    assert_return_code(rmdir(s->folder), 0);
    assert_int_equal(count_children(), children_before);
    assert_int_equal(count_open_files(), fds_before);
    free(s);
    return 0;
}

uint64_t story_deadline(double seconds)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec +
           (uint64_t)(seconds * 1e9);
}

int story_try(struct story *s, const char *text, struct gbx_script **script)
{
    char path[128];
    FILE *file;
    int rc;

    snprintf(path, sizeof(path), "%s/%s", s->folder, s->name);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    rc = gbx_script_open(script, s->runtime, path, &s->config, &s->err);
    for (size_t i = 0; rc == 0 && i < 8; i++)
        if (s->open[i] == NULL) {
            s->open[i] = *script;
            break;
        }
    return rc;
}

void story_close(struct story *s, struct gbx_script *script)
{
    for (size_t i = 0; i < 8; i++)
        if (s->open[i] == script)
            s->open[i] = NULL;
    gbx_script_close(script);
}

struct gbx_script *story_open(struct story *s, const char *text)
{
    struct gbx_script *script;
    int rc = story_try(s, text, &script);

    if (rc < 0)
        fail_msg("%s: %s\n%s", gbx_error_name(rc), s->err.what, s->printed[1]);
    return script;
}

struct gbx_call *story_call(struct story *s, struct gbx_script *script)
{
    struct gbx_call *call;
    int rc = gbx_call_begin(&call, script, story_deadline(10), &s->err);

    if (rc < 0)
        fail_msg("%s: %s", gbx_error_name(rc), s->err.what);
    return call;
}

void story_put(struct story *s, struct gbx_call *call, const char *port,
               const char *json)
{
    struct gbx_message message;
    struct gbx_builder builder;
    int rc;

    gbx_builder_init(&builder);
    rc = gbx_message_from_json(&message, &builder, json, strlen(json),
                               GBX_JSON_EITHER, &s->err);
    if (rc == 0)
        rc = gbx_call_put(call, port, &message, &s->err);
    gbx_builder_fini(&builder);
    if (rc < 0)
        fail_msg("%s: %s", gbx_error_name(rc), s->err.what);
}

int story_run(struct story *s, struct gbx_call *call)
{
    return gbx_call_run(call, story_deadline(10), &s->err);
}

const char *story_outputs(struct gbx_call *call)
{
    static char all[1 << 20];
    struct gbx_message message;
    struct gbx_error err;
    const char *port;
    size_t at = 0;
    char *json;

    all[at++] = '{';
    while (gbx_call_next(call, &port, &message) == 0) {
        if (gbx_message_to_json(&json, &message, GBX_JSON_TYPED, &err) < 0)
            fail_msg("%s: %s", port, err.what);
        at += (size_t)snprintf(all + at, sizeof(all) - at, "%s\"%s\":%s",
                               at > 1 ? "," : "", port, json);
        free(json);
        assert_true(at < sizeof(all) - 2);
    }
    strcpy(all + at, "}");
    return all;
}

const char *story_ask(struct story *s, struct gbx_script *script,
                      const char *json)
{
    struct gbx_call *call = story_call(s, script);
    struct gbx_failure failure;
    const char *outputs;
    int rc;

    if (json != NULL)
        story_put(s, call, "in", json);
    rc = story_run(s, call);
    gbx_call_failure(call, &failure);
    if (rc < 0)
        fail_msg("%s: %s\n%s", gbx_error_name(rc), s->err.what,
                 failure.traceback);
    outputs = story_outputs(call);
    gbx_call_finish(call);
    return outputs;
}

const char *story_evaluate(struct story *s, struct gbx_script *script,
                           const char *key, const char *text, int *code)
{
    static char answer[4096];
    char json[1024];
    struct gbx_call *call;

    snprintf(json, sizeof(json), "\"%s\"", text);
    *code = gbx_call_begin_for(&call, script, key, story_deadline(10), &s->err);
    if (*code < 0)
        return NULL;
    story_put(s, call, "in", json);
    *code = story_run(s, call);
    if (*code == 0)
        snprintf(answer, sizeof(answer), "%s", story_outputs(call));
    gbx_call_finish(call);
    return *code == 0 ? answer : NULL;
}

const char *story_ask_once(struct story *s, const char *text, const char *json)
{
    struct gbx_script *script = story_open(s, text);
    const char *outputs = story_ask(s, script, json);

    story_close(s, script);
    return outputs;
}

void story_expect(struct story *s, const char *text, int code)
{
    struct gbx_script *script = story_open(s, text);
    struct gbx_call *call = story_call(s, script);
    int rc = story_run(s, call);

    if (rc != code)
        fail_msg("%s: %s, not %s", gbx_error_name(rc), s->err.what,
                 gbx_error_name(code));
    gbx_call_finish(call);
    /* Whatever it was: the next call finds a working sandbox. */
    if (code != GBX_ESCRIPT) {
        call = story_call(s, script);
        gbx_call_finish(call);
    }
    story_close(s, script);
}
