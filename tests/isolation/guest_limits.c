/* SPDX-License-Identifier: Apache-2.0 */
/* guest_limits.c - wanting more of everything than there is. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/isolation/guest.h"

static int memory(void)
{
    size_t mib = 0;
    char *block;

    while (mib < 100000 && (block = malloc(1 << 20)) != NULL) {
        memset(block, 1, 1 << 20);
        mib++;
    }
    printf("%zu %d\n", mib, errno);
    return 0;
}

/* Many processes, each within its limit; the largest is the first. */
static int crowd(void)
{
    for (int i = 0; i < 20; i++)
        if (fork() == 0) {
            memset(malloc(3 << 20), 1, 3 << 20);
            pause();
        }
    usleep(300000);
    return memory();
}

static _Noreturn int spin(void)
{
    for (;;)
        ;
}

static int spin_together(void)
{
    for (int i = 0; i < 3; i++)
        if (fork() == 0)
            spin();
    pause();
    return 0;
}

static int spin_stubbornly(void)
{
    signal(SIGXCPU, SIG_IGN);
    spin();
}

static int fork_bomb(void)
{
    int count = 0;

    for (; count < 100000; count++) {
        pid_t pid = fork();

        if (pid < 0)
            break;
        if (pid == 0) {
            pause();
            _exit(0);
        }
    }
    printf("%d %d\n", count, errno);
    return 0;
}

/* Each child forks as well; nobody counts. */
static _Noreturn int wild_bomb(void)
{
    for (;;)
        fork();
}

static int open_files(void)
{
    int count = 0;

    while (count < 100000 && dup(0) >= 0)
        count++;
    printf("%d %d\n", count, errno);
    return 0;
}

static int fill_disk(void)
{
    static char block[65536];
    unsigned long long bytes = 0;
    char name[32];
    ssize_t got = 0;

    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof(name), "/tmp/%d", i);
        int fd = open(name, O_CREAT | O_WRONLY, 0600);

        while (fd >= 0 && (got = write(fd, block, sizeof(block))) > 0)
            bytes += (unsigned long long)got;
        close(fd);
    }
    printf("%llu %d\n", bytes, errno);
    return 0;
}

static int flood(void)
{
    static char block[65536];

    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 16384; i++)
        if (write(1, block, sizeof(block)) < 0)
            return 1;
    return 0;
}

/* The kernel works for it, all the time. */
static _Noreturn int spin_in_calls(void)
{
    const size_t bytes = 8 << 20;
    char *block = malloc(bytes);
    int fd = open("/dev/urandom", O_RDONLY);

    for (;;)
        (void)!read(fd, block, bytes);
}

const struct guest_kind guest_limits[] = {
    {"memory", memory},
    {"crowd", crowd},
    {"spin", spin},
    {"spin_together", spin_together},
    {"spin_stubbornly", spin_stubbornly},
    {"fork_bomb", fork_bomb},
    {"wild_bomb", wild_bomb},
    {"open_files", open_files},
    {"fill_disk", fill_disk},
    {"flood", flood},
    {"spin_in_calls", spin_in_calls},
    {NULL, NULL},
};
