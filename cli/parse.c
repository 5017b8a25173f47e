/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c - what options say: sizes, times, numbers, and which of them a limit
 * may be.  A number that is too large for its type is the largest: it is too
 * large for any option, which says so.
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "glovebox/runtime.h"

#define DAY_NS (86400ull * 1000000000)

struct unit {
    const char *name;
    double factor;
};

static const struct unit sizes[] = {
    {"", 1},         {"K", 0x1p10},   {"M", 0x1p20},   {"G", 0x1p30},
    {"T", 0x1p40},   {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30},
    {"TiB", 0x1p40}, {NULL, 0}};
static const struct unit times[] = {{"", 1e9},   {"s", 1e9},  {"ms", 1e6},
                                    {"us", 1e3}, {"m", 60e9}, {"h", 3600e9},
                                    {NULL, 0}};
static const struct unit numbers[] = {{"", 1}, {NULL, 0}};

/* What an option takes, and how a person is told. */
static const struct kind {
    const struct unit *units;
    const char *expected;
} size = {sizes, "a size as 4096, 64K, 256M or 2G"},
  time = {times, "a time as 250ms, 5s or 2m"}, number = {numbers, "a number"};

/* Of unsigned texts: no sign, no "inf", no " 1". */
static bool parse(const char *text, const struct unit *units, uint64_t *value)
{
    char *rest;
    double parsed;

    if (text[0] < '0' || text[0] > '9')
        return false;
    parsed = strtod(text, &rest);
    while (units->name != NULL && strcmp(rest, units->name) != 0)
        units++;
    if (units->name == NULL)
        return false;
    parsed *= units->factor;
    *value = parsed >= 0x1p64 ? UINT64_MAX : (uint64_t)parsed;
    return units->factor > 1 || parsed >= 0x1p64 || parsed == (double)*value;
}

/* As one would write it: in the largest unit that leaves a whole number.  Every
 * bound has one. */
static void show(char text[32], uint64_t value, const struct unit *units)
{
    const struct unit *best = NULL;

    for (const struct unit *at = units; at->name != NULL; at++)
        if (value % (uint64_t)at->factor == 0 &&
            (best == NULL || at->factor > best->factor ||
             (best->name[0] == '\0' && at->factor >= best->factor)))
            best = at;
    snprintf(text, 32, "%llu%s",
             (unsigned long long)(value / (uint64_t)best->factor), best->name);
}

static uint64_t take(const struct kind *kind, uint64_t least, uint64_t most,
                     const char *name, const char *arg,
                     struct argp_state *state)
{
    uint64_t value = 0;
    char bound[32];

    if (!parse(arg, kind->units, &value))
        argp_error(state, "--%s %s: %s is expected", name, arg, kind->expected);
    if (value < least || value > most) {
        show(bound, value < least ? least : most, kind->units);
        argp_error(state, "--%s %s: at %s %s", name, arg,
                   value < least ? "least" : "most", bound);
    }
    return value;
}

uint64_t cli_option_time(const char *name, const char *arg,
                         struct argp_state *state)
{
    return take(&time, 1000, 3650 * DAY_NS, name, arg, state);
}

uint64_t cli_option_size(const char *name, const char *arg,
                         struct argp_state *state)
{
    return take(&size, 0, UINT64_MAX, name, arg, state);
}

uint64_t cli_option_number(const char *name, const char *arg, uint64_t least,
                           uint64_t most, struct argp_state *state)
{
    return take(&number, least, most, name, arg, state);
}

int cli_option_limit(struct gbx_limits *limits, int key, const char *arg,
                     struct argp_state *state)
{
#define LEAST(field, least, most) .field = least,
#define MOST(field, least, most)  .field = most,
    static const struct gbx_limits least = {GBX_LIMITS(LEAST)};
    static const struct gbx_limits most = {GBX_LIMITS(MOST)};
#define TAKE(option, field, kind, name)                                        \
    case option:                                                               \
        limits->field = (__typeof__(limits->field))take(                       \
            &kind, least.field, most.field, name, arg, state);                 \
        return 0

    switch (key) {
        TAKE(OPTION_MEMORY, memory_bytes, size, "memory");
        TAKE(OPTION_CPU, cpu_ns, time, "cpu");
        TAKE(OPTION_PROCESSES, processes, number, "processes");
        /* All that a micro-VM has of them. */
        TAKE(OPTION_THREADS, processes, number, "threads");
        TAKE(OPTION_FILES, files, number, "files");
        TAKE(OPTION_DISK, disk_bytes, size, "disk");
        TAKE(OPTION_OUTPUT, output_bytes, size, "output-limit");
        TAKE(OPTION_MESSAGE, message_bytes, size, "message-limit");
    }
    return ARGP_ERR_UNKNOWN;
#undef LEAST
#undef MOST
#undef TAKE
}

int cli_option_isolation(const char *arg, struct argp_state *state)
{
    if (strcmp(arg, "auto") == 0)
        return GBX_ISOLATION_AUTO;
    if (strcmp(arg, "process") == 0)
        return GBX_ISOLATION_PROCESS;
    if (strcmp(arg, "wasm") == 0)
        return GBX_ISOLATION_WASM;
    if (strcmp(arg, "remote") == 0)
        return GBX_ISOLATION_REMOTE;
    if (strcmp(arg, "microvm") != 0)
        argp_error(state,
                   "--isolation %s: auto, microvm, process, wasm or remote",
                   arg);
    return GBX_ISOLATION_MICROVM;
}

void cli_option_mount(struct cli_mounts *mounts, char *arg,
                      struct argp_state *state)
{
    struct gbx_error err;

    if (mounts->count == GBX_MOUNTS_MAX)
        argp_error(state, "more than %d times --mount", GBX_MOUNTS_MAX);
    if (gbx_mount_parse(&mounts->all[mounts->count], arg, &err) < 0)
        argp_error(state, "--mount %s", err.what);
    mounts->count++;
}
