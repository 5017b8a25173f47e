/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll.c - waiting for times and descriptors.
 *
 * Only the standard streams can be waited for; a file of the tree is always
 * ready.  Subscriptions are all copied before the first event is written, since
 * the module may have both in the same place.
 */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "sandbox/wasm/wasi/inner.h"

#define COUNT_MAX          1024u
#define SUBSCRIPTION_BYTES 48u
#define EVENT_BYTES        32u

enum { CLOCK, FD_READ, FD_WRITE };

#define ABSOLUTE 1u /* subclockflags */
#define HANGUP   1u /* eventrwflags */

/* Of $errno. */
enum { NO_ERROR = 0, BADF = 8, INVAL = 28, IO = 29 };

struct subscription {
    uint64_t userdata;
    uint64_t value; /* of a clock, when it is due; else what can be read */
    uint16_t error;
    uint8_t tag;
    int8_t stream; /* that is waited for, or -1 */
    bool is_ready, hangs_up;
};

/* What the streams are waited for, and what came of it. */
struct look {
    struct pollfd fds[3];
    unsigned count;
    uint8_t place[3]; /* of a stream in fds */
    short wanted[3];
};

static uint64_t add(uint64_t a, uint64_t b)
{
    return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

/* As clock_now_ns() counts; a past time is 1, since 0 is never. */
static int due(uint32_t id, uint64_t timeout, bool is_absolute, uint64_t *at)
{
    uint64_t now = clock_now_ns(), there = now;
    struct timespec t;

    if (id > 1)
        return INVAL;
    if (id == 0) {
        clock_gettime(CLOCK_REALTIME, &t);
        there = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    }
    if (is_absolute)
        *at = timeout > there ? add(now, timeout - there) : 1;
    else
        *at = timeout > 0 ? add(now, timeout) : 1;
    return NO_ERROR;
}

/* at 16: clock id (u32), at 24 timeout, at 32 precision, at 40 flags (u16). */
static void decode_clock(const uint8_t *raw, struct subscription *s)
{
    uint32_t id;
    uint64_t timeout;
    uint16_t flags;

    memcpy(&id, raw + 16, sizeof(id));
    memcpy(&timeout, raw + 24, sizeof(timeout));
    memcpy(&flags, raw + 40, sizeof(flags));
    s->error =
        (uint16_t)((flags & ~ABSOLUTE) != 0
                       ? INVAL
                       : due(id, timeout, (flags & ABSOLUTE) != 0, &s->value));
    s->is_ready = s->error != NO_ERROR;
}

/* How much is left to read of a file of the tree. */
static uint64_t left(struct file *file)
{
    int64_t size = file->class->size != NULL ? file->class->size(file) : 0;

    return size > 0 && (uint64_t)size > file->position
               ? (uint64_t)size - file->position
               : 0;
}

/* at 16: the descriptor (u32). */
static void decode_fd(struct wasi *wasi, const uint8_t *raw,
                      struct subscription *s)
{
    const uint64_t right = s->tag == FD_READ ? WASI_FD_READ : WASI_FD_WRITE;
    const struct descriptor *descriptor;
    uint32_t number;

    memcpy(&number, raw + 16, sizeof(number));
    descriptor = descriptor_find(wasi, number);
    s->is_ready = true;
    if (descriptor == NULL || descriptor_is_dir(descriptor) ||
        (descriptor->rights & right) == 0) {
        s->error = BADF;
    } else if (descriptor->kind == DESCRIPTOR_FILE) {
        s->value = s->tag == FD_READ ? left(descriptor->file) : 0;
    } else if (stream_fd(wasi, descriptor->which) < 0) {
        s->hangs_up = s->tag == FD_READ;
    } else {
        s->stream = (int8_t)descriptor->which;
        s->is_ready = false;
    }
}

/* subscription: userdata, at 8 a tag (u8), at 16 what belongs to it. */
static int decode(struct wasi *wasi, const uint8_t *raw, struct subscription *s)
{
    *s = (struct subscription){.tag = raw[8], .stream = -1};
    memcpy(&s->userdata, raw, sizeof(s->userdata));
    if (s->tag > FD_WRITE)
        return -EINVAL;
    if (s->tag == CLOCK)
        decode_clock(raw, s);
    else
        decode_fd(wasi, raw, s);
    return 0;
}

/* Returns when to wake at the latest. */
static uint64_t prepare(const struct wasi *wasi, const struct subscription *all,
                        uint32_t count, struct look *look)
{
    uint64_t until_ns = 0;

    *look = (struct look){.count = 0};
    for (uint32_t i = 0; i < count; i++) {
        if (all[i].is_ready)
            until_ns = 1;
        else if (all[i].tag != CLOCK)
            look->wanted[all[i].stream] |=
                all[i].tag == FD_READ ? POLLIN : POLLOUT;
        else if (until_ns == 0 || all[i].value < until_ns)
            until_ns = all[i].value;
    }
    for (unsigned i = 0; i < 3; i++) {
        if (look->wanted[i] == 0)
            continue;
        look->place[i] = (uint8_t)look->count;
        look->fds[look->count++] = (struct pollfd){.fd = stream_fd(wasi, i),
                                                   .events = look->wanted[i]};
    }
    return until_ns;
}

static void judge_stream(struct wasi *wasi, const struct look *look,
                         struct subscription *s)
{
    unsigned which = (unsigned)s->stream;
    unsigned came = (unsigned)(uint16_t)look->fds[look->place[which]].revents;
    unsigned asked = s->tag == FD_READ ? POLLIN : POLLOUT;

    if ((came & (asked | POLLHUP | POLLERR | POLLNVAL)) == 0)
        return;
    s->is_ready = true;
    s->hangs_up = (came & (POLLHUP | POLLERR)) != 0;
    if ((came & POLLNVAL) != 0)
        s->error = BADF;
    else if (s->tag == FD_READ)
        s->value = stream_bytes(wasi, which);
}

static uint32_t judge(struct wasi *wasi, const struct look *look,
                      struct subscription *all, uint32_t count)
{
    uint64_t now = clock_now_ns();
    uint32_t ready = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (!all[i].is_ready && all[i].tag == CLOCK)
            all[i].is_ready = now >= all[i].value;
        else if (!all[i].is_ready)
            judge_stream(wasi, look, &all[i]);
        ready += all[i].is_ready;
    }
    return ready;
}

/* event: userdata, at 8 an error (u16), at 10 the tag (u8), at 16 the bytes
 * that can be read, at 24 flags (u16). */
static void put_event(uint8_t *to, const struct subscription *s)
{
    uint8_t raw[EVENT_BYTES] = {0};
    uint16_t flags = s->hangs_up ? HANGUP : 0;

    memcpy(raw, &s->userdata, sizeof(s->userdata));
    memcpy(raw + 8, &s->error, sizeof(s->error));
    raw[10] = s->tag;
    if (s->tag != CLOCK && s->error == NO_ERROR) {
        memcpy(raw + 16, &s->value, sizeof(s->value));
        memcpy(raw + 24, &flags, sizeof(flags));
    }
    memcpy(to, raw, sizeof(raw));
}

static int wait_for(struct wasi *wasi, struct subscription *all, uint32_t count,
                    uint32_t *ready)
{
    struct look look;

    do {
        uint64_t until_ns = prepare(wasi, all, count, &look);
        int rc = wasi->config.wait(wasi->config.wait_context, look.fds,
                                   look.count, until_ns);

        if (rc < 0)
            return wasi_end(wasi, rc);
        *ready = judge(wasi, &look, all, count);
    } while (*ready == 0);
    return 0;
}

int wasi_poll_oneoff(struct wasi *wasi, const struct wasi_memory *memory,
                     const uint64_t *a)
{
    struct subscription all[COUNT_MAX];
    uint8_t raw[SUBSCRIPTION_BYTES], *out;
    uint32_t count = (uint32_t)a[2], ready = 0;
    int rc = 0;

    if (count == 0 || count > COUNT_MAX)
        return -EINVAL;
    out = wasi_reach(memory, (uint32_t)a[1], (uint64_t)count * EVENT_BYTES);
    if (out == NULL ||
        wasi_reach(memory, (uint32_t)a[3], sizeof(uint32_t)) == NULL)
        return -EFAULT;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        rc = wasi_copy_in(memory, raw,
                          (uint32_t)a[0] + (uint64_t)i * SUBSCRIPTION_BYTES,
                          sizeof(raw));
        if (rc == 0)
            rc = decode(wasi, raw, &all[i]);
    }
    if (rc == 0)
        rc = wait_for(wasi, all, count, &ready);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < count; i++) {
        if (!all[i].is_ready)
            continue;
        put_event(out, &all[i]);
        out += EVENT_BYTES;
    }
    return wasi_put_u32(memory, (uint32_t)a[3], ready);
}
