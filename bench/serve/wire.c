/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libwebsockets.h>

#include "serve/wire.h"

#define PIECE_BYTES 65536u
#define ROOM_BYTES  (32u << 20)

static struct sockaddr_in address_of(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void set_up(int fd)
{
    const int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int wire_dial(uint16_t port)
{
    const struct sockaddr_in to = address_of(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0) {
        set_up(fd);
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

bool wire_write(int fd, const void *data, size_t bytes)
{
    const char *at = data;

    while (bytes > 0) {
        ssize_t n = write(fd, at, bytes);

        if (n <= 0)
            return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

bool wire_read(int fd, void *data, size_t bytes)
{
    char *at = data;

    while (bytes > 0) {
        ssize_t n = read(fd, at, bytes);

        if (n <= 0)
            return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

bool wire_shake(int fd)
{
    static const char ask[] = "GET / HTTP/1.1\r\nHost: localhost\r\n"
                              "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Sec-WebSocket-Version: 13\r\n\r\n";
    char last[4] = "";

    if (!wire_write(fd, ask, sizeof(ask) - 1))
        return false;
    for (int i = 0; i < 4096 && memcmp(last, "\r\n\r\n", 4) != 0; i++) {
        memmove(last, last + 1, 3);
        if (!wire_read(fd, last + 3, 1))
            return false;
    }
    return memcmp(last, "\r\n\r\n", 4) == 0;
}

/* RFC 6455, 5.2: masked, with zeros, which change nothing. */
static size_t frame_head(uint8_t head[14], uint64_t bytes)
{
    size_t count = bytes < 126 ? 2 : bytes < 65536 ? 4 : 10;

    memset(head, 0, 14);
    head[0] = 0x82;
    head[1] = (uint8_t)(0x80 | (count == 2 ? bytes : count == 4 ? 126 : 127));
    for (size_t i = 2; i < count; i++)
        head[i] = (uint8_t)(bytes >> 8 * (count - 1 - i));
    return count + 4;
}

bool wire_send(int fd, const void *head, size_t head_bytes, const void *body,
               size_t bytes)
{
    uint8_t frame[14];
    const size_t frame_bytes = frame_head(frame, head_bytes + bytes);
    const struct iovec parts[] = {
        {frame, frame_bytes},
        {(void *)(uintptr_t)head, head_bytes},
        {(void *)(uintptr_t)body, bytes},
    };
    const size_t all = frame_bytes + head_bytes + bytes,
                 heads = frame_bytes + head_bytes;
    ssize_t n = writev(fd, parts, 3);

    if (n < (ssize_t)heads)
        return false;
    return (size_t)n == all ||
           wire_write(fd, (const char *)body + n - heads, all - (size_t)n);
}

bool wire_receive(int fd, void *data, size_t *bytes)
{
    size_t count = 0;

    for (;;) {
        uint8_t head[10];
        uint64_t length;
        size_t more = 0;

        if (!wire_read(fd, head, 2))
            return false;
        length = head[1] & 127;
        more = length == 126 ? 2 : length == 127 ? 8 : 0;
        if (!wire_read(fd, head + 2, more))
            return false;
        for (size_t i = 0; i < more; i++)
            length = (i == 0 ? 0 : length << 8) | head[2 + i];
        if (length > *bytes - count ||
            !wire_read(fd, (char *)data + count, length))
            return false;
        if ((head[0] & 15) >= 8) /* a ping */
            continue;
        count += length;
        if (head[0] & 0x80)
            break;
    }
    *bytes = count;
    return true;
}

/* ---- what comes is sent back ---- */

static int listen_somewhere(uint16_t *port)
{
    struct sockaddr_in at = address_of(0);
    socklen_t bytes = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        listen(fd, 8) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &bytes) < 0)
        return -1;
    *port = ntohs(at.sin_port);
    return fd;
}

static void echo_tcp(int listener)
{
    static uint8_t room[ROOM_BYTES];
    int fd = accept(listener, NULL, NULL);
    uint64_t bytes;

    set_up(fd);
    while (wire_read(fd, &bytes, sizeof(bytes)) && bytes <= sizeof(room) &&
           wire_read(fd, room, bytes) && wire_write(fd, room, bytes))
        ;
}

static uint8_t echoed[LWS_PRE + ROOM_BYTES];
static size_t echoed_bytes, echoed_at;

static int echo_callback(struct lws *wsi, enum lws_callback_reasons reason,
                         void *user, void *in, size_t bytes)
{
    (void)user;
    if (reason == LWS_CALLBACK_RECEIVE) {
        memcpy(echoed + LWS_PRE + echoed_bytes, in, bytes);
        echoed_bytes += bytes;
        if (lws_is_final_fragment(wsi) &&
            lws_remaining_packet_payload(wsi) == 0)
            lws_callback_on_writable(wsi);
    }
    if (reason == LWS_CALLBACK_SERVER_WRITEABLE && echoed_bytes > 0) {
        size_t piece = echoed_bytes - echoed_at;
        int flags;

        piece = piece > PIECE_BYTES ? PIECE_BYTES : piece;
        flags = lws_write_ws_flags(LWS_WRITE_BINARY, echoed_at == 0,
                                   echoed_at + piece == echoed_bytes);
        lws_write(wsi, echoed + LWS_PRE + echoed_at, piece,
                  (enum lws_write_protocol)flags);
        echoed_at += piece;
        if (echoed_at < echoed_bytes)
            lws_callback_on_writable(wsi);
        else
            echoed_at = echoed_bytes = 0;
    }
    return 0;
}

static void echo_lws(uint16_t port)
{
    static const struct lws_protocols protocols[] = {
        {.name = "echo",
         .callback = echo_callback,
         .rx_buffer_size = PIECE_BYTES},
        {0}};
    struct lws_context_creation_info info = {.port = port,
                                             .protocols = protocols,
                                             .gid = -1,
                                             .uid = -1,
                                             .iface = "127.0.0.1",
                                             .pt_serv_buf_size = PIECE_BYTES};
    struct lws_context *context;

    lws_set_log_level(0, NULL);
    context = lws_create_context(&info);
    while (context != NULL && lws_service(context, 0) >= 0)
        ;
}

static int become(void)
{
    int pid = fork();

    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

int wire_echo_tcp(uint16_t *port)
{
    int listener = listen_somewhere(port), pid = listener < 0 ? -1 : become();

    if (pid == 0) {
        echo_tcp(listener);
        _exit(0);
    }
    if (listener >= 0)
        close(listener);
    return pid;
}

int wire_echo_lws(uint16_t *port)
{
    int listener = listen_somewhere(port), pid, fd = -1;

    if (listener < 0)
        return -1;
    close(listener); /* a port that is free; libwebsockets listens itself */
    pid = become();
    if (pid == 0) {
        echo_lws(*port);
        _exit(0);
    }
    for (int i = 0; i < 200 && (fd = wire_dial(*port)) < 0; i++)
        usleep(10000);
    if (fd >= 0)
        close(fd);
    return pid;
}

void wire_end(int pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
