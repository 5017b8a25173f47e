/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/route.h - which isolation a script runs in, and why.
 *
 * Included by glovebox/runtime.h.  A policy says how far a script is trusted
 * and what it may run in; the runtime chooses among that, when the script is
 * opened.  Of an untrusted script it takes the first that this host offers: the
 * strongest, or in the policy's order.  Of a trusted one it takes the quickest:
 * by what calls of the same file took before, in this runtime, else by what
 * such calls usually take.  What the policy does not allow is never taken.
 *
 *  config.route = (struct gbx_route_policy){.floor = GBX_ISOLATION_MICROVM};
 *  if (gbx_script_open(&script, runtime, "x.py", &config, &err) == 0)
 *      puts(gbx_script_route(script)->why);
 *
 * Threads: any.
 */
#ifndef GBX_ROUTE_H
#define GBX_ROUTE_H

#include <stdint.h>

#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_runtime;
struct gbx_script;
struct gbx_script_config;

enum gbx_isolation {
    GBX_ISOLATION_AUTO,    /* what the policy allows, as above */
    GBX_ISOLATION_PROCESS, /* namespaces, seccomp, Landlock */
    GBX_ISOLATION_MICROVM, /* KVM, in this process */
    GBX_ISOLATION_WASM,    /* WebAssembly, in the calling thread */
    GBX_ISOLATION_REMOTE,  /* on another host (glovebox/remote.h) */
};
#define GBX_ISOLATIONS 4u /* without auto */

/* Somebody's word who may give it: the embedder's, never the script's. */
enum gbx_trust {
    GBX_TRUST_DEFAULT, /* untrusted */
    GBX_TRUST_UNTRUSTED,
    GBX_TRUST_TRUSTED, /* it is sealed all the same, but speed counts */
};

/*
 * Zero in any field means the default: micro-VM, then process, for untrusted
 * scripts; all for trusted ones.  Modules of WebAssembly, which run in nothing
 * else, may then run in wasm.  Who sets a list or a floor gets just that.  On
 * other hosts they only run where a list says so, or it is asked for.
 */
struct gbx_route_policy {
    enum gbx_trust trust;
    enum gbx_isolation floor; /* nothing weaker.  The strongest is microvm,
                                 then come process and wasm */
    enum gbx_isolation allowed[GBX_ISOLATIONS]; /* in order, AUTO ends it */
    const char *from; /* where that is written, for people; may be NULL */
};

enum gbx_verdict {
    GBX_VERDICT_CHOSEN,
    GBX_VERDICT_ALLOWED,    /* but another one is stronger, quicker, first */
    GBX_VERDICT_REFUSED,    /* by the policy, or by what was asked for */
    GBX_VERDICT_IMPOSSIBLE, /* on this host */
    GBX_VERDICT_UNSUITED,   /* it cannot run this language, or do this */
};

struct gbx_route_row {
    enum gbx_isolation isolation;
    enum gbx_verdict verdict;
    uint64_t calls;   /* seen of this file there, by this runtime */
    uint64_t call_ns; /* how long one takes, lately; 0: none seen */
    char reason[GBX_ERROR_TEXT_MAX]; /* a sentence, for people */
};

struct gbx_route {
    enum gbx_isolation isolation; /* AUTO: none can be had */
    enum gbx_trust trust;
    char why[GBX_ERROR_TEXT_MAX];  /* the reason of the one chosen */
    char from[GBX_ERROR_TEXT_MAX]; /* where the policy stands, or "" */
    uint64_t body_bytes;           /* of a call's messages, lately */
    struct gbx_route_row rows[GBX_ISOLATIONS]; /* the strongest first */
};

/* What was decided when the script was opened.  Borrowed until close. */
const struct gbx_route *gbx_script_route(const struct gbx_script *script);

/*
 * What would be decided for this file, without opening it.  Isolations that are
 * not known to work here are tried out, which takes some milliseconds; scripts
 * that are opened soon after are decided on by that.
 * Returns 0, also where none can be had; or as gbx_script_open does for a path
 * or config that is wrong.
 */
int gbx_route_explain(struct gbx_runtime *runtime, const char *path,
                      const struct gbx_script_config *config,
                      struct gbx_route *route, struct gbx_error *err);

/* Does the policy, or else the default for a script of `is_module` or not,
 * allow this isolation?  1 or 0. */
int gbx_route_allows(const struct gbx_route_policy *policy,
                     enum gbx_isolation isolation, int is_module);

/* "microvm", "chosen"; of an unknown one, "?". */
const char *gbx_isolation_name(int isolation);
const char *gbx_verdict_name(int verdict);

#ifdef __cplusplus
}
#endif

#endif
