/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll.c - waiting for files, and files that are made to be waited for.
 *
 * A task that waits for several looks again whenever any file has changed
 * (task_any); the time at which one may change by itself is part of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/select.h>

#include "base/clock.h"
#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

#define SELECT_MAX 1024u
#define EVENTS_MAX 4096

/* The sooner of two moments, of which 0 is never. */
static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/*
 * Nothing was ready.  until_ns: the call's own end, kept over its repetitions;
 * due_ns: when to look again.
 */
static int64_t wait(struct kernel *kernel, uint64_t until_ns, uint64_t due_ns)
{
    struct task *task = kernel->current;
    int64_t rc = task_wait(kernel, task_any, until_ns);

    task->wait.wake_ns = sooner(until_ns, due_ns);
    return rc;
}

/* A mask for the time of the wait (ppoll, pselect, epoll_pwait); kernel_call or
 * the signal that ends it puts the old one back. */
static int put_mask(struct kernel *kernel, uint64_t address, uint64_t bytes)
{
    struct task *task = kernel->current;
    uint64_t mask;
    int rc;

    if (address == 0 || task->again)
        return 0;
    if (bytes != sizeof(mask))
        return -EINVAL;
    rc = user_read(&kernel->space, &mask, address, sizeof(mask));
    if (rc < 0)
        return rc;
    task->saved_mask = task->mask;
    task->has_saved_mask = true;
    task->mask = mask & ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
    return 0;
}

static int64_t poll_files(struct kernel *kernel, uint64_t address,
                          uint64_t count, uint64_t relative_ns)
{
    uint64_t until_ns = task_until(kernel, relative_ns), due_ns = 0;
    struct pollfd *list;
    int64_t ready = 0;
    int rc;

    if (count > kernel->files_max)
        return -EINVAL;
    list = calloc(count == 0 ? 1 : count, sizeof(*list));
    if (list == NULL)
        return -ENOMEM;
    rc = user_read(&kernel->space, list, address, count * sizeof(*list));
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        struct file *file = kernel_file(kernel, (uint64_t)list[i].fd);
        unsigned asked = (unsigned)(uint16_t)list[i].events;

        list[i].revents = 0;
        if (list[i].fd < 0)
            continue;
        if (file == NULL) {
            list[i].revents = POLLNVAL;
        } else {
            list[i].revents = (short)(file_poll(file) &
                                      (asked | POLLERR | POLLHUP | POLLNVAL));
            if ((asked & POLLIN) != 0)
                due_ns = sooner(due_ns, file_due_ns(file));
        }
        ready += list[i].revents != 0;
    }
    if (rc == 0 && ready == 0 && relative_ns != 0 &&
        !task_is_late(kernel->current)) {
        free(list);
        return wait(kernel, until_ns, due_ns);
    }
    for (uint64_t i = 0; rc == 0 && i < count; i++)
        rc = user_write(&kernel->space,
                        address + i * sizeof(*list) +
                            offsetof(struct pollfd, revents),
                        &list[i].revents, sizeof(list[i].revents));
    free(list);
    return rc < 0 ? rc : ready;
}

/* Milliseconds, of which a negative count is forever. */
static uint64_t from_ms(uint64_t ms)
{
    return (int)ms < 0 ? UINT64_MAX : (uint64_t)(int)ms * 1000000u;
}

int64_t call_poll(struct kernel *kernel, const uint64_t a[6])
{
    return poll_files(kernel, a[0], (uint32_t)a[1], from_ms(a[2]));
}

/* A relative time; address 0: forever. */
static int read_relative(struct kernel *kernel, uint64_t address, uint64_t *ns)
{
    *ns = UINT64_MAX;
    return address == 0 ? 0 : calls_read_time(kernel, address, ns);
}

int64_t call_ppoll(struct kernel *kernel, const uint64_t a[6])
{
    uint64_t ns;
    int rc;

    if ((rc = read_relative(kernel, a[2], &ns)) < 0 ||
        (rc = put_mask(kernel, a[3], a[4])) < 0)
        return rc;
    return poll_files(kernel, a[0], (uint32_t)a[1], ns);
}

struct sets {
    fd_set in, out, except;
};

/* What each set asks for, as select(2) says it. */
static const unsigned set_events[3] = {POLLIN | POLLHUP | POLLERR,
                                       POLLOUT | POLLERR, POLLPRI};

static int64_t look_sets(struct kernel *kernel, uint64_t count,
                         const struct sets *asked, struct sets *found,
                         uint64_t *due_ns)
{
    const fd_set *from[3] = {&asked->in, &asked->out, &asked->except};
    fd_set *to[3] = {&found->in, &found->out, &found->except};
    int64_t ready = 0;

    memset(found, 0, sizeof(*found));
    for (int number = 0; number < (int)count; number++)
        for (int i = 0; i < 3; i++) {
            struct file *file;

            if (!FD_ISSET(number, from[i]))
                continue;
            file = kernel_file(kernel, (uint64_t)number);
            if (file == NULL)
                return -EBADF;
            if (i == 0)
                *due_ns = sooner(*due_ns, file_due_ns(file));
            if ((file_poll(file) & set_events[i]) != 0) {
                FD_SET(number, to[i]);
                ready++;
            }
        }
    return ready;
}

static int64_t select_files(struct kernel *kernel, const uint64_t a[6],
                            uint64_t relative_ns)
{
    uint64_t until_ns = task_until(kernel, relative_ns), due_ns = 0;
    uint64_t count = (uint32_t)a[0] < SELECT_MAX ? (uint32_t)a[0] : SELECT_MAX;
    uint64_t bytes = (count + 63) / 64 * 8;
    struct sets asked = {0}, found;
    void *to[3] = {&asked.in, &asked.out, &asked.except};
    const void *from[3] = {&found.in, &found.out, &found.except};
    int64_t ready;
    int rc = 0;

    if ((int)a[0] < 0)
        return -EINVAL;
    for (int i = 0; rc == 0 && i < 3; i++)
        if (a[1 + i] != 0)
            rc = user_read(&kernel->space, to[i], a[1 + i], bytes);
    if (rc < 0)
        return rc;
    ready = look_sets(kernel, count, &asked, &found, &due_ns);
    if (ready < 0)
        return ready;
    if (ready == 0 && relative_ns != 0 && !task_is_late(kernel->current))
        return wait(kernel, until_ns, due_ns);
    for (int i = 0; rc == 0 && i < 3; i++)
        if (a[1 + i] != 0)
            rc = user_write(&kernel->space, a[1 + i], from[i], bytes);
    return rc < 0 ? rc : ready;
}

int64_t call_select(struct kernel *kernel, const uint64_t a[6])
{
    struct timeval time;
    uint64_t ns = UINT64_MAX;
    int rc;

    if (a[4] != 0) {
        rc = user_read(&kernel->space, &time, a[4], sizeof(time));
        if (rc < 0)
            return rc;
        if (time.tv_sec < 0 || time.tv_usec < 0)
            return -EINVAL;
        ns = time.tv_sec > INT32_MAX || time.tv_usec > INT32_MAX
                 ? UINT64_MAX
                 : (uint64_t)time.tv_sec * 1000000000u +
                       (uint64_t)time.tv_usec * 1000u;
    }
    return select_files(kernel, a, ns);
}

int64_t call_pselect6(struct kernel *kernel, const uint64_t a[6])
{
    uint64_t ns, mask[2] = {0, 0};
    int rc = read_relative(kernel, a[4], &ns);

    if (rc == 0 && a[5] != 0)
        rc = user_read(&kernel->space, mask, a[5], sizeof(mask));
    if (rc == 0)
        rc = put_mask(kernel, mask[0], mask[1]);
    return rc < 0 ? rc : select_files(kernel, a, ns);
}

int64_t call_epoll_create1(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file;
    int rc;

    if ((a[0] & ~(uint64_t)O_CLOEXEC) != 0)
        return -EINVAL;
    rc = event_epoll(kernel->sets, &kernel->waker, &file);
    return rc < 0 ? rc : kernel_install(kernel, file, 0, a[0] != 0);
}

int64_t call_epoll_create(struct kernel *kernel, const uint64_t a[6])
{
    static const uint64_t none[6];

    return (int)a[0] <= 0 ? -EINVAL : call_epoll_create1(kernel, none);
}

int64_t call_epoll_ctl(struct kernel *kernel, const uint64_t a[6])
{
    struct file *epoll = kernel_file(kernel, a[0]);
    struct file *file = kernel_file(kernel, a[2]);
    struct epoll_event event = {0};
    int rc;

    if (epoll == NULL || file == NULL)
        return -EBADF;
    if ((int)a[1] != EPOLL_CTL_DEL &&
        (rc = user_read(&kernel->space, &event, a[3], sizeof(event))) < 0)
        return rc;
    return event_epoll_control(epoll, (int)a[1], (int)a[2], file, &event);
}

static int64_t epoll_look(struct kernel *kernel, const uint64_t a[6],
                          uint64_t relative_ns)
{
    struct file *epoll = kernel_file(kernel, a[0]);
    uint64_t until_ns = task_until(kernel, relative_ns);
    int max = (int)a[2], ready, rc;
    struct epoll_event *events;

    if (epoll == NULL)
        return -EBADF;
    if (max <= 0)
        return -EINVAL;
    if (max > EVENTS_MAX)
        max = EVENTS_MAX;
    events = calloc((size_t)max, sizeof(*events));
    if (events == NULL)
        return -ENOMEM;
    ready = event_epoll_look(epoll, events, max);
    rc = ready <= 0 ? ready
                    : user_write(&kernel->space, a[1], events,
                                 (size_t)ready * sizeof(*events));
    free(events);
    if (ready == 0 && relative_ns != 0 && !task_is_late(kernel->current))
        return wait(kernel, until_ns, file_due_ns(epoll));
    return rc < 0 ? rc : ready;
}

int64_t call_epoll_wait(struct kernel *kernel, const uint64_t a[6])
{
    return epoll_look(kernel, a, from_ms(a[3]));
}

int64_t call_epoll_pwait(struct kernel *kernel, const uint64_t a[6])
{
    int rc = put_mask(kernel, a[4], a[5]);

    return rc < 0 ? rc : epoll_look(kernel, a, from_ms(a[3]));
}

int64_t call_epoll_pwait2(struct kernel *kernel, const uint64_t a[6])
{
    uint64_t ns;
    int rc;

    if ((rc = read_relative(kernel, a[3], &ns)) < 0 ||
        (rc = put_mask(kernel, a[4], a[5])) < 0)
        return rc;
    return epoll_look(kernel, a, ns);
}

int64_t call_eventfd2(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file;
    int rc;

    if ((a[1] & ~(uint64_t)(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) != 0)
        return -EINVAL;
    rc = event_counter(&kernel->waker, (uint32_t)a[0],
                       (unsigned)a[1] & ~(unsigned)EFD_CLOEXEC, &file);
    return rc < 0 ? rc
                  : kernel_install(kernel, file, 0, (a[1] & EFD_CLOEXEC) != 0);
}

int64_t call_eventfd(struct kernel *kernel, const uint64_t a[6])
{
    const uint64_t with[6] = {a[0]};

    return call_eventfd2(kernel, with);
}

int64_t call_pipe2(struct kernel *kernel, const uint64_t a[6])
{
    bool close_on_exec = (a[1] & O_CLOEXEC) != 0;
    struct file *ends[2];
    int rc;

    if ((a[1] & ~(uint64_t)(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) != 0)
        return -EINVAL;
    rc = event_pipe(&kernel->waker, (unsigned)a[1] & O_NONBLOCK, ends);
    if (rc < 0)
        return rc;
    return calls_install_pair(kernel, ends, close_on_exec, a[0]);
}

int64_t call_pipe(struct kernel *kernel, const uint64_t a[6])
{
    const uint64_t with[6] = {a[0]};

    return call_pipe2(kernel, with);
}

int64_t call_timerfd_create(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file;
    int rc;

    if ((a[1] & ~(uint64_t)(O_CLOEXEC | O_NONBLOCK)) != 0)
        return -EINVAL;
    rc = event_timer(&kernel->waker, (int)a[0], (unsigned)a[1] & O_NONBLOCK,
                     &file);
    return rc < 0 ? rc
                  : kernel_install(kernel, file, 0, (a[1] & O_CLOEXEC) != 0);
}

int64_t call_timerfd_settime(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file = kernel_file(kernel, a[0]);
    struct itimerspec value, old;
    int rc;

    if (file == NULL)
        return -EBADF;
    rc = user_read(&kernel->space, &value, a[2], sizeof(value));
    if (rc == 0)
        rc = event_timer_set(file, (unsigned)a[1], &value, &old);
    return rc < 0 || a[3] == 0
               ? rc
               : user_write(&kernel->space, a[3], &old, sizeof(old));
}

int64_t call_timerfd_gettime(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file = kernel_file(kernel, a[0]);
    struct itimerspec value;
    int rc;

    if (file == NULL)
        return -EBADF;
    rc = event_timer_get(file, &value);
    return rc < 0 ? rc
                  : user_write(&kernel->space, a[1], &value, sizeof(value));
}
