/* SPDX-License-Identifier: Apache-2.0 */
/* Templates as the core has them, whatever the isolation makes of them. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "sandbox/sandbox.h"
#include "tests/isolation/box.h"

#define LEAVE 7 /* what makes the guest leave instead of answering */

static struct box box; /* for its bundle */
static struct sandbox sandbox, other;
static struct template *template;
static struct host_calls calls;
static struct gbx_error err;

static uint64_t soon(void)
{
    return clock_now_ns() + BOX_WAIT_NS;
}

static struct sandbox_config config(void)
{
    return (struct sandbox_config){
        .backend = box_backend, .bundle = box.bundle, .calls = &calls};
}

static int setup(void **state)
{
    struct sandbox_config how;

    (void)state;
    box_begin(&box, "count", "");
    how = config();
    if (template_prepare(&template, &how, soon(), &err) < 0)
        fail_msg("%s", err.what);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    template_put(template);
    box_close(&box);
    assert_int_equal(count_strays(), 0);
    assert_int_equal(count_cgroups(), 0);
    return 0;
}

static void clone_into(struct sandbox *made)
{
    struct sandbox_config how = config();

    if (sandbox_clone(made, &how, template, &err) < 0)
        fail_msg("%s", err.what);
    assert_int_equal(made->state, SANDBOX_IDLE);
}

/* The answer, or the code with which it broke. */
static int64_t ask(struct sandbox *who, uint64_t scalar)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_CALL,
                               .type = GBX_INTEGER,
                               .flags = GBX_HAS_MESSAGE,
                               .scalar = scalar};
    struct sandbox_event event;
    int rc;

    sandbox_begin(who);
    rc = sandbox_send(who, &d, NULL, soon());
    if (rc == 0)
        rc = sandbox_step(who, soon(), &event, &err);
    sandbox_finish(who);
    return rc < 0 ? rc : event.message.scalar.integer;
}

static void each_clone_starts_where_the_template_stood(void **state)
{
    (void)state;
    clone_into(&sandbox);
    assert_int_equal(ask(&sandbox, 0), 1);
    assert_int_equal(ask(&sandbox, 0), 2);
    clone_into(&other);
    assert_int_equal(ask(&other, 0), 1);
    assert_int_equal(ask(&sandbox, 0), 3);
    sandbox_close(&other);
    sandbox_close(&sandbox);
}

static void a_wipe_brings_a_clone_back(void **state)
{
    (void)state;
    clone_into(&sandbox);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(&sandbox, 0), 1);
        assert_int_equal(ask(&sandbox, 0), 2);
        assert_int_equal(sandbox_wipe(&sandbox, soon(), &err), 0);
        assert_int_equal(sandbox.state, SANDBOX_IDLE);
    }
    sandbox_close(&sandbox);
}

static void a_wipe_brings_back_what_broke(void **state)
{
    (void)state;
    clone_into(&sandbox);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(&sandbox, 0), 1);
        assert_int_equal(ask(&sandbox, LEAVE), GBX_EEXIT);
        assert_int_equal(sandbox.state, SANDBOX_BROKEN);
        assert_int_equal(sandbox_wipe(&sandbox, soon(), &err), 0);
    }
    assert_int_equal(ask(&sandbox, 0), 1);
    sandbox_close(&sandbox);
}

static void a_wipe_brings_back_what_was_killed(void **state)
{
    struct sandbox_event event;

    (void)state;
    clone_into(&sandbox);
    for (int i = 0; i < 5; i++) {
        sandbox_begin(&sandbox);
        sandbox_kill(&sandbox);
        assert_int_equal(sandbox_step(&sandbox, soon(), &event, &err),
                         GBX_ECANCELED);
        sandbox_finish(&sandbox);
        assert_int_equal(sandbox.state, SANDBOX_BROKEN);
        assert_int_equal(sandbox_wipe(&sandbox, soon(), &err), 0);
        assert_int_equal(ask(&sandbox, 0), 1);
    }
    sandbox_close(&sandbox);
}

static void a_template_lives_as_long_as_its_clones(void **state)
{
    (void)state;
    clone_into(&sandbox);
    template_put(template);
    assert_int_equal(ask(&sandbox, 0), 1);
    assert_int_equal(sandbox_wipe(&sandbox, soon(), &err), 0);
    assert_int_equal(ask(&sandbox, 0), 1);
    template = template_get(sandbox.template);
    sandbox_close(&sandbox);
}

/* One that says nothing: a bare one lets its clones speak first. */
static void too_little_time_makes_nothing(void **state)
{
    struct sandbox_config how = config();
    struct sandbox_event event;
    struct template *silent;
    int rc;

    (void)state;
    how.bundle.argv = (const char *const[]){box.argv[0], "hang", NULL};
    rc = template_prepare(&silent, &how, clock_now_ns() + 100000000, &err);
    assert_int_equal(rc, is_microvm() ? GBX_ETIME : 0);
    if (rc == 0) {
        assert_int_equal(sandbox_clone(&sandbox, &how, silent, &err), 0);
        assert_int_equal(
            sandbox_step(&sandbox, clock_now_ns() + 50000000, &event, &err),
            GBX_ETIME);
        sandbox_close(&sandbox);
    }
    assert_int_equal(sandbox.state, SANDBOX_EMPTY);
    template_put(silent);
}

static void too_little_time_makes_no_zygote(void **state)
{
    struct sandbox_config how = config();
    struct template *none;

    (void)state;
    only_process("a micro-VM needs a guest that speaks");
    how.bundle.program = "/usr/bin/sleep";
    how.bundle.argv = (const char *const[]){"sleep", "20", NULL};
    assert_int_equal(
        template_prepare(&none, &how, clock_now_ns() + 50000000, &err),
        GBX_ETIME);
    assert_null(none);
}

#define WITH_TEMPLATE(test)                                                    \
    cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TEMPLATE(each_clone_starts_where_the_template_stood),
        WITH_TEMPLATE(a_wipe_brings_a_clone_back),
        WITH_TEMPLATE(a_wipe_brings_back_what_broke),
        WITH_TEMPLATE(a_wipe_brings_back_what_was_killed),
        WITH_TEMPLATE(a_template_lives_as_long_as_its_clones),
        WITH_TEMPLATE(too_little_time_makes_nothing),
        WITH_TEMPLATE(too_little_time_makes_no_zygote),
    };

    return cmocka_run_group_tests(tests, box_possible, NULL);
}
