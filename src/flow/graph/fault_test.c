/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_test.c - each allocation fails once, ours and jansson's: what comes of
 * it is an error, nothing leaks, and a graph is as it was.
 *
 * jansson calls some of its failures faults of the text, and may shorten a
 * string without a word (message/source.h); where it is the one to fail, all
 * that is asked is that nothing leaks or breaks.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include <cmocka.h>

#include "flow/graph/graph_test.h"

static long until_failure = -1; /* -1: never */
static long alive;
static bool in_jansson; /* it is the one to fail */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void __real_free(void *old);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void __wrap_free(void *old);

static bool fails(void)
{
    return until_failure >= 0 && until_failure-- == 0;
}

void *__wrap_malloc(size_t bytes)
{
    void *new = fails() ? NULL : __real_malloc(bytes);

    alive += new != NULL;
    return new;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    void *new = fails() ? NULL : __real_calloc(count, bytes);

    alive += new != NULL;
    return new;
}

void *__wrap_realloc(void *old, size_t bytes)
{
    void *new = fails() ? NULL : __real_realloc(old, bytes);

    alive += new != NULL &&old == NULL;
    return new;
}

void __wrap_free(void *old)
{
    alive -= old != NULL;
    __real_free(old);
}

static const char text[] =
    "{\"caseSensitive\":true,\"properties\":{\"name\":\"t\"},\"processes\":{"
    "\"a\":{\"id\":\"a\",\"component\":\"Pass\",\"metadata\":{\"x\":1,"
    "\"limits\":{\"files\":9}}},"
    "\"b\":{\"id\":\"b\",\"component\":\"Join\"}},\"connections\":["
    "{\"from\":{\"nodeId\":\"a\",\"portId\":\"out\"},"
    "\"to\":{\"nodeId\":\"b\",\"portId\":\"a\"}},"
    "{\"from\":{},\"to\":{\"nodeId\":\"a\",\"portId\":\"in\"},\"data\":5}],"
    "\"inports\":{\"i\":{\"nodeId\":\"b\",\"portName\":\"b\"}},"
    "\"groups\":[{\"id\":\"g\",\"nodes\":[\"a\",\"b\"]}]}";

static int open_one(struct gbx_graph *graph, struct gbx_error *err)
{
    struct gbx_graph *other;
    int rc = gbx_graph_parse(&other, text, sizeof(text) - 1, "t", err);

    (void)graph;
    assert_int_equal(rc == 0, other != NULL);
    gbx_graph_close(other);
    return rc;
}

static int make_one(struct gbx_graph *graph, struct gbx_error *err)
{
    struct gbx_graph *other;
    int rc = gbx_graph_new(&other, "t", err);

    (void)graph;
    gbx_graph_close(other);
    return rc;
}

static int without_memory(struct gbx_error *err)
{
    err->code = GBX_EHOST;
    return GBX_EHOST;
}

static int write_it(struct gbx_graph *graph, struct gbx_error *err)
{
    char *json = gbx_graph_write(graph);

    free(json);
    return json != NULL ? 0 : without_memory(err);
}

static int draw(struct gbx_graph *graph, struct gbx_error *err)
{
    char *dot = gbx_graph_dot(graph);

    free(dot);
    return dot != NULL ? 0 : without_memory(err);
}

static int check(struct gbx_graph *graph, struct gbx_error *err)
{
    size_t errors = gbx_graph_check(graph, test_component, NULL, NULL, NULL);

    assert_true(in_jansson || errors == 0 || errors == SIZE_MAX);
    return errors == 0 ? 0 : without_memory(err);
}

static int add_node(struct gbx_graph *graph, struct gbx_error *err)
{
    return gbx_graph_add_node(graph, "c", "Any", "{\"y\":[]}", err);
}

static int connect_it(struct gbx_graph *graph, struct gbx_error *err)
{
    return gbx_graph_connect(graph, "b", "out", "a", "in", err);
}

static int add_initial(struct gbx_graph *graph, struct gbx_error *err)
{
    return gbx_graph_add_initial(graph, "b", "b", "{\"x\":1}", 0, err);
}

static int add_port(struct gbx_graph *graph, struct gbx_error *err)
{
    return gbx_graph_add_outport(graph, "o", "b", "out", "{\"type\":\"flow\"}",
                                 err);
}

static int add_group(struct gbx_graph *graph, struct gbx_error *err)
{
    static const char *const nodes[] = {"a", NULL};

    return gbx_graph_add_group(graph, "h", nodes, err);
}

static int remove_node(struct gbx_graph *graph, struct gbx_error *err)
{
    return gbx_graph_remove_node(graph, "a", err);
}

static int rename_node(struct gbx_graph *graph, struct gbx_error *err)
{
    return gbx_graph_rename_node(graph, "a", "z", err);
}

static int (*const acts[])(struct gbx_graph *, struct gbx_error *) = {
    open_one,   make_one,    write_it, draw,      check,       add_node,
    connect_it, add_initial, add_port, add_group, remove_node, rename_node};

/* One act on a graph of its own, whose nth allocation fails.  Returns whether
 * there was one. */
static bool fail_once(size_t which, long n)
{
    struct gbx_graph *graph;
    struct gbx_error err = {0};
    long before = alive;
    char *was, *is;
    bool failed;
    int rc;

    must(gbx_graph_parse(&graph, text, sizeof(text) - 1, "t", &err) == 0);
    was = gbx_graph_write(graph);
    until_failure = n;
    rc = acts[which](graph, &err);
    failed = until_failure < 0;
    until_failure = -1;
    is = gbx_graph_write(graph);
    assert_true(!failed || in_jansson || rc == GBX_EHOST);
    assert_true(failed || rc == 0);
    assert_true(rc == 0 || err.code == rc);
    if (rc < 0)
        assert_string_equal(is, was);
    free(was);
    free(is);
    gbx_graph_close(graph);
    assert_int_equal(alive, before);
    return failed;
}

static void fail_each(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(acts); i++)
        for (long n = 0; fail_once(i, n); n++)
            ;
}

static void an_allocation_that_fails_changes_nothing(void **state)
{
    (void)state;
    fail_each();
}

static void one_in_jansson_leaks_nothing(void **state)
{
    (void)state;
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    in_jansson = true;
    fail_each();
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allocation_that_fails_changes_nothing),
        cmocka_unit_test(one_in_jansson_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
