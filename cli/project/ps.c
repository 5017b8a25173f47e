/* SPDX-License-Identifier: Apache-2.0 */
/* ps.c - `glovebox ps`: what of a project runs, and how. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/image/image.h"
#include "cli/project/run/run.h"

#define ASK_MS 5000

struct ps_options {
    const char *file;
    bool json;
};

static const struct argp_option known[] = {
    PROJECT_OPTION('f'),
    {"json", 'j', NULL, 0, "For programs", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct ps_options *o = state->input;

    switch (key) {
    case 'f':
        o->file = arg;
        return 0;
    case 'j':
        o->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = known,
    .parser = parse,
    .doc = "The scripts and flows of a project: where they run, sandboxes that "
           "are ready, busy, and all, calls and errors so far.\v"
           "Exit status: 0; 125 its daemon does not answer; 127 there is no "
           "project."};

/* ---- as JSON ---- */

static json_t *script_json(const struct running *running, const json_t *actor)
{
    const char *id = json_string_value(json_object_get(actor, "id"));
    const json_t *pool = json_object_get(actor, "pool"),
                 *facts = json_object_get(
                     json_object_get(running->plan, "scripts"), id);

    return json_pack("{s:s,s:O?,s:O?,s:O?,s:O?,s:O?,s:O?,s:O?,s:O?,s:O?,s:O?}",
                     "name", id, "path", json_object_get(facts, "path"),
                     "image", json_object_get(facts, "image"), "isolation",
                     json_object_get(actor, "isolation"), "ready",
                     json_object_get(pool, "ready"), "busy",
                     json_object_get(pool, "busy"), "total",
                     json_object_get(pool, "total"), "suspended",
                     json_object_get(pool, "suspended"), "running",
                     json_object_get(actor, "running"), "calls",
                     json_object_get(actor, "calls"), "failures",
                     json_object_get(actor, "failures"));
}

/* In the order of the file's names; scripts that clients brought are not the
 * project's. */
static json_t *scripts_json(const struct running *running, const json_t *stats)
{
    json_t *list = json_array(), *facts, *actor;
    const char *name;
    size_t i;

    json_object_foreach(json_object_get(running->plan, "scripts"), name, facts)
        json_array_foreach(json_object_get(stats, "actors"), i, actor)
    {
        const char *id = json_string_value(json_object_get(actor, "id"));

        if (id != NULL && strcmp(id, name) == 0 &&
            !json_is_true(json_object_get(actor, "is_sent")))
            json_array_append_new(list, script_json(running, actor));
    }
    return list;
}

static json_t *all_json(const struct running *running, const json_t *stats)
{
    const json_t *daemon = json_object_get(stats, "daemon");
    char url[100], how[200];
    json_t *json =
        json_pack("{s:s,s:s,s:b}", "name", running->name, "file", running->path,
                  "is_up", (int)(running->pidfd >= 0));

    if (running->pidfd < 0) {
        running_ended(running, how);
        json_object_set_new(json, "how", json_string(how));
        return json;
    }
    run_url(json_object_get(running->plan, "options"), stats, url);
    json_object_update_new(
        json,
        json_pack("{s:i,s:O?,s:I,s:s?,s:O?,s:o,s:O?}", "pid", (int)running->pid,
                  "uptime_s", json_object_get(daemon, "uptime_s"),
                  "memory_bytes", (json_int_t)run_memory(running->pid), "url",
                  url[0] != '\0' ? url : NULL, "is_draining",
                  json_object_get(daemon, "is_draining"), "scripts",
                  scripts_json(running, stats), "flows",
                  json_object_get(stats, "flows")));
    return json;
}

/* ---- for people ---- */

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text != NULL ? text : "-";
}

static long long number_of(const json_t *json, const char *key)
{
    return (long long)json_integer_value(json_object_get(json, key));
}

static void show_time(double seconds)
{
    const unsigned long s = (unsigned long)seconds;

    if (s < 60)
        printf("%lus", s);
    else if (s < 3600)
        printf("%lum %lus", s / 60, s % 60);
    else if (s < 86400)
        printf("%luh %lum", s / 3600, s % 3600 / 60);
    else
        printf("%lud %luh", s / 86400, s % 86400 / 3600);
}

static void show_head(const json_t *all)
{
    const uint64_t memory = (uint64_t)number_of(all, "memory_bytes");
    char size[32];

    cli_print(stdout, text_of(all, "name"), strlen(text_of(all, "name")), true);
    if (!json_is_true(json_object_get(all, "is_up"))) {
        printf(" is not up: %s\n", text_of(all, "how"));
        return;
    }
    fputs(json_is_true(json_object_get(all, "is_draining")) ? " ends, up "
                                                            : " is up ",
          stdout);
    show_time(json_real_value(json_object_get(all, "uptime_s")));
    printf(", pid %lld, %s", number_of(all, "pid"), image_size(size, memory));
    if (json_is_string(json_object_get(all, "url")))
        printf(", %s", text_of(all, "url"));
    putchar('\n');
}

static int widest(const json_t *list, const char *key, int width)
{
    json_t *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        const int bytes = (int)strlen(text_of(one, key));

        width = bytes > width ? bytes : width;
    }
    return width;
}

/* A text that a client of the daemon may have chosen, in a column. */
static void show_text(const json_t *json, const char *key, int width)
{
    const char *text = text_of(json, key);
    const int bytes = (int)strlen(text);

    cli_print(stdout, text[0] != '\0' ? text : "-",
              bytes > 0 ? (size_t)bytes : 1, true);
    printf("%*s", (bytes < width ? width - (bytes > 0 ? bytes : 1) : 0) + 2,
           "");
}

static void show_scripts(const json_t *scripts)
{
    const int names = widest(scripts, "name", 6),
              images = widest(scripts, "image", 5);
    json_t *one;
    size_t i;

    printf("%-*s  %-9s  %-*s  %5s  %5s  %5s  %9s  %7s\n", names, "SCRIPT",
           "ISOLATION", images, "IMAGE", "READY", "BUSY", "TOTAL", "CALLS",
           "ERRORS");
    json_array_foreach(scripts, i, one)
    {
        show_text(one, "name", names);
        show_text(one, "isolation", 9);
        show_text(one, "image", images);
        printf("%5lld  %5lld  %5lld  %9lld  %7lld\n", number_of(one, "ready"),
               number_of(one, "busy"), number_of(one, "total"),
               number_of(one, "calls"), number_of(one, "failures"));
    }
}

static void show_flow(const json_t *flow)
{
    const json_t *nodes = json_object_get(flow, "nodes");
    const int names = widest(nodes, "node", 4),
              components = widest(nodes, "component", 9);
    json_t *node;
    size_t i;

    printf("\nFLOW %s: %lld outputs, %lld letters\n", text_of(flow, "name"),
           number_of(flow, "outputs"), number_of(flow, "letters"));
    printf("%-*s  %-*s  %-9s  %-9s  %8s  %9s  %7s\n", names, "NODE", components,
           "COMPONENT", "ISOLATION", "STATE", "QUEUED", "RUNS", "ERRORS");
    json_array_foreach(nodes, i, node)
    {
        show_text(node, "node", names);
        show_text(node, "component", components);
        show_text(node, "isolation", 9);
        show_text(node, "state", 9);
        printf("%8lld  %9lld  %7lld\n", number_of(node, "queued"),
               number_of(node, "runs"), number_of(node, "failures"));
    }
}

static void show(const json_t *all)
{
    json_t *flow;
    size_t i;

    show_head(all);
    if (json_array_size(json_object_get(all, "scripts")) > 0) {
        putchar('\n');
        show_scripts(json_object_get(all, "scripts"));
    }
    json_array_foreach(json_object_get(all, "flows"), i, flow) show_flow(flow);
}

/* One that ends meanwhile is one that has ended. */
static int ask(struct running *running, json_t **stats)
{
    struct gbx_error err = {.code = 0};

    if (running->pidfd < 0 ||
        run_ask(&running->place, running->pidfd, ASK_MS, stats, &err) == 0)
        return CLI_OK;
    if (err.code != GBX_ECANCELED)
        return cli_fail(&err);
    close(running->pidfd);
    running->pidfd = -1;
    return CLI_OK;
}

int cli_ps(int argc, char **argv)
{
    static char name[] = "glovebox ps";
    struct ps_options o = {.file = NULL};
    struct running running;
    json_t *stats = NULL, *all;
    int code;

    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    code = running_open(&running, o.file);
    if (code != CLI_OK)
        return code;
    code = ask(&running, &stats);
    if (code == CLI_OK) {
        all = all_json(&running, stats);
        if (o.json) {
            json_dumpf(all, stdout, JSON_INDENT(2));
            putchar('\n');
        } else {
            show(all);
        }
        json_decref(all);
    }
    json_decref(stats);
    running_close(&running);
    return code;
}
