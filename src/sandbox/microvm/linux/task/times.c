/* SPDX-License-Identifier: Apache-2.0 */
/* times.c - the calls that tell the time, or let it pass. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

#include "base/clock.h"
#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

#define TICKS 100u /* of times(2), a second */

/* CPU time is what the processor spent in the guest. */
static int read_clock(const struct kernel *kernel, uint64_t clock, uint64_t *ns)
{
    switch ((int)clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_TAI:
        *ns = waker_now_ns(&kernel->waker, (clockid_t)(int)clock);
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
        *ns = kernel->ran_ns;
        return 0;
    default:
        /* Clocks of a thread, as pthread_getcpuclockid makes them. */
        if ((int)clock < 0 && ((int)clock & 3) == 2) {
            *ns = kernel->ran_ns;
            return 0;
        }
        return -EINVAL;
    }
}

int64_t call_clock_gettime(struct kernel *kernel, const uint64_t a[6])
{
    struct timespec time;
    uint64_t ns;
    int rc = read_clock(kernel, a[0], &ns);

    if (rc < 0)
        return rc;
    time = clock_timespec(ns);
    return user_write(&kernel->space, a[1], &time, sizeof(time));
}

int64_t call_clock_getres(struct kernel *kernel, const uint64_t a[6])
{
    static const struct timespec resolution = {.tv_nsec = 1};
    uint64_t ns;
    int rc = read_clock(kernel, a[0], &ns);

    return rc < 0 || a[1] == 0 ? rc
                               : user_write(&kernel->space, a[1], &resolution,
                                            sizeof(resolution));
}

int64_t call_gettimeofday(struct kernel *kernel, const uint64_t a[6])
{
    struct timespec now =
        clock_timespec(waker_now_ns(&kernel->waker, CLOCK_REALTIME));
    struct timeval time = {now.tv_sec, now.tv_nsec / 1000};
    int rc = 0;

    if (a[0] != 0)
        rc = user_write(&kernel->space, a[0], &time, sizeof(time));
    if (rc == 0 && a[1] != 0)
        rc = user_zero(&kernel->space, a[1], sizeof(struct timezone));
    return rc;
}

int64_t call_time(struct kernel *kernel, const uint64_t a[6])
{
    int64_t now =
        clock_timespec(waker_now_ns(&kernel->waker, CLOCK_REALTIME)).tv_sec;
    int rc =
        a[0] == 0 ? 0 : user_write(&kernel->space, a[0], &now, sizeof(now));

    return rc < 0 ? rc : now;
}

int64_t call_times(struct kernel *kernel, const uint64_t a[6])
{
    struct tms tms = {.tms_utime =
                          (clock_t)(kernel->ran_ns / (1000000000u / TICKS))};
    int rc =
        a[0] == 0 ? 0 : user_write(&kernel->space, a[0], &tms, sizeof(tms));

    return rc < 0 ? rc
                  : (int64_t)(waker_now_ns(&kernel->waker, CLOCK_MONOTONIC) /
                              (1000000000u / TICKS));
}

int64_t call_getrusage(struct kernel *kernel, const uint64_t a[6])
{
    struct rusage usage = {
        .ru_utime = {(time_t)(kernel->ran_ns / 1000000000u),
                     (suseconds_t)(kernel->ran_ns % 1000000000u / 1000u)},
        .ru_maxrss = (long)(kernel->space.charged * SPACE_PAGE_BYTES / 1024u)};

    if ((int)a[0] != RUSAGE_SELF && (int)a[0] != RUSAGE_THREAD &&
        (int)a[0] != RUSAGE_CHILDREN)
        return -EINVAL;
    if ((int)a[0] == RUSAGE_CHILDREN)
        memset(&usage, 0, sizeof(usage));
    return user_write(&kernel->space, a[1], &usage, sizeof(usage));
}

/*
 * Sleep; what is left of a relative one is told when a signal ends it: which
 * kernel_resume does after it has made this call again.
 */
static int64_t sleep_for(struct kernel *kernel, uint64_t ns, uint64_t left_at)
{
    uint64_t until_ns = task_until(kernel, ns), now;
    struct timespec left;

    if (ns == 0) /* who sleeps lets others run, however short it is */
        kernel->fresh_slice = true;
    if (task_is_late(kernel->current) || ns == 0)
        return 0;
    now = clock_now_ns();
    if (left_at != 0 && kernel->current->again) {
        left = clock_timespec(until_ns == 0    ? ns
                              : until_ns > now ? until_ns - now
                                               : 0);
        if (user_write(&kernel->space, left_at, &left, sizeof(left)) < 0)
            return -EFAULT;
    }
    return task_wait(kernel, kernel->current, until_ns);
}

int64_t call_nanosleep(struct kernel *kernel, const uint64_t a[6])
{
    uint64_t ns;
    int rc = calls_read_time(kernel, a[0], &ns);

    return rc < 0 ? rc : sleep_for(kernel, ns, a[1]);
}

int64_t call_clock_nanosleep(struct kernel *kernel, const uint64_t a[6])
{
    uint64_t ns, now;
    int rc = calls_read_time(kernel, a[2], &ns);

    if (rc < 0 || (rc = read_clock(kernel, a[0], &now)) < 0)
        return rc;
    if ((a[1] & TIMER_ABSTIME) == 0)
        return sleep_for(kernel, ns, a[3]);
    return sleep_for(kernel, ns > now ? ns - now : 0, 0);
}
