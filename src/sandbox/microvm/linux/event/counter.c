/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counter.c - eventfd: a number that writing adds to and reading takes.
 *
 * Who reads wakes the same file as who writes.  It does so only where a writer
 * may wait, so that edge-triggered readers do not hear of their own reading.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/eventfd.h>

#include "sandbox/microvm/linux/event/event.h"
#include "sandbox/microvm/linux/event/kind.h"
#include "sandbox/microvm/linux/event/pieces.h"

#define VALUE_MAX (UINT64_MAX - 1)

struct counter {
    struct file file;
    uint64_t value; /* at most VALUE_MAX */
    bool semaphore;
    bool refused; /* somebody may wait to write */
    struct waker *waker;
};

static int64_t read_counter(struct file *file, const struct iovec *pieces,
                            int count, uint64_t *position)
{
    struct counter *counter = (struct counter *)file;
    uint64_t value = counter->semaphore ? 1 : counter->value;
    bool was_full = counter->refused || counter->value == VALUE_MAX;

    (void)position;
    if (pieces_bytes(pieces, count) < sizeof(value))
        return -EINVAL;
    if (counter->value == 0)
        return -EAGAIN;
    pieces_scatter(pieces, count, 0, &value, sizeof(value));
    counter->value -= value;
    counter->refused = false;
    if (was_full)
        wake(counter->waker, file);
    return sizeof(value);
}

static int64_t write_counter(struct file *file, const struct iovec *pieces,
                             int count, uint64_t *position)
{
    struct counter *counter = (struct counter *)file;
    uint64_t value;

    (void)position;
    if (pieces_bytes(pieces, count) < sizeof(value))
        return -EINVAL;
    pieces_gather(&value, pieces, count, 0, sizeof(value));
    if (value > VALUE_MAX)
        return -EINVAL;
    if (value > VALUE_MAX - counter->value) {
        counter->refused = true;
        return -EAGAIN;
    }
    counter->value += value;
    wake(counter->waker, file);
    return sizeof(value);
}

static unsigned poll_counter(struct file *file)
{
    const struct counter *counter = (const struct counter *)file;

    return (counter->value > 0 ? POLLIN | POLLRDNORM : 0u) |
           (counter->value < VALUE_MAX ? POLLOUT | POLLWRNORM : 0u);
}

static void close_counter(struct file *file)
{
    heap_free(file);
}

static const struct file_class counter_class = {
    .name = "eventfd",
    .read = read_counter,
    .write = write_counter,
    .stat = kind_stat,
    .poll = poll_counter,
    .close = close_counter,
};

static void move_counter(void *object, size_t bytes,
                         const struct heap_move *move)
{
    struct counter *counter = object;

    (void)bytes;
    file_move(&counter->file, move);
    move_pointer(move, &counter->waker);
}

static const struct heap_type counter_type = {"counter", move_counter};

int event_counter(struct waker *waker, uint32_t first, unsigned flags,
                  struct file **file)
{
    struct counter *counter;

    if (flags & ~(unsigned)(EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC))
        return -EINVAL;
    counter = heap_make(waker->heap, &counter_type, sizeof(*counter));
    if (counter == NULL)
        return -ENOMEM;
    *counter = (struct counter){
        .file = {.class = &counter_class,
                 .references = 1,
                 .flags = O_RDWR | (flags & EFD_NONBLOCK)},
        .value = first,
        .semaphore = flags & EFD_SEMAPHORE,
        .waker = waker,
    };
    *file = &counter->file;
    return 0;
}
