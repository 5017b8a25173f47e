/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - many clients of one server, each of which asks again at once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "serve/load.h"
#include "serve/wire.h"

struct client {
    int fd;
    uint64_t asked_ns;
    char reply[2048];
    size_t bytes;
};

static bool ask(struct client *client, const char *request)
{
    client->bytes = 0;
    client->asked_ns = measure_now_ns();
    return wire_write(client->fd, request, strlen(request));
}

/* Is all of a reply here?  Its body is as long as it says. */
static bool is_whole(const struct client *client)
{
    const char *end = memmem(client->reply, client->bytes, "\r\n\r\n", 4),
               *length = strcasestr(client->reply, "content-length:");

    return end != NULL && length != NULL &&
           client->bytes >= (size_t)(end + 4 - client->reply) +
                                strtoul(length + 15, NULL, 10);
}

static bool take(struct client *client, struct load *load)
{
    ssize_t n = read(client->fd, client->reply + client->bytes,
                     sizeof(client->reply) - 1 - client->bytes);

    if (n <= 0)
        return false;
    client->bytes += (size_t)n;
    client->reply[client->bytes] = '\0';
    if (!is_whole(client))
        return client->bytes < sizeof(client->reply) - 1;
    samples_add(&load->samples, measure_now_ns() - client->asked_ns);
    load->wrong += strncmp(client->reply, "HTTP/1.1 200 ", 13) != 0;
    load->answers++;
    return ask(client, load->request);
}

bool load_run(struct load *load, uint16_t port)
{
    struct client *clients = calloc(load->clients, sizeof(*clients));
    const uint64_t from_ns = measure_now_ns();
    struct epoll_event event, events[64];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    bool good = clients != NULL && epoll >= 0;

    for (size_t i = 0; i < load->clients && good; i++) {
        clients[i].fd = wire_dial(port);
        event =
            (struct epoll_event){.events = EPOLLIN, .data.ptr = &clients[i]};
        good = clients[i].fd >= 0 &&
               epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event) == 0 &&
               ask(&clients[i], load->request);
    }
    while (good && measure_now_ns() - from_ns < load->for_ns) {
        int count = epoll_wait(epoll, events, 64, 1000);

        for (int i = 0; i < count && good; i++)
            good = take(events[i].data.ptr, load);
    }
    load->took_ns = measure_now_ns() - from_ns;
    for (size_t i = 0; clients != NULL && i < load->clients; i++)
        if (clients[i].fd > 0)
            close(clients[i].fd);
    close(epoll);
    free(clients);
    return good;
}
