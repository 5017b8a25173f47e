/* SPDX-License-Identifier: Apache-2.0 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "glovebox/runtime.h"

/* A number above 0, and what follows it. */
static bool parse_number(const char *text, double *number, const char **rest)
{
    char *end;

    if (text[0] < '0' || text[0] > '9') /* no sign, no "inf", no " 1" */
        return false;
    errno = 0;
    *number = strtod(text, &end);
    *rest = end;
    return errno == 0 && *number > 0 && *number < 1e18;
}

static bool scale(const char *text, const char *const names[],
                  const double factors[], uint64_t *value)
{
    const char *rest;
    double number;

    if (!parse_number(text, &number, &rest))
        return false;
    for (size_t i = 0; names[i] != NULL; i++)
        if (strcmp(rest, names[i]) == 0) {
            number *= factors[i];
            if (number < 1 || number >= 18446744073709551616.0)
                return false;
            *value = (uint64_t)number;
            return true;
        }
    return false;
}

bool cli_parse_bytes(const char *text, uint64_t *bytes)
{
    static const char *const names[] = {"",    "K",   "M",   "G",   "T",
                                        "KiB", "MiB", "GiB", "TiB", NULL};
    static const double factors[] = {1,      0x1p10, 0x1p20, 0x1p30, 0x1p40,
                                     0x1p10, 0x1p20, 0x1p30, 0x1p40};

    return scale(text, names, factors, bytes);
}

bool cli_parse_time(const char *text, uint64_t *ns)
{
    static const char *const names[] = {"", "s", "ms", "us", "m", "h", NULL};
    static const double factors[] = {1e9, 1e9, 1e6, 1e3, 60e9, 3600e9};

    return scale(text, names, factors, ns);
}

bool cli_parse_count(const char *text, uint32_t *count)
{
    const char *rest;
    double number;

    if (!parse_number(text, &number, &rest) || *rest != '\0' ||
        number > UINT32_MAX || number != (double)(uint32_t)number)
        return false;
    *count = (uint32_t)number;
    return true;
}

void cli_option_bytes(uint64_t *bytes, const char *name, const char *arg,
                      struct argp_state *state)
{
    if (!cli_parse_bytes(arg, bytes))
        argp_error(state,
                   "--%s %s: a size as 4096, 64K, 256M or 2G is "
                   "expected",
                   name, arg);
}

void cli_option_time(uint64_t *ns, const char *name, const char *arg,
                     struct argp_state *state)
{
    if (!cli_parse_time(arg, ns))
        argp_error(state, "--%s %s: a time as 250ms, 5s or 2m is expected",
                   name, arg);
}

void cli_option_count(uint32_t *count, const char *name, const char *arg,
                      struct argp_state *state)
{
    if (!cli_parse_count(arg, count))
        argp_error(state, "--%s %s: a number from 1 is expected", name, arg);
}

int cli_option_limit(struct gbx_limits *limits, int key, const char *arg,
                     struct argp_state *state)
{
    switch (key) {
    case OPTION_MEMORY:
        cli_option_bytes(&limits->memory_bytes, "memory", arg, state);
        return 0;
    case OPTION_CPU:
        cli_option_time(&limits->cpu_ns, "cpu", arg, state);
        return 0;
    case OPTION_PROCESSES:
        cli_option_count(&limits->processes, "processes", arg, state);
        return 0;
    case OPTION_THREADS: /* all that a micro-VM has of them */
        cli_option_count(&limits->processes, "threads", arg, state);
        return 0;
    case OPTION_FILES:
        cli_option_count(&limits->files, "files", arg, state);
        return 0;
    case OPTION_DISK:
        cli_option_bytes(&limits->disk_bytes, "disk", arg, state);
        return 0;
    case OPTION_OUTPUT:
        cli_option_bytes(&limits->output_bytes, "output-limit", arg, state);
        return 0;
    case OPTION_MESSAGE:
        cli_option_bytes(&limits->message_bytes, "message-limit", arg, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}
