/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/flow/flow.h"

static const char usage[] =
    "usage: glovebox flow COMMAND [OPTION]... GRAPH.json\n"
    "\n"
    "A graph says which actors there are and who sends messages to whom.  Its\n"
    "nodes are scripts, each sealed; its file is Reflow's graph JSON.\n"
    "\n"
    "  glovebox flow check GRAPH.json  does it make sense? says what does not\n"
    "  glovebox flow show GRAPH.json   draw it: here, or as SVG\n"
    "  glovebox flow run GRAPH.json    run it until no message is left\n"
    "\n"
    "For example, two scripts in a row:\n"
    "  {\"caseSensitive\": true, \"properties\": {\"name\": \"demo\"},\n"
    "   \"processes\": {\"double\": {\"id\": \"double\", \"component\": "
    "\"double\"},\n"
    "                 \"show\": {\"id\": \"show\", \"component\": \"show\"}},\n"
    "   \"connections\": [\n"
    "     {\"from\": {\"nodeId\": \"double\", \"portId\": \"out\"},\n"
    "      \"to\": {\"nodeId\": \"show\", \"portId\": \"in\"}},\n"
    "     {\"from\": {}, \"to\": {\"nodeId\": \"double\", \"portId\": "
    "\"in\"},\n"
    "      \"data\": 21}]}\n"
    "\n"
    "The component \"double\" is double.py or double.js beside the graph,\n"
    "double.actor.py in a folder below, or the script whose metadata say so.\n"
    "A connection with \"data\" that begins nowhere is a message that waits\n"
    "when the graph starts.\n"
    "\n"
    "glovebox-flow(1) is the manual.\n";

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"check", cli_flow_check},
    {"show", cli_flow_show},
    {"run", cli_flow_run},
};

int flow_open_graph(struct gbx_graph **graph, const char *path)
{
    struct gbx_error err = {0};
    int rc = gbx_graph_open(graph, path, &err);

    if (rc == GBX_EFORMAT || rc == GBX_ELIMIT)
        return cli_say(err.what, CLI_FINDINGS);
    return rc < 0 ? cli_fail(&err) : CLI_OK;
}

void flow_folder_of(char folder[4096], const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path);

    if (slash == NULL)
        strcpy(folder, ".");
    else
        snprintf(folder, 4096, "%.*s", n > 0 ? (int)n : 1, path);
}

void *flow_need(void *memory)
{
    if (memory == NULL)
        exit(cli_say("no memory", CLI_HOST));
    return memory;
}

int cli_flow(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, command) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (strcmp(command, "--help") == 0 || strcmp(command, "-?") == 0 ||
        strcmp(command, "help") == 0) {
        fputs(usage, stdout);
        return CLI_OK;
    }
    if (command[0] != '\0')
        fprintf(stderr, "glovebox: flow has no command \"%s\"\n\n", command);
    fputs(usage, stderr);
    return CLI_USAGE;
}
