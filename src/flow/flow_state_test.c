/* SPDX-License-Identifier: Apache-2.0 */
/* What actors in C remember; and what a run that fails has not changed. */
#include "flow/flow_test.h"

static int (*what)(struct gbx_actor *actor);
static int result; /* of the last run */

static int run_what(void *self, struct gbx_actor *actor)
{
    (void)self;
    result = what(actor);
    return result;
}

TYPE(what, in_port, out_port);

/* Remembers, sends what it has counted, and fails at 13. */
static int run_sum(void *self, struct gbx_actor *actor)
{
    const int64_t n = number(actor, "in");
    const struct gbx_message m = {.type = GBX_INTEGER, .scalar.integer = n};
    int64_t sum;
    int rc = gbx_actor_state_increment(actor, "sum", n, &sum);

    (void)self;
    if (rc == 0)
        rc = gbx_actor_state_push(actor, "all", &m, NULL);
    if (rc == 0 && atomic_fetch_sub(&fails_left, 1) > 0)
        rc = gbx_actor_fail(actor, "not yet");
    if (rc == 0 && n == 13)
        rc = gbx_actor_fail(actor, "thirteen is no number");
    return rc < 0 ? rc : send_number(actor, sum);
}

TYPE(sum, in_port, out_port);

static const struct gbx_actor_type *const own_types[] = {&type_what, &type_sum,
                                                         NULL};

static void open_own(void)
{
    const struct gbx_flow_config config = {.struct_bytes = sizeof(config),
                                           .types = own_types,
                                           .workers = 2,
                                           .output = output,
                                           .letter = letter};

    memset(&seen, 0, sizeof(seen));
    atomic_store(&fails_left, 0);
    assert_int_equal(gbx_flow_open(&flow, &config, &err), 0);
}

static void try(int (*fn)(struct gbx_actor *actor))
{
    what = fn;
    give("w.in", 1);
    drain();
}

static const struct gbx_message one = {.type = GBX_INTEGER,
                                       .scalar.integer = 1};
static const struct gbx_message text = {.type = GBX_STRING,
                                        .body = "text",
                                        .body_bytes = 4};
static const struct gbx_message list = {.type = GBX_ARRAY,
                                        .body = "\x83\x01\x02\x03",
                                        .body_bytes = 4};
static const struct gbx_message typed = {.type = GBX_ARRAY,
                                         .flags = GBX_TYPED,
                                         .body = "\xd8\x40\x43\x01\x02\x03",
                                         .body_bytes = 6};
static const struct gbx_message map = {.type = GBX_OBJECT,
                                       .body = "\xa1\x61k\xa1\x01\x02",
                                       .body_bytes = 6};
static const struct gbx_message odd = {.type = GBX_ANY,
                                       .body = "\xa2\x61k\x01\x01\x02",
                                       .body_bytes = 6};
static const struct gbx_message half = {.type = GBX_FLOAT, .scalar.real = 0.5};
static const struct gbx_message yes = {.type = GBX_BOOLEAN,
                                       .scalar.boolean = true};
static const struct gbx_message bytes = {.type = GBX_STREAM,
                                         .body = "\0\1",
                                         .body_bytes = 2};
static const struct gbx_message none = {.type = GBX_OPTIONAL};

static int come_back(struct gbx_actor *actor)
{
    static const struct gbx_message *const values[] = {
        &one, &text, &list, &typed, &map, &odd, &half, &yes, &bytes, &none};
    struct gbx_message got;

    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        const struct gbx_message *value = values[i];

        assert_int_equal(gbx_actor_state_set(actor, "k", value), 0);
        assert_int_equal(gbx_actor_state_get(actor, "k", &got), 0);
        assert_int_equal(got.type, value->type);
        assert_int_equal(got.flags, value->flags);
        assert_int_equal(got.body_bytes, value->body_bytes);
        if (value->body_bytes > 0)
            assert_memory_equal(got.body, value->body, got.body_bytes);
        if (value->type == GBX_INTEGER || value->type == GBX_FLOAT)
            assert_memory_equal(&got.scalar, &value->scalar, 8);
    }
    return 0;
}

static int do_all(struct gbx_actor *actor)
{
    struct gbx_message got;
    uint64_t count;
    int64_t number;

    assert_int_equal(gbx_actor_state_exists(actor, "n"), 0);
    assert_int_equal(gbx_actor_state_get(actor, "n", &got), GBX_EAGAIN);
    assert_int_equal(gbx_actor_state_ttl(actor, "n", &number), 0);
    assert_int_equal(number, -2);
    assert_int_equal(gbx_actor_state_increment(actor, "n", 5, &number), 0);
    assert_int_equal(gbx_actor_state_increment(actor, "n", -7, &number), 0);
    assert_int_equal(number, -2);
    assert_int_equal(gbx_actor_state_exists(actor, "n"), 1);
    assert_int_equal(gbx_actor_state_extend(actor, "l", &list, &count), 0);
    assert_int_equal(gbx_actor_state_push(actor, "l", &text, &count), 0);
    assert_int_equal(count, 4);
    assert_int_equal(gbx_actor_state_pop(actor, "l", &got), 0);
    assert_int_equal(got.scalar.integer, 1);
    assert_int_equal(gbx_actor_state_expire(actor, "l", 100), 1);
    assert_int_equal(gbx_actor_state_expire(actor, "nothing", 100), 0);
    assert_int_equal(gbx_actor_state_ttl(actor, "l", &number), 0);
    assert_int_equal(number, 100);
    assert_int_equal(gbx_actor_state_keys(actor, "*", &got), 0);
    assert_int_equal(got.body_bytes, 5);
    assert_memory_equal(got.body, "\x82\x61l\x61n", 5);
    assert_int_equal(gbx_actor_state_delete(actor, "n"), 1);
    assert_int_equal(gbx_actor_state_delete(actor, "n"), 0);
    assert_int_equal(gbx_actor_state_expire(actor, "l", 0), 1);
    assert_int_equal(gbx_actor_state_pop(actor, "l", &got), GBX_EAGAIN);
    return 0;
}

static void it_means_what_scripts_mean_by_it(void **state)
{
    (void)state;
    open_own();
    add("w", "what", NULL);
    begin();
    try(come_back);
    assert_int_equal(result, 0);
    assert_int_equal(stats_of("w").runs, 1);
}

static void all_of_it_can_be_asked(void **state)
{
    (void)state;
    open_own();
    add("w", "what", NULL);
    begin();
    try(do_all);
    assert_int_equal(stats_of("w").failures, 0);
}

static int no_number(struct gbx_actor *actor)
{
    assert_int_equal(gbx_actor_state_set(actor, "t", &text), 0);
    return gbx_actor_state_increment(actor, "t", 1, NULL);
}

static int no_key(struct gbx_actor *actor)
{
    return gbx_actor_state_set(actor, "", &one);
}

static int no_text(struct gbx_actor *actor)
{
    return gbx_actor_state_set(actor, "\xff", &one);
}

static int no_value(struct gbx_actor *actor)
{
    const struct gbx_message broken = {
        .type = GBX_ANY, .body = "\x83\x01", .body_bytes = 2};

    return gbx_actor_state_set(actor, "k", &broken);
}

static int no_list(struct gbx_actor *actor)
{
    return gbx_actor_state_extend(actor, "k", &text, NULL);
}

static int no_room(struct gbx_actor *actor)
{
    static const uint8_t large[33u << 20];
    const struct gbx_message m = {
        .type = GBX_STREAM, .body = large, .body_bytes = sizeof(large)};
    int rc = gbx_actor_state_set(actor, "a", &m);

    return rc < 0 ? rc : gbx_actor_state_set(actor, "b", &m);
}

static void what_is_refused_is_the_reason(void **state)
{
    static const struct {
        int (*fn)(struct gbx_actor *actor);
        int code;
        const char *reason;
    } cases[] = {
        {no_number, GBX_EARGUMENT, "\"t\" holds no number"},
        {no_key, GBX_ELIMIT, "a key of 0 bytes"},
        {no_text, GBX_EARGUMENT, "state.set: a key or value"},
        {no_value, GBX_EARGUMENT, "state.set: a key or value"},
        {no_list, GBX_EARGUMENT, "it needs a list of values"},
        {no_room, GBX_ELIMIT, "\"b\" does not fit"},
    };

    (void)state;
    open_own();
    add("w", "what", NULL);
    begin();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        try(cases[i].fn);
        assert_int_equal(result, cases[i].code);
        assert_non_null(strstr(seen.reason, cases[i].reason));
    }
    /* Also what came before the refusal is taken back. */
    try(do_all);
    assert_int_equal(result, 0);
}

static void a_run_that_fails_has_changed_nothing(void **state)
{
    (void)state;
    open_own();
    add("s", "sum", "{\"retries\": 3, \"backoff_ms\": 1}");
    add("t", "sum", NULL);
    outside("o", "s", "out");
    outside("t", "t", "out");
    begin();
    atomic_store(&fails_left, 3);
    for (int64_t i = 0; i < 20; i++)
        give("s.in", i);
    drain();
    assert_int_equal(seen.letters, 1);
    assert_int_equal(count_seen(), 19);
    assert_int_equal(seen.numbers[18], 19 * 20 / 2 - 13);
    assert_int_equal(stats_of("s").failures, 3 + 4);
    /* Each node has its own. */
    give("t.in", 5);
    drain();
    assert_int_equal(seen.numbers[19], 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACT(it_means_what_scripts_mean_by_it),
        FACT(all_of_it_can_be_asked),
        FACT(what_is_refused_is_the_reason),
        FACT(a_run_that_fails_has_changed_nothing),
    };

    return cmocka_run_group_tests_name("flow_state", tests, NULL, NULL);
}
