/* SPDX-License-Identifier: Apache-2.0 */
/* A flow that runs becomes that of another graph. */
#include "flow/flow_test.h"

#include "glovebox/flow_graph.h"

/* As nodes "id component", wires "from to" (of out and in), ports by their
 * first letter. */
static struct gbx_graph *make(const char *const *nodes,
                              const char *const *wires)
{
    struct gbx_graph *graph;
    char first[32], second[32];
    int rc = gbx_graph_new(&graph, "t", &err);

    for (; rc == 0 && *nodes != NULL; nodes++) {
        char metadata[64] = "";

        sscanf(*nodes, "%31s %31s %63s", first, second, metadata);
        rc = gbx_graph_add_node(graph, first, second,
                                metadata[0] != '\0' ? metadata : NULL, &err);
    }
    for (; rc == 0 && *wires != NULL; wires++) {
        sscanf(*wires, "%31s %31s", first, second);
        if (strcmp(first, "i") == 0)
            rc = gbx_graph_add_inport(graph, first, second, "in", NULL, &err);
        else if (strcmp(second, "o") == 0 || strcmp(second, "p") == 0)
            rc = gbx_graph_add_outport(graph, second, first, "out", NULL, &err);
        else if (strcmp(first, "7") == 0)
            rc = gbx_graph_add_initial(graph, second, "in", "7", -1, &err);
        else
            rc = gbx_graph_connect(graph, first, "out", second, "in", &err);
    }
    if (rc < 0)
        fail_msg("%s", err.what);
    return graph;
}

#define LIST(...)                                                              \
    (const char *const[])                                                      \
    {                                                                          \
        __VA_ARGS__, NULL                                                      \
    }

static struct gbx_graph *graph;

static void start(struct gbx_graph *first)
{
    graph = first;
    if (gbx_flow_add_graph(flow, graph, NULL, NULL, &err) < 0)
        fail_msg("%s", err.what);
    begin();
}

static int change(struct gbx_graph *next)
{
    int rc = gbx_flow_change_graph(flow, graph, next, NULL, NULL, &err);

    gbx_graph_close(graph);
    graph = next;
    return rc;
}

static int end(void **state)
{
    gbx_graph_close(graph);
    graph = NULL;
    return finish(state);
}

#define ROW    LIST("a add", "b add"), LIST("i a", "a b", "b o")
#define DETOUR LIST("a add", "b add", "c add"), LIST("i a", "a c", "c b", "b o")

static void a_node_comes_between_and_goes(void **state)
{
    (void)state;
    open_flow(2, 0);
    start(make(ROW));
    give("i", 0);
    drain();
    assert_int_equal(change(make(DETOUR)), 0);
    give("i", 10);
    drain();
    assert_int_equal(change(make(ROW)), 0);
    give("i", 20);
    drain();
    assert_int_equal(count_seen(), 3);
    assert_int_equal(seen.numbers[0], 2);
    assert_int_equal(seen.numbers[1], 13);
    assert_int_equal(seen.numbers[2], 22);
    assert_int_equal(seen.letters, 0);
}

static atomic_bool is_over;

static void *give_on(void *context)
{
    int64_t *given = context;

    while (!atomic_load(&is_over))
        give("i", (*given)++);
    return NULL;
}

/* A new way is open before the old one is closed. */
static void nothing_is_lost_meanwhile(void **state)
{
    static bool has[ARRAY_SIZE(seen.numbers)];
    int64_t given = 0;
    size_t lost = 0;
    pthread_t giver;

    (void)state;
    memset(has, 0, sizeof(has));
    open_flow(2, 0);
    start(make(LIST("a add", "b add"), LIST("i a", "a b", "b o")));
    atomic_store(&is_over, false);
    assert_int_equal(pthread_create(&giver, NULL, give_on, &given), 0);
    for (int i = 0; i < 20; i++) {
        usleep(1000);
        /* down passes a number that is one less: the sum says which way. */
        if (change(i % 2 == 0 ? make(LIST("a add", "b add", "c down", "d add"),
                                     LIST("i a", "a c", "c d", "d b", "b o"))
                              : make(ROW)) < 0)
            fail_msg("%s", err.what);
    }
    atomic_store(&is_over, true);
    pthread_join(giver, NULL);
    drain();
    for (size_t i = 0; i < seen.count && i < ARRAY_SIZE(seen.numbers); i++)
        has[seen.numbers[i] - 2] = true;
    assert_true(given > 100);
    for (int64_t i = 0; i < given && i < (int64_t)ARRAY_SIZE(has); i++)
        lost += !has[i];
    if (lost > seen.letters)
        fail_msg("%zu of %lld are lost", lost, (long long)given);
}

static void what_stays_remembers_and_what_changes_does_not(void **state)
{
    (void)state;
    open_flow(2, 0);
    start(make(LIST("n count {\"x\":1}", "m count {}"),
               LIST("i n", "n m", "m o")));
    give("i", 0);
    give("i", 0);
    drain();
    assert_int_equal(change(make(LIST("n count {\"x\":1}", "m count {\"y\":2}"),
                                 LIST("i n", "n m", "m o", "n p"))),
                     0);
    give("i", 0);
    drain();
    assert_int_equal(count_seen(), 4);
    assert_int_equal(seen.numbers[1], 2);
    /* n has counted on, m begins anew; in either order. */
    assert_int_equal(seen.numbers[2] + seen.numbers[3], 3 + 1);
}

static void what_waits_for_one_that_goes_is_a_letter(void **state)
{
    (void)state;
    open_flow(2, 0);
    start(make(LIST("a add", "s slow"), LIST("i a", "a s", "s o")));
    for (int i = 0; i < 5; i++)
        give("i", i);
    usleep(20000);
    assert_int_equal(change(make(LIST("a add"), LIST("i a", "a o"))), 0);
    atomic_store(&gate, 1);
    give("i", 10);
    drain();
    assert_int_equal(seen.letters, 4); /* the first one runs */
    assert_non_null(strstr(seen.reason, "removed"));
    /* And what it sends, arrives. */
    assert_int_equal(count_seen(), 2);
    assert_int_equal(seen.numbers[0] + seen.numbers[1], 1 + 11);
}

static void only_new_nodes_get_initial_messages(void **state)
{
    (void)state;
    open_flow(2, 0);
    start(make(LIST("a add"), LIST("a o", "7 a")));
    drain();
    assert_int_equal(
        change(make(LIST("a add", "b add"), LIST("a o", "7 a", "b a", "7 b"))),
        0);
    drain();
    assert_int_equal(count_seen(), 2);
    assert_int_equal(seen.numbers[0], 8);
    assert_int_equal(seen.numbers[1], 9);
}

static void ports_of_the_graph_stay_with_their_nodes(void **state)
{
    (void)state;
    open_flow(2, 0);
    start(make(ROW));
    assert_int_equal(
        change(make(LIST("a add", "b add"), LIST("i b", "a b", "b o"))),
        GBX_EUNSUPPORTED);
    assert_non_null(strstr(err.what, "port i of the graph"));
    graph = (gbx_graph_close(graph), make(ROW)); /* it is as it was */
    assert_int_equal(change(make(LIST("a add", "b add"), LIST("i a", "a b"))),
                     GBX_EUNSUPPORTED);
    graph = (gbx_graph_close(graph), make(ROW));
    give("i", 0);
    drain();
    assert_int_equal(seen.numbers[0], 2);
    /* With their nodes they go. */
    assert_int_equal(change(make(LIST("c add"), LIST("i c", "c o"))), 0);
    give("i", 5);
    drain();
    assert_int_equal(seen.numbers[1], 6);
}

static void what_cannot_be_made_is_named(void **state)
{
    (void)state;
    open_flow(2, 0);
    start(make(ROW));
    assert_int_equal(change(make(LIST("a add", "b add", "c nothing"),
                                 LIST("i a", "a b", "b o"))),
                     GBX_EFILE);
    assert_non_null(strstr(err.what, "node c"));
    give("i", 0);
    drain();
    assert_int_equal(seen.numbers[0], 2); /* the rest goes on */
}

#define CHANGE(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHANGE(a_node_comes_between_and_goes),
        CHANGE(nothing_is_lost_meanwhile),
        CHANGE(what_stays_remembers_and_what_changes_does_not),
        CHANGE(what_waits_for_one_that_goes_is_a_letter),
        CHANGE(only_new_nodes_get_initial_messages),
        CHANGE(ports_of_the_graph_stay_with_their_nodes),
        CHANGE(what_cannot_be_made_is_named),
    };

    return cmocka_run_group_tests_name("flow_change", tests, NULL, NULL);
}
