/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - a host for tests: starts glovebox-python as a plain process, without
 * any sandbox, and tells what it says as lines of text.
 *
 *  host_start(&host);
 *  host_load(&host, "def process(c): return 1");
 *  host_call(&host, "{\"type\":\"Integer\",\"data\":1}");   to port "input"
 *  assert_string_equal(host.said, "DONE output {...}\n");
 *  host_stop(&host);
 */
#ifndef TESTS_GUEST_HOST_H
#define TESTS_GUEST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "channel/channel.h"
#include "channel/region.h"
#include "sandbox/host_call.h"
#include "store/store.h"

#define HOST_SAID_BYTES (1u << 20)
#define HOST_WAIT_NS    20000000000ull

struct host {
    struct region region;
    struct channel channel;
    int bell_fd, exit_fd, out_fd[2]; /* owned */
    pid_t pid;
    uint32_t call;
    struct store store;
    struct host_calls calls;

    struct gbx_descriptor rooms[8]; /* inputs that are being filled */
    size_t room_count;

    char said[HOST_SAID_BYTES]; /* since the last load or call */
    size_t said_bytes;

    /* Of the last OUTPUT or DONE with a body. */
    uint64_t body_off;
    uint32_t body_bytes, body_flags;
    bool is_quiet; /* bodies are not shown */
};

void host_start(struct host *host);
void host_stop(struct host *host);

/* Returns 0, or the code that ended the guest. */
int host_load(struct host *host, const char *source);
int host_load_as(struct host *host, const char *source, const char *file,
                 const char *actor_id, const char *config_json);

/* An input, in typed JSON, for the call that follows. */
void host_input(struct host *host, const char *port, const char *json);

/* An input with room for a body, to be filled before host_run. */
void *host_room(struct host *host, const char *port, int type, unsigned flags,
                size_t bytes);
int host_run(struct host *host);

/* Load, call with one input on "input" (NULL: none), tell. */
int host_try(struct host *host, const char *source, const char *json);

#endif
