/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide.h - which isolation: from what is known to what is done, and nothing
 * else.  No clock, no host, no allocation: a question has one answer.
 *
 *  question.facts[GBX_ISOLATION_MICROVM].known = ROUTE_MISSING;
 *  route_decide(&route, &question);
 *  if (route.isolation == GBX_ISOLATION_AUTO)
 *      return route_refuse(&route, &question, "x.py", err);
 *
 * Threads: none.
 */
#ifndef RUNTIME_ROUTE_DECIDE_H
#define RUNTIME_ROUTE_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/route.h"

/* So many calls say how long one takes. */
#define ROUTE_CALLS_MIN 32u

enum route_known { ROUTE_UNTRIED, ROUTE_THERE, ROUTE_MISSING };

/* Of one isolation. */
struct route_facts {
    enum route_known known;  /* does this host offer it? */
    const char *lack;        /* MISSING: why not, and the remedy */
    bool is_warm;            /* a start of this language is copied there */
    uint64_t calls, call_ns; /* of this file, by this runtime */
};

struct route_question {
    const char *language;     /* "Python" */
    bool is_program;          /* a native one */
    bool is_module;           /* it is WebAssembly */
    bool has_module;          /* its language can be */
    bool has_trace;           /* its system calls shall be told */
    bool has_root;            /* its files are those of a root of its own */
    bool has_mounts;          /* it sees other files of the host, too */
    bool has_user;            /* it shall take itself for somebody */
    enum gbx_isolation asked; /* or AUTO */
    struct gbx_route_policy policy;
    enum gbx_isolation before; /* what this file had last, or AUTO */
    uint64_t body_bytes;       /* of a call, lately; 0: unknown */
    struct route_facts facts[GBX_ISOLATIONS + 1]; /* by enum gbx_isolation */
};

/* Each row of the route is filled in, the chosen one named. */
void route_decide(struct gbx_route *route, const struct route_question *q);

/* There was none to be chosen: err says what was allowed and why each cannot be
 * had.  Returns GBX_EUNSUPPORTED. */
int route_refuse(const struct gbx_route *route, const struct route_question *q,
                 const char *file, struct gbx_error *err);

/* Is this a policy at all?  Else GBX_EARGUMENT. */
int route_check(const struct gbx_route_policy *policy, struct gbx_error *err);

/* quick.c: how long a call will take there. */
uint64_t route_estimate(const struct route_question *q,
                        enum gbx_isolation isolation);
/* Is one as quick as the other, as far as that can be told? */
bool route_is_near(uint64_t ns, uint64_t best_ns);

/* policy.c: the isolations, the strongest first. */
extern const enum gbx_isolation route_order[GBX_ISOLATIONS];
/* The place of one in what the policy lists, or in that order; GBX_ISOLATIONS
 * and more: it is not allowed. */
uint32_t route_rank(const struct gbx_route_policy *policy,
                    enum gbx_isolation isolation, bool is_module);
bool route_has_list(const struct gbx_route_policy *policy);
/* "microvm, process": what is allowed. */
void route_name_allowed(char *text, size_t bytes,
                        const struct gbx_route_policy *policy, bool is_module);

#endif
