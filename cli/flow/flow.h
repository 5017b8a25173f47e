/* SPDX-License-Identifier: Apache-2.0 */
/* flow.h - the parts of `glovebox flow`. */
#ifndef CLI_FLOW_FLOW_H
#define CLI_FLOW_FLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"
#include "glovebox/discover.h"
#include "glovebox/graph.h"
#include "glovebox/runtime.h"

int cli_flow_check(int argc, char **argv);
int cli_flow_show(int argc, char **argv);
int cli_flow_run(int argc, char **argv);

/* Open a graph, or print why not and return an exit code. */
int flow_open_graph(struct gbx_graph **graph, const char *path);

/* The folder of a graph's file, "." for one that stands here. */
void flow_folder_of(char folder[4096], const char *path);

/* Memory that there must be: ends the program. */
void *flow_need(void *memory);

/* ---- scripts/how.c: how the scripts of a graph are run ---- */

struct argp;
struct gbx_image;
struct gbx_images;

struct flow_scripts {
    const char *folder; /* where they are looked for; NULL: the graph's */
    const char *image_name, *rules_file; /* as they were asked for, or NULL */
    bool no_rules;
    struct gbx_script_config config; /* for all that say nothing themselves */

    struct gbx_config *rules; /* owned, as what follows; or NULL */
    struct gbx_images *images;
    struct gbx_image *image;
};

/* Its options; a child of a command's own, with this as its input. */
extern const struct argp flow_scripts_argp;
/* What they name.  Returns CLI_OK or an exit code, with what is wrong said;
 * close is allowed even then. */
int flow_scripts_open(struct flow_scripts *scripts);
void flow_scripts_close(struct flow_scripts *scripts);
/* A runtime for them; brief: nothing is kept for the next.  Returns 0 or a
 * code. */
int flow_scripts_run(const struct flow_scripts *scripts, bool is_brief,
                     struct gbx_runtime **runtime, struct gbx_error *err);

/* ---- scripts/component.c: what the nodes are, by their scripts ---- */

struct components {
    struct gbx_scripts *scripts;    /* borrowed */
    const struct flow_scripts *how; /* borrowed: how they are loaded */
    bool is_quick;                  /* nothing is loaded */
    struct gbx_runtime *runtime;    /* owned; from the first on */
    struct loaded **loaded;         /* owned */
    size_t count;
    bool has_all; /* those that were discovered are loaded, each of them */
};

/* gbx_component_fn; context: struct components. */
int components_find(void *context, const struct gbx_graph_node *node,
                    struct gbx_component *component, struct gbx_error *err);
/* gbx_component_path_fn; the same context. */
int components_path(void *context, const char *component, const char **path,
                    struct gbx_error *err);
void components_fini(struct components *components);

/* ---- layout.c: where what is drawn ---- */

enum cell_kind { CELL_NODE, CELL_PORT, CELL_BEND };

struct cell {
    enum cell_kind kind;
    const char *name, *below; /* borrowed */
    bool loops;               /* it sends to itself */
    size_t layer, place;      /* from the top, from the left */
    size_t x, width;          /* in columns */
    double wish;              /* where it would be nearest to its neighbours */
};

/* A line from a cell to one in the layer below. */
struct link {
    size_t top, bottom;
    bool up; /* its arrow is at the top */
};

struct layout {
    struct cell *cells;
    size_t cell_count, cell_room;
    struct link *links;
    size_t link_count, link_room;
    size_t layer_count, width, name_max;
};

/* Returns false where it does not fit into so many columns. */
bool layout_make(struct layout *layout, const struct gbx_graph *graph,
                 size_t columns);
void layout_fini(struct layout *layout);

/* ---- draw.c ---- */

void draw(const struct layout *layout, bool is_ascii);

/* Columns that text takes: its characters. */
size_t draw_columns(const char *text);

#endif
