/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - arguments, clocks, chance, the end; and no sockets. */
#include <sched.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "sandbox/wasm/wasi/inner.h"

#define RANDOM_BYTES (1u << 20) /* at once: it takes milliseconds */

/* ---- arguments and environment ---- */

static uint64_t text_bytes(const char *const *texts, uint32_t *count)
{
    uint64_t bytes = 0;

    *count = 0;
    for (; texts != NULL && texts[*count] != NULL; (*count)++)
        bytes += strlen(texts[*count]) + 1;
    return bytes;
}

static int put_sizes(const struct wasi_memory *memory, const uint64_t *a,
                     const char *const *texts)
{
    uint32_t count;
    uint64_t bytes = text_bytes(texts, &count);

    if (bytes > UINT32_MAX)
        return -EOVERFLOW;
    if (wasi_reach(memory, (uint32_t)a[1], sizeof(uint32_t)) == NULL ||
        wasi_put_u32(memory, (uint32_t)a[0], count) < 0)
        return -EFAULT;
    return wasi_put_u32(memory, (uint32_t)a[1], (uint32_t)bytes);
}

/* A list of where they are, and all of them one after the other. */
static int put_texts(const struct wasi_memory *memory, const uint64_t *a,
                     const char *const *texts)
{
    uint32_t list = (uint32_t)a[0], count;
    uint64_t at = (uint32_t)a[1], bytes = text_bytes(texts, &count);

    if (wasi_reach(memory, list, 4ull * count) == NULL ||
        wasi_reach(memory, at, bytes) == NULL)
        return -EFAULT;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t part = strlen(texts[i]) + 1;

        wasi_put_u32(memory, list + 4ull * i, (uint32_t)at);
        wasi_copy_out(memory, at, texts[i], part);
        at += part;
    }
    return 0;
}

int wasi_args_get(struct wasi *wasi, const struct wasi_memory *memory,
                  const uint64_t *a)
{
    return put_texts(memory, a, wasi->config.argv);
}

int wasi_args_sizes_get(struct wasi *wasi, const struct wasi_memory *memory,
                        const uint64_t *a)
{
    return put_sizes(memory, a, wasi->config.argv);
}

int wasi_environ_get(struct wasi *wasi, const struct wasi_memory *memory,
                     const uint64_t *a)
{
    return put_texts(memory, a, wasi->config.envp);
}

int wasi_environ_sizes_get(struct wasi *wasi, const struct wasi_memory *memory,
                           const uint64_t *a)
{
    return put_sizes(memory, a, wasi->config.envp);
}

/* ---- clocks ---- */

enum { REALTIME, MONOTONIC, PROCESS_CPU, THREAD_CPU, CLOCKS };

/* The process is the embedder's, so both of CPU time are the thread's that runs
 * the module. */
static const clockid_t clocks[CLOCKS] = {
    [REALTIME] = CLOCK_REALTIME,
    [MONOTONIC] = CLOCK_MONOTONIC,
    [PROCESS_CPU] = CLOCK_THREAD_CPUTIME_ID,
    [THREAD_CPU] = CLOCK_THREAD_CPUTIME_ID,
};

static uint64_t nanoseconds(const struct timespec *t)
{
    return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

/* Since it was asked for first; it does not go back in another thread. */
static uint64_t cpu_time(struct wasi *wasi, uint64_t now)
{
    uint64_t time = now + wasi->cpu_shift;

    if (!wasi->has_cpu_start || time < wasi->cpu_last ||
        time > INT64_MAX) { /* below 0 */
        wasi->cpu_shift = wasi->cpu_last - now;
        wasi->has_cpu_start = true;
    }
    return wasi->cpu_last = now + wasi->cpu_shift;
}

int wasi_clock_res_get(struct wasi *wasi, const struct wasi_memory *memory,
                       const uint64_t *a)
{
    uint32_t id = (uint32_t)a[0];
    struct timespec t;

    (void)wasi;
    if (id >= CLOCKS || clock_getres(clocks[id], &t) < 0)
        return -EINVAL;
    return wasi_put_u64(memory, (uint32_t)a[1], nanoseconds(&t));
}

int wasi_clock_time_get(struct wasi *wasi, const struct wasi_memory *memory,
                        const uint64_t *a)
{
    uint32_t id = (uint32_t)a[0];
    struct timespec t;
    uint64_t now;

    if (id >= CLOCKS || clock_gettime(clocks[id], &t) < 0)
        return -EINVAL;
    now = nanoseconds(&t);
    if (id >= PROCESS_CPU)
        now = cpu_time(wasi, now);
    return wasi_put_u64(memory, (uint32_t)a[2], now);
}

/* ---- chance ---- */

/* All of the bytes, or -errno. */
static LEAF int fill_random(uint8_t *to, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = getrandom(to, bytes, 0);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            to += n, bytes -= (size_t)n;
    }
    return 0;
}

int wasi_random_get(struct wasi *wasi, const struct wasi_memory *memory,
                    const uint64_t *a)
{
    struct pollfd none = {.fd = -1};
    uint32_t left = (uint32_t)a[1];
    uint8_t *to = wasi_reach(memory, (uint32_t)a[0], left);
    int rc;

    if (to == NULL)
        return -EFAULT;
    for (;;) {
        uint32_t part = left < RANDOM_BYTES ? left : RANDOM_BYTES;

        rc = fill_random(to, part);
        to += part, left -= part;
        if (rc < 0 || left == 0)
            return rc;
        rc = wasi->config.wait(wasi->config.wait_context, &none, 0, 1);
        if (rc < 0)
            return wasi_end(wasi, rc);
    }
}

/* ---- the end ---- */

int wasi_proc_exit(struct wasi *wasi, const struct wasi_memory *memory,
                   const uint64_t *a)
{
    (void)memory;
    wasi->status = (int)(uint32_t)a[0];
    wasi_end(wasi, GBX_EEXIT);
    return 0;
}

/* $signal of typenames.witx; Linux has another one at 16. */
enum {
    NO_SIGNAL,
    TERM = 15,
    CHLD,
    CONT,
    STOP,
    TTOU = 21,
    URG,
    WINCH = 27,
    SYS = 30
};

int wasi_proc_raise(struct wasi *wasi, const struct wasi_memory *memory,
                    const uint64_t *a)
{
    uint32_t number = (uint32_t)a[0];

    (void)memory;
    if (number > SYS)
        return -EINVAL;
    if (number == NO_SIGNAL || number == CHLD || number == CONT ||
        number == URG || number == WINCH)
        return 0; /* nobody listens, and that is what they do then */
    if (number >= STOP && number <= TTOU)
        return -EOPNOTSUPP;
    wasi->status = 128 + (int)number + (number > TERM);
    wasi_end(wasi, GBX_ESIGNAL);
    return 0;
}

int wasi_sched_yield(struct wasi *wasi, const struct wasi_memory *memory,
                     const uint64_t *a)
{
    (void)wasi;
    (void)memory;
    (void)a;
    sched_yield();
    return 0;
}

/* ---- there are no sockets ---- */

static int refuse(struct wasi *wasi, const uint64_t *a)
{
    return descriptor_find(wasi, a[0]) == NULL ? -EBADF : -ENOTSOCK;
}

int wasi_sock_accept(struct wasi *wasi, const struct wasi_memory *memory,
                     const uint64_t *a)
{
    (void)memory;
    return refuse(wasi, a);
}

int wasi_sock_recv(struct wasi *wasi, const struct wasi_memory *memory,
                   const uint64_t *a)
{
    (void)memory;
    return refuse(wasi, a);
}

int wasi_sock_send(struct wasi *wasi, const struct wasi_memory *memory,
                   const uint64_t *a)
{
    (void)memory;
    return refuse(wasi, a);
}

int wasi_sock_shutdown(struct wasi *wasi, const struct wasi_memory *memory,
                       const uint64_t *a)
{
    (void)memory;
    return refuse(wasi, a);
}
