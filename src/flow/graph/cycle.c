/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cycle.c - circles in a graph: Tarjan's strongly connected components, without
 * recursion, since a circle may have as many nodes as a graph.
 *
 * It goes from a node to those that feed it, which finds the same circles.  A
 * circle is often meant, so it is a warning, unless nobody in it can be the
 * first to run: who waits for all inports needs something from outside the
 * circle at each of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/graph/check.h"

#define SHOWN_MAX 8 /* nodes of a circle that are named */

struct walk {
    struct check *check;
    size_t *order;  /* when it was found, 1 for the first; 0 not yet */
    size_t *low;    /* the earliest that it leads to */
    size_t *circle; /* which one it is in, from 1; 0: not decided */
    size_t *next;   /* of its feeds, which is looked at next */
    size_t *stack, *path, *before;
    size_t depth, length, found, circles;
};

/* ---- what is said of one ---- */

static bool can_start(const struct walk *walk, size_t node)
{
    const struct check *check = walk->check;
    const struct gbx_component *component = &check->components[node];

    if (!check->known[node])
        return true; /* nobody knows */
    if (!component->await_all_inports)
        return check_is_fed(check, node, NULL, walk->circle);
    for (size_t k = 0; component->inports && component->inports[k]; k++)
        if (!check_is_fed(check, node, component->inports[k], walk->circle))
            return false;
    for (size_t i = check->first_feed[node];
         !component->inports && i < check->first_feed[node + 1]; i++)
        if (!check_is_fed(check, node, check->feeds[i].port, walk->circle))
            return false;
    return true;
}

/* Fills before[]: on the shortest way from `start` back to itself, whom a node
 * feeds.  path is used as a queue. */
static void find_way(struct walk *walk, const size_t *members, size_t count,
                     size_t start)
{
    const struct check *check = walk->check;
    size_t head = 0, tail = 0;

    for (size_t i = 0; i < count; i++)
        walk->before[members[i]] = OUTSIDE;
    walk->path[tail++] = start;
    while (head < tail && walk->before[start] == OUTSIDE) {
        size_t node = walk->path[head++];

        for (size_t i = check->first_feed[node];
             i < check->first_feed[node + 1]; i++) {
            size_t from = check->feeds[i].from;

            if (from == OUTSIDE || walk->circle[from] != walk->circle[start] ||
                walk->before[from] != OUTSIDE)
                continue;
            walk->before[from] = node;
            if (from != start)
                walk->path[tail++] = from;
        }
    }
}

/* "a -> b -> a" */
static void name_way(const struct walk *walk, char *text, size_t room,
                     size_t start)
{
    size_t node = start, at = 0, shown = 0;

    do {
        if (shown++ == SHOWN_MAX) {
            at += (size_t)snprintf(text + at, room - at, "... -> ");
            break;
        }
        at += (size_t)snprintf(text + at, room - at, "%.60s -> ",
                               gbx_graph_node(walk->check->graph, node)->id);
        node = walk->before[node];
    } while (node != start);
    snprintf(text + at, room - at, "%.60s",
             gbx_graph_node(walk->check->graph, start)->id);
}

static void report(struct walk *walk, const size_t *members, size_t count)
{
    struct check *check = walk->check;
    bool starts = false, waits = false;
    size_t first = members[0];
    char way[(SHOWN_MAX + 2) * 64 + 16];
    const char *id;

    for (size_t i = 0; i < count; i++) {
        first = members[i] < first ? members[i] : first;
        starts = starts || can_start(walk, members[i]);
        waits = waits || check->components[members[i]].await_all_inports;
    }
    find_way(walk, members, count, first);
    name_way(walk, way, sizeof(way), first);
    id = gbx_graph_node(check->graph, first)->id;
    if (starts)
        check_report(check, GBX_FINDING_WARNING, "cycle", id, "",
                     "it is in a cycle, %s: see that its messages come to an "
                     "end",
                     way);
    else if (waits)
        check_report(check, GBX_FINDING_ERROR, "circular-wait", id, "",
                     "circular wait of await_all_inports, %s: nothing from "
                     "outside can start it; give one an initial message for "
                     "what comes from the cycle",
                     way);
    else
        check_report(check, GBX_FINDING_WARNING, "cycle", id, "",
                     "it is in a cycle, %s, and nothing from outside starts "
                     "it: give one an initial message",
                     way);
}

/* ---- the walk ---- */

static void enter(struct walk *walk, size_t node)
{
    walk->order[node] = walk->low[node] = ++walk->found;
    walk->next[node] = walk->check->first_feed[node];
    walk->stack[walk->depth++] = node;
    walk->path[walk->length++] = node;
}

static void lower(size_t *low, size_t to)
{
    if (to < *low)
        *low = to;
}

static bool feeds_itself(const struct check *check, size_t node)
{
    for (size_t i = check->first_feed[node]; i < check->first_feed[node + 1];
         i++)
        if (check->feeds[i].from == node)
            return true;
    return false;
}

/* All that lead to each other with this one lie on the stack from it on. */
static void take_circle(struct walk *walk, size_t node)
{
    walk->circles++;
    do
        walk->circle[walk->stack[--walk->depth]] = walk->circles;
    while (walk->stack[walk->depth] != node);
}

/* From here to all that can be reached. */
static void go(struct walk *walk, size_t start)
{
    const struct check *check = walk->check;

    enter(walk, start);
    while (walk->length > 0) {
        size_t node = walk->path[walk->length - 1], from;

        if (walk->next[node] == check->first_feed[node + 1]) {
            walk->length--;
            if (walk->low[node] == walk->order[node])
                take_circle(walk, node);
            if (walk->length > 0)
                lower(&walk->low[walk->path[walk->length - 1]],
                      walk->low[node]);
            continue;
        }
        from = check->feeds[walk->next[node]++].from;
        if (from == OUTSIDE)
            continue;
        if (walk->order[from] == 0)
            enter(walk, from);
        else if (walk->circle[from] == 0)
            lower(&walk->low[node], walk->order[from]);
    }
}

/* Each circle once, in the order of the nodes.  The walk is over, so its arrays
 * serve again: low is where a circle's members begin on the stack. */
static void report_all(struct walk *walk)
{
    size_t n = walk->check->node_count, *begin = walk->low;

    memset(begin, 0, (n + 2) * sizeof(size_t));
    for (size_t i = 0; i < n; i++)
        begin[walk->circle[i] + 1]++;
    for (size_t i = 1; i < n + 2; i++)
        begin[i] += begin[i - 1];
    for (size_t i = 0; i < n; i++)
        walk->stack[begin[walk->circle[i]]++] = i;
    memset(walk->order, 0, (n + 2) * sizeof(size_t)); /* 1: is reported */
    for (size_t i = 0; i < n; i++) {
        size_t circle = walk->circle[i], from = begin[circle - 1];
        size_t count = begin[circle] - from;

        if (walk->order[circle]++ == 0 &&
            (count > 1 || feeds_itself(walk->check, i)))
            report(walk, walk->stack + from, count);
    }
}

bool check_cycles(struct check *check)
{
    size_t n = check->node_count + 2, *all = calloc(n * 7, sizeof(size_t));
    struct walk walk = {.check = check};

    if (all == NULL)
        return false;
    walk.order = all;
    walk.low = all + n;
    walk.circle = all + 2 * n;
    walk.next = all + 3 * n;
    walk.stack = all + 4 * n;
    walk.path = all + 5 * n;
    walk.before = all + 6 * n;
    for (size_t i = 0; i < check->node_count; i++)
        if (walk.order[i] == 0)
            go(&walk, i);
    report_all(&walk);
    free(all);
    return true;
}
