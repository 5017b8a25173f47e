/* SPDX-License-Identifier: Apache-2.0 */
/* glovebox-nodes - run by `glovebox nodes`, which knows nothing of NATS. */
#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "net/nats/nodes.h"

enum { EXIT_WORDS = 2 }; /* as glovebox(1) says */

struct options {
    const char *url;
    int json;
};

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "A JSON array, an object for each", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case 'j':
        o->json = 1;
        return 0;
    case ARGP_KEY_ARG:
        if (o->url != NULL)
            argp_error(state, "one URL is expected");
        o->url = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->url == NULL && (o->url = getenv("GLOVEBOX_NATS")) == NULL)
            argp_error(state, "a URL is expected: nats://host:4222");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "URL",
    .doc = "Which workers (gloveboxd --worker) take calls from a NATS server, "
           "what they can isolate, and what they have to do.\v"
           "The URL is nats://HOST:4222 or tls://HOST:4222, as for workers; "
           "without one, $GLOVEBOX_NATS.\n"
           "Exit status: 0, also where there are no workers; 2 wrong options; "
           "69 there is no such server, or it has no JetStream."};

static int compare(const void *left, const void *right)
{
    const struct node *a = left, *b = right;
    int order = strcmp(a->route, b->route);

    if (order == 0)
        order = strcmp(a->host, b->host);
    return order != 0 ? order : strcmp(a->id, b->id);
}

static void join(const struct node *node, char text[160])
{
    size_t at = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < node->isolation_count; i++)
        at += (size_t)snprintf(text + at, 160 - at, "%s%s", i > 0 ? "," : "",
                               node->isolations[i]);
}

static void print_table(const struct node *nodes, size_t count)
{
    printf("%-10s %-16s %-16s %-22s %9s %8s %10s %6s\n", "ROUTE", "HOST",
           "VERSION", "ISOLATIONS", "BUSY", "WAITING", "CALLS", "SEEN");
    for (size_t i = 0; i < count; i++) {
        const struct node *node = &nodes[i];
        const char *version = strchr(node->product, ' ');
        char isolations[160], busy[32];

        join(node, isolations);
        snprintf(busy, sizeof(busy), "%u/%u", node->busy, node->workers);
        printf("%-10s %-16s %-16s %-22s %9s %8u %10llu %4.1f s%s\n",
               node->route, node->host,
               version != NULL ? version + 1 : node->product, isolations, busy,
               node->waiting, (unsigned long long)node->calls,
               (double)node->seen_ns / 1e9,
               node->is_draining ? "  (it ends)" : "");
    }
}

static void print_json(const struct node *nodes, size_t count)
{
    json_t *list = json_array();
    char *text;

    for (size_t i = 0; i < count; i++) {
        char *one = node_write(&nodes[i]);
        json_t *json = one != NULL ? json_loads(one, 0, NULL) : NULL;

        free(one);
        json_object_set_new(
            json, "seen_ms",
            json_integer((json_int_t)(nodes[i].seen_ns / 1000000)));
        json_array_append_new(list, json);
    }
    text = json_dumps(list, JSON_INDENT(2));
    json_decref(list);
    puts(text != NULL ? text : "[]");
    free(text);
}

int main(int argc, char **argv)
{
    static char name[] = "glovebox nodes";
    struct options o = {0};
    struct gbx_error err = {.what = ""};
    struct node *nodes;
    size_t count;
    int rc;

    argv[0] = name;
    argp_err_exit_status = EXIT_WORDS;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    rc = net_nodes_list(&nodes, &count, o.url, &err);
    if (rc < 0) {
        fprintf(stderr, "glovebox nodes: %s\n", err.what);
        return rc == GBX_EARGUMENT ? EXIT_WORDS : EX_UNAVAILABLE;
    }
    qsort(nodes, count, sizeof(*nodes), compare);
    if (o.json)
        print_json(nodes, count);
    else if (count > 0)
        print_table(nodes, count);
    else
        puts("no workers: start one with gloveboxd --worker URL");
    free(nodes);
    if (fflush(stdout) == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "glovebox nodes: standard output: %s\n",
            strerrordesc_np(errno));
    return EX_IOERR;
}
