/* SPDX-License-Identifier: Apache-2.0 */
/* show.c - `glovebox flow show`: a graph as a picture, or as a list. */
#include <argp.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/flow/flow.h"

#define COLUMNS_MIN 20
#define COLUMNS_MAX 10000

extern char **environ;

struct show_options {
    const char *path, *svg;
    bool dot, list, ascii;
    size_t columns;
};

enum { OPTION_SVG = 256, OPTION_DOT, OPTION_ASCII, OPTION_WIDTH };

static const struct argp_option options[] = {
    {"svg", OPTION_SVG, "FILE", 0, "Write a picture to FILE, by Graphviz's dot",
     0},
    {"dot", OPTION_DOT, NULL, 0, "Print it in Graphviz's language", 0},
    {"list", 'l', NULL, 0,
     "Print a line for each connection, with ports, instead of a picture", 0},
    {"ascii", OPTION_ASCII, NULL, 0,
     "Draw with + - | alone; default where the terminal has no UTF-8", 0},
    {"width", OPTION_WIDTH, "COLUMNS", 0,
     "How wide it may be; default the terminal's width, or 80", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct show_options *o = state->input;

    switch (key) {
    case OPTION_SVG:
        o->svg = arg;
        return 0;
    case OPTION_DOT:
        o->dot = true;
        return 0;
    case 'l':
        o->list = true;
        return 0;
    case OPTION_ASCII:
        o->ascii = true;
        return 0;
    case OPTION_WIDTH:
        o->columns = (size_t)cli_option_number("width", arg, COLUMNS_MIN,
                                               COLUMNS_MAX, state);
        return 0;
    case ARGP_KEY_ARG:
        if (o->path != NULL)
            argp_error(state, "one graph is shown at a time");
        o->path = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->path == NULL)
            argp_error(state, "the graph's file is expected");
        if (o->dot + o->list + (o->svg != NULL) > 1)
            argp_error(state, "only one of --svg, --dot and --list");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "GRAPH.json",
    .doc = "Draw a graph: its nodes with their components in boxes, its own "
           "ports in round ones, and who sends to whom, from the top to the "
           "bottom.  A node with a round arrow sends to itself.  What is too "
           "large for the terminal is listed.\v"
           "Example:\n"
           "  glovebox flow show --svg demo.svg demo.graph.json\n"
           "\n"
           "Exit status: 0 fine, 1 the file is no graph, 2 wrong usage, 125 "
           "Graphviz is missing or failed, 127 the file is missing or "
           "unreadable."};

/* ---- as a list ---- */

static void print_name(const char *name)
{
    cli_print(stdout, name, strlen(name), true);
}

static void print_end(const char *node, const char *port)
{
    print_name(node);
    putchar('.');
    print_name(port);
}

static void print_list(const struct gbx_graph *graph)
{
    for (size_t i = 0; i < gbx_graph_nodes(graph); i++) {
        const struct gbx_graph_node *node = gbx_graph_node(graph, i);

        print_name(node->id);
        fputs(" (", stdout);
        print_name(node->component);
        puts(")");
    }
    for (size_t i = 0; i < gbx_graph_inports(graph); i++) {
        const struct gbx_graph_port *port = gbx_graph_inport(graph, i);

        fputs("inport ", stdout);
        print_name(port->name);
        fputs(" -> ", stdout);
        print_end(port->node, port->port);
        putchar('\n');
    }
    for (size_t i = 0; i < gbx_graph_initials(graph); i++) {
        const struct gbx_graph_initial *first = gbx_graph_initial(graph, i);

        print_name(first->data);
        fputs(" -> ", stdout);
        print_end(first->to_node, first->to_port);
        putchar('\n');
    }
    for (size_t i = 0; i < gbx_graph_connections(graph); i++) {
        const struct gbx_graph_connection *c = gbx_graph_connection(graph, i);

        print_end(c->from_node, c->from_port);
        fputs(" -> ", stdout);
        print_end(c->to_node, c->to_port);
        putchar('\n');
    }
    for (size_t i = 0; i < gbx_graph_outports(graph); i++) {
        const struct gbx_graph_port *port = gbx_graph_outport(graph, i);

        print_end(port->node, port->port);
        fputs(" -> outport ", stdout);
        print_name(port->name);
        putchar('\n');
    }
}

/* ---- in the terminal ---- */

static size_t columns(void)
{
    const char *set = getenv("COLUMNS");
    size_t n = set != NULL ? strtoul(set, NULL, 10) : 0;
    struct winsize size;

    if (n == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        n = size.ws_col;
    if (n == 0)
        n = 80;
    return n < COLUMNS_MIN ? COLUMNS_MIN : n > COLUMNS_MAX ? COLUMNS_MAX : n;
}

/* As setlocale() would find it out. */
static bool has_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    const char *value = NULL;

    for (size_t i = 0; i < 3 && (value == NULL || value[0] == '\0'); i++)
        value = getenv(names[i]);
    return value != NULL && (strcasestr(value, "utf-8") != NULL ||
                             strcasestr(value, "utf8") != NULL);
}

static void print_picture(const struct gbx_graph *graph,
                          const struct show_options *o)
{
    struct layout layout;
    size_t width = o->columns > 0 ? o->columns : columns();

    if (layout_make(&layout, graph, width)) {
        draw(&layout, o->ascii || !has_utf8());
    } else {
        fprintf(stderr,
                "glovebox: too wide for %zu columns, so it is listed; "
                "--width N or --svg FILE draw it\n",
                width);
        print_list(graph);
    }
    layout_fini(&layout);
}

/* ---- by Graphviz ---- */

static int wait_for(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run_dot(FILE *input, const char *svg)
{
    char program[] = "dot", type[] = "-Tsvg", option[] = "-o";
    char *file = flow_need(strdup(svg)), text[200];
    char *argv[] = {program, type, option, file, NULL};
    posix_spawn_file_actions_t acts;
    pid_t pid;
    int rc;

    flow_need(posix_spawn_file_actions_init(&acts) == 0 ? &acts : NULL);
    posix_spawn_file_actions_adddup2(&acts, fileno(input), STDIN_FILENO);
    rc = posix_spawnp(&pid, program, &acts, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&acts);
    free(file);
    if (rc == ENOENT)
        return cli_say("--svg needs the program dot: install graphviz (apt-get "
                       "install graphviz); or use --dot, and draw elsewhere",
                       CLI_HOST);
    snprintf(text, sizeof(text), "dot: %s", strerrordesc_np(rc));
    if (rc != 0)
        return cli_say(text, CLI_HOST);
    rc = wait_for(pid);
    snprintf(text, sizeof(text), "dot failed (exit status %d)", rc);
    return rc == 0 ? CLI_OK : cli_say(text, CLI_HOST);
}

static int draw_svg(const struct gbx_graph *graph, const char *svg)
{
    char *dot = flow_need(gbx_graph_dot(graph));
    FILE *input = tmpfile();
    int code;

    if (input == NULL || fputs(dot, input) == EOF || fflush(input) != 0 ||
        lseek(fileno(input), 0, SEEK_SET) != 0)
        code = cli_say("no room for a temporary file", CLI_HOST);
    else
        code = run_dot(input, svg);
    if (input != NULL)
        fclose(input);
    free(dot);
    return code;
}

int cli_flow_show(int argc, char **argv)
{
    static char name[] = "glovebox flow show";
    struct show_options o = {.path = NULL};
    struct gbx_graph *graph;
    char *dot;
    int code;

    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    code = flow_open_graph(&graph, o.path);
    if (code != CLI_OK)
        return code;
    if (o.svg != NULL) {
        code = draw_svg(graph, o.svg);
    } else if (o.dot) {
        dot = flow_need(gbx_graph_dot(graph));
        fputs(dot, stdout);
        free(dot);
    } else if (o.list) {
        print_list(graph);
    } else {
        print_picture(graph, &o);
    }
    gbx_graph_close(graph);
    return code;
}
