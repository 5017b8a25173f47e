/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - the caller of the WebSocket server.
 *
 * It keeps one connection and its buffers, writes the JSON around the payload
 * by hand, and copies only where the protocol makes it: into the text that is
 * sent, out of the socket, out of the text that came.
 *
 *   request buffer:  | LWS_PRE | {"jsonrpc":...{"in": | payload | }...} |
 *                              ^ fragments of 64 KiB leave from here
 */
#include <fcntl.h>
#include <libwebsockets.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "baseline/baseline.h"
#include "baseline/codec.h"

#define FRAGMENT_BYTES 65536u
#define HEAD_BYTES     512u

struct bytes {
    char *at; /* owned */
    size_t count, room;
};

struct baseline {
    enum baseline_form form;
    pid_t server;
    int stdin_fd; /* closing it ends the server */
    struct lws_context *context;
    struct lws *wsi; /* NULL: not connected */
    bool failed, answered;
    uint64_t id;
    struct bytes request; /* LWS_PRE, then the text */
    size_t sent;
    struct bytes response, answer;
    int64_t integer;
};

static bool make_room(struct bytes *bytes, size_t room)
{
    char *at;

    if (room <= bytes->room)
        return true;
    at = realloc(bytes->at, room);
    if (at == NULL)
        return false;
    bytes->at = at;
    bytes->room = room;
    return true;
}

static int send_fragments(struct baseline *b, struct lws *wsi)
{
    size_t total = b->request.count;

    while (b->sent < total) {
        size_t left = total - b->sent;
        size_t bytes = left < FRAGMENT_BYTES ? left : FRAGMENT_BYTES;
        int how = b->sent == 0 ? LWS_WRITE_TEXT : LWS_WRITE_CONTINUATION;
        char *at = b->request.at + LWS_PRE + b->sent;

        if (bytes < left)
            how |= LWS_WRITE_NO_FIN;
        if (lws_write(wsi, (unsigned char *)at, bytes,
                      (enum lws_write_protocol)how) < 0)
            return -1;
        b->sent += bytes;
        if (b->sent < total && lws_send_pipe_choked(wsi)) {
            lws_callback_on_writable(wsi);
            break;
        }
    }
    return 0;
}

static int keep_response(struct baseline *b, struct lws *wsi, const void *in,
                         size_t bytes)
{
    struct bytes *r = &b->response;
    size_t need = r->count + bytes + lws_remaining_packet_payload(wsi) + 1;

    if (need > r->room && !make_room(r, need * 2))
        return -1;
    memcpy(r->at + r->count, in, bytes);
    r->count += bytes;
    b->answered =
        lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0;
    return 0;
}

static void send_at_once(struct lws *wsi)
{
    int on = 1;

    setsockopt(lws_get_socket_fd(wsi), IPPROTO_TCP, TCP_NODELAY, &on,
               sizeof(on));
}

static int happen(struct lws *wsi, enum lws_callback_reasons reason, void *user,
                  void *in, size_t bytes)
{
    struct baseline *b = lws_context_user(lws_get_context(wsi));

    (void)user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        send_at_once(wsi);
        b->wsi = wsi;
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return send_fragments(b, wsi);
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return keep_response(b, wsi, in, bytes);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED:
        b->wsi = NULL;
        b->failed = true;
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "bench", .callback = happen, .rx_buffer_size = FRAGMENT_BYTES},
    {0}};

static bool connect_to(struct baseline *b, int port)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .user = b,
        .pt_serv_buf_size = 4 * FRAGMENT_BYTES,
        .gid = -1,
        .uid = -1,
    };
    struct lws_client_connect_info to = {
        .address = "127.0.0.1",
        .port = port,
        .path = "/",
        .host = "127.0.0.1",
        .origin = "127.0.0.1",
        .ietf_version_or_minus_one = -1,
    };

    lws_set_log_level(0, NULL);
    b->context = lws_create_context(&info);
    if (b->context == NULL)
        return false;
    to.context = b->context;
    if (lws_client_connect_via_info(&to) == NULL)
        return false;
    while (b->wsi == NULL && !b->failed)
        lws_service(b->context, 0);
    return !b->failed;
}

/* The server says its port, or why it cannot. */
static int read_port(int fd, char why[BASELINE_WHY_BYTES])
{
    char line[BASELINE_WHY_BYTES] = "";
    size_t at = 0;
    ssize_t n;
    int port;

    while (at < sizeof(line) - 1 && strchr(line, '\n') == NULL &&
           (n = read(fd, line + at, sizeof(line) - 1 - at)) > 0)
        at += (size_t)n;
    port = atoi(line);
    line[strcspn(line, "\n")] = '\0';
    if (port == 0)
        snprintf(why, BASELINE_WHY_BYTES, "%.140s",
                 line[0] != '\0' ? line : "the server did not start");
    return port;
}

static bool start_server(struct baseline *b, const char *folder,
                         const char *script, int from[2], int to[2])
{
    static char python[] = "/usr/bin/python3";
    char server[4200], path[4200], form[8];
    char *argv[] = {python, server, path, form, NULL};
    posix_spawn_file_actions_t actions;
    int rc;

    snprintf(server, sizeof(server), "%s/baseline/server.py", folder);
    snprintf(path, sizeof(path), "%s/scripts/%s", folder, script);
    strcpy(form, b->form == BASELINE_BASE64 ? "base64" : "array");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    rc = posix_spawn(&b->server, python, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0)
        b->server = 0;
    return rc == 0;
}

static bool open_all(struct baseline *b, const char *folder, const char *script,
                     enum place place, char why[BASELINE_WHY_BYTES])
{
    int from[2], to[2], port = 0;

    strcpy(why, "the server could not be started");
    if (pipe2(from, O_CLOEXEC) < 0)
        return false;
    if (pipe2(to, O_CLOEXEC) < 0) {
        close(from[0]);
        close(from[1]);
        return false;
    }
    b->stdin_fd = to[1];
    place_peer(place);
    if (start_server(b, folder, script, from, to)) {
        close(from[1]);
        from[1] = -1;
        port = read_port(from[0], why);
    }
    place_self(place);
    close(to[0]);
    close(from[0]);
    if (from[1] >= 0)
        close(from[1]);
    if (port == 0)
        return false;
    strcpy(why, "the server does not take connections");
    return connect_to(b, port);
}

bool baseline_open(struct baseline **baseline, const char *folder,
                   const char *script, enum baseline_form form,
                   enum place place, char why[BASELINE_WHY_BYTES])
{
    struct baseline *b = calloc(1, sizeof(*b));

    *baseline = NULL;
    if (b == NULL)
        return false;
    b->form = form;
    b->stdin_fd = -1;
    codec_init();
    if (!open_all(b, folder, script, place, why)) {
        baseline_close(b);
        return false;
    }
    *baseline = b;
    return true;
}

void baseline_close(struct baseline *b)
{
    if (b == NULL)
        return;
    if (b->server > 0) { /* first, or it would complain that we left */
        kill(b->server, SIGKILL);
        waitpid(b->server, NULL, 0);
    }
    if (b->context != NULL)
        lws_context_destroy(b->context);
    if (b->stdin_fd >= 0)
        close(b->stdin_fd);
    free(b->request.at);
    free(b->response.at);
    free(b->answer.at);
    free(b);
    place_self(PLACE_FREE);
}

/* The text before the payload.  Returns where the payload goes, or NULL. */
static char *begin_request(struct baseline *b, size_t payload_room)
{
    if (!make_room(&b->request, LWS_PRE + 2 * HEAD_BYTES + payload_room))
        return NULL;
    b->id++;
    b->request.count = (size_t)sprintf(
        b->request.at + LWS_PRE,
        "{\"jsonrpc\":\"2.0\",\"id\":\"%llu\",\"method\":\"process\","
        "\"params\":{\"payload\":{\"in\":",
        (unsigned long long)b->id);
    return b->request.at + LWS_PRE + b->request.count;
}

/* The text behind it, and off.  Returns true when the answer is there. */
static bool finish_request(struct baseline *b, size_t payload_bytes)
{
    b->request.count += payload_bytes;
    b->request.count += (size_t)sprintf(
        b->request.at + LWS_PRE + b->request.count,
        "},\"config\":{},\"state\":{\"namespace\":\"default\","
        "\"actor_id\":\"bench\",\"redis_url\":\"redis://localhost:6379\"},"
        "\"actor_id\":\"bench\",\"timestamp\":1757000000000}}");
    b->sent = b->response.count = 0;
    b->answered = false;
    if (b->wsi == NULL)
        return false;
    lws_callback_on_writable(b->wsi);
    while (!b->answered && !b->failed)
        if (lws_service(b->context, 0) < 0)
            b->failed = true;
    return b->answered;
}

/* What the script sent, as text: what is not the frame around it. */
static const char *find_output(struct baseline *b, size_t *length)
{
    static const char tail[] = "}}}";
    struct bytes *r = &b->response;
    char head[HEAD_BYTES];
    size_t bytes = (size_t)snprintf(
        head, sizeof(head),
        "{\"jsonrpc\":\"2.0\",\"id\":\"%llu\",\"result\":{\"outputs\":{"
        "\"out\":",
        (unsigned long long)b->id);

    if (r->count < bytes + sizeof(tail) - 1 ||
        memcmp(r->at, head, bytes) != 0 ||
        memcmp(r->at + r->count - 3, tail, 3) != 0)
        return NULL;
    *length = r->count - bytes - 3;
    return r->at + bytes;
}

bool baseline_stream(struct baseline *b, const void *data, size_t bytes)
{
    bool base64 = b->form == BASELINE_BASE64;
    char *payload = begin_request(b, codec_room(bytes));
    const char *text;
    long long count;
    size_t length;

    if (payload == NULL)
        return false;
    length = base64 ? codec_base64(payload, data, bytes)
                    : codec_array(payload, data, bytes);
    if (!finish_request(b, length))
        return false;
    text = find_output(b, &length);
    if (text == NULL)
        return false;
    b->response.at[b->response.count] = '\0';
    b->integer = strtoll(text, NULL, 10);
    if (text[0] != '"' && text[0] != '[') {
        b->answer.count = 0;
        return true;
    }
    if (!make_room(&b->answer, length))
        return false;
    count = base64 ? codec_from_base64((uint8_t *)b->answer.at, text, length)
                   : codec_from_array((uint8_t *)b->answer.at, text, length);
    b->answer.count = count < 0 ? 0 : (size_t)count;
    return count >= 0;
}

bool baseline_integer(struct baseline *b, int64_t value)
{
    char *payload = begin_request(b, 32);
    const char *text;
    size_t length;

    if (payload == NULL ||
        !finish_request(b, (size_t)sprintf(payload, "%lld", (long long)value)))
        return false;
    text = find_output(b, &length);
    if (text == NULL)
        return false;
    b->response.at[b->response.count] = '\0';
    b->integer = strtoll(text, NULL, 10);
    return true;
}

const void *baseline_answer(const struct baseline *b, size_t *bytes)
{
    *bytes = b->answer.count;
    return b->answer.at;
}

int64_t baseline_answer_integer(const struct baseline *b)
{
    return b->integer;
}
