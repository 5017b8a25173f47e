/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.c - waits until a pool calls, something has been idle for too long, or
 * the host's kernel says that work stands still for want of memory.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "glovebox/error.h"
#include "pool/keeper.h"
#include "pool/pool.h"

/* 150 ms of a second in which some task waited for memory. */
#define PRESSURE_FILE "/proc/pressure/memory"
#define PRESSURE      "some 150000 1000000"

void keeper_open(struct keeper *keeper)
{
    *keeper = (struct keeper){.pressure_fd = -1};
    keeper->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    must(pthread_mutex_init(&keeper->lock, NULL) == 0);
}

static uint64_t tend_all(struct keeper *keeper)
{
    uint64_t soonest = 0;

    pthread_mutex_lock(&keeper->lock);
    for (struct pool *pool = keeper->pools;
         pool != NULL && !atomic_load(&keeper->quits); pool = pool->after) {
        uint64_t next = pool_tend(pool, clock_now_ns());

        if (next != 0 && (soonest == 0 || next < soonest))
            soonest = next;
    }
    pthread_mutex_unlock(&keeper->lock);
    return soonest;
}

void keeper_shrink(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    for (struct pool *pool = keeper->pools; pool != NULL; pool = pool->after) {
        struct gbx_pool_stats stats;

        pool_stats(pool, &stats);
        pool_shrink(pool, stats.ready / 2);
    }
    pthread_mutex_unlock(&keeper->lock);
}

static void *keep(void *context)
{
    struct keeper *keeper = context;
    struct pollfd waits[2] = {{.fd = keeper->wake_fd, .events = POLLIN},
                              {.fd = keeper->pressure_fd, .events = POLLPRI}};
    uint64_t count;

    while (!atomic_load(&keeper->quits)) {
        uint64_t next = tend_all(keeper), now = clock_now_ns();
        struct timespec wait = {0};

        if (next > now)
            wait = clock_timespec(next - now);
        if (ppoll(waits, 2, next == 0 ? NULL : &wait, NULL) < 0)
            continue;
        if ((waits[0].revents & POLLIN) != 0 &&
            read(keeper->wake_fd, &count, sizeof(count)) < 0)
            continue;
        if ((waits[1].revents & POLLPRI) != 0)
            keeper_shrink(keeper);
    }
    return NULL;
}

/* Not every kernel tells; then only the embedder can. */
static int open_pressure(void)
{
    int fd = open(PRESSURE_FILE, O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0 && write(fd, PRESSURE, sizeof(PRESSURE)) < 0)
        close_fd(&fd);
    return fd;
}

static int start_locked(struct keeper *keeper)
{
    sigset_t all, before;
    int rc;

    if (keeper->has_thread)
        return 0;
    if (keeper->wake_fd < 0)
        return GBX_EHOST;
    keeper->pressure_fd = open_pressure();
    sigfillset(&all); /* signals are for the embedder's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&keeper->thread, NULL, keep, keeper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return GBX_EHOST;
    pthread_setname_np(keeper->thread, "glovebox-keeper");
    keeper->has_thread = true;
    return 0;
}

int keeper_add(struct keeper *keeper, struct pool *pool)
{
    int rc = 0;

    pthread_mutex_lock(&keeper->lock);
    if (pool->config.ready_min > 0 || pool->config.idle_ns > 0)
        rc = start_locked(keeper);
    if (rc == 0) {
        pool->after = keeper->pools;
        keeper->pools = pool;
    }
    pthread_mutex_unlock(&keeper->lock);
    return rc;
}

void keeper_remove(struct keeper *keeper, struct pool *pool)
{
    struct pool **at = &keeper->pools;

    pthread_mutex_lock(&keeper->lock);
    while (*at != pool)
        at = &(*at)->after;
    *at = pool->after;
    pthread_mutex_unlock(&keeper->lock);
}

void keeper_tell(struct keeper *keeper)
{
    const uint64_t one = 1;

    if (keeper->wake_fd >= 0 && write(keeper->wake_fd, &one, sizeof(one)) < 0)
        return; /* it is full: it will come */
}

void keeper_close(struct keeper *keeper)
{
    must(keeper->pools == NULL);
    atomic_store(&keeper->quits, true);
    keeper_tell(keeper);
    if (keeper->has_thread)
        pthread_join(keeper->thread, NULL);
    close_fd(&keeper->pressure_fd);
    close_fd(&keeper->wake_fd);
    pthread_mutex_destroy(&keeper->lock);
}
