/* SPDX-License-Identifier: Apache-2.0 */
/* guest_threads.c - threads that race, and such that leave no time to others.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/futex.h>

#include "glovebox/abi/region.h"
#include "tests/isolation/guest.h"

#define THREADS 6
#define ROUNDS  400

static void *spin(void *context)
{
    (void)context;
    for (;;)
        ;
    return NULL;
}

static void start(void *(*what)(void *))
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, what, NULL) != 0)
        _exit(98);
}

/* Much is said, beside a thread that never stops. */
static int chatter(void)
{
    static char block[8192];

    if (strcmp(guest_argument, "beside") == 0)
        start(spin);
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 256; i++)
        for (size_t done = 0; done < sizeof(block);) {
            ssize_t put = write(1 + i % 2, block + done, sizeof(block) - done);

            if (put < 0)
                return 1;
            done += (size_t)put;
        }
    return 5;
}

/* Rings for each ring, beside a thread that never stops. */
static int echo_beside(void)
{
    const uint64_t one = 1;
    struct gbx_half_head *host =
        mmap(NULL, 4096, PROT_READ, MAP_SHARED, GBX_FD_HOST_HALF, 0);
    uint32_t seen;

    if (host == MAP_FAILED)
        return 1;
    start(spin);
    seen = host->bell;
    (void)!write(GBX_FD_BELL, &one, sizeof(one));
    for (;;) {
        while (host->bell == seen)
            syscall(SYS_futex, &host->bell, FUTEX_WAIT, seen, NULL, NULL, 0);
        seen = host->bell;
        (void)!write(GBX_FD_BELL, &one, sizeof(one));
    }
}

static _Thread_local sigjmp_buf back;
static char *pool;
static int pipes[2];
static pthread_barrier_t all_there;

#define POOL_PAGES 64u

static void come_back(int number)
{
    siglongjmp(back, number);
}

/* One wild step on pages that all threads share. */
static void step(unsigned dice)
{
    char *at = pool + (size_t)4096 * (dice % POOL_PAGES);
    size_t bytes = (size_t)4096 * (1 + dice / 64 % 4);
    int protection = (int)(dice / 256 % 8);

    if (at + bytes > pool + (size_t)4096 * POOL_PAGES)
        bytes = 4096;
    switch (dice / 2048 % 8) {
    case 0: /* no hole: others would move in */
        mmap(at, bytes, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        break;
    case 1:
        mmap(at, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0);
        break;
    case 2:
        mprotect(at, bytes, protection);
        break;
    case 3:
        mremap(at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
               pool + (size_t)4096 * (dice / 7 % (POOL_PAGES - 4)));
        mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0);
        break;
    case 4:
        mmap(at, bytes, PROT_READ | (protection & PROT_WRITE),
             MAP_SHARED | MAP_FIXED, GBX_FD_GUEST_HALF, 4096);
        break;
    case 5:
        madvise(at, bytes, MADV_DONTNEED);
        break;
    case 6:
        (void)!write(pipes[1], at, bytes);
        break;
    default:
        (void)!read(pipes[0], at, bytes);
    }
    if (sigsetjmp(back, 1) == 0)
        (*(volatile char *)at)++;
}

static void *play(void *context)
{
    unsigned dice = (unsigned)(uintptr_t)context * 2654435761u + 1;

    pthread_barrier_wait(&all_there);
    for (int i = 0; i < ROUNDS; i++) {
        dice = dice * 1664525u + 1013904223u;
        step(dice >> 8);
    }
    return NULL;
}

/* Where it ends is not said; but it ends, and the host is well. */
static int race(void)
{
    struct sigaction action = {.sa_handler = come_back};
    pthread_t threads[THREADS];

    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    pool = mmap(NULL, (size_t)4096 * POOL_PAGES, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pool == MAP_FAILED || pipe2(pipes, O_NONBLOCK) < 0)
        return 1;
    for (int round = 0; round < 4; round++) {
        pthread_barrier_init(&all_there, NULL, THREADS);
        for (uintptr_t i = 0; i < THREADS; i++)
            if (pthread_create(&threads[i], NULL, play,
                               (void *)(i + 16u * (unsigned)round)) != 0)
                return 2;
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    printf("still here\n");
    return 0;
}

const struct guest_kind guest_threads[] = {
    {"chatter", chatter},
    {"echo_beside", echo_beside},
    {"race", race},
    {NULL, NULL},
};
