/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "glovebox/doctor.h"
#include "runtime/route/host.h"

const struct backend *host_backend(enum gbx_isolation isolation)
{
    static const struct backend *const backends[GBX_ISOLATIONS + 1] = {
        [GBX_ISOLATION_PROCESS] = &backend_process,
        [GBX_ISOLATION_MICROVM] = &backend_microvm,
        [GBX_ISOLATION_WASM] = &backend_wasm,
        [GBX_ISOLATION_REMOTE] = &backend_remote};

    return (unsigned)isolation <= GBX_ISOLATIONS ? backends[isolation] : NULL;
}

void host_init(struct host *host)
{
    *host = (struct host){0};
    must(pthread_mutex_init(&host->lock, NULL) == 0);
}

void host_fini(struct host *host)
{
    pthread_mutex_destroy(&host->lock);
}

/* The first thing that is missing, with its remedy. */
static struct host_fact probe(const struct backend *backend)
{
    struct probe_item items[GBX_CHECKS_MAX];
    struct host_fact fact = {.known = ROUTE_THERE};
    size_t count =
        backend->probe != NULL ? backend->probe(items, GBX_CHECKS_MAX) : 0;

    for (size_t i = 0; i < count && i < GBX_CHECKS_MAX; i++)
        if (items[i].state == PROBE_MISSING) {
            fact.known = ROUTE_MISSING;
            fact.until_ns = clock_now_ns() + HOST_LACK_NS;
            /* A path says more than "KVM". */
            snprintf(fact.lack, sizeof(fact.lack), "%s%s%s%s%s",
                     items[i].text[0] == '/' ? "" : items[i].name,
                     items[i].text[0] == '/' ? "" : ": ", items[i].text,
                     items[i].remedy[0] != '\0' ? "; " : "", items[i].remedy);
            break;
        }
    return fact;
}

static void forget_locked(struct host *host)
{
    const uint64_t now_ns = clock_now_ns();

    for (uint32_t i = 1; i <= GBX_ISOLATIONS; i++)
        if (host->facts[i].known == ROUTE_MISSING &&
            host->facts[i].until_ns <= now_ns)
            host->facts[i].known = ROUTE_UNTRIED;
}

void host_probe(struct host *host)
{
    pthread_mutex_lock(&host->lock);
    forget_locked(host);
    for (enum gbx_isolation i = 1; i <= GBX_ISOLATIONS; i++)
        if (host_backend(i) != NULL && host->facts[i].known == ROUTE_UNTRIED)
            host->facts[i] = probe(host_backend(i));
    pthread_mutex_unlock(&host->lock);
}

void host_has(struct host *host, enum gbx_isolation isolation)
{
    pthread_mutex_lock(&host->lock);
    host->facts[isolation].known = ROUTE_THERE;
    pthread_mutex_unlock(&host->lock);
}

void host_lacks(struct host *host, enum gbx_isolation isolation,
                const char *why)
{
    struct host_fact *fact = &host->facts[isolation];

    pthread_mutex_lock(&host->lock);
    fact->known = ROUTE_MISSING;
    fact->until_ns = clock_now_ns() + HOST_LACK_NS;
    snprintf(fact->lack, sizeof(fact->lack), "%s", why);
    pthread_mutex_unlock(&host->lock);
}

void host_tell(struct host *host, struct route_question *question,
               struct host_fact facts[GBX_ISOLATIONS + 1])
{
    pthread_mutex_lock(&host->lock);
    forget_locked(host);
    memcpy(facts, host->facts, sizeof(host->facts));
    pthread_mutex_unlock(&host->lock);
    for (uint32_t i = 1; i <= GBX_ISOLATIONS; i++) {
        question->facts[i].known = facts[i].known;
        question->facts[i].lack = facts[i].lack;
    }
}
