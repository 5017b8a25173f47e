/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hear_fuzz.c - any bytes as what a remote host says, in pieces of any length:
 * nothing is believed, and nothing is left behind.  The first byte says how the
 * pieces are cut, and whether the host speaks JSON; a call and a script are on
 * their way there.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sandbox/remote/hear.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static int send_nothing(struct net_host *host, bool is_text, const void *head,
                        size_t head_bytes, const void *data, size_t bytes,
                        net_release_fn release, void *context)
{
    (void)host;
    (void)is_text;
    (void)head;
    (void)head_bytes;
    (void)data;
    (void)bytes;
    (void)release;
    (void)context;
    return GBX_ECANCELED;
}

static void cut_nothing(struct net_host *host)
{
    (void)host;
}

static const struct net_client_api nobody = {.send = send_nothing,
                                             .cut = cut_nothing};

static void hear(struct fleet_host *host, const uint8_t *data, size_t count,
                 size_t step)
{
    for (size_t at = 0; at < count; at += step) {
        const size_t bytes = count - at < step ? count - at : step;
        /* A zero in front of a piece ends the message with it. */
        const bool is_final = bytes < step || data[at] == 0;

        if (host_hear(host, host->is_reflow, data + at, bytes, is_final) < 0)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    static uint8_t landing[64 << 10];
    static char path[] = "/s.py";
    struct fleet fleet = {.lock = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER};
    struct fleet_host host = {
        .fleet = &fleet, .api = &nobody, .state = HOST_GREETING};
    struct fleet_script script = {.number = FLEET_SCRIPT_BIT | 1,
                                  .floor = 3,
                                  .path = path,
                                  .actor_id = path};
    struct host_script *loaded = calloc(1, sizeof(*loaded));
    struct event *event;
    struct remote remote = {.fleet = &fleet, .wake_fd = -1, .host = &host};

    must(loaded != NULL);
    if (count == 0) {
        free(loaded);
        return 0;
    }
    STAILQ_INIT(&remote.inbox);
    remote.what.limits.message_bytes = 1 << 20;
    remote.landing = landing;
    remote.landing_bytes = sizeof(landing);
    remote.call = host_number_locked(&host, &remote);
    loaded->script = &script;
    LIST_INSERT_HEAD(&host.scripts, loaded, next);
    host.is_reflow = data[0] & 1;
    remote.script = &script;
    hear(&host, data + 1, count - 1, data[0] + 1u);
    if (!host.in.is_lent)
        free(host.in.body);
    must(remote.inbox_bytes <= 2 << 20);
    STAILQ_FOREACH(event, &remote.inbox, next)
    if (event->kind == FRAME_FAILED) {
        struct failed_texts texts;

        failed_read(&texts, event->body, event->bytes);
        must(strlen(texts.what) + strlen(texts.message) <= event->bytes);
    }
    remote_drop_events(&remote.inbox);
    reflow_forget(&host);
    host_forget_script_locked(&host, loaded);
    return 0;
}
