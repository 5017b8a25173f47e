/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template_test.h - for tests: sandboxes of a backend of play that can be
 * templates.  Its guest is a row of acts in this very process.
 *
 *  play_setup(NULL);          first: open
 *  play_take();               template: of first, after a call
 *  play_copy(&one);           a clone of it
 *  play_call(&one, bytes);    a whole call
 *  play_teardown(NULL);       nothing is left
 */
#ifndef SANDBOX_TEMPLATE_TEST_H
#define SANDBOX_TEMPLATE_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/count_test.h"
#include "sandbox/sandbox.h"

#define MESSAGE_BYTES (6u << 20)

struct snapshot {
    int references;
    struct channel guest; /* as it stood */
};

struct play {
    struct channel guest;
    struct snapshot *snapshot;
    struct region *region;
    uint8_t *window; /* the guest's own mapping of the region */
    bool killed;
};

typedef void act_fn(struct channel *guest);

static act_fn *act; /* the next one */
static int end_code, open_plays;
static int snapshot_code, clone_code, wipe_code; /* 0: it succeeds */
static int suspend_code;
static int snapshots; /* alive */

static inline int play_sleep(void *context, uint32_t seen, uint64_t deadline_ns)
{
    (void)context;
    (void)seen;
    (void)deadline_ns;
    return GBX_ETIME;
}

static inline void ring_nobody(void *context)
{
    (void)context;
}

/* As guests do: the host's half for reading alone. */
static inline int map_window(struct play *play)
{
    const uint64_t half = play->region->half_bytes;
    uint8_t *window = mmap(NULL, half * HALF_COUNT, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (window == MAP_FAILED)
        return GBX_EHOST;
    play->window = window;
    return mmap(window, half, PROT_READ, MAP_SHARED | MAP_FIXED,
                play->region->host_read_fd, 0) == MAP_FAILED ||
                   mmap(window + half, half, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_FIXED, play->region->fd[HALF_GUEST],
                        0) == MAP_FAILED
               ? GBX_EHOST
               : 0;
}

static inline int play_borrow(void *self, uint64_t off, uint64_t bytes, int fd,
                              uint64_t at)
{
    struct play *play = self;

    return mmap(play->window + off, bytes, PROT_READ, MAP_SHARED | MAP_FIXED,
                fd < 0 ? play->region->host_read_fd : fd,
                (off_t)(fd < 0 ? off : at)) == MAP_FAILED
               ? GBX_EHOST
               : 0;
}

static inline void start_guest(struct play *play)
{
    channel_init(&play->guest,
                 &(struct channel_config){
                     .side = CHANNEL_GUEST,
                     .base = play->window,
                     .half_bytes = play->region->half_bytes,
                     .bell = {.sleep = play_sleep, .ring = ring_nobody}});
}

static inline int play_open(void *self, const struct bundle *what,
                            struct region *shared, struct gbx_error *err)
{
    struct play *play = self;

    (void)what;
    play->region = shared;
    open_plays++;
    err->code = map_window(play);
    if (err->code == 0)
        start_guest(play);
    return err->code;
}

static inline int play_snapshot(void *self, struct snapshot **snapshot,
                                struct gbx_error *err)
{
    struct play *play = self;

    *snapshot = NULL;
    err->code = snapshot_code;
    if (snapshot_code != 0)
        return snapshot_code;
    *snapshot = malloc(sizeof(**snapshot));
    if (*snapshot == NULL)
        return err->code = GBX_EHOST;
    (*snapshot)->references = 1;
    channel_follow(&(*snapshot)->guest, &play->guest);
    snapshots++;
    return 0;
}

static inline void play_put(struct snapshot *snapshot)
{
    if (--snapshot->references > 0)
        return;
    free(snapshot);
    snapshots--;
}

static inline int play_clone(void *self, const struct bundle *what,
                             struct snapshot *snapshot, struct region *shared,
                             struct gbx_error *err)
{
    struct play *play = self;

    if (play_open(self, what, shared, err) < 0)
        return err->code;
    play->snapshot = snapshot;
    snapshot->references++;
    channel_follow(&play->guest, &snapshot->guest);
    err->code = clone_code;
    return clone_code;
}

static inline int play_wipe(void *self, struct gbx_error *err)
{
    struct play *play = self;

    err->code = wipe_code;
    if (wipe_code != 0)
        return wipe_code;
    play->killed = false;
    channel_follow(&play->guest, &play->snapshot->guest);
    return 0;
}

struct suspended {
    struct channel guest;
};

static inline int play_suspend(void *self, struct suspended **suspended,
                               struct gbx_error *err)
{
    struct play *play = self;

    *suspended = NULL;
    err->code = suspend_code;
    if (suspend_code != 0)
        return suspend_code;
    *suspended = malloc(sizeof(**suspended));
    if (*suspended == NULL)
        return err->code = GBX_EHOST;
    channel_follow(&(*suspended)->guest, &play->guest);
    snapshots++;
    return 0;
}

static inline int play_resume(void *self, const struct bundle *what,
                              struct snapshot *snapshot,
                              const struct suspended *suspended,
                              struct region *shared, struct gbx_error *err)
{
    struct play *play = self;

    if (play_clone(self, what, snapshot, shared, err) == 0)
        channel_follow(&play->guest, &suspended->guest);
    return err->code;
}

static inline void play_discard(struct suspended *suspended)
{
    free(suspended);
    snapshots--;
}

static inline int play_run(void *self, uint64_t deadline_ns)
{
    struct play *play = self;
    act_fn *now = act;

    (void)deadline_ns;
    act = NULL;
    if (play->killed || now == NULL)
        return play->killed ? GBX_ECANCELED : end_code;
    now(&play->guest);
    return 0;
}

static inline int play_fd(void *self)
{
    (void)self;
    return -1;
}

static inline void play_explain(void *self, struct gbx_error *err)
{
    (void)self;
    err->code = end_code;
    strcpy(err->what, "the play is over");
}

static inline void play_kill(void *self)
{
    ((struct play *)self)->killed = true;
}

static inline void play_close(void *self)
{
    struct play *play = self;

    open_plays -= play->region != NULL;
    if (play->window != NULL)
        munmap(play->window, play->region->half_bytes * HALF_COUNT);
    play->window = NULL;
    play->region = NULL;
    if (play->snapshot != NULL)
        play_put(play->snapshot);
    play->snapshot = NULL;
}

#define PLAY                                                                   \
    .self_bytes = sizeof(struct play), .open = play_open, .run = play_run,     \
    .ring = ring_nobody, .fd = play_fd, .explain = play_explain,               \
    .wipe = play_wipe, .kill = play_kill, .close = play_close

static const struct backend play = {.name = "play",
                                    .snapshot = play_snapshot,
                                    .clone = play_clone,
                                    .put = play_put,
                                    .suspend = play_suspend,
                                    .resume = play_resume,
                                    .discard = play_discard,
                                    .borrow = play_borrow,
                                    PLAY};
static const struct backend plain = {.name = "plain", PLAY};

static struct sandbox first, one, other;
static struct template *template;
static struct sandbox_event event;
static struct gbx_error err;
static struct host_calls calls;
static int files_before;

static inline struct sandbox_config config_of(const struct backend *backend)
{
    return (struct sandbox_config){
        .backend = backend,
        .bundle = {.limits = {.message_bytes = MESSAGE_BYTES,
                              .output_bytes = 10}},
        .spin_ns = 1,
        .calls = &calls};
}

static inline void say_ready(struct channel *guest)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_READY};

    assert_int_equal(channel_send(guest, &d, 1), 0);
}

static inline void open_first(const struct backend *backend)
{
    struct sandbox_config config = config_of(backend);

    config.spin_ns = 0; /* it does not spin, but its clones do */
    act = say_ready;
    end_code = GBX_EEXIT;
    assert_int_equal(sandbox_open(&first, &config, 0, &err), 0);
}

static inline int play_setup(void **state)
{
    (void)state;
    snapshot_code = clone_code = wipe_code = suspend_code = 0;
    memset(&err, 0, sizeof(err));
    files_before = count_open_files();
    open_first(&play);
    return 0;
}

/* Whatever a test did, nothing is left. */
static inline int play_teardown(void **state)
{
    (void)state;
    sandbox_close(&other);
    sandbox_close(&one);
    sandbox_close(&first);
    template_put(template);
    template = NULL;
    assert_int_equal(snapshots, 0);
    assert_int_equal(open_plays, 0);
    assert_int_equal(count_open_files(), files_before);
    return 0;
}

static uint32_t call_of_guest;

static inline void done_with_seven(struct channel *guest)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_DONE,
                               .type = GBX_INTEGER,
                               .flags = GBX_HAS_MESSAGE,
                               .call = call_of_guest,
                               .scalar = 7};
    struct gbx_descriptor got;

    while (channel_try_recv(guest, &got) == 0)
        channel_give(guest, got.body_off);
    assert_int_equal(channel_send(guest, &d, 1), 0);
}

/* A call, with a body of so many bytes. */
static inline void play_call(struct sandbox *sandbox, size_t bytes)
{
    struct gbx_descriptor d = {
        .kind = GBX_KIND_INPUT, .type = GBX_STREAM, .flags = GBX_HAS_MESSAGE};
    void *body = calloc(1, bytes);

    memset(body, 0x55, bytes);
    sandbox_begin(sandbox);
    call_of_guest = sandbox->call;
    act = done_with_seven;
    assert_int_equal(sandbox_send_copy(sandbox, &d, body, bytes, 1), 0);
    assert_int_equal(sandbox_step(sandbox, 0, &event, &err), 0);
    assert_int_equal(event.message.scalar.integer, 7);
    sandbox_finish(sandbox);
    free(body);
}

static inline void play_take(void)
{
    play_call(&first, 5000);
    assert_int_equal(template_take(&template, &first, &err), 0);
    assert_int_equal(first.state, SANDBOX_IDLE);
}

static inline int play_copy(struct sandbox *sandbox)
{
    const struct sandbox_config config = config_of(&play);

    return sandbox_clone(sandbox, &config, template, &err);
}

static inline struct gbx_half_head *head_of(const struct sandbox *sandbox)
{
    return (struct gbx_half_head *)(void *)sandbox->region.base;
}

/* It stands where the template stood: in its numbers, and in what it shares
 * with its guest but for the words that are its own. */
static inline void expect_template(const struct sandbox *sandbox)
{
    const struct channel *is = &sandbox->channel, *was = &template->channel;
    struct gbx_half_head head = *head_of(sandbox);
    struct region_image now;

    assert_int_equal(sandbox->state, SANDBOX_IDLE);
    assert_int_equal(sandbox->last_call, template->last_call);
    assert_int_equal(sandbox->call, 0);
    assert_int_equal(sandbox->ended, 0);
    assert_int_equal(sandbox->stopped, 0);
    assert_false(sandbox->canceled);
    assert_int_equal(is->ring_tail, was->ring_tail);
    assert_int_equal(is->ring_head, was->ring_head);
    assert_int_equal(is->arena.count, was->arena.count);
    assert_int_equal(is->arena.lent, was->arena.lent);
    assert_int_equal(head.spin_ns, 1);

    memcpy(head_of(sandbox), template->region.bytes, sizeof(head));
    assert_int_equal(region_image_take(&now, &sandbox->region, &err), 0);
    *head_of(sandbox) = head;
    assert_int_equal(now.byte_count, template->region.byte_count);
    assert_memory_equal(now.bytes, template->region.bytes, now.byte_count);
    for (enum half half = 0; half < HALF_COUNT; half++)
        assert_int_equal(now.arena_bytes[half],
                         template->region.arena_bytes[half]);
    region_image_fini(&now);
}

#endif
