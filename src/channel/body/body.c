/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body.c - bodies that the host makes: blocks of one file of memory.
 *
 *   a block   | page of the host's: struct gbx_body, head | bytes ... |
 *                                                         data
 *
 * The first free block is the lowest, so memory that has been touched is used
 * again.  What lies behind all blocks goes back to the host when it is much.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "channel/arena.h"
#include "channel/body/body.h"

#define STORE_BYTES (64ull << 30) /* of addresses */
#define IDLE_BYTES  (64u << 20)   /* kept, though nobody uses it */

static struct {
    pthread_mutex_t lock; /* of all else */
    uint32_t holders;
    pid_t owner;
    uint8_t *base; /* or NULL */
    int fd;
    uint64_t touched; /* below this there may be memory */
    struct arena arena;
} store = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

struct gbx_body *gbx_body_get(struct gbx_body *body)
{
    atomic_fetch_add_explicit(&body->holders, 1, memory_order_relaxed);
    return body;
}

void gbx_body_put(struct gbx_body *body)
{
    /* The last one sees all that others did with it. */
    if (body != NULL &&
        atomic_fetch_sub_explicit(&body->holders, 1, memory_order_acq_rel) == 1)
        body->end(body);
}

size_t gbx_body_view(const struct gbx_body *body, const void **data)
{
    *data = body->bytes;
    return body->count;
}

int gbx_body_is_loose(const struct gbx_body *body)
{
    return body->is_loose;
}

bool body_find(const struct gbx_body *body, const void *data, size_t bytes,
               uint64_t *at)
{
    *at = (uint64_t)((uintptr_t)data - (uintptr_t)body->bytes);
    return *at <= body->count && bytes <= body->count - *at;
}

/* A child of fork() has only the file of it. */
static void close_store_locked(void)
{
    if (store.base != NULL && store.owner == getpid())
        munmap(store.base, STORE_BYTES);
    close_fd(&store.fd);
    store.base = NULL;
}

static void tidy_store_locked(void)
{
    if (store.holders == 0 &&
        (store.owner != getpid() || store.arena.count == 0))
        close_store_locked();
}

void body_store_hold(void)
{
    pthread_mutex_lock(&store.lock);
    store.holders++;
    pthread_mutex_unlock(&store.lock);
}

void body_store_release(void)
{
    pthread_mutex_lock(&store.lock);
    must(store.holders > 0);
    store.holders--;
    tidy_store_locked();
    pthread_mutex_unlock(&store.lock);
}

static int open_store_locked(void)
{
    if (store.base != NULL && store.owner == getpid())
        return 0;
    close_store_locked();
    store.fd = memfd_create("glovebox-bodies", MFD_CLOEXEC);
    if (store.fd < 0)
        return GBX_EHOST;
    store.base = mmap(NULL, STORE_BYTES, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_NORESERVE, store.fd, 0);
    if (store.base == MAP_FAILED) {
        close_fd(&store.fd);
        store.base = NULL;
        return GBX_EHOST;
    }
    madvise(store.base, STORE_BYTES, MADV_DONTFORK);
    madvise(store.base, STORE_BYTES, MADV_DONTDUMP);
    arena_init(&store.arena, 0);
    store.touched = 0;
    store.owner = getpid();
    return 0;
}

static int lengthen_locked(uint64_t bytes)
{
    if (bytes > STORE_BYTES || bytes > fd_bytes_max())
        return GBX_ELIMIT;
    if (ftruncate(store.fd, (off_t)bytes) < 0)
        return GBX_EHOST;
    store.arena.bytes = bytes;
    return 0;
}

static int take_locked(uint64_t bytes, uint64_t *off)
{
    uint64_t wanted;
    int rc = open_store_locked();

    if (rc < 0)
        return rc;
    if (arena_take(&store.arena, bytes, off, &wanted) < 0) {
        if (wanted == 0)
            return GBX_ELIMIT;
        wanted = (wanted + GBX_HUGE_BYTES - 1) & ~(GBX_HUGE_BYTES - 1ull);
        if ((rc = lengthen_locked(wanted)) < 0)
            return rc;
        rc = arena_take(&store.arena, bytes, off, &wanted);
        must(rc == 0);
    }
    if (*off + bytes > store.touched)
        store.touched = *off + bytes;
    return 0;
}

static void give_locked(uint64_t off)
{
    struct arena *arena = &store.arena;
    uint64_t end = 0;

    must(arena_drop(arena, off) == 0);
    if (arena->count > 0)
        end = arena->blocks[arena->count - 1].off +
              arena->blocks[arena->count - 1].bytes;
    end = (end + GBX_PAGE_BYTES - 1) & ~(GBX_PAGE_BYTES - 1ull);
    if (store.touched <= end + IDLE_BYTES)
        return;
    if (fallocate(store.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)end, (off_t)(store.touched - end)) == 0)
        store.touched = end;
}

static void end_made(struct gbx_body *body)
{
    pthread_mutex_lock(&store.lock);
    give_locked(body->off - GBX_PAGE_BYTES);
    tidy_store_locked();
    pthread_mutex_unlock(&store.lock);
}

int gbx_body_make(struct gbx_body **body, size_t bytes, void **data,
                  struct gbx_error *err)
{
    struct gbx_body *made;
    uint64_t off;
    int rc;

    *body = NULL;
    *data = NULL;
    if (bytes > GBX_BODY_BYTES_MAX)
        return fail(err, GBX_ELIMIT, "a body has at most %llu bytes, not %zu",
                    (unsigned long long)GBX_BODY_BYTES_MAX, bytes);
    pthread_mutex_lock(&store.lock);
    rc = take_locked(GBX_PAGE_BYTES +
                         (bytes < GBX_PAGED_BYTES ? GBX_PAGED_BYTES : bytes),
                     &off);
    pthread_mutex_unlock(&store.lock);
    if (rc == GBX_ELIMIT)
        return fail(err, rc,
                    "no room for a body of %zu bytes: %u bodies and %llu GiB "
                    "is the most there can be, and RLIMIT_FSIZE counts",
                    bytes, GBX_ARENA_BLOCKS,
                    (unsigned long long)(STORE_BYTES >> 30));
    if (rc < 0)
        return fail(err, rc, "memory for a body of %zu bytes", bytes);
    made = (struct gbx_body *)(void *)(store.base + off);
    *made = (struct gbx_body){.holders = 1,
                              .bytes = store.base + off + GBX_PAGE_BYTES,
                              .count = bytes,
                              .fd = store.fd,
                              .off = off + GBX_PAGE_BYTES,
                              .end = end_made};
    *body = made;
    *data = store.base + off + GBX_PAGE_BYTES;
    return 0;
}
