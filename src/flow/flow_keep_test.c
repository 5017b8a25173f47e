/* SPDX-License-Identifier: Apache-2.0 */
/* What a flow's nodes keep outlives it, and a process that is killed. */
#include <signal.h>
#include <sys/wait.h>

#include "flow/flow_test.h"
#include "glovebox/builtin.h"

static char path[64];
static int said_fd; /* of the child */

static void say(void *context, const struct gbx_flow_event *event)
{
    (void)context;
    if (event->kind == GBX_FLOW_ACTOR_COMPLETED)
        assert_true(write(said_fd, "x", 1) == 1);
}

/* Remembers a text that grows. */
static int run_grow(void *self, struct gbx_actor *actor)
{
    static const uint8_t zeros[1u << 20];
    const struct gbx_message large = {.type = GBX_STREAM,
                                      .body = zeros,
                                      .body_bytes =
                                          (size_t)number(actor, "in")};
    int64_t count;
    int rc = gbx_actor_state_increment(actor, "count", 1, &count);

    (void)self;
    if (rc == 0)
        rc = gbx_actor_state_set(actor, "large", &large);
    return rc < 0 ? rc : send_number(actor, count);
}

TYPE(grow, in_port, out_port);

static void open_kept(const char *state_path, gbx_flow_event_fn event,
                      uint64_t bytes_max)
{
    static const struct gbx_actor_type *own[] = {NULL, &type_grow, NULL};
    const struct gbx_flow_config config = {.struct_bytes = sizeof(config),
                                           .types = own,
                                           .workers = 2,
                                           .output = output,
                                           .letter = letter,
                                           .event = event,
                                           .state_path = state_path,
                                           .state_bytes_max = bytes_max};

    own[0] = gbx_builtin_find("counter");
    memset(&seen, 0, sizeof(seen));
    if (gbx_flow_open(&flow, &config, &err) < 0)
        fail_msg("%s", err.what);
}

static void add_kept(const char *component)
{
    add("n", component, "{\"state\":\"persistent\"}");
    outside("o", "n", "out");
    begin();
}

/* Returns what it says to one more. */
static int64_t count_one(void)
{
    give("n.in", 1);
    drain();
    assert_int_equal(count_seen(), 1);
    return seen.numbers[0];
}

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "/tmp/glovebox-keep-%d", (int)getpid());
    return 0;
}

static int remove_path(void **state)
{
    char log[80];

    finish(state);
    snprintf(log, sizeof(log), "%s-wal", path);
    unlink(log);
    unlink(path);
    return 0;
}

static void a_flow_that_is_opened_again_goes_on(void **state)
{
    (void)state;
    for (int64_t i = 1; i <= 5; i++) {
        open_kept(path, NULL, 0);
        add_kept("counter");
        assert_int_equal(count_one(), i);
        gbx_flow_close(flow);
    }
    open_kept(path, NULL, 0);
    add("n", "counter", "{\"state\":\"memory\"}");
    outside("o", "n", "out");
    begin();
    assert_int_equal(count_one(), 1);
    /* A node that is removed leaves its state; another of its name has it. */
    assert_int_equal(gbx_flow_remove_node(flow, "n", &err), 0);
    add("n", "counter", "{\"state\":\"persistent\"}");
    outside("o", "n", "out");
    seen.count = 0;
    assert_int_equal(count_one(), 6);
}

static void where_it_cannot_be_kept_is_told(void **state)
{
    const struct gbx_flow_config config = {.struct_bytes = sizeof(config),
                                           .state_path = "/nothing/here"};

    (void)state;
    assert_int_equal(gbx_flow_open(&flow, &config, &err), GBX_EFILE);
    assert_null(flow);
    open_kept(NULL, NULL, 0);
    assert_int_equal(gbx_flow_add_node(flow, "n", "counter",
                                       "{\"state\":\"persistent\"}", &err),
                     GBX_EARGUMENT);
    assert_string_equal(err.what,
                        "node n: metadata.state: the flow has no file "
                        "for it (state_path)");
    assert_int_equal(
        gbx_flow_add_node(flow, "n", "counter", "{\"state\":1}", &err),
        GBX_EARGUMENT);
    assert_string_equal(err.what, "node n: metadata.state: \"memory\" or "
                                  "\"persistent\"");
}

static void a_full_file_is_a_letter_and_loses_nothing(void **state)
{
    (void)state;
    open_kept(path, NULL, 256u << 10);
    add_kept("grow");
    give("n.in", 1000);
    give("n.in", 1000000);
    give("n.in", 2000);
    drain();
    assert_int_equal(seen.letters, 1);
    assert_non_null(strstr(seen.reason, "the file or its disk is full"));
    gbx_flow_close(flow);
    open_kept(path, NULL, 0);
    add_kept("grow");
    assert_int_equal(count_one(), 3); /* two that went well, and this one */
}

/* Counts what it is sent until it is killed. */
static void count_on(int fd)
{
    said_fd = fd;
    open_kept(path, say, 0);
    add_kept("counter");
    for (;;)
        give("n.in", 1);
}

static void a_killed_process_keeps_each_run_that_had_ended(void **state)
{
    int64_t kept = 0;

    (void)state;
    for (int turn = 0; turn < 10; turn++) {
        int64_t said = 0;
        char bytes[256];
        int fds[2];
        ssize_t n;
        pid_t pid;

        assert_int_equal(pipe(fds), 0);
        pid = fork();
        if (pid == 0)
            count_on(fds[1]);
        close(fds[1]);
        usleep(50000 + (unsigned)turn * 5000);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        while ((n = read(fds[0], bytes, sizeof(bytes))) > 0)
            said += n;
        close(fds[0]);
        open_kept(path, NULL, 0);
        add_kept("counter");
        kept = count_one() - 1 - kept;
        /* All that it had said, and at most the run that it was about to. */
        assert_true(kept == said || kept == said + 1);
        kept = seen.numbers[0];
        gbx_flow_close(flow);
        flow = NULL;
    }
    assert_true(kept > 10);
}

int main(void)
{
#define KEPT(name) cmocka_unit_test_setup_teardown(name, make_path, remove_path)
    const struct CMUnitTest tests[] = {
        KEPT(a_flow_that_is_opened_again_goes_on),
        KEPT(where_it_cannot_be_kept_is_told),
        KEPT(a_full_file_is_a_letter_and_loses_nothing),
        KEPT(a_killed_process_keeps_each_run_that_had_ended),
    };

    return cmocka_run_group_tests_name("flow_keep", tests, NULL, NULL);
}
