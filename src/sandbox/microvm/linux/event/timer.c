/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.c - timerfd: nothing runs; what has expired is counted when asked.
 *
 * next_ns is the first expiry that is not in ticks yet.  Times end at the same
 * moment as Linux's, INT64_MAX nanoseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/timerfd.h>

#include "base/clock.h"
#include "sandbox/microvm/linux/event/event.h"
#include "sandbox/microvm/linux/event/kind.h"
#include "sandbox/microvm/linux/event/pieces.h"

#define SECOND_NS 1000000000u
#define LAST_NS   ((uint64_t)INT64_MAX)

struct timer {
    struct file file;
    clockid_t clock;
    uint64_t next_ns;     /* of the clock; 0: none comes */
    uint64_t interval_ns; /* 0: there is one only */
    uint64_t ticks;       /* counted and not read */
    struct waker *waker;
};

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t now_ns(const struct timer *timer)
{
    return waker_now_ns(timer->waker, timer->clock);
}

/* Take what has expired over into ticks. */
static void settle(struct timer *timer, uint64_t now)
{
    uint64_t past;

    if (timer->next_ns == 0 || now < timer->next_ns)
        return;
    past = now - timer->next_ns;
    timer->ticks++;
    if (timer->interval_ns == 0) {
        timer->next_ns = 0;
        return;
    }
    timer->ticks += past / timer->interval_ns;
    timer->next_ns =
        earlier(now + timer->interval_ns - past % timer->interval_ns, LAST_NS);
}

static int64_t read_timer(struct file *file, const struct iovec *pieces,
                          int count, uint64_t *position)
{
    struct timer *timer = (struct timer *)file;

    (void)position;
    if (pieces_bytes(pieces, count) < sizeof(timer->ticks))
        return -EINVAL;
    settle(timer, now_ns(timer));
    if (timer->ticks == 0)
        return -EAGAIN;
    pieces_scatter(pieces, count, 0, &timer->ticks, sizeof(timer->ticks));
    timer->ticks = 0;
    if (timer->next_ns != 0)
        wake(timer->waker, file); /* it is due again */
    return sizeof(timer->ticks);
}

static unsigned poll_timer(struct file *file)
{
    const struct timer *timer = (const struct timer *)file;
    bool expired = timer->ticks > 0 ||
                   (timer->next_ns != 0 && now_ns(timer) >= timer->next_ns);

    return expired ? POLLIN | POLLRDNORM : 0u;
}

static uint64_t due_timer(struct file *file)
{
    const struct timer *timer = (const struct timer *)file;
    uint64_t now, here = clock_now_ns();

    if (timer->ticks > 0)
        return here;
    if (timer->next_ns == 0)
        return 0;
    now = now_ns(timer);
    return timer->next_ns > now
               ? earlier(here + (timer->next_ns - now), LAST_NS)
               : here;
}

static void close_timer(struct file *file)
{
    heap_free(file);
}

static const struct file_class timer_class = {
    .name = "timerfd",
    .read = read_timer,
    .stat = kind_stat,
    .poll = poll_timer,
    .due_ns = due_timer,
    .close = close_timer,
};

static void move_timer(void *object, size_t bytes, const struct heap_move *move)
{
    struct timer *timer = object;

    (void)bytes;
    file_move(&timer->file, move);
    move_pointer(move, &timer->waker);
}

static const struct heap_type timer_type = {"timer", move_timer};

int event_timer(struct waker *waker, int clock, unsigned flags,
                struct file **file)
{
    struct timer *timer;

    if (flags & ~(unsigned)(TFD_NONBLOCK | TFD_CLOEXEC))
        return -EINVAL;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
        break;
    case CLOCK_REALTIME_ALARM:
    case CLOCK_BOOTTIME_ALARM:
        return -EPERM;
    default:
        return -EINVAL;
    }
    timer = heap_make(waker->heap, &timer_type, sizeof(*timer));
    if (timer == NULL)
        return -ENOMEM;
    *timer = (struct timer){
        .file = {.class = &timer_class,
                 .references = 1,
                 .flags = O_RDWR | (flags & TFD_NONBLOCK)},
        .clock = clock,
        .waker = waker,
    };
    *file = &timer->file;
    return 0;
}

static bool is_valid(const struct timespec *t)
{
    return t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < SECOND_NS;
}

static uint64_t to_ns(const struct timespec *t)
{
    if ((uint64_t)t->tv_sec >= LAST_NS / SECOND_NS)
        return LAST_NS;
    return (uint64_t)t->tv_sec * SECOND_NS + (uint64_t)t->tv_nsec;
}

/* What is left of it, after settling. */
static void tell(const struct timer *timer, uint64_t now,
                 struct itimerspec *value)
{
    uint64_t left = timer->next_ns > now ? timer->next_ns - now : 0;

    value->it_value = clock_timespec(left);
    value->it_interval = clock_timespec(timer->interval_ns);
}

int event_timer_set(struct file *file, unsigned flags,
                    const struct itimerspec *value, struct itimerspec *old)
{
    struct timer *timer = (struct timer *)file;
    uint64_t now, first, interval;

    if (file->class != &timer_class)
        return -EINVAL;
    if (flags & ~(unsigned)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
        return -EINVAL;
    if (!is_valid(&value->it_value) || !is_valid(&value->it_interval))
        return -EINVAL;

    now = now_ns(timer);
    first = to_ns(&value->it_value);
    interval = to_ns(&value->it_interval); /* value may be old */
    if (first != 0 && !(flags & TFD_TIMER_ABSTIME))
        first = earlier(now + first, LAST_NS);
    settle(timer, now);
    if (old != NULL)
        tell(timer, now, old);
    timer->next_ns = first;
    timer->interval_ns = interval;
    timer->ticks = 0;
    wake(timer->waker, file);
    return 0;
}

int event_timer_get(struct file *file, struct itimerspec *value)
{
    struct timer *timer = (struct timer *)file;
    uint64_t now;

    if (file->class != &timer_class)
        return -EINVAL;
    now = now_ns(timer);
    settle(timer, now);
    tell(timer, now, value);
    return 0;
}
