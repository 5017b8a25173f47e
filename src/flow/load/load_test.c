/* SPDX-License-Identifier: Apache-2.0 */
/* A graph's JSON, run. */
#include "flow/flow_test.h"

#include "glovebox/flow_graph.h"

#define EDGE(node, port)                                                       \
    "{\"portName\": \"\", \"portId\": \"" port "\", \"nodeId\": \"" node       \
    "\", \"expose\": false, \"portType\": {\"type\": \"any\"}}"
#define HEAD(cases)                                                            \
    "{\"caseSensitive\": " cases ", \"properties\": {\"name\": \"t\"}, "
#define ROW                                                                    \
    "\"processes\": {\"a\": {\"id\": \"a\", \"component\": \"add\", "          \
    "\"metadata\": null}, \"b\": {\"id\": \"b\", \"component\": \"add\", "     \
    "\"metadata\": {\"retries\": 2}}}, "                                       \
    "\"inports\": {\"i\": " EDGE("a", "in") "}, "                              \
                                            "\"outports\": {\"o\": " EDGE(     \
                                                "b", "out") "}, "

static int load(const char *text)
{
    struct gbx_graph *graph;
    int rc;

    if (gbx_graph_parse(&graph, text, strlen(text), "t", &err) < 0)
        fail_msg("%s", err.what);
    rc = gbx_flow_add_graph(flow, graph, NULL, NULL, &err);
    gbx_graph_close(graph);
    return rc;
}

static void a_graph_runs(void **state)
{
    (void)state;
    open_flow(2, 0);
    assert_int_equal(
        load(HEAD("true") ROW
             "\"connections\": [{\"from\": " EDGE("a", "out") ", \"to\": " EDGE(
                 "b",
                 "in") "}, {\"from\": " EDGE("",
                                             "") ", \"to\": " EDGE("a",
                                                                   "in") ", "
                                                                         "\"dat"
                                                                         "a\": "
                                                                         "40}]"
                                                                         "}"),
        0);
    begin();
    give("i", 1);
    drain();
    assert_int_equal(count_seen(), 2);
    assert_int_equal(seen.numbers[0], 42);
    assert_int_equal(seen.numbers[1], 3);
}

static void cases_need_not_matter(void **state)
{
    (void)state;
    open_flow(2, 0);
    assert_int_equal(
        load(HEAD("false") ROW "\"connections\": [{\"from\": " EDGE(
            "a", "Out") ", \"to\": " EDGE("b", "IN") "}]}"),
        0);
    begin();
    give("i", 1);
    drain();
    assert_int_equal(count_seen(), 1);
}

static void what_cannot_be_loaded_is_named(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {HEAD("true") ROW "\"connections\": [{\"from\": " EDGE(
             "a", "no") ", \"to\": " EDGE("b", "in") "}]}",
         "node a has no outport no"},
        {HEAD("true") ROW "\"connections\": [{\"from\": " EDGE(
             "a", "out") ", \"to\": " EDGE("c", "in") "}]}",
         "there is no node c"},
        {HEAD("true") ROW "\"connections\": [{\"from\": " EDGE(
             "", "") ", \"to\": " EDGE("b", "no") ", \"data\": 1}]}",
         "node b, port no: its initial message"},
        {HEAD("true") "\"processes\": {\"x\": {\"id\": \"x\", \"component\": "
                      "\"unknown\"}}, \"connections\": []}",
         "no component unknown"},
        {HEAD("true") "\"processes\": {\"x\": {\"id\": \"x\", \"component\": "
                      "\"add\", \"metadata\": {\"retries\": \"many\"}}}, "
                      "\"connections\": []}",
         "node x: metadata.retries"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        open_flow(1, 0);
        assert_true(load(cases[i].text) < 0);
        if (strstr(err.what, cases[i].said) == NULL)
            fail_msg("%zu: %s", i, err.what);
        gbx_flow_close(flow);
    }
    flow = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACT(a_graph_runs),
        FACT(cases_need_not_matter),
        FACT(what_cannot_be_loaded_is_named),
    };

    return cmocka_run_group_tests_name("flow of a graph", tests, NULL, NULL);
}
