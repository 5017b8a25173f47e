/* SPDX-License-Identifier: Apache-2.0 */
/* why.c - the isolation that was chosen, and why none of the others. */
#include <string.h>

#include "cli/cli.h"
#include "cli/run/run.h"

static void print_text(const char *text)
{
    cli_print(stderr, text, strlen(text), true);
    putc('\n', stderr);
}

static void print_row(const struct gbx_route_row *row)
{
    fprintf(stderr, "  %-8s %-11s", gbx_isolation_name((int)row->isolation),
            gbx_verdict_name((int)row->verdict));
    print_text(row->reason);
}

void print_why(const struct gbx_route *route, const struct gbx_config *rules)
{
    const char *path = rules != NULL ? gbx_config_path(rules) : NULL;

    fprintf(stderr, "isolation %s: ",
            route->isolation == GBX_ISOLATION_AUTO
                ? "none"
                : gbx_isolation_name((int)route->isolation));
    print_text(route->why);
    fprintf(stderr, "trust     %s\nconfig    ",
            route->trust == GBX_TRUST_TRUSTED ? "trusted" : "untrusted");
    print_text(path != NULL ? path : "none");
    if (route->from[0] != '\0') {
        fputs("policy    ", stderr);
        print_text(route->from);
    }
    for (unsigned i = 0; i < GBX_ISOLATIONS; i++)
        print_row(&route->rows[i]);
}
