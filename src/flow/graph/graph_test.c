/* SPDX-License-Identifier: Apache-2.0 */
/* graph_test.c - graphs are read, changed and written without loss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "flow/graph/graph_test.h"

/* All that Reflow writes, and some that it does not. */
static const char full[] =
    "{'caseSensitive':true,'$schema':'x',"
    "'properties':{'name':'demo','version':'1.0.0','pi':0.1,'big':1e+300},"
    "'inports':{'numbers':{'portName':'input','portId':'numbers','nodeId':"
    "'double','index':null,'expose':false,'data':7,'metadata':{'x':1},"
    "'portType':{'type':'integer'}}},"
    "'outports':{'result':{'portName':'','portId':'output','nodeId':'show',"
    "'expose':true,'portType':{'type':'array','value':{'type':'integer'}}}},"
    "'groups':[{'id':'g1','nodes':['double','show'],'metadata':{'color':'red'}}"
    "],"
    "'processes':{'double':{'id':'double','component':'test_multiplier',"
    "'scriptRuntime':'Python','metadata':{'x':100,'y':80.5}},"
    "'show':{'z':[1,{'deep':null}],'id':'show','component':'Display',"
    "'metadata':null}},"
    "'connections':[{'from':{'portName':'','portId':'output','nodeId':'double',"
    "'index':null,'expose':false,'data':null,'metadata':null,"
    "'portType':{'type':'any'}},"
    "'to':{'portName':'ignored','portId':'input','nodeId':'show','expose':"
    "false,"
    "'portType':{'type':'integer'}},'metadata':{'route':1},'data':null},"
    "{'from':{'portName':'','portId':'','nodeId':'','expose':false,"
    "'portType':{'type':'any'}},"
    "'to':{'portName':'input','portId':'','nodeId':'double','index':3,"
    "'expose':false,'portType':{'type':'any'}},'metadata':null,"
    "'data':{'value':[21,'\\u00e4']}}],"
    "'graph_dependencies':[],'externalConnections':[{'connectionId':'c1'}]}";

static struct gbx_graph *open_graph(const char *json)
{
    struct gbx_graph *graph;
    struct gbx_error err = {0};

    if (parse(&graph, json, &err) < 0)
        fail_msg("%s", err.what);
    return graph;
}

static void all_that_reflow_writes_is_read(void **state)
{
    struct gbx_graph *graph = open_graph(full);
    const struct gbx_graph_connection *wire = gbx_graph_connection(graph, 0);
    const struct gbx_graph_initial *first = gbx_graph_initial(graph, 0);
    const struct gbx_graph_port *port = gbx_graph_inport(graph, 0);
    const struct gbx_graph_node *node = gbx_graph_find_node(graph, "double");

    (void)state;
    assert_string_equal(gbx_graph_name(graph), "demo");
    assert_int_equal(gbx_graph_nodes(graph), 2);
    assert_ptr_equal(node, gbx_graph_node(graph, 0));
    assert_int_equal(gbx_graph_node_index(graph, node), 0);
    assert_string_equal(node->component, "test_multiplier");
    assert_string_equal(node->runtime, "Python");
    assert_string_equal(node->metadata, "{\"x\":100,\"y\":80.5}");
    assert_null(gbx_graph_node(graph, 1)->metadata);
    assert_null(gbx_graph_node(graph, 1)->runtime);
    assert_null(gbx_graph_node(graph, 2));
    assert_null(gbx_graph_find_node(graph, "Double"));

    assert_int_equal(gbx_graph_connections(graph), 1);
    assert_string_equal(wire->from_node, "double");
    assert_string_equal(wire->from_port, "output");
    assert_string_equal(wire->to_node, "show");
    assert_string_equal(wire->to_port, "input");
    assert_string_equal(wire->to_type, "{\"type\":\"integer\"}");
    assert_string_equal(wire->metadata, "{\"route\":1}");

    assert_int_equal(gbx_graph_initials(graph), 1);
    assert_string_equal(first->to_node, "double");
    assert_string_equal(first->to_port, "input"); /* its portName */
    assert_string_equal(first->data, "{\"value\":[21,\"\u00e4\"]}");
    assert_int_equal(first->index, 3);

    assert_string_equal(port->name, "numbers");
    assert_string_equal(port->node, "double");
    assert_string_equal(port->port, "input");
    assert_string_equal(port->type, "{\"type\":\"integer\"}");
    assert_string_equal(port->data, "7");
    assert_string_equal(gbx_graph_outport(graph, 0)->port, "output");

    assert_string_equal(gbx_graph_group(graph, 0)->id, "g1");
    assert_string_equal(gbx_graph_group(graph, 0)->nodes[1], "show");
    assert_null(gbx_graph_group(graph, 0)->nodes[2]);
    assert_string_equal(gbx_graph_group(graph, 0)->metadata,
                        "{\"color\":\"red\"}");
    gbx_graph_close(graph);
}

static void the_other_spelling_is_read_and_kept(void **state)
{
    struct gbx_graph *graph = open_graph(
        "{'case_sensitive':false,'processes':{'a':{'component':'A',"
        "'script_runtime':'Python'},'b':{'component':'B'}},'connections':["
        "{'from':{'node_id':'a','port_id':'','port_name':'Out'},"
        "'to':{'node_id':'b','port_id':'in','port_type':{'type':'flow'}}}]}");
    const struct gbx_graph_connection *wire = gbx_graph_connection(graph, 0);
    struct gbx_error err;
    char *text;

    (void)state;
    assert_string_equal(wire->from_node, "a");
    assert_string_equal(wire->from_port, "Out");
    assert_string_equal(wire->to_type, "{\"type\":\"flow\"}");
    assert_string_equal(gbx_graph_node(graph, 0)->runtime, "Python");
    assert_false(gbx_graph_is_case_sensitive(graph));
    assert_true(gbx_graph_is_port(graph, "Out", "oUT"));
    assert_false(gbx_graph_is_port(graph, "Out", "oUTs"));
    assert_int_equal(gbx_graph_connect(graph, "A", "x", "b", "y", &err),
                     GBX_EARGUMENT); /* only ports are without case */
    assert_int_equal(gbx_graph_connect(graph, "a", "OUT", "b", "IN", &err),
                     GBX_EARGUMENT);
    assert_int_equal(gbx_graph_connect(graph, "b", "x", "a", "y", &err), 0);
    text = gbx_graph_write(graph);
    assert_non_null(strstr(text, "\"port_id\": \"x\""));
    assert_null(strstr(text, "portId"));
    free(text);
    gbx_graph_close(graph);
}

static void what_is_written_is_what_was_read(void **state)
{
    struct gbx_graph *graph = open_graph(full), *again;
    char *first = gbx_graph_write(graph), *second, *compact = quoted(full);
    struct gbx_error err = {0};
    size_t at = 0;
    bool quotes = false;

    (void)state;
    assert_int_equal(
        gbx_graph_parse(&again, first, strlen(first), "again", &err), 0);
    second = gbx_graph_write(again);
    assert_string_equal(first, second);

    /* But for space and how numbers and letters are spelled, it is the text. */
    for (const char *c = first; *c != '\0'; c++) {
        quotes ^= *c == '"';
        if (quotes || (*c != ' ' && *c != '\n'))
            first[at++] = *c;
    }
    first[at] = '\0';
    *strstr(compact, "\\u00e4") = '\0';
    assert_memory_equal(first, compact, strlen(compact));
    free(first);
    free(second);
    free(compact);
    gbx_graph_close(graph);
    gbx_graph_close(again);
}

static void a_graph_can_be_built(void **state)
{
    static const char *const nodes[] = {"a", "b", NULL};
    struct gbx_graph *graph, *again;
    struct gbx_error err = {0};
    char *text, *second;

    (void)state;
    assert_int_equal(gbx_graph_new(&graph, "built", &err), 0);
    assert_int_equal(gbx_graph_add_node(graph, "a", "Source", NULL, &err), 0);
    assert_int_equal(
        gbx_graph_add_node(graph, "b", "Double", "{\"x\":1}", &err), 0);
    assert_int_equal(gbx_graph_connect(graph, "a", "out", "b", "in", &err), 0);
    assert_int_equal(gbx_graph_add_initial(graph, "b", "in", "[1]", 2, &err),
                     0);
    assert_int_equal(gbx_graph_add_initial(graph, "b", "in", "5", -1, &err), 0);
    assert_int_equal(gbx_graph_add_inport(graph, "i", "b", "in", NULL, &err),
                     0);
    assert_int_equal(gbx_graph_add_outport(graph, "o", "b", "out",
                                           "{\"type\":\"integer\"}", &err),
                     0);
    assert_int_equal(gbx_graph_add_group(graph, "g", nodes, &err), 0);

    text = gbx_graph_write(graph);
    assert_int_equal(gbx_graph_parse(&again, text, strlen(text), "built", &err),
                     0);
    second = gbx_graph_write(again);
    assert_string_equal(text, second);
    assert_int_equal(gbx_graph_initial(again, 0)->index, 2);
    assert_string_equal(gbx_graph_inport(again, 0)->port, "in");
    assert_string_equal(gbx_graph_outport(again, 0)->type,
                        "{\"type\":\"integer\"}");
    assert_string_equal(gbx_graph_node(again, 1)->metadata, "{\"x\":1}");
    assert_string_equal(gbx_graph_group(again, 0)->nodes[1], "b");
    free(text);
    free(second);
    gbx_graph_close(graph);
    gbx_graph_close(again);
}

static void a_renamed_node_is_renamed_everywhere(void **state)
{
    struct gbx_graph *graph = open_graph(full);
    struct gbx_error err = {0};
    char *text;

    (void)state;
    assert_int_equal(gbx_graph_rename_node(graph, "double", "twice", &err), 0);
    text = gbx_graph_write(graph);
    assert_null(strstr(text, "\"double\""));
    free(text);
    assert_string_equal(gbx_graph_node(graph, 0)->id, "twice"); /* its place */
    assert_string_equal(gbx_graph_connection(graph, 0)->from_node, "twice");
    assert_string_equal(gbx_graph_initial(graph, 0)->to_node, "twice");
    assert_string_equal(gbx_graph_inport(graph, 0)->node, "twice");
    assert_string_equal(gbx_graph_group(graph, 0)->nodes[0], "twice");
    gbx_graph_close(graph);
}

static void a_removed_node_takes_all_along_that_names_it(void **state)
{
    struct gbx_graph *graph = open_graph(full);
    struct gbx_error err = {0};

    (void)state;
    assert_int_equal(gbx_graph_remove_node(graph, "double", &err), 0);
    assert_int_equal(gbx_graph_nodes(graph), 1);
    assert_int_equal(gbx_graph_connections(graph), 0);
    assert_int_equal(gbx_graph_initials(graph), 0);
    assert_int_equal(gbx_graph_inports(graph), 0);
    assert_int_equal(gbx_graph_outports(graph), 1);
    assert_string_equal(gbx_graph_group(graph, 0)->nodes[0], "show");
    assert_null(gbx_graph_group(graph, 0)->nodes[1]);
    gbx_graph_close(graph);
}

static void what_was_added_can_be_removed(void **state)
{
    struct gbx_graph *graph = open_graph(full);
    struct gbx_error err = {0};

    (void)state;
    assert_int_equal(
        gbx_graph_add_initial(graph, "show", "input", "1", -1, &err), 0);
    assert_int_equal(gbx_graph_remove_initials(graph, "double", "input", &err),
                     0);
    assert_int_equal(gbx_graph_initials(graph), 1);
    assert_string_equal(gbx_graph_initial(graph, 0)->to_node, "show");
    assert_int_equal(
        gbx_graph_disconnect(graph, "double", "output", "show", "input", &err),
        0);
    assert_int_equal(gbx_graph_connections(graph), 0);
    assert_int_equal(gbx_graph_initials(graph), 1);
    assert_int_equal(gbx_graph_remove_inport(graph, "numbers", &err), 0);
    assert_int_equal(gbx_graph_remove_outport(graph, "result", &err), 0);
    assert_int_equal(gbx_graph_remove_group(graph, "g1", &err), 0);
    assert_int_equal(gbx_graph_inports(graph) + gbx_graph_outports(graph) +
                         gbx_graph_groups(graph),
                     0);
    gbx_graph_close(graph);
}

#define LONG_NAME                                                              \
    "0123456789012345678901234567890123456789012345678901234567890123456789"   \
    "0123456789012345678901234567890123456789012345678901234567890123456789"   \
    "0123456789012345678901234567890123456789012345678901234567890123456789"   \
    "0123456789012345678901234567890123456789012345678901234567890123456789"

static int wrong_edit(struct gbx_graph *g, int which, struct gbx_error *e)
{
    static const char *const ghosts[] = {"show", "ghost", NULL};

    switch (which) {
    case 0:
        return gbx_graph_add_node(g, "double", "X", NULL, e);
    case 1:
        return gbx_graph_add_node(g, "", "X", NULL, e);
    case 2:
        return gbx_graph_add_node(g, LONG_NAME, "X", NULL, e);
    case 3:
        return gbx_graph_add_node(g, "n", "", NULL, e);
    case 4:
        return gbx_graph_add_node(g, "n", "X", "{\"x\"", e);
    case 5:
        return gbx_graph_add_node(g, "n", "X", "[]", e);
    case 6:
        return gbx_graph_add_node(g, "\xff", "X", NULL, e);
    case 7:
        return gbx_graph_remove_node(g, "ghost", e);
    case 8:
        return gbx_graph_rename_node(g, "ghost", "n", e);
    case 9:
        return gbx_graph_rename_node(g, "show", "double", e);
    case 10:
        return gbx_graph_connect(g, "ghost", "out", "show", "in", e);
    case 11:
        return gbx_graph_connect(g, "double", "out", "ghost", "in", e);
    case 12:
        return gbx_graph_connect(g, "double", "output", "show", "input", e);
    case 13:
        return gbx_graph_connect(g, "double", "", "show", "input", e);
    case 14:
        return gbx_graph_disconnect(g, "show", "a", "double", "b", e);
    case 15:
        return gbx_graph_add_initial(g, "show", "in", "null", -1, e);
    case 16:
        return gbx_graph_add_initial(g, "show", "in", "nul", -1, e);
    case 17:
        return gbx_graph_add_initial(g, "show", "in", "1", -2, e);
    case 18:
        return gbx_graph_remove_initials(g, "show", "in", e);
    case 19:
        return gbx_graph_add_inport(g, "numbers", "show", "in", NULL, e);
    case 20:
        return gbx_graph_add_inport(g, "n", "show", "in", "{\"type\":0}", e);
    case 21:
        return gbx_graph_remove_inport(g, "result", e);
    case 22:
        return gbx_graph_remove_outport(g, "numbers", e);
    case 23:
        return gbx_graph_add_group(g, "g1", ghosts + 2, e);
    case 24:
        return gbx_graph_add_group(g, "g2", ghosts, e);
    case 25:
        return gbx_graph_remove_group(g, "g2", e);
    }
    return 0;
}

static void a_wrong_edit_changes_nothing(void **state)
{
    struct gbx_graph *graph = open_graph(full);
    char *before = gbx_graph_write(graph);
    int count = 0;

    (void)state;
    for (; count < 26; count++) {
        struct gbx_error err = {0};
        int rc = wrong_edit(graph, count, &err);
        char *after = gbx_graph_write(graph);

        if (rc != GBX_EARGUMENT && rc != GBX_EFORMAT)
            fail_msg("edit %d: %d", count, rc);
        assert_int_equal(err.code, rc);
        assert_string_not_equal(err.what, "");
        assert_string_equal(after, before);
        free(after);
    }
    free(before);
    gbx_graph_close(graph);
}

static void limits_have_names(void **state)
{
    struct gbx_graph *graph;
    struct gbx_error err = {0};
    char deep[200] = "{\"a\":", *many, *at;

    (void)state;
    assert_int_equal(
        gbx_graph_parse(&graph, "", GBX_GRAPH_BYTES_MAX + 1, "g", &err),
        GBX_ELIMIT);
    assert_non_null(strstr(err.what, "GBX_GRAPH_BYTES_MAX"));

    memset(deep + 5, '[', GBX_GRAPH_DEPTH_MAX);
    assert_int_equal(gbx_graph_parse(&graph, deep, strlen(deep), "g", &err),
                     GBX_EFORMAT);
    assert_string_equal(err.what, "g, line 1, column 69: nested more than 64 "
                                  "deep");

    many = malloc((GBX_GRAPH_NODES_MAX + 2) * 16);
    at = stpcpy(many, "{\"processes\":{");
    for (unsigned i = 0; i <= GBX_GRAPH_NODES_MAX; i++)
        at += sprintf(at, "%s\"%u\":{}", i > 0 ? "," : "", i);
    strcpy(at, "}}");
    assert_int_equal(gbx_graph_parse(&graph, many, strlen(many), "g", &err),
                     GBX_ELIMIT);
    assert_string_equal(err.what, "a graph has at most 100000 nodes "
                                  "(GBX_GRAPH_NODES_MAX)");
    free(many);
}

/* Each feeds the next two. */
static void ten_thousand_nodes_are_no_work(void **state)
{
    enum { NODES = 10000 };
    struct gbx_graph *graph, *again;
    struct gbx_error err = {0};
    uint64_t start_ns = clock_now_ns();
    char id[3][16], *text;

    (void)state;
    assert_int_equal(gbx_graph_new(&graph, "large", &err), 0);
    for (int i = 0; i < NODES; i++) {
        snprintf(id[0], sizeof(id[0]), "n%d", i);
        must(gbx_graph_add_node(graph, id[0], "Pass", NULL, &err) == 0);
        for (int k = 1; k < 3 && i >= k; k++) {
            snprintf(id[k], sizeof(id[k]), "n%d", i - k);
            must(gbx_graph_connect(graph, id[k], "out", id[0], "in", &err) ==
                 0);
        }
    }
    text = gbx_graph_write(graph);
    assert_int_equal(gbx_graph_parse(&again, text, strlen(text), "large", &err),
                     0);
    assert_int_equal(gbx_graph_check(again, test_component, NULL, NULL, NULL),
                     0);
    assert_non_null(gbx_graph_find_node(again, "n9999"));
    /* A tenth of it, where no sanitizer watches. */
    assert_true(clock_now_ns() - start_ns < 10000000000u);
    free(text);
    gbx_graph_close(graph);
    gbx_graph_close(again);
}

static void a_file_is_read_or_named(void **state)
{
    char path[] = "/tmp/graph_test.XXXXXX";
    int fd = mkstemp(path);
    struct gbx_graph *graph;
    struct gbx_error err = {0};

    (void)state;
    assert_int_equal(write(fd, "{\"processes\":{}}", 16), 16);
    close(fd);
    assert_int_equal(gbx_graph_open(&graph, path, &err), 0);
    gbx_graph_close(graph);
    unlink(path);
    assert_int_equal(gbx_graph_open(&graph, path, &err), GBX_EFILE);
    assert_null(graph);
    assert_non_null(strstr(err.what, path));
    assert_int_equal(gbx_graph_open(&graph, "/tmp", &err), GBX_EFILE);
    gbx_graph_close(NULL);
}

static void dot_escapes_what_means_something_to_it(void **state)
{
    struct gbx_graph *graph;
    struct gbx_error err = {0};
    char *dot;

    (void)state;
    assert_int_equal(gbx_graph_new(&graph, "a \"b\"", &err), 0);
    assert_int_equal(gbx_graph_add_node(graph, "x\\\n", "C", NULL, &err), 0);
    assert_int_equal(
        gbx_graph_add_initial(graph, "x\\\n", "in", "\"hi\"", -1, &err), 0);
    dot = gbx_graph_dot(graph);
    assert_non_null(strstr(dot, "digraph \"a \\\"b\\\"\" {\n"));
    assert_non_null(strstr(dot, "\"node x\\\\\" [label=\"x\\\\\\n(C)\"];"));
    assert_non_null(strstr(dot, "label=\"\\\"hi\\\"\""));
    free(dot);
    gbx_graph_close(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_reflow_writes_is_read),
        cmocka_unit_test(the_other_spelling_is_read_and_kept),
        cmocka_unit_test(what_is_written_is_what_was_read),
        cmocka_unit_test(a_graph_can_be_built),
        cmocka_unit_test(a_renamed_node_is_renamed_everywhere),
        cmocka_unit_test(a_removed_node_takes_all_along_that_names_it),
        cmocka_unit_test(what_was_added_can_be_removed),
        cmocka_unit_test(a_wrong_edit_changes_nothing),
        cmocka_unit_test(limits_have_names),
        cmocka_unit_test(ten_thousand_nodes_are_no_work),
        cmocka_unit_test(a_file_is_read_or_named),
        cmocka_unit_test(dot_escapes_what_means_something_to_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
