/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll.c - sets of files to wait for, and sets of those.
 *
 *   sets --> buckets, by file: member - member - member
 *                                |                  |
 *   set, in turn:             member - member    member - ...
 *
 * A set asks its members' poll when it is looked at, in turn, and there is no
 * list of those that are ready.  Instead it remembers that it found none: it is
 * quiet until one of its files changes or its time comes.  So a look at a quiet
 * set costs nothing, and sets of sets of sets are asked once each, however many
 * ways lead to one; a guest that nests them widely keeps nobody busy.
 *
 * Of an edge-triggered member, `fresh` says that there may be an edge which was
 * not told: it is set by each change, and while the member is not ready, so
 * that timers, which do not wake, have edges as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "base/check.h"
#include "base/clock.h"
#include "sandbox/microvm/linux/event/event.h"
#include "sandbox/microvm/linux/event/kind.h"

#define BUCKET_BITS 12
#define EVENTS_MAX  (INT_MAX / (int)sizeof(struct epoll_event))

/* What is in a member's events, but no event. */
#define MODES                                                                  \
    ((uint32_t)(EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE))

#define EXCLUSIVE_EVENTS                                                       \
    ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP |       \
                EPOLLET | EPOLLEXCLUSIVE))

struct member {
    LIST_ENTRY(member) by_file; /* of its bucket */
    TAILQ_ENTRY(member) turn;   /* of its set */
    struct set *set;
    struct file *file; /* not counted */
    int number;
    uint32_t events; /* only MODES: told once, and not again */
    bool fresh;
    epoll_data_t data;
};

LIST_HEAD(bucket, member);

struct set {
    struct file file;
    struct event_sets *sets;
    struct waker *waker;
    TAILQ_HEAD(, member) members;
    uint32_t member_count;
    bool quiet;      /* none is ready */
    uint64_t due_ns; /* until then, where it is not 0 */
    uint64_t round;  /* when it was last visited */
    unsigned depth;  /* as found in that visit */
};

struct event_sets {
    struct bucket *buckets; /* owned; NULL before the first member */
    uint32_t member_count, set_count;
    uint64_t round;     /* of visits; a set is visited once in each */
    unsigned announced; /* changes within changes */
};

static void move_member(void *object, size_t bytes,
                        const struct heap_move *move)
{
    struct member *m = object;

    (void)bytes;
    move_pointer(move, &m->by_file.le_next);
    move_pointer(move, &m->by_file.le_prev);
    move_pointer(move, &m->turn.tqe_next);
    move_pointer(move, &m->turn.tqe_prev);
    move_pointer(move, &m->set);
    move_pointer(move, &m->file);
}

static void move_set(void *object, size_t bytes, const struct heap_move *move)
{
    struct set *set = object;

    (void)bytes;
    file_move(&set->file, move);
    move_pointer(move, &set->sets);
    move_pointer(move, &set->waker);
    move_pointer(move, &set->members.tqh_first);
    move_pointer(move, &set->members.tqh_last);
}

static void move_sets(void *object, size_t bytes, const struct heap_move *move)
{
    struct event_sets *sets = object;

    (void)bytes;
    move_pointer(move, &sets->buckets);
}

static const struct heap_type member_type = {"epoll member", move_member},
                              set_type = {"epoll", move_set},
                              sets_type = {"epolls", move_sets};

static const struct file_class epoll_class;

static struct set *set_of(struct file *file)
{
    return file->class == &epoll_class ? (struct set *)file : NULL;
}

static struct bucket *bucket_of(struct event_sets *sets, const void *file)
{
    uint64_t mixed = heap_place(file) * 0x9e3779b97f4a7c15u;

    return &sets->buckets[mixed >> (64 - BUCKET_BITS)];
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* What is to be told of a member now. */
static uint32_t look_at(struct member *m)
{
    uint32_t wanted = m->events & ~MODES, ready;

    if (wanted == 0)
        return 0;
    ready = m->file->class->poll(m->file) & wanted;
    if (ready == 0)
        m->fresh = true;
    return m->events & EPOLLET && !m->fresh ? 0 : ready;
}

/* When there may be more to be told of one that was just looked at. */
static uint64_t due_of(const struct member *m)
{
    if (m->file->class->due_ns == NULL ||
        !(m->events & (EPOLLIN | EPOLLRDNORM)))
        return 0;
    if (m->events & EPOLLET && !m->fresh)
        return 0;
    return m->file->class->due_ns(m->file);
}

static bool is_quiet(const struct set *set)
{
    return set->quiet && (set->due_ns == 0 || clock_now_ns() < set->due_ns);
}

static void set_quiet(struct set *set)
{
    struct member *m;

    set->quiet = true;
    set->due_ns = 0;
    TAILQ_FOREACH(m, &set->members, turn)
    set->due_ns = sooner(set->due_ns, due_of(m));
}

static bool is_ready(struct set *set)
{
    struct member *m;

    if (is_quiet(set))
        return false;
    TAILQ_FOREACH(m, &set->members, turn)
    {
        if (look_at(m) == 0)
            continue;
        /* The next to ask finds it at once. */
        TAILQ_REMOVE(&set->members, m, turn);
        TAILQ_INSERT_HEAD(&set->members, m, turn);
        set->quiet = false;
        return true;
    }
    set_quiet(set);
    return false;
}

static unsigned poll_set(struct file *file)
{
    return is_ready((struct set *)file) ? POLLIN | POLLRDNORM : 0u;
}

static uint64_t due_set(struct file *file)
{
    struct set *set = (struct set *)file;

    return is_ready(set) ? clock_now_ns() : set->due_ns;
}

/* It was told. */
static void told(struct member *m)
{
    m->fresh = false;
    if (m->events & EPOLLONESHOT)
        m->events &= MODES;
}

int event_epoll_look(struct file *file, struct epoll_event *events, int max)
{
    struct set *set = set_of(file);
    struct member *m, *next;
    int count = 0;

    if (set == NULL || max <= 0 || max > EVENTS_MAX)
        return -EINVAL;
    if (is_quiet(set))
        return 0;
    m = TAILQ_FIRST(&set->members);
    for (uint32_t i = set->member_count; i > 0 && count < max; i--, m = next) {
        uint32_t ready = look_at(m);

        next = TAILQ_NEXT(m, turn);
        if (ready == 0)
            continue;
        events[count++] = (struct epoll_event){ready, m->data};
        told(m);
        TAILQ_REMOVE(&set->members, m, turn);
        TAILQ_INSERT_TAIL(&set->members, m, turn);
    }
    if (count == 0)
        set_quiet(set);
    return count;
}

/* A set has news for those who wait for it. */
static void announce(struct set *set)
{
    set->quiet = false;
    wake(set->waker, &set->file);
}

void event_changed(struct event_sets *sets, const void *thing)
{
    struct member *m;

    if (sets->member_count == 0)
        return;
    if (sets->announced++ == 0)
        sets->round++;
    LIST_FOREACH(m, bucket_of(sets, thing), by_file)
    {
        if (m->file != thing)
            continue;
        m->fresh = true;
        if (m->set->round == sets->round)
            continue;
        m->set->round = sets->round;
        announce(m->set);
    }
    sets->announced--;
}

static void remove_member(struct member *m)
{
    m->set->member_count--;
    m->set->sets->member_count--;
    TAILQ_REMOVE(&m->set->members, m, turn);
    LIST_REMOVE(m, by_file);
    heap_free(m);
}

void event_forget(struct event_sets *sets, const struct file *file)
{
    struct member *m, *next;

    if (sets->member_count == 0)
        return;
    for (m = LIST_FIRST(bucket_of(sets, file)); m != NULL; m = next) {
        next = LIST_NEXT(m, by_file);
        if (m->file == file)
            remove_member(m);
    }
}

static struct member *find(struct set *set, int number, const struct file *file)
{
    struct member *m;

    if (set->member_count == 0)
        return NULL;
    LIST_FOREACH(m, bucket_of(set->sets, file), by_file)
    if (m->file == file && m->number == number && m->set == set)
        return m;
    return NULL;
}

/* How many sets lie below one another in it; UINT_MAX: `other` is there. */
static unsigned depth_below(struct set *set, const struct set *other)
{
    struct member *m;

    if (set == other)
        return UINT_MAX;
    if (set->round == set->sets->round)
        return set->depth;
    set->round = set->sets->round;
    set->depth = 0;
    TAILQ_FOREACH(m, &set->members, turn)
    {
        struct set *below = set_of(m->file);
        unsigned depth = below != NULL ? depth_below(below, other) : 0;

        if (depth == UINT_MAX)
            return set->depth = UINT_MAX;
        if (below != NULL && depth + 1 > set->depth)
            set->depth = depth + 1;
    }
    return set->depth;
}

static unsigned depth_above(struct set *set)
{
    struct member *m;

    if (set->round == set->sets->round)
        return set->depth;
    set->round = set->sets->round;
    set->depth = 0;
    if (set->sets->member_count == 0)
        return 0;
    LIST_FOREACH(m, bucket_of(set->sets, &set->file), by_file)
    if (m->file == &set->file) {
        unsigned depth = depth_above(m->set) + 1;

        if (depth > set->depth)
            set->depth = depth;
    }
    return set->depth;
}

static int check_nesting(struct set *set, struct set *inner)
{
    unsigned below, above;

    must(set->sets->announced == 0);
    set->sets->round++;
    below = depth_below(inner, set);
    set->sets->round++;
    above = depth_above(set);
    if (below == UINT_MAX || below + 1 + above > EVENT_EPOLL_DEPTH)
        return -ELOOP;
    return 0;
}

static void arm(struct member *m, const struct epoll_event *event)
{
    m->events = event->events | EPOLLERR | EPOLLHUP;
    m->data = event->data;
    m->fresh = true;
    announce(m->set);
}

static int add(struct set *set, int number, struct file *file,
               const struct epoll_event *event)
{
    struct event_sets *sets = set->sets;
    struct set *inner = set_of(file);
    struct member *m;
    int rc;

    if (event->events & EPOLLEXCLUSIVE &&
        (inner != NULL || event->events & ~EXCLUSIVE_EVENTS))
        return -EINVAL;
    if (inner != NULL && (rc = check_nesting(set, inner)) < 0)
        return rc;
    if (find(set, number, file) != NULL)
        return -EEXIST;
    if (set->member_count == EVENT_EPOLL_FILES ||
        sets->member_count == EVENT_EPOLL_ALL)
        return -ENOSPC;
    if (sets->buckets == NULL)
        sets->buckets = heap_make(set->waker->heap, &heap_pointers,
                                  sizeof(*sets->buckets) << BUCKET_BITS);
    m = sets->buckets != NULL
            ? heap_make(set->waker->heap, &member_type, sizeof(*m))
            : NULL;
    if (m == NULL)
        return -ENOMEM;
    *m = (struct member){.set = set, .file = file, .number = number};
    TAILQ_INSERT_TAIL(&set->members, m, turn);
    LIST_INSERT_HEAD(bucket_of(sets, file), m, by_file);
    set->member_count++;
    sets->member_count++;
    arm(m, event);
    return 0;
}

int event_epoll_control(struct file *epoll, int operation, int number,
                        struct file *file, const struct epoll_event *event)
{
    struct set *set = set_of(epoll);
    struct member *m;

    if (file->class->poll == NULL)
        return -EPERM;
    if (set == NULL || file == epoll)
        return -EINVAL;
    switch (operation) {
    case EPOLL_CTL_ADD:
        return add(set, number, file, event);
    case EPOLL_CTL_MOD:
        if (event->events & EPOLLEXCLUSIVE)
            return -EINVAL;
        m = find(set, number, file);
        if (m == NULL)
            return -ENOENT;
        if (m->events & EPOLLEXCLUSIVE)
            return -EINVAL;
        arm(m, event);
        return 0;
    case EPOLL_CTL_DEL:
        m = find(set, number, file);
        if (m == NULL)
            return -ENOENT;
        remove_member(m);
        return 0;
    }
    return -EINVAL;
}

static void close_set(struct file *file)
{
    struct set *set = (struct set *)file;
    struct member *m;

    while ((m = TAILQ_FIRST(&set->members)) != NULL)
        remove_member(m);
    set->sets->set_count--;
    heap_free(set);
}

static const struct file_class epoll_class = {
    .name = "epoll",
    .stat = kind_stat,
    .poll = poll_set,
    .due_ns = due_set,
    .close = close_set,
};

int event_epoll(struct event_sets *sets, struct waker *waker,
                struct file **file)
{
    struct set *set = heap_make(waker->heap, &set_type, sizeof(*set));

    if (set == NULL)
        return -ENOMEM;
    *set = (struct set){
        .file = {.class = &epoll_class, .references = 1, .flags = O_RDWR},
        .sets = sets,
        .waker = waker,
    };
    TAILQ_INIT(&set->members);
    sets->set_count++;
    *file = &set->file;
    return 0;
}

int event_sets_open(struct event_sets **sets, struct heap *heap)
{
    *sets = heap_make(heap, &sets_type, sizeof(**sets));
    return *sets != NULL ? 0 : -ENOMEM;
}

void event_sets_stir(struct event_sets *sets)
{
    struct member *m;

    for (unsigned i = 0; sets->buckets != NULL && i < 1u << BUCKET_BITS; i++)
        LIST_FOREACH(m, &sets->buckets[i], by_file)
    m->set->quiet = false;
}

void event_sets_close(struct event_sets *sets)
{
    if (sets == NULL)
        return;
    must(sets->set_count == 0 && sets->member_count == 0);
    heap_free(sets->buckets);
    heap_free(sets);
}
