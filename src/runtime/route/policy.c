/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.c - what a policy allows, and in which order.
 *
 * The order of strength is that of docs/threats.md: a micro-VM stands behind
 * KVM and makes no system calls of the host; a process stands behind the host's
 * kernel; a module of WebAssembly shares the caller's process, and stands
 * behind its compiler.  A remote one is as strong as its host makes it, which
 * is held to the floor (sandbox/remote), and what is sent there is in other
 * hands: so it is only taken where a list names it.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "runtime/route/decide.h"

const enum gbx_isolation route_order[GBX_ISOLATIONS] = {
    GBX_ISOLATION_MICROVM, GBX_ISOLATION_PROCESS, GBX_ISOLATION_WASM,
    GBX_ISOLATION_REMOTE};

static const char *const isolations[] = {"auto", "process", "microvm", "wasm",
                                         "remote"};
static const char *const verdicts[] = {"chosen", "allowed", "refused",
                                       "impossible", "unsuited"};

const char *gbx_isolation_name(int isolation)
{
    return (unsigned)isolation < ARRAY_SIZE(isolations) ? isolations[isolation]
                                                        : "?";
}

const char *gbx_verdict_name(int verdict)
{
    return (unsigned)verdict < ARRAY_SIZE(verdicts) ? verdicts[verdict] : "?";
}

bool route_has_list(const struct gbx_route_policy *policy)
{
    return policy->allowed[0] != GBX_ISOLATION_AUTO;
}

/* 0: the strongest. */
static uint32_t strength(enum gbx_isolation isolation)
{
    uint32_t i = 0;

    while (i < GBX_ISOLATIONS && route_order[i] != isolation)
        i++;
    return i;
}

/* Where nobody has said anything. */
static bool is_usual(const struct gbx_route_policy *policy,
                     enum gbx_isolation isolation, bool is_module)
{
    return policy->floor != GBX_ISOLATION_AUTO ||
           policy->trust == GBX_TRUST_TRUSTED ||
           isolation != GBX_ISOLATION_WASM || is_module;
}

uint32_t route_rank(const struct gbx_route_policy *policy,
                    enum gbx_isolation isolation, bool is_module)
{
    if (policy->floor != GBX_ISOLATION_AUTO &&
        isolation != GBX_ISOLATION_REMOTE &&
        strength(isolation) > strength(policy->floor))
        return GBX_ISOLATIONS;
    if (!route_has_list(policy) && isolation == GBX_ISOLATION_REMOTE)
        return GBX_ISOLATIONS;
    if (!route_has_list(policy))
        return is_usual(policy, isolation, is_module) ? strength(isolation)
                                                      : GBX_ISOLATIONS;
    for (uint32_t i = 0; i < GBX_ISOLATIONS; i++) {
        if (policy->allowed[i] == GBX_ISOLATION_AUTO)
            break;
        if (policy->allowed[i] == isolation)
            return i;
    }
    return GBX_ISOLATIONS;
}

int gbx_route_allows(const struct gbx_route_policy *policy,
                     enum gbx_isolation isolation, int is_module)
{
    return isolation != GBX_ISOLATION_AUTO &&
           route_rank(policy, isolation, is_module != 0) < GBX_ISOLATIONS;
}

void route_name_allowed(char *text, size_t bytes,
                        const struct gbx_route_policy *policy, bool is_module)
{
    size_t at = 0;

    text[0] = '\0';
    for (uint32_t rank = 0; rank < GBX_ISOLATIONS; rank++)
        for (uint32_t i = 0; i < GBX_ISOLATIONS; i++) {
            const enum gbx_isolation isolation = route_order[i];

            if (route_rank(policy, isolation, is_module) != rank ||
                at >= bytes ||
                (isolation == GBX_ISOLATION_REMOTE && !route_has_list(policy)))
                continue;
            at += (size_t)snprintf(text + at, bytes - at, "%s%s",
                                   at > 0 ? ", " : "", isolations[isolation]);
        }
    if (at == 0)
        snprintf(text, bytes, "nothing");
}

int route_check(const struct gbx_route_policy *policy, struct gbx_error *err)
{
    if ((unsigned)policy->trust > GBX_TRUST_TRUSTED)
        return fail(err, GBX_EARGUMENT, "no trust has number %d",
                    (int)policy->trust);
    if ((unsigned)policy->floor >= GBX_ISOLATION_REMOTE)
        return fail(err, GBX_EARGUMENT,
                    "the weakest isolation allowed is microvm, process or "
                    "wasm, not number %d",
                    (int)policy->floor);
    for (uint32_t i = 0; i < GBX_ISOLATIONS; i++)
        if ((unsigned)policy->allowed[i] > GBX_ISOLATION_REMOTE)
            return fail(err, GBX_EARGUMENT, "no isolation has number %d",
                        (int)policy->allowed[i]);
    return 0;
}
