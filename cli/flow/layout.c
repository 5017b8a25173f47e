/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.c - a graph in layers, from the top to the bottom of a terminal.
 *
 * Sugiyama's way: turn what goes in circles around, put each node below all
 * that send to it, let long lines bend once in each layer, and sort the layers
 * so that neighbours lie below each other.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/flow/flow.h"

#define CELLS_MAX  1000 /* more is no picture */
#define SWEEPS     8
#define GAP        2
#define NAME_MOST  24
#define NAME_LEAST 8

/* ---- cells and links ---- */

static size_t add_cell(struct layout *l, enum cell_kind kind, const char *name,
                       const char *below)
{
    if (l->cell_count == l->cell_room) {
        l->cell_room = l->cell_room * 2 + 64;
        l->cells =
            flow_need(realloc(l->cells, l->cell_room * sizeof(struct cell)));
    }
    l->cells[l->cell_count] =
        (struct cell){.kind = kind, .name = name, .below = below};
    return l->cell_count++;
}

static void add_link(struct layout *l, size_t top, size_t bottom, bool up)
{
    for (size_t i = 0; i < l->link_count; i++) /* one line is enough */
        if (l->links[i].top == top && l->links[i].bottom == bottom &&
            l->links[i].up == up)
            return;
    if (l->link_count == l->link_room) {
        l->link_room = l->link_room * 2 + 64;
        l->links =
            flow_need(realloc(l->links, l->link_room * sizeof(struct link)));
    }
    l->links[l->link_count++] = (struct link){top, bottom, up};
}

static size_t cell_of(const struct gbx_graph *graph, const char *id)
{
    const struct gbx_graph_node *node = gbx_graph_find_node(graph, id);

    return node != NULL ? gbx_graph_node_index(graph, node) : SIZE_MAX;
}

static void read_graph(struct layout *l, const struct gbx_graph *graph)
{
    for (size_t i = 0; i < gbx_graph_nodes(graph); i++) {
        const struct gbx_graph_node *node = gbx_graph_node(graph, i);

        add_cell(l, CELL_NODE, node->id, node->component);
    }
    for (size_t i = 0; i < gbx_graph_connections(graph); i++) {
        const struct gbx_graph_connection *c = gbx_graph_connection(graph, i);
        size_t from = cell_of(graph, c->from_node);
        size_t to = cell_of(graph, c->to_node);

        if (from != SIZE_MAX && from == to)
            l->cells[to].loops = true;
        else if (from != SIZE_MAX && to != SIZE_MAX)
            add_link(l, from, to, false);
    }
    for (size_t i = 0; i < gbx_graph_inports(graph); i++) {
        const struct gbx_graph_port *port = gbx_graph_inport(graph, i);
        size_t to = cell_of(graph, port->node);

        if (to != SIZE_MAX)
            add_link(l, add_cell(l, CELL_PORT, port->name, "in"), to, false);
    }
    for (size_t i = 0; i < gbx_graph_outports(graph); i++) {
        const struct gbx_graph_port *port = gbx_graph_outport(graph, i);
        size_t from = cell_of(graph, port->node);

        if (from != SIZE_MAX)
            add_link(l, from, add_cell(l, CELL_PORT, port->name, "out"), false);
    }
}

/* ---- layers ---- */

/* state: 0 unseen, 1 on the way here, 2 done.  What leads back to who is on the
 * way here is turned around.  Recursion ends at CELLS_MAX. */
static void turn_circles(struct layout *l, char *state, size_t cell)
{
    state[cell] = 1;
    for (size_t i = 0; i < l->link_count; i++) {
        struct link *link = &l->links[i];

        if (link->top != cell || link->up)
            continue;
        if (state[link->bottom] == 1) {
            *link = (struct link){link->bottom, cell, true};
            continue;
        }
        if (state[link->bottom] == 0)
            turn_circles(l, state, link->bottom);
    }
    state[cell] = 2;
}

/* Below all that lead to it.  There are no circles any more. */
static void set_layers(struct layout *l)
{
    bool moved = true;

    while (moved) {
        moved = false;
        for (size_t i = 0; i < l->link_count; i++) {
            const struct cell *top = &l->cells[l->links[i].top];
            struct cell *bottom = &l->cells[l->links[i].bottom];

            if (bottom->layer <= top->layer) {
                bottom->layer = top->layer + 1;
                moved = true;
            }
        }
    }
    /* Who has nobody above stands just above the first one below. */
    for (size_t k = 0; k < l->cell_count; k++) {
        size_t least = SIZE_MAX;

        if (l->cells[k].layer > 0)
            continue;
        for (size_t i = 0; i < l->link_count; i++)
            if (l->links[i].top == k &&
                l->cells[l->links[i].bottom].layer < least)
                least = l->cells[l->links[i].bottom].layer;
        if (least != SIZE_MAX)
            l->cells[k].layer = least - 1;
    }
}

/* Lines that pass a layer bend there, so that they have a place in it. */
static void bend_lines(struct layout *l)
{
    for (size_t i = 0; i < l->link_count && l->cell_count < CELLS_MAX; i++) {
        size_t layer = l->cells[l->links[i].top].layer + 1, bend;
        size_t bottom = l->links[i].bottom;

        if (l->cells[bottom].layer == layer)
            continue;
        bend = add_cell(l, CELL_BEND, "", "");
        l->cells[bend].layer = layer;
        l->links[i].bottom = bend;
        add_link(l, bend, bottom, l->links[i].up);
    }
    for (size_t k = 0; k < l->cell_count; k++)
        if (l->cells[k].layer + 1 > l->layer_count)
            l->layer_count = l->cells[k].layer + 1;
}

/* ---- the order in a layer ---- */

static int by_wish(const void *one, const void *other)
{
    const struct cell *const *a = one, *const *b = other;

    if ((*a)->layer != (*b)->layer)
        return (*a)->layer < (*b)->layer ? -1 : 1;
    if ((*a)->wish < (*b)->wish || (*a)->wish > (*b)->wish)
        return (*a)->wish < (*b)->wish ? -1 : 1;
    return (*a)->place < (*b)->place ? -1 : (*a)->place > (*b)->place;
}

/* Cells by layer and place. */
static struct cell **sorted(struct layout *l)
{
    struct cell **all =
        flow_need(calloc(l->cell_count + 1, sizeof(struct cell *)));

    for (size_t i = 0; i < l->cell_count; i++)
        all[i] = &l->cells[i];
    qsort(all, l->cell_count, sizeof(struct cell *), by_wish);
    for (size_t i = 0; i < l->cell_count; i++)
        all[i]->place = i > 0 && all[i - 1]->layer == all[i]->layer
                            ? all[i - 1]->place + 1
                            : 0;
    return all;
}

/* The mean place of those above, or of those below. */
static void make_wishes(struct layout *l, bool is_above)
{
    for (size_t k = 0; k < l->cell_count; k++) {
        double sum = 0;
        size_t count = 0;

        for (size_t i = 0; i < l->link_count; i++) {
            const struct link *link = &l->links[i];
            size_t mine = is_above ? link->bottom : link->top;
            size_t other = is_above ? link->top : link->bottom;

            if (mine == k) {
                sum += (double)l->cells[other].place;
                count++;
            }
        }
        l->cells[k].wish =
            count > 0 ? sum / (double)count : (double)l->cells[k].place;
    }
}

static void sort_layers(struct layout *l)
{
    free(sorted(l));
    for (int i = 0; i < SWEEPS; i++) {
        make_wishes(l, i % 2 == 0);
        free(sorted(l));
    }
    for (size_t k = 0; k < l->cell_count; k++)
        l->cells[k].wish = (double)l->cells[k].place;
}

/* ---- columns ---- */

static size_t cut(const struct layout *l, const char *text)
{
    size_t columns = draw_columns(text);

    return columns < l->name_max ? columns : l->name_max;
}

static void set_widths(struct layout *l)
{
    for (size_t k = 0; k < l->cell_count; k++) {
        struct cell *cell = &l->cells[k];
        size_t name = cut(l, cell->name) + (cell->loops ? 2 : 0);
        size_t below = cut(l, cell->below);

        /* Odd, so that it has a middle. */
        cell->width = cell->kind == CELL_BEND
                          ? 1
                          : ((name > below ? name : below) + 4) | 1;
    }
}

/* Side by side; returns the widest layer's columns. */
static size_t pack(struct layout *l, struct cell *const *all)
{
    size_t width = 0;

    for (size_t i = 0; i < l->cell_count; i++) {
        const struct cell *left = i > 0 ? all[i - 1] : NULL;

        all[i]->x = left != NULL && left->layer == all[i]->layer
                        ? left->x + left->width + GAP
                        : 0;
        if (all[i]->x + all[i]->width > width)
            width = all[i]->x + all[i]->width;
    }
    return width;
}

static size_t middle(const struct cell *cell)
{
    return cell->x + cell->width / 2;
}

/* As far to the right as those above want it, and the width lets it. */
static void spread(struct layout *l, struct cell *const *all)
{
    for (size_t n = l->cell_count; n-- > 0;) {
        struct cell *cell = all[n];
        const struct cell *right =
            n + 1 < l->cell_count && all[n + 1]->layer == cell->layer
                ? all[n + 1]
                : NULL;
        size_t most = (right != NULL ? right->x - GAP : l->width) - cell->width;
        double sum = 0, count = 0, want;

        for (size_t i = 0; i < l->link_count; i++) {
            const struct link *link = &l->links[i];
            size_t other = &l->cells[link->bottom] == cell ? link->top
                           : &l->cells[link->top] == cell  ? link->bottom
                                                           : SIZE_MAX;

            if (other == SIZE_MAX)
                continue;
            sum += (double)middle(&l->cells[other]);
            count++;
        }
        if (count < 1)
            continue;
        want = sum / count - (double)(cell->width / 2);
        if (want > (double)cell->x)
            cell->x = want < (double)most ? (size_t)want : most;
    }
}

/* The only one that a cell is linked to, above or below; else NULL. */
static const struct cell *only(const struct layout *l, const struct cell *cell,
                               bool is_above)
{
    const struct cell *found = NULL;

    for (size_t i = 0; i < l->link_count; i++) {
        const struct link *link = &l->links[i];
        const struct cell *mine =
            &l->cells[is_above ? link->bottom : link->top];

        if (mine != cell)
            continue;
        if (found != NULL)
            return NULL;
        found = &l->cells[is_above ? link->top : link->bottom];
    }
    return found;
}

/* Who is below one alone stands right below it, if there is room. */
static void straighten(struct layout *l, struct cell *const *all)
{
    for (size_t n = 0; n < l->cell_count; n++) {
        struct cell *cell = all[n];
        const struct cell *above = only(l, cell, true);
        bool has_left = n > 0 && all[n - 1]->layer == cell->layer;
        bool has_right =
            n + 1 < l->cell_count && all[n + 1]->layer == cell->layer;
        size_t least = has_left ? all[n - 1]->x + all[n - 1]->width + GAP : 0;
        size_t most = has_right ? all[n + 1]->x - GAP : l->width;
        size_t half = cell->width / 2;

        if (above == NULL || only(l, above, false) != cell)
            continue;
        if (middle(above) >= least + half &&
            middle(above) - half + cell->width <= most)
            cell->x = middle(above) - half;
    }
}

/* So that the leftmost is in the first column. */
static void trim(struct layout *l)
{
    size_t least = SIZE_MAX;

    for (size_t k = 0; k < l->cell_count; k++)
        least = l->cells[k].x < least ? l->cells[k].x : least;
    for (size_t k = 0; k < l->cell_count; k++)
        l->cells[k].x -= least;
}

bool layout_make(struct layout *l, const struct gbx_graph *graph,
                 size_t columns)
{
    struct cell **all;
    char *state;

    *l = (struct layout){0};
    if (gbx_graph_nodes(graph) + gbx_graph_inports(graph) +
            gbx_graph_outports(graph) >=
        CELLS_MAX)
        return false;
    read_graph(l, graph);
    state = flow_need(calloc(l->cell_count + 1, 1));
    for (size_t i = 0; i < l->cell_count; i++)
        if (state[i] == 0)
            turn_circles(l, state, i);
    free(state);
    set_layers(l);
    bend_lines(l);
    if (l->cell_count >= CELLS_MAX)
        return false;
    sort_layers(l);
    all = sorted(l);
    for (l->name_max = NAME_MOST; l->name_max >= NAME_LEAST; l->name_max--) {
        set_widths(l);
        l->width = pack(l, all);
        if (l->width <= columns)
            break;
    }
    for (int i = 0; i < 4; i++)
        spread(l, all);
    straighten(l, all);
    trim(l);
    free(all);
    return l->name_max >= NAME_LEAST;
}

void layout_fini(struct layout *l)
{
    free(l->cells);
    free(l->links);
    *l = (struct layout){0};
}
