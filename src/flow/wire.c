/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.c - whom each node reaches, as a list that a run reads without a lock.
 *
 * An edge is part of a circle when both its ends lie in one strongly connected
 * component (Tarjan, 1972; without recursion, since rows of 10,000 nodes are
 * allowed).  Who sends along such an edge does not wait for room: it might wait
 * for itself.
 */
#include <stdlib.h>
#include <string.h>

#include "flow/flow.h"

struct search {
    struct flow_node *stack; /* of nodes whose component is not known */
    uint32_t count;
};

static void enter(struct search *search, struct flow_node *node,
                  struct flow_node *parent)
{
    node->search = (struct node_search){.number = ++search->count,
                                        .lowest = search->count,
                                        .on_stack = true,
                                        .below = search->stack,
                                        .parent = parent,
                                        .at = node->edges};
    search->stack = node;
}

/* All that is reached from it has been seen: is it a component's first? */
static struct flow_node *leave(struct search *search, struct flow_node *node)
{
    struct flow_node *parent = node->search.parent, *top;

    if (node->search.lowest == node->search.number)
        do {
            top = search->stack;
            search->stack = top->search.below;
            top->search.on_stack = false;
            top->search.lowest = node->search.number;
        } while (top != node);
    else if (parent->search.lowest > node->search.lowest)
        parent->search.lowest = node->search.lowest;
    return parent;
}

static void find_from(struct search *search, struct flow_node *root)
{
    struct flow_node *node = root;

    enter(search, root, NULL);
    while (node != NULL) {
        struct edge *edge = node->search.at;
        struct flow_node *to;

        if (edge == NULL) {
            node = leave(search, node);
            continue;
        }
        node->search.at = edge->next;
        to = edge->to;
        if (to == NULL)
            continue;
        if (to->search.number == 0) {
            enter(search, to, node);
            node = to;
        } else if (to->search.on_stack &&
                   node->search.lowest > to->search.number) {
            node->search.lowest = to->search.number;
        }
    }
}

/* False: no memory for a name. */
static bool fill(struct wire *wire, const struct edge *edge)
{
    *wire = (struct wire){
        .outport = edge->outport,
        .is_soft = edge->to != NULL &&
                   edge->to->search.lowest == edge->from->search.lowest,
        .to = edge->to != NULL ? flow_node_get(edge->to) : NULL,
        .port = edge->port,
        .outside = edge->outside != NULL ? strdup(edge->outside) : NULL,
    };
    return edge->outside == NULL || wire->outside != NULL;
}

static struct wiring *make(struct flow_node *node)
{
    struct wiring *wiring;
    uint32_t count = 0;
    bool good = true;

    for (struct edge *e = node->edges; e != NULL; e = e->next)
        count++;
    wiring = calloc(1, sizeof(*wiring) + count * sizeof(wiring->wires[0]));
    if (wiring == NULL)
        return NULL;
    atomic_init(&wiring->holders, 1);
    for (struct edge *e = node->edges; e != NULL && good; e = e->next)
        good = fill(&wiring->wires[wiring->count++], e);
    if (good)
        return wiring;
    wiring_put(wiring);
    return NULL;
}

bool wire_all_locked(struct gbx_flow *flow)
{
    struct search search = {.stack = NULL};

    for (struct flow_node *n = flow->nodes; n != NULL; n = n->after)
        n->search = (struct node_search){.number = 0};
    for (struct flow_node *n = flow->nodes; n != NULL; n = n->after)
        if (n->search.number == 0)
            find_from(&search, n);
    for (struct flow_node *n = flow->nodes; n != NULL; n = n->after) {
        struct wiring *wiring = make(n), *before;

        if (wiring == NULL)
            return false;
        pthread_mutex_lock(&n->lock);
        before = n->wiring;
        n->wiring = wiring;
        pthread_mutex_unlock(&n->lock);
        wiring_put(before);
    }
    return true;
}
