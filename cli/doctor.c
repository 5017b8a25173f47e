/* SPDX-License-Identifier: Apache-2.0 */
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "glovebox/doctor.h"

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "One JSON object instead of a table", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    bool *json = state->input;

    (void)arg;
    if (key != 'j')
        return ARGP_ERR_UNKNOWN;
    *json = true;
    return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Say what this computer can do for Glovebox, what is missing, and "
           "how to get it.\vExit status: 0 when scripts can be run, else 125."};

static const char *state_name(int state)
{
    return state == GBX_CHECK_OK       ? "ok"
           : state == GBX_CHECK_PARTLY ? "partly"
                                       : "missing";
}

static void print_table(const struct gbx_check *checks, size_t count)
{
    bool color = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
    static const char *const paint[] = {
        [GBX_CHECK_MISSING] = "\033[31m",
        [GBX_CHECK_OK] = "\033[32m",
        [GBX_CHECK_PARTLY] = "\033[33m",
    };

    for (size_t i = 0; i < count; i++) {
        printf("%s%-8s%s %-22s %s\n", color ? paint[checks[i].state] : "",
               state_name(checks[i].state), color ? "\033[0m" : "",
               checks[i].name, checks[i].text);
        if (checks[i].remedy[0] != '\0')
            printf("%-31s -> %s\n", "", checks[i].remedy);
    }
}

static void print_json(const struct gbx_check *checks, size_t count, bool able)
{
    json_t *list = json_array();
    json_t *all = json_pack("{s:b, s:o}", "able", able, "checks", list);

    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s}", "name", checks[i].name,
                            "state", state_name(checks[i].state), "found",
                            checks[i].text, "remedy", checks[i].remedy));
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

int cli_doctor(int argc, char **argv)
{
    static char name[] = "glovebox doctor";
    struct gbx_check checks[GBX_CHECKS_MAX];
    bool json = false, able = true;
    size_t count;

    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &json);
    count = gbx_doctor(checks, GBX_CHECKS_MAX, cli_libexec());
    if (count > GBX_CHECKS_MAX)
        count = GBX_CHECKS_MAX;
    for (size_t i = 0; i < count; i++)
        able = able && checks[i].state != GBX_CHECK_MISSING;
    if (json)
        print_json(checks, count, able);
    else
        print_table(checks, count);
    return able ? CLI_OK : CLI_HOST;
}
