/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller.c - what uses net_client_api, as a program that is told what to do:
 *
 *  caller MODULE URL [TOKEN]
 *
 * Commands on standard input, a line each; what comes is printed, a line each.
 *   hello | load N FILE | unload N | cancel CALL | cut | connect
 *   int CALL ACTOR VALUE TIMEOUT_MS     one Integer for port "in"
 *   bytes CALL ACTOR SIZE TIMEOUT_MS    a Stream, lent, which is to come back
 *   answers yes|no                      an ASK is answered by its arguments
 *   storm ACTOR SECONDS AT_ONCE COUNT   calls upon calls; each is to come back
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net/client/client.h"
#include "net/frame.h"

#define STORM_FROM   1000u
#define STORM_MAX    4000000u
#define TYPE_INTEGER 3
#define TYPE_STREAM  8

static const struct net_client_api *api;
static struct net_client *client;
static struct net_host *host;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;
static bool answers = true, is_up;

/* Of a storm: */
static struct {
    uint8_t *state; /* 0: not sent, 1: open, 2: its output is there, 3: done */
    unsigned sent, done, failed, wrong, twice, open;
    bool runs;
    uint64_t ended_ns;
} storm;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    flockfile(stdout);
    vprintf(format, ap);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
    va_end(ap);
}

static void say_bytes(const char *what, uint32_t number, const char *port,
                      const uint8_t *data, size_t bytes)
{
    flockfile(stdout);
    printf("%s %u %s ", what, number, port[0] != '\0' ? port : "-");
    for (size_t i = 0; i < bytes && i < 16384; i++)
        printf("%02x", data[i]);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
}

/* ---- what comes ---- */

static uint8_t pattern(uint32_t number, size_t at)
{
    return (uint8_t)(number * 31 + at * 7 + (at >> 8) + (at >> 16));
}

static bool is_pattern(uint32_t number, const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i] != pattern(number, i))
            return false;
    return true;
}

static void count_storm(const struct frame *frame, const uint8_t *body)
{
    uint8_t *state = &storm.state[frame->call];

    pthread_mutex_lock(&lock);
    if (*state != 1 && *state != 2)
        storm.twice++;
    if (frame->kind == FRAME_OUTPUT) {
        storm.twice += *state == 2;
        *state = 2;
        storm.wrong += frame->scalar != frame->call;
    } else if (frame->kind == FRAME_DONE || frame->kind == FRAME_FAILED) {
        storm.wrong += frame->kind == FRAME_DONE && *state != 2;
        *state = 3;
        storm.open--;
        storm.done++;
        if (frame->kind == FRAME_FAILED && storm.failed++ < 5)
            say("storm-failed %d %.*s", (int)frame->scalar,
                (int)frame->body_bytes, (const char *)body);
        pthread_cond_signal(&told);
    }
    pthread_mutex_unlock(&lock);
}

static void answer(const struct frame *asked, const uint8_t *body)
{
    struct frame frame = {.kind = FRAME_ANSWER,
                          .type = asked->type,
                          .flags = FRAME_HAS_MESSAGE,
                          .call = asked->call,
                          .body_bytes = asked->body_bytes};
    uint8_t head[FRAME_HEAD_MAX];

    api->send(host, false, head, frame_write(&frame, head), body,
              frame.body_bytes, NULL, NULL);
}

static void show(const struct frame *frame, const uint8_t *body)
{
    const size_t bytes = frame->body_bytes;

    switch (frame->kind) {
    case FRAME_OUTPUT:
        if (frame->type == TYPE_STREAM)
            say("output %u %s stream %zu %s", frame->call, frame->port, bytes,
                is_pattern(frame->call, body, bytes) ? "same" : "other");
        else
            say("output %u %s %d %lld", frame->call, frame->port, frame->type,
                (long long)frame->scalar);
        break;
    case FRAME_PRINT:
        say_bytes("print", frame->call, "-", body, bytes);
        break;
    case FRAME_DONE:
        say("done %u", frame->call);
        break;
    case FRAME_FAILED:
        flockfile(stdout);
        printf("failed-code %u %d %d ", frame->call, (int)frame->scalar,
               frame->flags);
        say_bytes("failed", frame->call, "-", body, bytes);
        funlockfile(stdout);
        break;
    case FRAME_ASK:
        say("ask %u %s", frame->call, frame->port);
        if (answers)
            answer(frame, body);
        break;
    default:
        say_bytes(frame->kind == FRAME_HELLO    ? "hello"
                  : frame->kind == FRAME_LOADED ? "loaded"
                                                : "other",
                  frame->call, "-", body, bytes);
    }
}

static int on_piece(void *context, bool is_text, const void *data, size_t bytes,
                    bool is_last)
{
    struct frame frame;
    const char *what;
    const int head = frame_read(&frame, data, bytes, &what);
    const uint8_t *body = (const uint8_t *)data + head;

    (void)context;
    if (is_text || !is_last || head <= 0 ||
        (size_t)head + frame.body_bytes != bytes) {
        say("nonsense");
        return GBX_EFORMAT;
    }
    if (storm.runs && frame.call >= STORM_FROM &&
        (frame.kind == FRAME_OUTPUT || frame.kind == FRAME_DONE ||
         frame.kind == FRAME_FAILED))
        count_storm(&frame, body);
    else
        show(&frame, body);
    return 0;
}

static void on_up(void *context, bool speaks_frames)
{
    (void)context;
    pthread_mutex_lock(&lock);
    is_up = true;
    pthread_mutex_unlock(&lock);
    say("up %d", speaks_frames);
}

static void on_down(void *context, const char *why)
{
    (void)context;
    pthread_mutex_lock(&lock);
    is_up = false;
    pthread_mutex_unlock(&lock);
    say("down %s", why);
}

static const struct net_host_handler handler = {.up = on_up,
                                                .piece = on_piece,
                                                .down = on_down};

static void on_tick(void *context)
{
    (void)context;
}

/* ---- what is sent ---- */

static int send_frame(const struct frame *frame, const void *body,
                      net_release_fn release, void *context)
{
    uint8_t head[FRAME_HEAD_MAX];

    return api->send(host, false, head, frame_write(frame, head), body,
                     body != NULL ? frame->body_bytes : 0, release, context);
}

static int send_plain(enum frame_kind kind, uint32_t call)
{
    return send_frame(&(struct frame){.kind = kind, .call = call}, NULL, NULL,
                      NULL);
}

static int send_int(uint32_t call, const char *actor, int64_t value,
                    unsigned timeout_ms)
{
    struct frame frame = {.kind = FRAME_INPUT, .call = call};

    snprintf(frame.actor, sizeof(frame.actor), "%s", actor);
    if (timeout_ms > 0) {
        frame.flags = FRAME_HAS_TIMEOUT;
        frame.scalar = timeout_ms;
        if (send_frame(&frame, NULL, NULL, NULL) < 0)
            return -1;
        frame.actor[0] = '\0';
    }
    frame.flags = FRAME_HAS_MESSAGE | FRAME_RUNS;
    frame.type = TYPE_INTEGER;
    frame.scalar = (uint64_t)value;
    strcpy(frame.port, "in");
    return send_frame(&frame, NULL, NULL, NULL);
}

struct lent {
    uint32_t call;
    uint8_t bytes[];
};

static void on_release(void *context, bool has_begun)
{
    struct lent *lent = context;

    say("released %u %d", lent->call, has_begun);
    free(lent);
}

static void send_bytes(uint32_t call, const char *actor, size_t size,
                       unsigned timeout_ms)
{
    struct frame frame = {.kind = FRAME_INPUT,
                          .call = call,
                          .type = TYPE_STREAM,
                          .flags = FRAME_HAS_MESSAGE | FRAME_RUNS,
                          .port = "in",
                          .body_bytes = size};
    struct lent *lent = malloc(sizeof(*lent) + size + 1);

    if (lent == NULL)
        return;
    lent->call = call;
    for (size_t i = 0; i < size; i++)
        lent->bytes[i] = pattern(call, i);
    snprintf(frame.actor, sizeof(frame.actor), "%s", actor);
    if (timeout_ms > 0) {
        frame.flags |= FRAME_HAS_TIMEOUT;
        frame.scalar = timeout_ms;
    }
    if (send_frame(&frame, lent->bytes, on_release, lent) < 0) {
        say("unsent %u", call);
        free(lent);
    }
}

static void send_load(uint32_t number, const char *path)
{
    FILE *file = fopen(path, "r");
    static uint8_t body[16 << 20];
    struct frame frame = {.kind = FRAME_LOAD, .call = number};

    if (file == NULL) {
        say("no file %s", path);
        return;
    }
    frame.body_bytes = fread(body, 1, sizeof(body), file);
    fclose(file);
    send_frame(&frame, body, NULL, NULL);
}

static bool storm_goes_on(uint64_t until_ns, unsigned at_once, unsigned count)
{
    bool goes_on;

    pthread_mutex_lock(&lock);
    while (storm.open >= at_once)
        pthread_cond_wait(&told, &lock);
    goes_on = now_ns() < until_ns && storm.sent < count;
    pthread_mutex_unlock(&lock);
    return goes_on;
}

static void run_storm(const char *actor, double seconds, unsigned at_once,
                      unsigned count)
{
    const uint64_t from_ns = now_ns();
    const uint64_t until_ns = from_ns + (uint64_t)(seconds * 1e9);
    uint64_t took_ns;

    count = count == 0 || count > STORM_MAX - STORM_FROM
                ? STORM_MAX - STORM_FROM
                : count;
    memset(&storm, 0, sizeof(storm));
    storm.state = calloc(STORM_MAX, 1);
    storm.runs = true;
    while (storm_goes_on(until_ns, at_once, count)) {
        const uint32_t number = STORM_FROM + storm.sent;

        pthread_mutex_lock(&lock);
        storm.state[number] = 1;
        storm.sent++;
        storm.open++;
        pthread_mutex_unlock(&lock);
        if (send_int(number, actor, number, 0) < 0) {
            say("storm-unsent %u", number);
            break;
        }
    }
    for (int i = 0; i < 12000; i++) { /* two minutes */
        bool is_done;

        pthread_mutex_lock(&lock);
        is_done = storm.open == 0;
        pthread_mutex_unlock(&lock);
        if (is_done)
            break;
        usleep(10000);
    }
    took_ns = now_ns() - from_ns;
    usleep(300000); /* what would come twice */
    pthread_mutex_lock(&lock);
    say("storm sent=%u done=%u failed=%u wrong=%u twice=%u open=%u rate=%.0f",
        storm.sent, storm.done, storm.failed, storm.wrong, storm.twice,
        storm.open, storm.done / ((double)took_ns / 1e9));
    storm.runs = false;
    pthread_mutex_unlock(&lock);
}

static void obey(char *line)
{
    unsigned number = 0, at_once = 0, count = 0;
    char word[4096];
    long long value = 0;
    double seconds = 0;

    if (strcmp(line, "hello") == 0)
        send_plain(FRAME_HELLO, 0);
    else if (strcmp(line, "connect") == 0)
        api->connect(host);
    else if (strcmp(line, "cut") == 0)
        api->cut(host);
    else if (strncmp(line, "answers", 7) == 0)
        answers = strcmp(line, "answers yes") == 0;
    else if (sscanf(line, "load %u %4095s", &number, word) == 2)
        send_load(number, word);
    else if (sscanf(line, "unload %u", &number) == 1)
        send_plain(FRAME_UNLOAD, number);
    else if (sscanf(line, "cancel %u", &number) == 1)
        send_plain(FRAME_CANCEL, number);
    else if (sscanf(line, "int %u %4095s %lld %u", &number, word, &value,
                    &count) == 4)
        send_int(number, word, value, count);
    else if (sscanf(line, "bytes %u %4095s %lld %u", &number, word, &value,
                    &count) == 4)
        send_bytes(number, word, (size_t)value, count);
    else if (sscanf(line, "storm %4095s %lf %u %u", word, &seconds, &at_once,
                    &count) == 4)
        run_storm(word, seconds, at_once, count);
    else
        say("what? %s", line);
}

int main(int argc, char **argv)
{
    struct gbx_error err = {.what = ""};
    char line[8192];
    void *module;
    int rc;

    if (argc < 3)
        return 64;
    module = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (module == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 69;
    }
    api = dlsym(module, NET_CLIENT_SYMBOL);
    rc = api->open(&client, &(struct net_client_config){.tick = on_tick}, &err);
    if (rc == 0)
        rc = api->host(
            &host, client,
            &(struct net_host_config){.url = argv[2],
                                      .token = argc > 3 ? argv[3] : NULL,
                                      .connect_seconds = 3,
                                      .handler = &handler},
            &err);
    if (rc == 0)
        rc = api->start(client, &err);
    if (rc < 0) {
        say("error %d %s", rc, err.what);
        api->close(client);
        return 1;
    }
    api->connect(host);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        obey(line);
    }
    api->close(client);
    free(storm.state);
    say("closed");
    return 0;
}
