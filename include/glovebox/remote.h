/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/remote.h - other hosts that may run scripts.
 *
 * Included by glovebox/runtime.h.  A host is a gloveboxd.  Scripts go there
 * with their calls, and nothing has to be installed for them; context.state and
 * host calls stay here.  Only scripts whose policy names `remote` do, or for
 * which it is asked.
 *
 *  gbx_runtime_add_host(runtime, &(struct gbx_host_config){
 *      .struct_bytes = sizeof(struct gbx_host_config),
 *      .url = "wss://box7:5556", .token = secret}, &err);
 *  config.isolation = GBX_ISOLATION_REMOTE;
 *
 * - Each call is placed on the host that has least to do.  What a script keeps
 *   in its own variables may be gone at the next call: context.state is not.
 * - A script is brought alone, without its folder; native programs and modules
 *   of WebAssembly are not.
 * - A host isolates it by its own rules; a policy's floor holds there, too.
 *   Its owner can read what is sent there: TLS (wss) only hides it on the way.
 * - A call whose host is lost fails with GBX_EUNKNOWN, unless it cannot have
 *   begun there, or may be run twice (gbx_script_config.is_idempotent): then it
 *   is run elsewhere.
 *
 * Threads: any.
 */
#ifndef GBX_REMOTE_H
#define GBX_REMOTE_H

#include <stddef.h>
#include <stdint.h>

#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_runtime;

/* Zero in any field means the default.  Texts are copied. */
struct gbx_host_config {
    size_t struct_bytes;
    const char *url;       /* ws://HOST:PORT, wss://HOST:PORT */
    const char *token;     /* what it wants to hear; default: nothing */
    const char *ca_path;   /* PEM: who signs its certificate; default: whom this
                              system trusts */
    uint32_t heartbeat_ms; /* it is asked how it is so often, and given up when
                              it is silent for three times as long; 5000 */
    const char *token_path; /* or a file: its first line is the token */
};

/*
 * Before the first script is opened; it is connected to when one needs it.
 * Returns 0; GBX_EARGUMENT (the URL), GBX_EFILE (a path), GBX_ELIMIT (64
 * hosts), GBX_EUNSUPPORTED: a part of Glovebox that speaks to others is not
 * installed.
 */
int gbx_runtime_add_host(struct gbx_runtime *runtime,
                         const struct gbx_host_config *config,
                         struct gbx_error *err);

enum gbx_host_state {
    GBX_HOST_DOWN, /* it is tried again */
    GBX_HOST_CONNECTING,
    GBX_HOST_UP,
    GBX_HOST_DRAINING, /* it takes no more */
};

struct gbx_host_stats {
    char url[256];
    int state;     /* enum gbx_host_state */
    char why[160]; /* it is down; or "" */
    char product[64];
    uint32_t workers, busy, waiting; /* as it says, lately */
    uint32_t in_flight;              /* calls of this runtime */
    uint64_t rtt_ns;                 /* there and back, lately; 0: not known */
    uint64_t calls;                  /* so far; of them: */
    uint64_t lost;                   /* when it went down */
    uint64_t moved;                  /* elsewhere: it had not run them */
};

/* Fills at most `room`; returns how many there are. */
size_t gbx_runtime_hosts(struct gbx_runtime *runtime,
                         struct gbx_host_stats *stats, size_t room);

#ifdef __cplusplus
}
#endif

#endif
