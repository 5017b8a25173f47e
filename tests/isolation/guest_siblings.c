/* SPDX-License-Identifier: Apache-2.0 */
/* guest_siblings.c - what one does that another must not feel. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest/lib/guest.h"
#include "tests/isolation/guest.h"

/* Tell the host, and stay. */
static _Noreturn void stay(void)
{
    const uint64_t one = 1;

    fflush(stdout);
    (void)!write(GBX_FD_BELL, &one, sizeof(one));
    for (;;)
        pause();
}

static int leave_traces(void)
{
    const int flags = O_NONBLOCK | O_APPEND;

    printf("traces %d\n", (access("/tmp/trace", F_OK) == 0) +
                              ((fcntl(0, F_GETFL) & flags) != 0));
    fcntl(0, F_SETFL, flags);
    close(open("/tmp/trace", O_CREAT | O_WRONLY, 0600));
    stay();
}

static int fill_up(void)
{
    int count = 0;
    pid_t pid;

    while ((pid = fork()) > 0)
        count++;
    if (pid == 0)
        for (;;)
            pause();
    printf("processes %d\n", count);
    stay();
}

/* In a group of its own, whatever keeps signals in besides. */
static int kill_all(void)
{
    if (getpgrp() != 1)
        return 1;
    kill(-1, SIGKILL);
    kill(0, SIGKILL);
    return 1;
}

/* Answers each call with how many there were; 7 makes it leave. */
static int count_calls(void)
{
    struct gbx_guest *guest;
    struct gbx_descriptor d;
    uint64_t count = 0;

    if (gbx_guest_attach(&guest) < 0 ||
        gbx_guest_say(guest, GBX_KIND_READY) < 0)
        return 1;
    while (gbx_guest_recv(guest, &d) == 0) {
        if (d.scalar == 7)
            return 0;
        d = (struct gbx_descriptor){.kind = GBX_KIND_DONE,
                                    .type = GBX_INTEGER,
                                    .flags = GBX_HAS_MESSAGE,
                                    .scalar = ++count};
        if (gbx_guest_send(guest, &d) < 0)
            return 1;
    }
    return 1;
}

const struct guest_kind guest_siblings[] = {
    {"leave_traces", leave_traces},
    {"fill_up", fill_up},
    {"kill_all", kill_all},
    {"count", count_calls},
    {NULL, NULL},
};
