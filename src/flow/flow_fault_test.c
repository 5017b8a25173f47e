/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation and each thread that a flow asks for is refused once. */
#include "flow/flow_test.h"

#include "base/fault_test.h"

WRAP(void *, malloc, (size_t bytes), (bytes), NULL)
WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL)
WRAP(void *, realloc, (void *old, size_t bytes), (old, bytes), NULL)
WRAP(char *, strdup, (const char *text), (text), NULL)
WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *how, void *(*run)(void *),
      void *context),
     (thread, how, run, context), EAGAIN)

/* Returns the code of the first that failed. */
static int build(struct gbx_flow **made)
{
    const struct gbx_flow_config config = {.struct_bytes = sizeof(config),
                                           .types = types,
                                           .workers = 2,
                                           .output = output,
                                           .letter = letter};
    const struct gbx_message m = {
        .type = GBX_STREAM, .body = "text", .body_bytes = 4};
    int rc;

    *made = NULL;
    if ((rc = gbx_flow_open(made, &config, &err)) < 0 ||
        (rc = gbx_flow_add_node(*made, "a", "count", NULL, &err)) < 0 ||
        (rc = gbx_flow_add_node(*made, "b", "add", "{}", &err)) < 0 ||
        (rc = gbx_flow_connect(*made, "a", "out", "b", "in", &err)) < 0 ||
        (rc = gbx_flow_add_inport(*made, "in", "a", "in", &err)) < 0 ||
        (rc = gbx_flow_add_outport(*made, "out", "b", "out", &err)) < 0 ||
        (rc = gbx_flow_send(*made, "in", &m, 0, &err)) < 0 ||
        (rc = gbx_flow_start(*made, &err)) < 0 ||
        (rc = gbx_flow_add_node(*made, "c", "add", NULL, &err)) < 0 ||
        (rc = gbx_flow_connect(*made, "b", "out", "c", "in", &err)) < 0)
        return rc;
    return 0;
}

static void each_step_fails_once_and_leaves_nothing(void **state)
{
    int n = 1;

    (void)state;
    for (bool over = false; !over; n++) {
        int rc;

        memset(&seen, 0, sizeof(seen));
        err.what[0] = '\0';
        begin_failing(n);
        rc = build(&flow);
        fails_at = 0;
        over = failed == NULL;
        /* A run that gets no memory is begun again, or its input told. */
        if (rc == 0)
            drain();
        else
            assert_true(err.what[0] != '\0');
        if (over)
            assert_int_equal(rc, 0);
        gbx_flow_close(flow);
        flow = NULL;
        if (rc == 0)
            assert_int_equal(count_seen() + seen.letters, 1);
    }
    assert_in_range(n, 20, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACT(each_step_fails_once_and_leaves_nothing),
    };

    return cmocka_run_group_tests_name("flow, without memory", tests, NULL,
                                       NULL);
}
