/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - `glovebox flow run`: a graph, until it has nothing more to do. */
#include <argp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/flow/run.h"
#include "glovebox/builtin.h"

#define LOOK_NS         250000000ull
#define CLI_INTERRUPTED 130

enum {
    OPTION_WORKERS = 1024,
    OPTION_TRACE,
    OPTION_EVENTS,
    OPTION_SAMPLE,
    OPTION_STATE
};

static volatile sig_atomic_t interrupts;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupts++;
}

static const struct argp_option options[] = {
    {"in", 'i', "PORT=VALUE", 0,
     "Send a message to an inport of the graph, or to NODE.PORT: JSON, or "
     "@FILE as a Stream, @- standard input",
     0},
    {"out", 'o', "PORT=FILE", 0,
     "Write the bodies that arrive at an outport to a file, - standard output; "
     "default: each message as a line of JSON",
     0},
    {"watch", 'w', NULL, 0,
     "Load scripts anew when their files change, and follow the graph's; runs "
     "until it is interrupted",
     0},
    {"quiet", 'q', NULL, 0,
     "Do not show the nodes while they run, nor events where standard error is "
     "no terminal",
     0},
    {"workers", OPTION_WORKERS, "N", 0,
     "Threads that run actors; default: one a CPU", 0},
    {"state", OPTION_STATE, "FILE|URL", 0,
     "Where nodes keep what they remember whose metadata say \"state\": "
     "\"persistent\"",
     0},
    {"trace", OPTION_TRACE, "FILE", 0,
     "Write a trace of all runs and messages, for ui.perfetto.dev", 0},
    {"events", OPTION_EVENTS, "FILE", 0,
     "Write what happens as lines of JSON, Reflow's events; - standard output",
     0},
    {"sample", OPTION_SAMPLE, "N", 0,
     "Of both: one message in so many; default: all", 0},
    {0}};

static void add_text(const char **list, size_t *count, const char *name,
                     const char *arg, struct argp_state *state)
{
    const char *equals = strchr(arg, '=');

    if (equals == NULL || equals == arg)
        argp_error(state, "--%s=%s: PORT=... is expected", name, arg);
    if (*count == FLOW_PORTS_MAX)
        argp_error(state, "--%s: at most %d", name, FLOW_PORTS_MAX);
    list[(*count)++] = arg;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct flow_options *o = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->scripts;
        state->child_inputs[1] = &o->remotes;
        return 0;
    case 'i':
        add_text(o->in, &o->in_count, "in", arg, state);
        return 0;
    case 'o':
        add_text(o->out, &o->out_count, "out", arg, state);
        return 0;
    case 'w':
        o->watch = true;
        return 0;
    case 'q':
        o->quiet = true;
        return 0;
    case OPTION_WORKERS:
        o->workers = (uint32_t)cli_option_number("workers", arg, 1, 256, state);
        return 0;
    case OPTION_STATE:
        o->state = arg;
        return 0;
    case OPTION_TRACE:
        o->trace = arg;
        return 0;
    case OPTION_EVENTS:
        o->events = arg;
        return 0;
    case OPTION_SAMPLE:
        o->sample =
            (uint32_t)cli_option_number("sample", arg, 1, 1000000000, state);
        return 0;
    case ARGP_KEY_ARG:
        if (o->graph != NULL)
            argp_error(state, "one graph at a time");
        o->graph = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->graph == NULL)
            argp_error(state, "the graph's file is expected");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{.argp = &flow_scripts_argp},
                                             {.argp = &remotes_argp},
                                             {0}};

static const struct argp argp = {
    .children = children,
    .options = options,
    .parser = parse,
    .args_doc = "GRAPH.json",
    .doc =
        "Run a graph of actors until no message is left.  On a terminal each "
        "node has a line: what it got and sent, how long its runs take, what "
        "waits for it; where standard error is none, what happens is written "
        "there as "
        "lines of JSON.\v"
        "Ctrl-C lets what is on its way arrive; twice, it ends at once.\n"
        "\n"
        "Examples:\n"
        "  glovebox flow run demo.graph.json --in in=21\n"
        "  glovebox flow run camera.json --in frame=@frame.ppm --out "
        "half=h.ppm\n"
        "\n"
        "A run that fails is tried again as its node's metadata say (retries, "
        "backoff_ms); then its input and the reason are printed.\n"
        "\n"
        "Exit status: 0 all arrived; 1 some message was given up, or the graph "
        "cannot be run; 130 interrupted; see glovebox-flow(1)."};

/* What is run. */
struct running {
    struct gbx_flow *flow;
    struct gbx_graph *graph;     /* owned */
    struct gbx_scripts *scripts; /* owned */
    const struct flow_options *options;
    const char *folder; /* where scripts are looked for */
};

/* The graph's file has changed: the flow follows it, as far as it can. */
static int follow_graph(struct running *r, struct gbx_error *err)
{
    struct components components = {.how = &r->options->scripts};
    struct gbx_scripts *scripts = NULL;
    struct gbx_graph *graph;
    int rc = gbx_graph_open(&graph, r->options->graph, err);

    if (rc == 0)
        rc = gbx_scripts_open(&scripts, r->folder, err);
    components.scripts = scripts;
    if (rc == 0)
        rc = gbx_flow_change_graph(r->flow, r->graph, graph, components_path,
                                   &components, err);
    components_fini(&components);
    if (rc < 0) {
        gbx_scripts_close(scripts);
        gbx_graph_close(graph);
        return rc;
    }
    gbx_scripts_close(r->scripts);
    gbx_graph_close(r->graph);
    r->scripts = scripts;
    r->graph = graph;
    return 0;
}

static void look(struct running *r, struct watched *watched)
{
    struct gbx_error err = {.what = ""};

    if (!watched_look(watched, r->flow))
        return;
    if (follow_graph(r, &err) < 0)
        fprintf(stderr, "glovebox: %s: not all of it is run: %s\n",
                r->options->graph, err.what);
    else
        fprintf(stderr, "glovebox: %s: the flow follows it\n",
                r->options->graph);
    watched_close(watched);
    watched_open(watched, r->flow, r->options->graph);
}

/* Until it is over, or somebody has had enough. */
static void follow(struct running *r)
{
    const struct flow_options *o = r->options;
    const bool shows = !o->quiet && isatty(STDERR_FILENO);
    struct watched watched = {.files = NULL};
    struct live live = {.rows = NULL};
    struct gbx_error err;

    if (o->watch)
        watched_open(&watched, r->flow, o->graph);
    while (interrupts < 2) {
        const uint64_t until_ns = cli_now_ns() + LOOK_NS;
        const bool ends = interrupts > 0;
        bool is_idle;
        int rc;

        if (ends)
            gbx_flow_rest(r->flow);
        rc = gbx_flow_drain(r->flow, until_ns);
        is_idle = rc == 0;

        if (shows)
            live_show(&live, r->flow);
        if (o->watch)
            look(r, &watched);
        if (rc == GBX_EAGAIN && !o->watch && gbx_flow_stalled(r->flow, &err)) {
            cli_say(err.what, CLI_OK);
            break; /* what is left is told as letters */
        }
        if (is_idle && (ends || (!o->watch && gbx_flow_is_over(r->flow))))
            break;
        if (is_idle && cli_now_ns() < until_ns)
            usleep((useconds_t)((until_ns - cli_now_ns()) / 1000));
    }
    if (shows)
        live_end(&live, r->flow);
    watched_close(&watched);
}

/* From a graph to its end.  Returns an exit code. */
static int run(struct running *r)
{
    struct components components = {.scripts = r->scripts,
                                    .how = &r->options->scripts};
    struct gbx_error err = {.what = ""};
    int rc = gbx_flow_add_graph(r->flow, r->graph, components_path, &components,
                                &err);

    components_fini(&components);
    if (rc < 0 || gbx_flow_start(r->flow, &err) < 0)
        return cli_fail(&err);
    if (traffic_send(r->flow, r->options, &err) < 0)
        return cli_fail(&err);
    follow(r);
    return CLI_OK;
}

static int open_all(struct gbx_runtime **runtime, struct gbx_flow **flow,
                    struct traffic *traffic, const struct flow_options *o)
{
    struct gbx_flow_config how = {.struct_bytes = sizeof(how),
                                  .script = &o->scripts.config,
                                  .types = gbx_builtin_types,
                                  .workers = o->workers,
                                  .state_path = o->state,
                                  .sample = o->sample,
                                  .output = traffic_output,
                                  .letter = traffic_letter,
                                  .context = traffic};
    struct gbx_error err;

    if (traffic->is_traced)
        how.event = traffic_event;
    if (flow_scripts_run(&o->scripts, false, runtime, &err) < 0 ||
        remotes_add(&o->remotes, *runtime, &err) < 0)
        return cli_fail(&err);
    how.runtime = *runtime;
    return gbx_flow_open(flow, &how, &err) < 0 ? cli_fail(&err) : CLI_OK;
}

/* Takes the graph. */
static int run_graph(struct gbx_graph *graph, const struct flow_options *o)
{
    char folder[4096];
    struct running r = {.graph = graph, .options = o, .folder = folder};
    struct gbx_runtime *runtime = NULL;
    struct traffic traffic;
    struct gbx_error err;
    int rc;

    flow_folder_of(folder, o->graph);
    if (o->scripts.folder != NULL)
        snprintf(folder, sizeof(folder), "%s", o->scripts.folder);
    rc = traffic_open(&traffic, o);
    if (rc == CLI_OK)
        rc = traffic_trace(&traffic);
    if (rc == CLI_OK && gbx_scripts_open(&r.scripts, folder, &err) < 0)
        rc = cli_fail(&err);
    if (rc == CLI_OK)
        rc = open_all(&runtime, &r.flow, &traffic, o);
    if (rc == CLI_OK)
        rc = run(&r);
    gbx_flow_close(r.flow);
    gbx_runtime_close(runtime);
    gbx_scripts_close(r.scripts);
    gbx_graph_close(r.graph);
    if (traffic_close(&traffic) != CLI_OK && rc == CLI_OK)
        rc = CLI_HOST;
    if (rc == CLI_OK && interrupts > 0)
        return CLI_INTERRUPTED;
    return rc == CLI_OK && traffic.letters > 0 ? CLI_SCRIPT : rc;
}

int cli_flow_run(int argc, char **argv)
{
    static char name[] = "glovebox flow run";
    struct sigaction act = {.sa_handler = interrupt};
    struct flow_options o = {.scripts.config.struct_bytes =
                                 sizeof(o.scripts.config)};
    struct gbx_graph *graph;
    int rc;

    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    remotes_settle(&o.remotes, &o.scripts.config);
    rc = flow_open_graph(&graph, o.graph);
    if (rc != CLI_OK)
        return rc;
    setvbuf(stdout, NULL, _IOLBF, 0); /* who reads a pipe wants it now */
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    rc = flow_scripts_open(&o.scripts);
    if (rc == CLI_OK)
        rc = run_graph(graph, &o);
    else
        gbx_graph_close(graph);
    flow_scripts_close(&o.scripts);
    return rc;
}
