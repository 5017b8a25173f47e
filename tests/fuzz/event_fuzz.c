/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_fuzz.c - any calls, to a few pipes, sockets, counters, timers and sets.
 *
 *   input: steps of  check (1 bit), call (7) | file | file or place | number
 *
 * Numbers are one byte; large ones stand for limits and beyond.  It is checked
 * that
 *  - poll keeps its word: what it says can be read or written does not wait;
 *  - nobody sleeps through a change: poll gained something only where a wake
 *    was heard, or where time passed and due_ns had said so;
 *  - bytes of a stream come in the order in which they went;
 *  - a set tells of exactly those level-triggered members that are ready.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/check.h"
#include "sandbox/microvm/linux/event/event.h"

#define FILES   16
#define MEMBERS 64
#define ALWAYS  ((uint32_t)(EPOLLERR | EPOLLHUP))
#define MODES   ((uint32_t)(EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE))

enum kind { NONE, READER, WRITER, STREAM, PACKETS, COUNTER, TIMER, SET };

struct slot {
    enum kind kind;
    struct file *file;
    unsigned was;      /* poll, and */
    uint64_t due_ns;   /* when it was checked last */
    bool woken;        /* since then */
    struct slot *peer; /* the other end; NULL: closed */
    uint8_t next_in;   /* to be written */
    uint8_t next_out;  /* to be read */
};

struct member {
    struct file *set, *file;
    int number;
    uint32_t events;
};

static struct slot slots[FILES];
static struct member members[MEMBERS]; /* set NULL: free */
static struct event_sets *sets;
static uint64_t clock_ns; /* 0: the real one */
static uint8_t bytes[70000];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Is it the fuzzer that asks, to see how long an input has taken? */
static bool is_alarm(void)
{
    sigset_t blocked;

    return sigprocmask(SIG_BLOCK, NULL, &blocked) == 0 &&
           sigismember(&blocked, SIGALRM) == 1;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    uint64_t ns = clock_ns + (clock == CLOCK_REALTIME ? 1700000000u : 0u);

    if (clock_ns == 0 || is_alarm())
        return (int)syscall(SYS_clock_gettime, clock, t);
    t->tv_sec = (time_t)(ns / 1000000000u);
    t->tv_nsec = (long)(ns % 1000000000u);
    return 0;
}

static void note_wake(struct waker *waker, const void *thing)
{
    (void)waker;
    for (size_t i = 0; i < FILES; i++)
        if (slots[i].kind != NONE && slots[i].file == thing)
            slots[i].woken = true;
    event_changed(sets, thing);
}

static struct waker waker = {.wake = note_wake};

static struct slot *free_slot(void)
{
    for (size_t i = 0; i < FILES; i++)
        if (slots[i].kind == NONE)
            return &slots[i];
    return NULL;
}

static void note(struct slot *slot)
{
    struct file *file = slot->file;

    slot->was = file->class->poll(file);
    slot->due_ns = file->class->due_ns != NULL ? file->class->due_ns(file) : 0;
    slot->woken = false;
}

static struct slot *install(enum kind kind, struct file *file)
{
    struct slot *slot = free_slot();

    *slot = (struct slot){.kind = kind, .file = file};
    note(slot);
    return slot;
}

static void close_slot(struct slot *slot)
{
    if (slot->kind == NONE)
        return;
    for (size_t i = 0; i < MEMBERS; i++)
        if (members[i].set == slot->file || members[i].file == slot->file)
            members[i].set = NULL;
    if (slot->peer != NULL)
        slot->peer->peer = NULL;
    slot->kind = NONE;
    event_forget(sets, slot->file);
    must(slot->file->references == 1);
    slot->file->class->close(slot->file);
}

static void open_two(unsigned what)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    struct file *ends[2];
    struct slot *a, *b;
    size_t used = 0;

    for (size_t i = 0; i < FILES; i++)
        used += slots[i].kind != NONE;
    if (used > FILES - 2)
        return;
    what %= 4;
    if (what == 3) {
        must(event_pipe(&waker, 0, ends) == 0);
        a = install(READER, ends[0]);
        b = install(WRITER, ends[1]);
    } else {
        must(event_socketpair(&waker, types[what], ends) == 0);
        a = install(what == 0 ? STREAM : PACKETS, ends[0]);
        b = install(what == 0 ? STREAM : PACKETS, ends[1]);
    }
    a->peer = b;
    b->peer = a;
}

static void open_one(unsigned what, uint32_t number)
{
    static const int clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME,
                                 CLOCK_BOOTTIME};
    struct file *file;

    if (free_slot() == NULL)
        return;
    if (what % 3 == 0) {
        must(event_counter(&waker, number, what & 8 ? EFD_SEMAPHORE : 0,
                           &file) == 0);
        install(COUNTER, file);
    } else if (what % 3 == 1) {
        must(event_timer(&waker, clocks[number % 3], 0, &file) == 0);
        install(TIMER, file);
    } else {
        must(event_epoll(sets, &waker, &file) == 0);
        install(SET, file);
    }
}

/* Small numbers are themselves; the others lie around limits. */
static uint64_t large(uint8_t number)
{
    static const uint64_t around[] = {
        4092,  4096,      16384,     65532,          65536,
        69990, INT32_MAX, INT64_MAX, UINT64_MAX - 1,
    };

    if (number < 100)
        return number;
    number = (uint8_t)(number - 100);
    return around[number / 5 % ARRAY_SIZE(around)] + number % 5 - 2u;
}

static size_t length(uint8_t number)
{
    uint64_t bytes_wanted = large(number);

    return bytes_wanted < sizeof(bytes) ? bytes_wanted : sizeof(bytes);
}

/* In three pieces, of which one may be empty. */
static void cut(struct iovec pieces[3], size_t count, uint8_t where)
{
    size_t first = count * where / 255, second = (count - first) / 2;

    pieces[0] = (struct iovec){bytes, first};
    pieces[1] = (struct iovec){bytes + first, second};
    pieces[2] = (struct iovec){bytes + first + second, count - first - second};
}

static bool is_stream(const struct slot *slot)
{
    return slot->kind == READER || slot->kind == WRITER || slot->kind == STREAM;
}

static void write_slot(struct slot *slot, uint8_t where, uint8_t number)
{
    unsigned ready = slot->file->class->poll(slot->file);
    size_t count = length(number);
    struct iovec pieces[3];
    int64_t done;

    if (slot->file->class->write == NULL)
        return;
    cut(pieces, count, where);
    if (slot->kind == COUNTER) {
        uint64_t value = large(number);

        memcpy(bytes, &value, sizeof(value));
    } else {
        for (size_t i = 0; i < count; i++)
            bytes[i] = (uint8_t)(slot->next_in + i);
    }
    done = slot->file->class->write(slot->file, pieces, 3, NULL);
    must(done <= (int64_t)count);
    if (slot->kind == WRITER && ready & POLLOUT && count <= 4096)
        must(done == (int64_t)count || done == -EPIPE);
    if (slot->kind == STREAM && ready & POLLOUT)
        must(done > 0 || count == 0 || done == -EPIPE);
    if (is_stream(slot) && done > 0)
        slot->next_in = (uint8_t)(slot->next_in + done);
    must(slot->kind == PACKETS || slot->kind == COUNTER || done <= 0 ||
         slot->peer != NULL);
}

static void read_slot(struct slot *slot, uint8_t where, uint8_t number)
{
    unsigned ready = slot->file->class->poll(slot->file);
    int64_t readable = event_readable_bytes(slot->file), done;
    size_t count = length(number);
    struct iovec pieces[3];

    if (slot->file->class->read == NULL)
        return;
    cut(pieces, count, where);
    done = slot->file->class->read(slot->file, pieces, 3, NULL);
    must(done <= (int64_t)count);
    if (ready & (POLLIN | POLLHUP) && (count >= 8 || is_stream(slot)))
        must(done != -EAGAIN || slot->kind == PACKETS);
    if (!(ready & (POLLIN | POLLHUP | POLLERR)) && count >= 8)
        must(done == -EAGAIN);
    if (!is_stream(slot) || done <= 0)
        return;
    must(done == (readable < (int64_t)count ? readable : (int64_t)count));
    for (int64_t i = 0; i < done; i++)
        must(bytes[i] == slot->next_out++);
}

static void recv_slot(struct slot *slot, uint8_t where, uint8_t number)
{
    static const int all[] = {0, MSG_PEEK, MSG_TRUNC, MSG_PEEK | MSG_TRUNC};
    int flags = all[where % 4] | MSG_DONTWAIT, more;
    struct iovec pieces[3];
    uint64_t whole;
    int64_t done;

    cut(pieces, length(number), where);
    if (slot->kind == STREAM && !(flags & MSG_PEEK))
        return; /* read_slot knows which bytes come */
    done = event_recv(slot->file, pieces, 3, flags, &whole, &more);
    must(event_is_socket(slot->file) || done == -ENOTSOCK);
    if (done < 0)
        return;
    must(whole <= EVENT_SOCKET_BYTES && done <= (int64_t)whole);
    must(!(more & MSG_TRUNC) || whole > length(number));
    if (slot->kind == STREAM)
        for (int64_t i = 0; i < done; i++)
            must(bytes[i] == (uint8_t)(slot->next_out + i));
}

static void socket_call(struct slot *slot, uint8_t which, uint8_t number)
{
    int value = 0, name = number % 64;

    if (which % 3 == 0)
        event_shutdown(slot->file, number % 5 - 1);
    else if (which % 3 == 1)
        event_get_option(slot->file, SOL_SOCKET, name, &value);
    else
        event_set_option(slot->file, SOL_SOCKET, name, (int)large(which));
}

static void set_timer(struct slot *slot, uint8_t which, uint8_t number)
{
    struct itimerspec value = {0}, old, now;
    uint64_t ns = large(number);

    value.it_value.tv_sec = (time_t)(ns >> (which & 1 ? 0 : 64 - 32 - 2));
    value.it_value.tv_nsec = (long)(ns & 0x3fffffff);
    value.it_interval.tv_nsec = which & 2 ? which : 0;
    value.it_interval.tv_sec = which & 4 ? (time_t)ns : 0;
    if (event_timer_set(slot->file, which >> 4, &value, &old) < 0)
        return;
    must(slot->kind == TIMER);
    must(event_timer_get(slot->file, &now) == 0);
    must(now.it_value.tv_nsec >= 0 && now.it_value.tv_nsec < 1000000000);
}

static struct member *find_member(const struct file *set,
                                  const struct file *file, int number)
{
    for (size_t i = 0; i < MEMBERS; i++)
        if (members[i].set == set &&
            (set == NULL ||
             (members[i].file == file && members[i].number == number)))
            return &members[i];
    return NULL;
}

static void control(struct slot *slot, struct slot *other, uint8_t operation,
                    uint8_t number)
{
    static const uint32_t some[] = {EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT, 0,
                                    EPOLLRDHUP | EPOLLRDNORM};
    struct epoll_event event = {some[number % ARRAY_SIZE(some)], {0}};
    int fd = number & 3;
    struct member *m = find_member(slot->file, other->file, fd);
    struct member *free = find_member(NULL, NULL, 0);
    int rc;

    event.events |= number & 0x10 ? EPOLLET : 0u;
    event.events |= number & 0x20 ? (uint32_t)EPOLLONESHOT : 0u;
    event.events |= number & 0x40 ? (uint32_t)EPOLLEXCLUSIVE : 0u;
    if (m == NULL && free == NULL)
        return;
    event.data.u64 = (uint64_t)((m != NULL ? m : free) - members);
    rc =
        event_epoll_control(slot->file, operation % 5, fd, other->file, &event);
    if (slot->kind != SET || slot == other) {
        must(rc == -EINVAL);
    } else if (operation % 5 == EPOLL_CTL_ADD) {
        must(m == NULL || rc < 0);
        must(rc == 0 || rc == -EEXIST || rc == -ELOOP || rc == -EINVAL);
        if (rc == 0)
            *free = (struct member){slot->file, other->file, fd,
                                    event.events | ALWAYS};
    } else {
        must(rc < 0 || m != NULL);
        if (rc == 0 && operation % 5 == EPOLL_CTL_MOD)
            m->events = event.events | ALWAYS;
        else if (rc == 0)
            m->set = NULL;
    }
}

static uint32_t is_ready(const struct member *m)
{
    return m->file->class->poll(m->file) & m->events & ~MODES;
}

static void look(struct slot *slot, uint8_t number)
{
    struct epoll_event events[MEMBERS];
    unsigned levels = 0, told = 0, ready = slot->file->class->poll(slot->file);
    int max = number % (MEMBERS + 1) - 1, count;

    for (size_t i = 0; i < MEMBERS; i++)
        levels += members[i].set == slot->file && slot->kind == SET &&
                  !(members[i].events & EPOLLET) && is_ready(&members[i]);
    count = event_epoll_look(slot->file, events, max);
    must((count == -EINVAL) == (slot->kind != SET || max <= 0));
    if (count < 0)
        return;
    must(count <= max && (count > 0) == !!(ready & POLLIN));
    for (int i = 0; i < count; i++) {
        struct member *m = &members[events[i].data.u64];

        must(m->set == slot->file && events[i].events == is_ready(m));
        told += !(m->events & EPOLLET);
    }
    must(told == levels || (count == max && told < levels));
    for (int i = 0; i < count; i++) {
        struct member *m = &members[events[i].data.u64];

        if (m->events & EPOLLONESHOT)
            m->events &= MODES;
    }
}

static void step(const uint8_t *data)
{
    struct slot *slot = &slots[data[1] % FILES];
    struct slot *other = &slots[data[2] % FILES];
    unsigned call = data[0] & 0x7f;

    if (call % 12 == 0)
        open_two(data[1]);
    else if (call % 12 == 1)
        open_one(data[1], (uint32_t)large(data[3]));
    else if (call % 12 == 2)
        clock_ns += large(data[3]) & 0xffffffff;
    if (call % 12 < 3 || slot->kind == NONE)
        return;
    switch (call % 12) {
    case 3:
        close_slot(slot);
        break;
    case 4:
        write_slot(slot, data[2], data[3]);
        break;
    case 5:
        read_slot(slot, data[2], data[3]);
        break;
    case 6:
        recv_slot(slot, data[2], data[3]);
        break;
    case 7:
        socket_call(slot, data[2], data[3]);
        break;
    case 8:
        set_timer(slot, data[2], data[3]);
        break;
    case 9:
    case 10:
        if (other->kind != NONE)
            control(slot, other, (uint8_t)(call / 12), data[3]);
        break;
    case 11:
        look(slot, data[3]);
        break;
    }
}

static void check(void)
{
    for (size_t i = 0; i < FILES; i++) {
        struct slot *slot = &slots[i];
        unsigned now;

        if (slot->kind == NONE)
            continue;
        now = slot->file->class->poll(slot->file);
        must(!(now & ~slot->was) || slot->woken ||
             (slot->due_ns != 0 && slot->due_ns <= clock_ns));
        note(slot);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clock_ns = 1000000000;
    if (waker.heap == NULL)
        waker.heap = heap_open();
    must(event_sets_open(&sets, waker.heap) == 0);
    for (; size >= 4; data += 4, size -= 4) {
        step(data);
        if (data[0] & 0x80)
            check();
    }
    for (size_t i = 0; i < FILES; i++)
        close_slot(&slots[i]);
    event_sets_close(sets);
    clock_ns = 0;
    return 0;
}
