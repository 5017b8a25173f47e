/* SPDX-License-Identifier: Apache-2.0 */
/* live.c - a table that stays where it is, while a flow runs. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/flow/run.h"

struct live_row {
    char node[32];
    uint64_t received;
};

/* "12.3 us" */
static const char *in_unit(char text[16], uint64_t ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    double value = (double)ns;
    size_t unit = 0;

    for (; value >= 1000 && unit < 3; unit++)
        value /= 1000;
    if (ns == 0)
        strcpy(text, "-");
    else
        snprintf(text, 16, value < 100 && unit > 0 ? "%.1f %s" : "%.0f %s",
                 value, units[unit]);
    return text;
}

static struct live_row *row_of(struct live *live, const char *node)
{
    struct live_row *row;

    for (size_t i = 0; i < live->count; i++)
        if (strncmp(live->rows[i].node, node, sizeof(row->node) - 1) == 0)
            return &live->rows[i];
    if (live->count == live->room) {
        live->room = live->room == 0 ? 16 : 2 * live->room;
        live->rows =
            flow_need(realloc(live->rows, live->room * sizeof(*live->rows)));
    }
    row = &live->rows[live->count++];
    *row = (struct live_row){.received = 0};
    snprintf(row->node, sizeof(row->node), "%s", node);
    return row;
}

struct showing {
    struct live *live;
    size_t most; /* lines */
    double seconds;
};

static void show_node(void *context, const struct gbx_node_stats *stats)
{
    struct showing *showing = context;
    struct live_row *row;
    char p50[16], p99[16];
    double rate;

    if (showing->live->lines >= showing->most)
        return;
    row = row_of(showing->live, stats->node);
    rate = showing->seconds > 0
               ? (double)(stats->received - row->received) / showing->seconds
               : 0;
    row->received = stats->received;
    fprintf(
        stderr, "\033[K%-20.20s %-8s %-8s %10llu %10llu %10.0f %9s %9s %7llu",
        stats->node, stats->isolation, gbx_node_state_name((int)stats->state),
        (unsigned long long)stats->received, (unsigned long long)stats->sent,
        rate, in_unit(p50, stats->run_ns_50), in_unit(p99, stats->run_ns_99),
        (unsigned long long)stats->queued);
    if (stats->failures > 0)
        fprintf(stderr, "  %llu failed", (unsigned long long)stats->failures);
    putc('\n', stderr);
    showing->live->lines++;
}

void live_show(struct live *live, struct gbx_flow *flow)
{
    struct winsize size = {.ws_row = 24};
    const uint64_t now = cli_now_ns();
    struct showing showing = {.live = live};

    ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    showing.most = size.ws_row > 3 ? size.ws_row - 2u : 22;
    showing.seconds =
        live->last_ns == 0 ? 0 : (double)(now - live->last_ns) / 1e9;
    live->last_ns = now;
    if (live->lines > 0) /* back to where it began */
        fprintf(stderr, "\033[%zuA", live->lines);
    live->lines = 1;
    fprintf(stderr, "\033[K%-20s %-8s %-8s %10s %10s %10s %9s %9s %7s\n",
            "node", "runs in", "state", "in", "out", "in / s", "p50", "p99",
            "queued");
    gbx_flow_stats(flow, show_node, &showing);
    fflush(stderr);
}

void live_end(struct live *live, struct gbx_flow *flow)
{
    live_show(live, flow);
    free(live->rows);
    *live = (struct live){.rows = NULL};
}
