/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_test.c - broken graphs, and what a person is told of each.
 *
 * The good one is Source -> Pass -> Pass; each case spoils one thing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "flow/graph/graph_test.h"

#define TWO  NODE("a", "Source") "," NODE("b", "Pass")
#define A_B  WIRE("a", "out", "b", "in")
#define GOOD GRAPH(TWO, A_B, "")
#define L50  "a1234567890123456789012345678901234567890123456789"
#define LONG L50 L50 L50 L50 L50 L50
#define INT  "{'type':'integer'}"
#define STR  "{'type':'string'}"

/* ---- what cannot be read ---- */

static const struct {
    const char *json;
    int code;
    const char *text;
} unreadable[] = {
    {"", GBX_EFORMAT, "test.graph.json, line 1, column 0: "},
    {"{'processes':{}", GBX_EFORMAT, "test.graph.json, line 1, column 15: "},
    {"{\n 'a': 1,\n 'a': 2\n}", GBX_EFORMAT,
     "test.graph.json, line 3, column 4: duplicate object key"},
    {"{\n\n  nodes }", GBX_EFORMAT, "test.graph.json, line 3, column 7: "},
    {"{'a':'\xff'}", GBX_EFORMAT, "unable to decode byte 0xff"},
    {"{'a':'\\u0000'}", GBX_EFORMAT, "\\u0000 is not allowed"},
    {"[]", GBX_EFORMAT,
     "test.graph.json: a graph is an object with \"processes\" and "
     "\"connections\"; this is an array"},
    {"{'caseSensitive':1}", GBX_EFORMAT,
     "test.graph.json: caseSensitive is an integer; it must be true or false"},
    {"{'caseSensitive':true,'case_sensitive':true}", GBX_EFORMAT,
     "the graph has both \"caseSensitive\" and \"case_sensitive\"; delete one "
     "of them"},
    {"{'properties':[]}", GBX_EFORMAT,
     "test.graph.json: properties is an array; it must be an object"},
    {"{'properties':{'name':7}}", GBX_EFORMAT,
     "properties.name is an integer; it must be a string"},
    {"{'processes':[]}", GBX_EFORMAT,
     "processes is an array; it must be an object"},
    {"{'processes':{'a':'Double'}}", GBX_EFORMAT,
     "processes.a is a string; it must be an object"},
    {"{'processes':{'a':{'id':5}}}", GBX_EFORMAT,
     "processes.a.id is an integer; it must be a string"},
    {"{'processes':{'a':{'component':{}}}}", GBX_EFORMAT,
     "processes.a.component is an object; it must be a string"},
    {"{'processes':{'a':{'metadata':[1]}}}", GBX_EFORMAT,
     "processes.a.metadata is an array; it must be an object or null"},
    {"{'processes':{'a':{'scriptRuntime':3}}}", GBX_EFORMAT,
     "processes.a.scriptRuntime is an integer; it must be a string"},
    {"{'connections':{}}", GBX_EFORMAT,
     "connections is an object; it must be an array"},
    {"{'connections':[4]}", GBX_EFORMAT,
     "connections[0] is an integer; it must be an object"},
    {"{'connections':[{'to':{}}]}", GBX_EFORMAT,
     "connections[0].from is missing"},
    {"{'connections':[{'from':{}}]}", GBX_EFORMAT,
     "connections[0].to is missing"},
    {"{'connections':[{'from':{},'to':'b.in'}]}", GBX_EFORMAT,
     "connections[0].to is a string; it must be an object"},
    {"{'connections':[{'from':{'nodeId':true}}]}", GBX_EFORMAT,
     "connections[0].from.nodeId is true; it must be a string"},
    {"{'connections':[{'from':{'portId':'x','port_id':'x'}}]}", GBX_EFORMAT,
     "connections[0].from has both \"portId\" and \"port_id\""},
    {"{'connections':[{'from':{},'to':{'index':-3}}]}", GBX_EFORMAT,
     "connections[0].to.index is an integer; it must be 0 or larger, or null"},
    {"{'connections':[{'from':{},'to':{},'metadata':1}]}", GBX_EFORMAT,
     "connections[0].metadata is an integer; it must be an object or null"},
    {"{'inports':[]}", GBX_EFORMAT,
     "inports is an array; it must be an object"},
    {"{'outports':{'o':1}}", GBX_EFORMAT,
     "outports.o is an integer; it must be an object"},
    {"{'groups':{}}", GBX_EFORMAT, "groups is an object; it must be an array"},
    {"{'groups':[{'id':'g'}]}", GBX_EFORMAT, "groups[0].nodes is missing"},
    {"{'groups':[{'id':'g','nodes':[1]}]}", GBX_EFORMAT,
     "groups[0].nodes is an integer; it must be an array of strings"},
    {"{'a':99999999999999999999}", GBX_EFORMAT, "too big integer"},
};

static void what_cannot_be_read_says_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(unreadable); i++) {
        struct gbx_graph *graph = (void *)state;
        struct gbx_error err = {0};

        assert_int_equal(parse(&graph, unreadable[i].json, &err),
                         unreadable[i].code);
        assert_null(graph);
        assert_int_equal(err.code, unreadable[i].code);
        if (strstr(err.what, unreadable[i].text) == NULL)
            fail_msg("%s\nsays: %s\nnot:  %s", unreadable[i].json, err.what,
                     unreadable[i].text);
    }
}

/* ---- what makes no sense ---- */

static const struct {
    const char *json;
    enum gbx_finding_level level;
    const char *code;
    const char *text; /* of the only finding */
} senseless[] = {
    {"{'properties':{'name':'t'},'processes':{" NODE("a", "Source") "}}",
     GBX_FINDING_WARNING, "missing-member",
     "caseSensitive is missing, which Reflow does not read: add "
     "\"caseSensitive\": true"},
    {"{'caseSensitive':true,'processes':{" NODE("a", "Source") "}}",
     GBX_FINDING_WARNING, "missing-member",
     "properties.name is missing, which Reflow does not read: add "
     "\"properties\": {\"name\": \"...\"}"},
    {GRAPH("'a':{'component':'Source'}", "", ""), GBX_FINDING_WARNING,
     "missing-member",
     "node 'a': id is missing, which Reflow does not read: add \"id\""},
    {GRAPH(TWO,
           "{'from':{'nodeId':'a','portId':'out'},"
           "'to':{'nodeId':'b','portName':'in'}}",
           ""),
     GBX_FINDING_WARNING, "missing-member",
     "portType or expose is missing at ends of connections or ports (2), which "
     "Reflow does not read: add \"portType\": {\"type\": \"any\"}, \"expose\": "
     "false"},
    {GRAPH("", "", ""), GBX_FINDING_WARNING, "no-nodes",
     "processes is empty: there is nothing to run"},

    {GRAPH("'a':{'id':'c','component':'Source'}", "", ""), GBX_FINDING_ERROR,
     "id-differs",
     "node 'a': its id is 'c': make it the key that it stands under"},
    {GRAPH(NODE("", "Source"), "", ""), GBX_FINDING_ERROR, "empty-name",
     "a node of component 'Source' stands under \"\": give it a name"},
    {GRAPH(NODE(LONG, "Source"), "", ""), GBX_FINDING_ERROR, "long-name",
     "the node 'a123456789012345678901234567890123456789...' has 300 bytes: a "
     "name has at most 255"},
    {GRAPH(NODE("a", ""), "", ""), GBX_FINDING_ERROR, "no-component",
     "node 'a': it has no component: name a script or a built-in actor"},
    {GRAPH(NODE("a", "Nobody"), "", ""), GBX_FINDING_ERROR, "unknown-component",
     "node 'a': there is no component 'Nobody': add its script, or correct the "
     "name"},
    {GRAPH(NODE("a", "Broken"), "", ""), GBX_FINDING_ERROR, "bad-component",
     "node 'a': component 'Broken' cannot be used: line 1: it is broken"},
    {GRAPH("'a':{'id':'a','component':'Source','scriptRuntime':'Ruby'}", "",
           ""),
     GBX_FINDING_WARNING, "unknown-runtime",
     "node 'a': scriptRuntime is 'Ruby': it is Python or JavaScript, and the "
     "script's file name tells"},
    {GRAPH("'a':{'id':'a','component':'Source','metadata':{'env_vars':['K']}}",
           "", ""),
     GBX_FINDING_ERROR, "env-vars",
     "node 'a': metadata.env_vars is no object: write {\"NAME\": "
     "\"required\"}"},
    {GRAPH("'a':{'id':'a','component':'Source',"
           "'metadata':{'env_vars':{'K':'maybe'}}}",
           "", ""),
     GBX_FINDING_ERROR, "env-vars",
     "node 'a': metadata.env_vars.K must be \"required\", \"optional\" or "
     "\"optional:DEFAULT\""},
    {GRAPH("'a':{'id':'a','component':'Source',"
           "'metadata':{'env_vars':{'2 K':'required'}}}",
           "", ""),
     GBX_FINDING_ERROR, "env-vars",
     "node 'a': metadata.env_vars has '2 K', which no environment variable can "
     "be called: use letters, digits and _"},
    {GRAPH("'a':{'id':'a','component':'Source',"
           "'metadata':{'limits':{'memory':'1K'}}}",
           "", ""),
     GBX_FINDING_ERROR, "bad-sandbox",
     "node 'a': metadata: \"memory\" is \"1K\"; it must be at least 16M"},
    {GRAPH(TWO "," NODE("c", "Any"), A_B, ""), GBX_FINDING_WARNING, "orphan",
     "node 'c': nothing is connected to it: connect it, or remove it"},

    {GRAPH(TWO, A_B "," WIRE("ghost", "out", "b", "in"), ""), GBX_FINDING_ERROR,
     "unknown-node",
     "node 'ghost', port 'out': there is no such node, which the connection to "
     "'b', port 'in' needs: add it to processes, or correct the name"},
    {GRAPH(TWO, A_B "," WIRE("a", "out", "ghost", "in"), ""), GBX_FINDING_ERROR,
     "unknown-node",
     "node 'ghost', port 'in': there is no such node, which the connection "
     "from 'a', port 'out' needs: add it to processes, or correct the name"},
    {GRAPH(TWO, A_B "," WIRE("a", "error", "b", "in"), ""), GBX_FINDING_ERROR,
     "unknown-outport",
     "node 'a', port 'error': it has no such outport, which the connection to "
     "'b', port 'in' needs; it has 'out'"},
    {GRAPH(TWO, A_B "," WIRE("a", "out", "b", "In"), ""), GBX_FINDING_ERROR,
     "unknown-inport",
     "node 'b', port 'In': it has no such inport, which the connection from "
     "'a', port 'out' needs; it has 'in'"},
    {GRAPH(TWO, A_B "," WIRE("b", "out", "a", "in"), ""), GBX_FINDING_ERROR,
     "unknown-inport",
     "node 'a', port 'in': it has no such inport, which the connection from "
     "'b', port 'out' needs; it has none"},
    {GRAPH(TWO, A_B "," A_B, ""), GBX_FINDING_ERROR, "duplicate-connection",
     "node 'b', port 'in': it is connected to node 'a', port 'out' twice: "
     "delete one of the connections"},
    {GRAPH(TWO, A_B "," WIRE("", "", "b", "in"), ""), GBX_FINDING_ERROR,
     "no-source",
     "node 'b', port 'in': a connection to it begins nowhere: name a node in "
     "\"from\", or give it \"data\""},
    {GRAPH(TWO, A_B "," WIRE("a", "", "b", "in"), ""), GBX_FINDING_ERROR,
     "empty-name",
     "node 'a': the connection to 'b', port 'in' names no port of it: fill in "
     "portId"},
    {GRAPH(TWO,
           "{'from':" END("a", "out", ANY) ",'to':" END("b", "in", ANY) ","
                                                                        "'data'"
                                                                        ":5}",
           ""),
     GBX_FINDING_WARNING, "data-ignored",
     "node 'b', port 'in': the connection from 'a' has \"data\", which nobody "
     "sends: empty its \"from\", or delete the data"},
    {GRAPH(TWO, TYPED_WIRE("a", "out", "{'type':'number'}", "b", "in", ANY),
           ""),
     GBX_FINDING_ERROR, "bad-type",
     "node 'a', port 'out': its portType is none: write it as {\"type\": "
     "\"any\"}"},
    {GRAPH(TWO, TYPED_WIRE("a", "out", INT, "b", "in", STR), ""),
     GBX_FINDING_ERROR, "type-mismatch",
     "node 'b', port 'in': it takes string, but node 'a', port 'out' sends "
     "integer: put an actor between them that converts it"},
    {GRAPH(NODE("d", "Double") "," NODE("s", "Show"),
           WIRE("d", "out", "s", "in") "," INITIAL("d", "in", "1"), ""),
     GBX_FINDING_ERROR, "type-mismatch",
     "node 's', port 'in': it takes string, but node 'd', port 'out' sends "
     "integer: put an actor between them that converts it"},

    {GRAPH(TWO, A_B "," INITIAL("ghost", "in", "1"), ""), GBX_FINDING_ERROR,
     "unknown-node",
     "node 'ghost', port 'in': there is no such node, which an initial message "
     "needs: add it to processes, or correct the name"},
    {GRAPH(TWO, A_B "," INITIAL("b", "speed", "1"), ""), GBX_FINDING_ERROR,
     "unknown-inport",
     "node 'b', port 'speed': it has no such inport, which an initial message "
     "needs; it has 'in'"},
    {GRAPH(NODE("d", "Double"), INITIAL("d", "in", "'one'"), ""),
     GBX_FINDING_ERROR, "initial-type",
     "node 'd', port 'in': its initial message is \"one\", but it takes "
     "integer: change one of them"},

    {GRAPH(TWO, A_B, ",'inports':{" PORT("p", "ghost", "in", ANY) "}"),
     GBX_FINDING_ERROR, "unknown-node",
     "node 'ghost', port 'in': there is no such node, which inport 'p' of the "
     "graph needs: add it to processes, or correct the name"},
    {GRAPH(TWO, A_B, ",'outports':{" PORT("p", "b", "in", ANY) "}"),
     GBX_FINDING_ERROR, "unknown-outport",
     "node 'b', port 'in': it has no such outport, which outport 'p' of the "
     "graph needs; it has 'out'"},
    {"{'caseSensitive':false,'properties':{'name':'t'},'processes':{" TWO "},"
     "'connections':[" A_B "],'outports':{" PORT("p", "b", "out", ANY) "," PORT(
         "P", "b", "out", ANY) "}}",
     GBX_FINDING_ERROR, "duplicate-port",
     "node 'b', port 'out': the graph has two outports 'P', since "
     "caseSensitive is false: rename one of them"},
    {GRAPH(NODE("d", "Double"), "",
           ",'inports':{" PORT("p", "d", "in", STR) "}"),
     GBX_FINDING_ERROR, "type-mismatch",
     "node 'd', port 'in': it is integer, but inport 'p' of the graph is "
     "string: make them fit"},
    {GRAPH(TWO, A_B, ",'outports':{" PORT("", "b", "out", ANY) "}"),
     GBX_FINDING_ERROR, "empty-name",
     "node 'b', port 'out': an outport of the graph stands under \"\": give it "
     "a name"},

    {GRAPH(TWO, A_B, ",'groups':[{'id':'g','nodes':['a','ghost']}]"),
     GBX_FINDING_ERROR, "unknown-node",
     "node 'ghost': there is no such node, but group 'g' has it: add it to "
     "processes, or take it out of the group"},
    {GRAPH(TWO, A_B, ",'groups':[{'nodes':[]}]"), GBX_FINDING_ERROR,
     "empty-name", "a group has no id: give it one"},
    {GRAPH(TWO, A_B, ",'groups':[{'id':'g','nodes':[]},{'id':'g','nodes':[]}]"),
     GBX_FINDING_ERROR, "duplicate-group",
     "there are two groups 'g': rename one of them"},

    {GRAPH(NODE("j", "Join"), INITIAL("j", "a", "1"), ""), GBX_FINDING_ERROR,
     "never-fed",
     "node 'j', port 'b': nothing feeds it, and the node waits for all of its "
     "inports, so it can never run: connect it, or give it an initial "
     "message"},
    {GRAPH(NODE("p", "Pass") "," NODE("q", "Pass"), WIRE("p", "out", "q", "in"),
           ""),
     GBX_FINDING_WARNING, "never-fed",
     "node 'p': nothing feeds any of its inports, so it never runs: connect "
     "one, or give it an initial message"},
    {GRAPH(NODE("p", "Pass") "," NODE("q", "Pass"),
           WIRE("p", "out", "q", "in") "," WIRE(
               "q", "out", "p", "in") "," INITIAL("p", "in", "1"),
           ""),
     GBX_FINDING_WARNING, "cycle",
     "node 'p': it is in a cycle, p -> q -> p: see that its messages come to "
     "an end"},
    {GRAPH(NODE("p", "Pass"), WIRE("p", "out", "p", "in"), ""),
     GBX_FINDING_WARNING, "cycle",
     "node 'p': it is in a cycle, p -> p, and nothing from outside starts it: "
     "give one an initial message"},
    {GRAPH(NODE("w", "Wait") "," NODE("v", "Wait"),
           WIRE("w", "out", "v", "in") "," WIRE("v", "out", "w", "in"), ""),
     GBX_FINDING_ERROR, "circular-wait",
     "node 'w': circular wait of await_all_inports, w -> v -> w: nothing from "
     "outside can start it; give one an initial message for what comes from "
     "the cycle"},
    /* Something from outside, but not where the cycle comes in. */
    {GRAPH(NODE("j", "Join") "," NODE("w", "Wait"),
           WIRE("j", "out", "w", "in") "," WIRE("w", "out", "j",
                                                "b") "," INITIAL("j", "a", "1"),
           ""),
     GBX_FINDING_ERROR, "circular-wait",
     "node 'j': circular wait of await_all_inports, j -> w -> j: nothing from "
     "outside can start it; give one an initial message for what comes from "
     "the cycle"},
};

struct seen {
    size_t count; /* but for cycles that come after the first */
    char first[1024], last[1024], code[40];
    enum gbx_finding_level level;
    size_t errors;
};

static void see(void *context, const struct gbx_finding *finding)
{
    struct seen *seen = context;

    if (seen->count == 0) {
        snprintf(seen->first, sizeof(seen->first), "%s", finding->text);
        snprintf(seen->code, sizeof(seen->code), "%s", finding->code);
        seen->level = finding->level;
    }
    snprintf(seen->last, sizeof(seen->last), "%s", finding->text);
    seen->count += seen->count == 0 || strcmp(finding->code, "cycle") != 0;
    seen->errors += finding->level == GBX_FINDING_ERROR;
}

static struct seen check(const char *json)
{
    struct gbx_graph *graph;
    struct gbx_error err = {0};
    struct seen seen = {0};
    size_t errors;

    if (parse(&graph, json, &err) < 0)
        fail_msg("%s\n%s", json, err.what);
    errors = gbx_graph_check(graph, test_component, NULL, see, &seen);
    assert_int_equal(errors, seen.errors);
    assert_int_equal(gbx_graph_check(graph, test_component, NULL, NULL, NULL),
                     seen.errors);
    gbx_graph_close(graph);
    return seen;
}

static void what_makes_no_sense_is_told_with_the_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(senseless); i++) {
        struct seen seen = check(senseless[i].json);

        assert_string_equal(seen.first, senseless[i].text);
        assert_string_equal(seen.code, senseless[i].code);
        assert_int_equal(seen.level, senseless[i].level);
        if (seen.count != 1)
            fail_msg("%s\nalso: %s", seen.first, seen.last);
    }
}

/* ---- what makes sense ---- */

static void a_good_graph_has_no_findings(void **state)
{
    static const char *const good[] = {
        GOOD,
        GRAPH(NODE("s", "Source") "," NODE("j", "Join"),
              WIRE("s", "out", "j", "a") "," INITIAL("j", "b", "0"), ""),
        GRAPH(NODE("a", "Any") "," NODE("b", "Any"),
              WIRE("a", "x", "b", "y") "," WIRE("a", "x", "b", "z"), ""),
        GRAPH(
            NODE("d", "Double"), INITIAL("d", "in", "21"),
            ",'outports':{" PORT("result", "d", "out", "{'type':'float'}") "}"),
        GRAPH("'a':{'id':'a','component':'Source','metadata':{'env_vars':"
              "{'A':'required','_b':'optional','C3':'optional:x y'}}}",
              "", ""),
        GRAPH("'a':{'id':'a','component':'Source','metadata':{'image':'a/b:1',"
              "'isolation':'process','limits':{'memory':'64M','cpu':5}}}",
              "", ""),
        /* Of no sandbox's. */
        GRAPH("'a':{'id':'a','component':'Native','metadata':{'limits':7}}", "",
              ""),
        /* Without cases. */
        "{'case_sensitive':false,'properties':{'name':'t'},'processes':{" TWO
        "},'connections':[" WIRE("a", "OUT", "b", "In") "]}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct seen seen = check(good[i]);

        assert_string_equal(seen.first, "");
    }
}

static void a_cycle_of_waiting_nodes_may_be_started(void **state)
{
    struct seen seen = check(GRAPH(
        NODE("j", "Join") "," NODE("w", "Wait"),
        WIRE("j", "out", "w", "in") "," WIRE("w", "out", "j", "b") "," INITIAL(
            "j", "a", "1") "," INITIAL("j", "b", "1"),
        ""));

    (void)state;
    assert_string_equal(seen.code, "cycle");
    assert_int_equal(seen.level, GBX_FINDING_WARNING);
}

static void types_fit_as_in_reflow(void **state)
{
    static const struct {
        const char *from, *to;
        int fits;
    } cases[] = {
        {INT, INT, 1},
        {INT, STR, 0},
        {INT, "{'type':'float'}", 1},
        {"{'type':'float'}", INT, 0},
        {ANY, INT, 1},
        {INT, ANY, 1},
        {"{'type':'stream'}", INT, 1},
        {INT, "{'type':'stream'}", 1},
        {"{'type':'flow'}", "{'type':'event'}", 0},
        {"{'type':'option','value':" INT "}", INT, 1},
        {INT, "{'type':'option','value':" INT "}", 1},
        {STR, "{'type':'option','value':" INT "}", 0},
        {"{'type':'array','value':" INT "}",
         "{'type':'array','value':{'type':'float'}}", 1},
        {"{'type':'array','value':" INT "}", "{'type':'array','value':" STR "}",
         0},
        {"{'type':'array','value':" INT "}", INT, 0},
        {"{'type':'object','value':'A'}", "{'type':'object','value':'A'}", 1},
        {"{'type':'object','value':'A'}", "{'type':'object','value':'B'}", 0},
        {"{'type':'object'}", ANY, 0},
        {"{'type':'array'}", ANY, 0},
        {"{'type':'number'}", ANY, 0},
        {"7", ANY, 0},
        {"{", ANY, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *from = quoted(cases[i].from), *to = quoted(cases[i].to);

        if (gbx_port_type_fits(from, to) != cases[i].fits)
            fail_msg("%s to %s", from, to);
        free(from);
        free(to);
    }
    assert_int_equal(gbx_port_type_fits(NULL, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_read_says_where),
        cmocka_unit_test(what_makes_no_sense_is_told_with_the_remedy),
        cmocka_unit_test(a_good_graph_has_no_findings),
        cmocka_unit_test(a_cycle_of_waiting_nodes_may_be_started),
        cmocka_unit_test(types_fit_as_in_reflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
