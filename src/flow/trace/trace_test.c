/* SPDX-License-Identifier: Apache-2.0 */
/* A trace is what has happened: parsed again, and followed back to its cause.
 */
#include <fcntl.h>
#include <jansson.h>

#include "flow/flow_test.h"
#include "glovebox/flow_trace.h"

static char path[64];
static struct gbx_flow_trace *trace;

static int make_path(void **state)
{
    int fd;

    (void)state;
    strcpy(path, "/tmp/glovebox-trace-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

/* a.out -> b.in, c.in; b.out -> outside; and s, which fails at 13. */
static void run_traced(enum gbx_flow_trace_form form, uint64_t bytes_max,
                       uint32_t sample, int messages)
{
    const struct gbx_flow_trace_config wanted = {.struct_bytes = sizeof(wanted),
                                                 .path = path,
                                                 .form = form,
                                                 .bytes_max = bytes_max};
    struct gbx_flow_config config = {.struct_bytes = sizeof(config),
                                     .types = types,
                                     .workers = 2,
                                     .sample = sample,
                                     .event = gbx_flow_trace_event};

    atomic_store(&fails_left, 0);
    assert_int_equal(gbx_flow_trace_open(&trace, &wanted, &err), 0);
    config.context = trace;
    assert_int_equal(gbx_flow_open(&flow, &config, &err), 0);
    add("a", "add", NULL);
    add("\"b\"", "add", NULL);
    add("c", "add", NULL);
    add("s", "shaky", NULL);
    wire("a.out", "\"b\".in");
    wire("a.out", "c.in");
    begin();
    for (int i = 0; i < messages; i++)
        give("a.in", i);
    give("s.in", 13);
    drain();
    gbx_flow_close(flow);
    flow = NULL;
}

static const char *text(const json_t *event, const char *name)
{
    const char *value = json_string_value(json_object_get(event, name));

    return value != NULL ? value : "";
}

static int64_t whole(const json_t *event, const char *name)
{
    return json_integer_value(json_object_get(event, name));
}

static double real(const json_t *event, const char *name)
{
    return json_number_value(json_object_get(event, name));
}

/* The slice of that thread in which this moment lies. */
static const json_t *slice_at(const json_t *events, int64_t tid, double ts)
{
    const json_t *event;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)events, i,
                       event) if (strcmp(text(event, "ph"), "X") == 0 &&
                                  whole(event, "tid") == tid &&
                                  real(event, "ts") <= ts + 0.001 &&
                                  ts <= real(event, "ts") + real(event, "dur") +
                                            0.001) return event;
    return NULL;
}

static json_t *load(void)
{
    json_error_t error;
    json_t *events = json_load_file(path, 0, &error);

    if (events == NULL)
        fail_msg("%s: %d: %s", path, error.line, error.text);
    return events;
}

#define MESSAGES 200

static void chrome_can_open_it(void **state)
{
    size_t i, k, runs = 0, begins = 0, ends = 0, names = 0, failed = 0;
    json_t *events, *event, *other;

    (void)state;
    run_traced(GBX_FLOW_TRACE_CHROME, 0, 0, MESSAGES);
    assert_int_equal(gbx_flow_trace_close(trace, &err), 0);
    events = load();
    json_array_foreach(events, i, event)
    {
        const char *ph = text(event, "ph");

        names += strcmp(text(event, "name"), "thread_name") == 0;
        failed += strcmp(text(event, "name"), "failed") == 0;
        runs += strcmp(text(event, "cat"), "run") == 0;
        begins += strcmp(ph, "s") == 0;
        ends += strcmp(ph, "f") == 0;
        if (strcmp(ph, "s") == 0 || strcmp(ph, "f") == 0)
            assert_non_null(
                slice_at(events, whole(event, "tid"), real(event, "ts")));
        /* Each arrow that ends has begun, once. */
        if (strcmp(ph, "f") == 0 && i % 16 == 0) {
            size_t found = 0;

            json_array_foreach(events, k, other) found +=
                strcmp(text(other, "ph"), "s") == 0 &&
                strcmp(text(other, "id"), text(event, "id")) == 0;
            assert_int_equal(found, 1);
        }
    }
    assert_int_equal(names, 1 + 4);
    assert_int_equal(failed, 1);
    assert_int_equal(runs, 3 * MESSAGES + 1);
    assert_int_equal(begins, 3 * MESSAGES + 1);
    assert_int_equal(ends, 3 * MESSAGES + 1);
    json_decref(events);
}

/* All lines, as an array. */
static json_t *load_lines(void)
{
    json_t *lines = json_array();
    char line[4096];
    FILE *in = fopen(path, "r");

    assert_non_null(in);
    while (fgets(line, sizeof(line), in) != NULL) {
        json_t *event = json_loads(line, 0, NULL);

        if (event == NULL)
            fail_msg("%s", line);
        json_array_append_new(lines, event);
    }
    fclose(in);
    return lines;
}

/* The bytes of its message, as a number. */
static int64_t sent(const json_t *event)
{
    const json_t *data =
        json_object_get(json_object_get(event, "message"), "data");
    char digits[24] = "";

    for (size_t i = 0; i < json_array_size(data); i++)
        digits[i] = (char)json_integer_value(json_array_get(data, i));
    return strtoll(digits, NULL, 10);
}

static const json_t *find(const json_t *lines, const char *type, int64_t id)
{
    const json_t *event;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)lines, i,
                       event) if (strcmp(text(event, "_type"), type) == 0 &&
                                  whole(event, "id") == id) return event;
    return NULL;
}

static void each_message_leads_back_to_its_cause(void **state)
{
    json_t *lines, *event;
    size_t i, messages = 0;

    (void)state;
    run_traced(GBX_FLOW_TRACE_LINES, 0, 0, MESSAGES);
    assert_int_equal(gbx_flow_trace_close(trace, &err), 0);
    lines = load_lines();
    json_array_foreach(lines, i, event)
    {
        const json_t *cause;

        if (strcmp(text(event, "_type"), "MessageSent") != 0)
            continue;
        messages++;
        assert_string_equal(text(event, "fromActor"), "a");
        assert_string_equal(text(event, "fromPort"), "out");
        assert_string_equal(text(event, "toPort"), "in");
        cause = find(lines, "MessageReceived", whole(event, "cause"));
        assert_non_null(cause);
        assert_string_equal(text(cause, "actorId"), "a");
        assert_int_equal(sent(event), sent(cause) + 1); /* what a does */
        assert_non_null(find(lines, "ActorEmit", whole(event, "id")));
    }
    assert_int_equal(messages, 2 * MESSAGES);
    json_decref(lines);
}

static void events_have_reflows_names(void **state)
{
    static const struct {
        const char *type, *members;
    } want[] = {
        {"NetworkStarted", "timestamp"},
        {"NetworkIdle", "timestamp"},
        {"NetworkShutdown", "timestamp"},
        {"ActorStarted", "actorId component timestamp"},
        {"ActorEmit", "actorId message"},
        {"ActorCompleted", "actorId component outputs timestamp"},
        {"ActorFailed", "actorId component error timestamp"},
        {"MessageSent", "fromActor fromPort toActor toPort message timestamp"},
        {"MessageReceived", "actorId port message timestamp"},
    };
    json_t *lines, *event;
    size_t i;

    (void)state;
    run_traced(GBX_FLOW_TRACE_LINES, 0, 0, 3);
    assert_int_equal(gbx_flow_trace_close(trace, &err), 0);
    lines = load_lines();
    for (size_t w = 0; w < ARRAY_SIZE(want); w++) {
        char members[128], *rest = members;
        const json_t *found = NULL;

        json_array_foreach(lines, i, event) if (strcmp(text(event, "_type"),
                                                       want[w].type) == 0)
            found = event;
        if (found == NULL)
            fail_msg("%s", want[w].type);
        snprintf(members, sizeof(members), "%s", want[w].members);
        for (char *name; (name = strsep(&rest, " ")) != NULL;)
            if (json_object_get(found, name) == NULL)
                fail_msg("%s: %s", want[w].type, name);
    }
    json_decref(lines);
}

/* What a run sent, and all inputs that it had. */
static void a_run_has_its_causes_and_its_outputs(void **state)
{
    const struct gbx_flow_trace_config wanted = {
        .struct_bytes = sizeof(wanted),
        .fd = open(path, O_WRONLY | O_CLOEXEC),
        .form = GBX_FLOW_TRACE_LINES};
    struct gbx_flow_config config = {.struct_bytes = sizeof(config),
                                     .types = types,
                                     .event = gbx_flow_trace_event};
    const json_t *run, *emit, *causes, *data;
    json_t *lines;

    (void)state;
    assert_int_equal(gbx_flow_trace_open(&trace, &wanted, &err), 0);
    config.context = trace;
    assert_int_equal(gbx_flow_open(&flow, &config, &err), 0);
    add("p", "pair", NULL);
    begin();
    give("p.a", 4);
    give("p.b", 2);
    drain();
    /* It is there at once. */
    lines = load_lines();
    run = find(lines, "ActorCompleted", 0);
    emit = find(lines, "ActorEmit", 3);
    assert_non_null(run);
    assert_non_null(emit);
    for (int i = 0; i < 2; i++) {
        causes = json_object_get(i == 0 ? run : emit, "causes");
        assert_int_equal(json_array_size(causes), 2);
        assert_int_equal(json_integer_value(json_array_get(causes, 0)), 1);
        assert_int_equal(json_integer_value(json_array_get(causes, 1)), 2);
        assert_int_equal(whole(i == 0 ? run : emit, "cause"), 1);
    }
    data = json_object_get(
        json_object_get(json_object_get(run, "outputs"), "out"), "data");
    assert_int_equal(json_array_size(data), 4);
    assert_int_equal(json_integer_value(json_array_get(data, 0)), '4');
    json_decref(lines);
    gbx_flow_close(flow);
    flow = NULL;
    assert_int_equal(gbx_flow_trace_close(trace, &err), 0);
    assert_int_equal(close(wanted.fd), 0); /* it was lent */
}

static void it_can_be_thinned_out(void **state)
{
    json_t *lines, *event;
    size_t i, count = 0;

    (void)state;
    run_traced(GBX_FLOW_TRACE_LINES, 0, 10, MESSAGES);
    assert_int_equal(gbx_flow_trace_close(trace, &err), 0);
    lines = load_lines();
    json_array_foreach(lines, i, event)
    {
        if (whole(event, "id") == 0)
            continue;
        assert_int_equal(whole(event, "id") % 10, 0);
        count++;
    }
    assert_true(count > 0 && count < MESSAGES);
    json_decref(lines);
}

static void a_full_file_ends_well(void **state)
{
    json_t *events;

    (void)state;
    run_traced(GBX_FLOW_TRACE_CHROME, 5000, 0, MESSAGES);
    assert_int_equal(gbx_flow_trace_close(trace, &err), GBX_ELIMIT);
    assert_non_null(strstr(err.what, "after its first 5000 bytes"));
    events = load();
    assert_true(json_array_size(events) > 10);
    json_decref(events);
}

static void what_cannot_be_written_is_told(void **state)
{
    struct gbx_flow_trace_config config = {.struct_bytes = 0, .path = path};
    struct gbx_flow_event event = {.kind = GBX_FLOW_NETWORK_STARTED};

    (void)state;
    assert_int_equal(gbx_flow_trace_open(&trace, &config, &err), GBX_EARGUMENT);
    config.struct_bytes = sizeof(config);
    config.path = NULL;
    assert_int_equal(gbx_flow_trace_open(&trace, &config, &err), GBX_EARGUMENT);
    config.path = "/nothing/here";
    assert_int_equal(gbx_flow_trace_open(&trace, &config, &err), GBX_EFILE);
    assert_null(trace);
    config.path = "/dev/full";
    assert_int_equal(gbx_flow_trace_open(&trace, &config, &err), 0);
    for (int i = 0; i < 2000; i++)
        gbx_flow_trace_event(trace, &event);
    assert_int_equal(gbx_flow_trace_close(trace, &err), GBX_EFILE);
    assert_string_equal(err.what, "trace /dev/full: No space left on device");
}

int main(void)
{
#define TRACED(name)                                                           \
    cmocka_unit_test_setup_teardown(name, make_path, remove_path)
    const struct CMUnitTest tests[] = {
        TRACED(chrome_can_open_it),
        TRACED(each_message_leads_back_to_its_cause),
        TRACED(events_have_reflows_names),
        TRACED(a_run_has_its_causes_and_its_outputs),
        TRACED(it_can_be_thinned_out),
        TRACED(a_full_file_ends_well),
        TRACED(what_cannot_be_written_is_told),
    };

    return cmocka_run_group_tests_name("flow_trace", tests, NULL, NULL);
}
