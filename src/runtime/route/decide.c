/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide.c - a row for each isolation, and one that is chosen.
 *
 * What cannot be is sorted out first: what cannot run this, what was not asked
 * for, what the policy refuses, what this host lacks, in this order, since that
 * is how a person would look for the reason.  Among what is left, an untrusted
 * script gets the first in the policy's order.  A trusted one gets the
 * quickest; but where others are as quick, up to a fifth, the one it had
 * before, so that it does not change with the weather, and else the strongest:
 * where messages are large or a script works for long, the isolation hardly
 * counts.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "runtime/route/decide.h"

/* As a person calls it who lacks one. */
static const char *const people_say[] = {
    [GBX_ISOLATION_PROCESS] = "process isolation",
    [GBX_ISOLATION_MICROVM] = "micro-VM",
    [GBX_ISOLATION_WASM] = "WebAssembly",
    [GBX_ISOLATION_REMOTE] = "remote host"};

static void say(char text[GBX_ERROR_TEXT_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(char text[GBX_ERROR_TEXT_MAX], const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, GBX_ERROR_TEXT_MAX, format, ap);
    va_end(ap);
}

/* Of each isolation; why is filled where it is not suited. */
static bool suits(const struct route_question *q, enum gbx_isolation isolation,
                  char why[GBX_ERROR_TEXT_MAX])
{
    const bool is_wasm = isolation == GBX_ISOLATION_WASM;

    if (isolation == GBX_ISOLATION_REMOTE && (q->is_module || q->is_program))
        say(why, "only scripts are sent to other hosts");
    else if (q->is_module && !is_wasm)
        say(why, "modules of WebAssembly run in wasm only");
    else if (!q->is_module && is_wasm && !q->has_module)
        say(why, "%s does not run in WebAssembly", q->language);
    else if (q->has_trace && isolation != GBX_ISOLATION_MICROVM)
        say(why, "only microvm tells of system calls (trace)");
    else if ((q->has_root || q->has_mounts || q->has_user) &&
             isolation != GBX_ISOLATION_MICROVM &&
             isolation != GBX_ISOLATION_PROCESS)
        say(why, "only microvm and process show %s",
            q->has_root     ? "a root (an image)"
            : q->has_mounts ? "what is mounted"
                            : "who the user is");
    else
        return true;
    return false;
}

static void say_policy(char why[GBX_ERROR_TEXT_MAX],
                       const struct route_question *q,
                       enum gbx_isolation isolation)
{
    const struct gbx_route_policy *policy = &q->policy;
    char allowed[64];

    route_name_allowed(allowed, sizeof(allowed), policy, q->is_module);
    if (!route_has_list(policy) && policy->floor == GBX_ISOLATION_AUTO)
        say(why, isolation == GBX_ISOLATION_REMOTE
                     ? "scripts go to other hosts only where a policy says so"
                     : "untrusted scripts run there only where a policy says "
                       "so");
    else
        say(why, "the policy%s%.100s%s allows %s",
            policy->from != NULL ? " (" : "",
            policy->from != NULL ? policy->from : "",
            policy->from != NULL ? ")" : "", allowed);
}

/* Everything but which one is chosen. */
static void judge(struct gbx_route_row *row, const struct route_question *q)
{
    const enum gbx_isolation isolation = row->isolation;
    const struct route_facts *facts = &q->facts[isolation];

    row->calls = facts->calls;
    row->call_ns = facts->call_ns;
    row->verdict = GBX_VERDICT_ALLOWED;
    row->reason[0] = '\0';
    if (!suits(q, isolation, row->reason)) {
        row->verdict = GBX_VERDICT_UNSUITED;
    } else if (q->asked != GBX_ISOLATION_AUTO && q->asked != isolation) {
        row->verdict = GBX_VERDICT_REFUSED;
        say(row->reason, "%s was asked for", gbx_isolation_name((int)q->asked));
    } else if (route_rank(&q->policy, isolation, q->is_module) >=
                   GBX_ISOLATIONS &&
               (q->asked == GBX_ISOLATION_AUTO || route_has_list(&q->policy) ||
                (q->policy.floor != GBX_ISOLATION_AUTO &&
                 isolation != GBX_ISOLATION_REMOTE))) {
        /* Who asks for one that only the default refuses knows what he does. */
        row->verdict = GBX_VERDICT_REFUSED;
        say_policy(row->reason, q, isolation);
    } else if (facts->known == ROUTE_MISSING) {
        row->verdict = GBX_VERDICT_IMPOSSIBLE;
        say(row->reason, "%s", facts->lack != NULL ? facts->lack : "missing");
    }
}

static uint32_t rank_of(const struct route_question *q,
                        const struct gbx_route_row *row)
{
    return route_rank(&q->policy, row->isolation, q->is_module);
}

/* The row of the lowest rank among those that are near enough, or the one that
 * was there before; NULL: none can be had. */
static struct gbx_route_row *
pick(struct gbx_route *route, const struct route_question *q, bool is_by_speed)
{
    struct gbx_route_row *best = NULL;
    uint64_t best_ns = UINT64_MAX;

    for (uint32_t i = 0; i < GBX_ISOLATIONS && is_by_speed; i++) {
        uint64_t ns = route_estimate(q, route->rows[i].isolation);

        if (route->rows[i].verdict == GBX_VERDICT_ALLOWED && ns < best_ns)
            best_ns = ns;
    }
    for (uint32_t i = 0; i < GBX_ISOLATIONS; i++) {
        struct gbx_route_row *row = &route->rows[i];

        if (row->verdict != GBX_VERDICT_ALLOWED ||
            (is_by_speed &&
             !route_is_near(route_estimate(q, row->isolation), best_ns)))
            continue;
        if (is_by_speed && row->isolation == q->before)
            return row;
        if (best == NULL || rank_of(q, row) < rank_of(q, best))
            best = row;
    }
    return best;
}

static void say_time(char text[64], const struct route_question *q,
                     enum gbx_isolation isolation)
{
    const struct route_facts *facts = &q->facts[isolation];
    double us = (double)route_estimate(q, isolation) / 1e3;
    const bool is_long = us >= 1000;

    if (facts->calls >= ROUTE_CALLS_MIN)
        snprintf(text, 64, "%.3g %s a call, by %llu calls",
                 is_long ? us / 1e3 : us, is_long ? "ms" : "us",
                 (unsigned long long)facts->calls);
    else
        snprintf(text, 64, "about %.3g %s a call, as is usual",
                 is_long ? us / 1e3 : us, is_long ? "ms" : "us");
}

static void say_quick(const struct gbx_route *route,
                      const struct route_question *q,
                      struct gbx_route_row *chosen)
{
    unsigned count = 0, quicker = 0;
    char time[64];

    for (uint32_t i = 0; i < GBX_ISOLATIONS; i++) {
        const struct gbx_route_row *row = &route->rows[i];

        if (row->verdict != GBX_VERDICT_ALLOWED)
            continue;
        count++;
        quicker += route_estimate(q, row->isolation) <
                   route_estimate(q, chosen->isolation);
    }
    say_time(time, q, chosen->isolation);
    say(chosen->reason, "trusted, and %s: %s",
        count == 0     ? "the only one that can be had"
        : quicker == 0 ? "the quickest"
        : chosen->isolation == q->before
            ? "what it had before, since none is much quicker"
            : "the first of those that are about as quick",
        time);
}

/* The first that would come before the chosen one, and is not there. */
static const struct gbx_route_row *lacking(const struct gbx_route *route,
                                           const struct route_question *q,
                                           const struct gbx_route_row *chosen)
{
    const struct gbx_route_row *first = NULL;

    for (uint32_t i = 0; i < GBX_ISOLATIONS; i++) {
        const struct gbx_route_row *row = &route->rows[i];

        if (row->verdict == GBX_VERDICT_IMPOSSIBLE &&
            rank_of(q, row) < rank_of(q, chosen) &&
            (first == NULL || rank_of(q, row) < rank_of(q, first)))
            first = row;
    }
    return first;
}

static void say_first(const struct gbx_route *route,
                      const struct route_question *q,
                      struct gbx_route_row *chosen)
{
    const struct gbx_route_row *lack = lacking(route, q, chosen);

    if (q->asked != GBX_ISOLATION_AUTO)
        say(chosen->reason, "it was asked for");
    else if (q->is_module)
        say(chosen->reason, "what WebAssembly runs in");
    else if (lack != NULL)
        say(chosen->reason, "no %s: %s", people_say[lack->isolation],
            lack->reason);
    else if (route_has_list(&q->policy))
        say(chosen->reason, "what comes first in the policy");
    else
        say(chosen->reason, "the strongest that this host offers");
}

static void say_others(struct gbx_route *route, const struct route_question *q,
                       const struct gbx_route_row *chosen, bool is_by_speed)
{
    const char *name = gbx_isolation_name((int)chosen->isolation);
    char time[64];

    for (uint32_t i = 0; i < GBX_ISOLATIONS; i++) {
        struct gbx_route_row *row = &route->rows[i];
        const bool is_untried = q->facts[row->isolation].known == ROUTE_UNTRIED;

        if (row->verdict != GBX_VERDICT_ALLOWED)
            continue;
        say_time(time, q, row->isolation);
        if (is_by_speed)
            say(row->reason, "%s: %s",
                route_is_near(route_estimate(q, row->isolation),
                              route_estimate(q, chosen->isolation))
                    ? "about as quick"
                    : "slower",
                time);
        else
            say(row->reason, "%s %s%s", name,
                route_has_list(&q->policy) ? "comes first in the policy"
                                           : "is stronger",
                is_untried ? "; not tried" : "");
    }
}

void route_decide(struct gbx_route *route, const struct route_question *q)
{
    const bool is_trusted = q->policy.trust == GBX_TRUST_TRUSTED;
    const bool is_by_speed =
        is_trusted && q->asked == GBX_ISOLATION_AUTO && !q->is_module;
    struct gbx_route_row *chosen;

    *route = (struct gbx_route){.trust = is_trusted ? GBX_TRUST_TRUSTED
                                                    : GBX_TRUST_UNTRUSTED,
                                .body_bytes = q->body_bytes};
    if (q->policy.from != NULL)
        say(route->from, "%s", q->policy.from);
    for (uint32_t i = 0; i < GBX_ISOLATIONS; i++) {
        route->rows[i].isolation = route_order[i];
        judge(&route->rows[i], q);
    }
    chosen = pick(route, q, is_by_speed);
    if (chosen == NULL) {
        say(route->why, "none that is allowed can be had");
        return;
    }
    chosen->verdict = GBX_VERDICT_CHOSEN;
    if (is_by_speed)
        say_quick(route, q, chosen);
    else
        say_first(route, q, chosen);
    say_others(route, q, chosen, is_by_speed);
    route->isolation = chosen->isolation;
    say(route->why, "%s", chosen->reason);
}

/* Is it one that could have been, had everything been there? */
static bool is_hoped_for(const struct route_question *q,
                         const struct gbx_route_row *row)
{
    if (q->asked != GBX_ISOLATION_AUTO)
        return row->isolation == q->asked;
    return rank_of(q, row) < GBX_ISOLATIONS &&
           (row->isolation != GBX_ISOLATION_REMOTE ||
            route_has_list(&q->policy));
}

int route_refuse(const struct gbx_route *route, const struct route_question *q,
                 const char *file, struct gbx_error *err)
{
    char text[GBX_ERROR_TEXT_MAX], allowed[64];
    size_t at = 0;
    int count = 0;

    must(route->isolation == GBX_ISOLATION_AUTO);
    for (uint32_t i = 0; i < GBX_ISOLATIONS; i++)
        count += is_hoped_for(q, &route->rows[i]);
    text[0] = '\0';
    for (uint32_t i = 0; i < GBX_ISOLATIONS && at < sizeof(text); i++) {
        const struct gbx_route_row *row = &route->rows[i];

        if (is_hoped_for(q, row)) /* each gets its share of the text */
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s: %.*s",
                                   at > 0 ? "; " : "",
                                   gbx_isolation_name((int)row->isolation),
                                   count > 1 ? 110 / count : 150, row->reason);
    }
    route_name_allowed(allowed, sizeof(allowed), &q->policy, q->is_module);
    return fail(
        err, GBX_EUNSUPPORTED,
        "%.40s is %s and may run in %s, which cannot be had: %s%s", file,
        route->trust == GBX_TRUST_TRUSTED ? "trusted" : "untrusted",
        q->asked != GBX_ISOLATION_AUTO ? gbx_isolation_name((int)q->asked)
                                       : allowed,
        text, count > 1 ? "; see glovebox doctor" : "");
}
