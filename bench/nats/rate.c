/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <nats/nats.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "glovebox/message.h"
#include "measure.h"
#include "nats/rate.h"
#include "net/client/client.h"
#include "net/frame.h"

#define WARM_NS    300000000u /* is not counted */
#define MEASURE_NS 1000000000u
#define LOAD_NS    30000000000u

/* What is open, by one who sends and others who are told. */
struct window {
    pthread_mutex_t lock;
    pthread_cond_t told;
    unsigned open, failed;
    uint64_t done;
};

static void window_init(struct window *w)
{
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->told, NULL);
    w->open = w->failed = 0;
    w->done = 0;
}

static void window_took(struct window *w, bool has_failed)
{
    pthread_mutex_lock(&w->lock);
    w->open--;
    w->done++;
    w->failed += has_failed;
    pthread_cond_signal(&w->told);
    pthread_mutex_unlock(&w->lock);
}

/* At most so many are open when it returns; 0: all have come.  False: they do
 * not come. */
static bool window_await(struct window *w, unsigned most)
{
    struct timespec until;
    bool good = true;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&w->lock);
    while (w->open > most && good)
        good = pthread_cond_timedwait(&w->told, &w->lock, &until) == 0;
    pthread_mutex_unlock(&w->lock);
    return good;
}

static void window_send(struct window *w)
{
    pthread_mutex_lock(&w->lock);
    w->open++;
    pthread_mutex_unlock(&w->lock);
}

static uint64_t window_done(struct window *w)
{
    uint64_t done;

    pthread_mutex_lock(&w->lock);
    done = w->done;
    pthread_mutex_unlock(&w->lock);
    return done;
}

/* Send as long as it lasts, so many at once.  Returns how many a second. */
static double pump(struct window *w, unsigned at_once,
                   bool (*send)(void *context, uint32_t number), void *context,
                   const char **why)
{
    const uint64_t from_ns = measure_now_ns();
    uint64_t now_ns = from_ns, warm_ns = 0, warm_done = 0, done, end_ns;
    uint32_t number = 1;

    while (now_ns < from_ns + WARM_NS + MEASURE_NS) {
        if (!window_await(w, at_once - 1)) {
            *why = "some are not answered";
            return 0;
        }
        window_send(w);
        if (!send(context, number++)) {
            *why = "it cannot be sent";
            return 0;
        }
        now_ns = measure_now_ns();
        if (warm_ns == 0 && now_ns > from_ns + WARM_NS) {
            warm_done = window_done(w);
            warm_ns = now_ns;
        }
    }
    done = window_done(w);
    end_ns = measure_now_ns();
    if (!window_await(w, 0) || w->failed > 0) {
        *why = w->failed > 0 ? "some have failed" : "some are not answered";
        return 0;
    }
    *why = NULL;
    return (double)(done - warm_done) / ((double)(end_ns - warm_ns) / 1e9);
}

/* ---- bare requests ---- */

static natsConnection *dial(const char *url)
{
    natsConnection *nc = NULL;
    natsOptions *options = NULL;

    if (natsOptions_Create(&options) == NATS_OK &&
        natsOptions_SetURL(options, url) == NATS_OK &&
        natsOptions_SetSendAsap(options, true) == NATS_OK)
        natsConnection_Connect(&nc, options);
    natsOptions_Destroy(options);
    return nc;
}

static void echo(natsConnection *nc, natsSubscription *subscription,
                 natsMsg *message, void *context)
{
    (void)subscription, (void)context;
    natsConnection_Publish(nc, natsMsg_GetReply(message),
                           natsMsg_GetData(message),
                           natsMsg_GetDataLength(message));
    natsMsg_Destroy(message);
}

static void be_echo(const char *url)
{
    natsSubscription *subscription;
    natsConnection *nc = NULL;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < 100 && (nc = dial(url)) == NULL; i++)
        usleep(50000);
    if (nc == NULL ||
        natsConnection_QueueSubscribe(&subscription, nc, "echo", "echoes", echo,
                                      NULL) != NATS_OK)
        _exit(1);
    for (;;)
        pause();
}

bool rate_start_echoes(pid_t echoes[RATE_WORKERS], const char *url)
{
    for (unsigned i = 0; i < RATE_WORKERS; i++) {
        echoes[i] = fork();
        if (echoes[i] == 0)
            be_echo(url);
        if (echoes[i] < 0)
            return false;
    }
    return true;
}

static void on_reply(natsConnection *nc, natsSubscription *subscription,
                     natsMsg *message, void *context)
{
    (void)nc, (void)subscription;
    window_took(context, natsMsg_GetDataLength(message) != (int)RATE_BYTES);
    natsMsg_Destroy(message);
}

static bool send_bare(void *context, uint32_t number)
{
    const uint8_t body[RATE_BYTES] = {(uint8_t)number};

    return natsConnection_PublishRequest(context, "echo", "reply.1", body,
                                         (int)sizeof(body)) == NATS_OK;
}

double rate_bare(const char *url, unsigned at_once, const char **why)
{
    natsConnection *nc = dial(url);
    natsSubscription *subscription = NULL;
    static struct window window; /* a late reply finds it still */
    double rate;

    *why = "no NATS server answers";
    if (nc == NULL)
        return 0;
    window_init(&window);
    natsConnection_Subscribe(&subscription, nc, "reply.1", on_reply, &window);
    rate = pump(&window, at_once, send_bare, nc, why);
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(nc);
    return rate;
}

/* ---- calls ---- */

struct rate_calls {
    void *module;
    const struct net_client_api *api;
    struct net_client *client;
    struct net_host *host;
    struct window window;
    atomic_bool is_up, is_loaded;
    uint8_t body[RATE_BYTES];
};

static void on_up(void *context, bool speaks_frames)
{
    struct rate_calls *calls = context;

    atomic_store(&calls->is_up, speaks_frames);
}

static void on_down(void *context, const char *why)
{
    (void)context, (void)why;
}

static int on_piece(void *context, bool is_text, const void *data, size_t bytes,
                    bool is_last)
{
    struct rate_calls *calls = context;
    struct frame frame;
    const char *what;

    (void)is_text, (void)is_last;
    if (frame_read(&frame, data, bytes, &what) <= 0)
        return GBX_EFORMAT;
    if (frame.kind == FRAME_LOADED)
        atomic_store(&calls->is_loaded, true);
    else if (frame.kind == FRAME_DONE || frame.kind == FRAME_FAILED)
        window_took(&calls->window, frame.kind == FRAME_FAILED);
    return 0;
}

static void on_tick(void *context)
{
    (void)context;
}

static bool await(atomic_bool *it)
{
    const uint64_t until_ns = measure_now_ns() + LOAD_NS;

    while (!atomic_load(it) && measure_now_ns() < until_ns)
        usleep(1000);
    return atomic_load(it);
}

static bool load(struct rate_calls *calls, const char *path)
{
    FILE *file = fopen(path, "re");
    struct frame frame = {.kind = FRAME_LOAD, .call = 1};
    uint8_t head[FRAME_HEAD_MAX];
    char source[4096];
    struct gbx_builder b;
    size_t bytes;
    int rc;

    if (file == NULL)
        return false;
    bytes = fread(source, 1, sizeof(source), file);
    fclose(file);
    gbx_builder_init(&b);
    gbx_build_map(&b, 1);
    gbx_build_text(&b, "load", 4);
    gbx_build_map(&b, 2);
    gbx_build_text(&b, "file", 4);
    gbx_build_text(&b, "echo.py", 7);
    gbx_build_text(&b, "source", 6);
    gbx_build_text(&b, source, bytes);
    frame.body_bytes = b.count;
    rc = b.error == 0 ? calls->api->send(calls->host, false, head,
                                         frame_write(&frame, head), b.bytes,
                                         b.count, NULL, NULL)
                      : b.error;
    gbx_builder_fini(&b);
    return rc == 0 && await(&calls->is_loaded);
}

static int connect_to(struct rate_calls *calls, const char *url)
{
    static const struct net_host_handler handler = {
        .up = on_up, .piece = on_piece, .down = on_down};
    const struct net_client_config config = {.tick = on_tick};
    const struct net_host_config how = {
        .url = url, .handler = &handler, .context = calls};
    int rc = calls->api->open(&calls->client, &config, NULL);

    if (rc == 0)
        rc = calls->api->host(&calls->host, calls->client, &how, NULL);
    if (rc == 0)
        rc = calls->api->start(calls->client, NULL);
    if (rc == 0)
        calls->api->connect(calls->host);
    return rc;
}

struct rate_calls *rate_open(const char *module, const char *url,
                             const char *script, const char **why)
{
    struct rate_calls *calls = calloc(1, sizeof(*calls));

    *why = NULL;
    if (calls == NULL)
        return NULL;
    window_init(&calls->window);
    calls->module = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    if (calls->module != NULL)
        calls->api = dlsym(calls->module, NET_CLIENT_SYMBOL);
    if (calls->api == NULL)
        *why = "glovebox-nats.so cannot be loaded";
    else if (connect_to(calls, url) < 0 || !await(&calls->is_up))
        *why = "it does not connect";
    else if (!load(calls, script))
        *why = "no worker loads the script";
    if (*why == NULL)
        return calls;
    rate_close(calls);
    return NULL;
}

static bool send_call(void *context, uint32_t number)
{
    const struct frame frame = {.kind = FRAME_INPUT,
                                .type = GBX_STREAM,
                                .flags = FRAME_HAS_MESSAGE | FRAME_RUNS,
                                .call = number,
                                .actor = "#1/key",
                                .port = "in",
                                .body_bytes = RATE_BYTES};
    struct rate_calls *calls = context;
    uint8_t head[FRAME_HEAD_MAX];

    return calls->api->send(calls->host, false, head, frame_write(&frame, head),
                            calls->body, RATE_BYTES, NULL, NULL) == 0;
}

double rate_calls(struct rate_calls *calls, unsigned at_once, const char **why)
{
    return pump(&calls->window, at_once, send_call, calls, why);
}

void rate_close(struct rate_calls *calls)
{
    if (calls == NULL)
        return;
    if (calls->api != NULL)
        calls->api->close(calls->client);
    /* libnats' threads end by and by: the module stays. */
    free(calls);
}
