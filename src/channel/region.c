/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region.c - the memory of a region, as the host owns it.
 *
 * The window is reserved once, without access; then each half's file is mapped
 * over its part of the window in full length.  What lies behind the end of a
 * file does not exist: making the file longer makes the memory appear, in every
 * mapping at once, and nothing is ever mapped again.
 *
 *   window   |<------- half_bytes ------->|<------- half_bytes ------->|
 *   memfds   [ host half .... ] no memory [ guest half ] no memory
 *            |<-GBX_ARENA_OFF + arena_bytes->|
 *
 * The files are sealed against shrinking, so that no guest can take memory away
 * under the host's eyes (a read behind the end of a file is a SIGBUS).  They
 * are not sealed against growing: that is what the host does with them.  Nor
 * with F_SEAL_FUTURE_WRITE, which would keep a guest from opening the host half
 * for writing a second time, but the host from punching holes into it, too: a
 * guest gets host_read_fd, and no /proc that could reopen it for writing.
 *
 * The window starts on a line of 2 MiB, as do the arenas, so that the kernel
 * may use huge pages.  It is asked to, but for the first 2 MiB of an arena: a
 * sandbox with small messages shall not cost 4 MiB.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"
#include "channel/body/keep.h"
#include "channel/region.h"

#define FIRST_BYTES GBX_HUGE_BYTES /* of an arena, after open */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

static uint64_t round_up(uint64_t value)
{
    return (value + GBX_HUGE_BYTES - 1) & ~(uint64_t)(GBX_HUGE_BYTES - 1);
}

static uint64_t limit_of(__rlimit_resource_t resource)
{
    struct rlimit limit;

    return getrlimit(resource, &limit) < 0 ? RLIM_INFINITY : limit.rlim_cur;
}

/* fail(), but naming the limit of this process that may be the reason. */
static int fail_by_limit(struct gbx_error *err, __rlimit_resource_t resource,
                         const char *name, const char *what)
{
    int sys = errno;
    uint64_t limit = limit_of(resource);

    errno = sys;
    if (limit == RLIM_INFINITY)
        return fail(err, GBX_EHOST, "%s", what);
    return fail(err, GBX_ELIMIT, "%s: %s is %llu: raise it", what, name,
                (unsigned long long)limit);
}

/* The file holds the head, the rings and so much of arena. */
static int lengthen(int fd, uint64_t arena_bytes, struct gbx_error *err)
{
    uint64_t bytes = GBX_ARENA_OFF + arena_bytes;
    uint64_t limit = fd_bytes_max();

    /* Beyond this limit the kernel sends SIGXFSZ: it must not get there. */
    if (bytes > limit)
        return fail(err, GBX_ELIMIT,
                    "shared memory of %llu bytes: RLIMIT_FSIZE (ulimit -f) is "
                    "%llu: raise it",
                    (unsigned long long)bytes, (unsigned long long)limit);
    if (ftruncate(fd, (off_t)bytes) < 0)
        return fail(err, GBX_EHOST, "make shared memory %llu bytes long",
                    (unsigned long long)bytes);
    return 0;
}

static struct gbx_half_head *head_of(const struct region *region,
                                     enum half half)
{
    uint8_t *at = region->base + (half == HALF_GUEST ? region->half_bytes : 0);

    return (struct gbx_half_head *)(void *)at;
}

static void exists(struct region *region, enum half half, uint64_t arena_bytes)
{
    /* An isolation in this process: looks how far it may touch. */
    __atomic_store_n(&region->arena_bytes[half], arena_bytes, __ATOMIC_RELEASE);

    /*
     * Guest: may read so far.  Pairs with its acquire of arena_bytes in
     * channel.c, peer_has(): who sees the length finds the memory.  (Of the
     * guest's own half this word is only the guest's first knowledge.)
     */
    if (half == HALF_HOST)
        atomic_store_explicit(&head_of(region, half)->arena_bytes, arena_bytes,
                              memory_order_release);
}

/* Into memory that is all zero, with nobody looking yet. */
static void write_head(struct region *region, enum half half)
{
    struct gbx_half_head *head = head_of(region, half);

    head->magic = GBX_REGION_MAGIC;
    head->version = GBX_ABI_VERSION;
    head->half_bytes = region->half_bytes;
    atomic_init(&head->arena_bytes, FIRST_BYTES);
    region->arena_bytes[half] = FIRST_BYTES;
}

/* Who closed a standard stream must not print into our memory. */
static int above_standard(int fd, struct gbx_error *err)
{
    auto_fd int low = fd;

    if (fd > STDERR_FILENO)
        return steal_fd(&low);
    fd = fcntl(low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return fd >= 0 ? fd : fail(err, GBX_EHOST, "move a file descriptor");
}

static int create_file(struct gbx_error *err)
{
    static const char name[] = "glovebox-region";
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL) /* Linux before 6.3 */
        fd = memfd_create(name, flags);
    if (fd < 0 && errno == EMFILE)
        return fail_by_limit(err, RLIMIT_NOFILE, "RLIMIT_NOFILE (ulimit -n)",
                             "open shared memory");
    if (fd < 0)
        return fail(err, GBX_EHOST, "memfd_create");
    return above_standard(fd, err);
}

/* Take over fd; under the number that is known already, if there is one. */
static int place(int *known, int *fd, struct gbx_error *err)
{
    if (*known < 0)
        *known = steal_fd(fd);
    else if (dup3(*fd, *known, O_CLOEXEC) < 0)
        return fail(err, GBX_EHOST, "dup3");
    return 0;
}

/* A new file for a half, mapped; in the place of the old one if there is. */
static int open_half(struct region *region, enum half half,
                     struct gbx_error *err)
{
    uint8_t *at = region->base + (half == HALF_GUEST ? region->half_bytes : 0);
    const uint64_t huge_off = GBX_ARENA_OFF + FIRST_BYTES;
    auto_fd int fd = create_file(err);
    int rc;

    if (fd < 0)
        return fd;
    if ((rc = lengthen(fd, FIRST_BYTES, err)) < 0)
        return rc;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return fail(err, GBX_EHOST, "seal shared memory");
    if (mmap(at, region->half_bytes, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        return fail_by_limit(err, RLIMIT_AS, "RLIMIT_AS (ulimit -v)",
                             "map shared memory");

    /* A wish: kernels without it, or told not to, refuse. */
    if (region->half_bytes > huge_off)
        (void)madvise(at + huge_off, region->half_bytes - huge_off,
                      MADV_HUGEPAGE);
    write_head(region, half);
    return place(&region->fd[half], &fd, err);
}

static int open_reader(struct region *region, struct gbx_error *err)
{
    char path[32];
    auto_fd int fd = -1;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", region->fd[HALF_HOST]);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == EMFILE)
        return fail_by_limit(err, RLIMIT_NOFILE, "RLIMIT_NOFILE (ulimit -n)",
                             "open shared memory read-only");
    if (fd < 0 && errno == ENOENT)
        return fail(err, GBX_EUNSUPPORTED,
                    "no /proc here: it is needed to open shared memory "
                    "read-only; mount -t proc proc /proc");
    if (fd < 0)
        return fail(err, GBX_EHOST, "open %s read-only", path);
    return place(&region->host_read_fd, &fd, err);
}

/* Addresses for both halves, from a line of GBX_HUGE_BYTES on. */
static int reserve_window(struct region *region, struct gbx_error *err)
{
    const size_t bytes = 2 * region->half_bytes;
    size_t before, after;
    uint8_t *all;

    all = mmap(NULL, bytes + GBX_HUGE_BYTES, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        return fail_by_limit(err, RLIMIT_AS, "RLIMIT_AS (ulimit -v)",
                             "reserve addresses for shared memory");
    before = round_up((uintptr_t)all) - (uintptr_t)all;
    after = GBX_HUGE_BYTES - before;
    region->base = all + before;
    if (before > 0)
        munmap(all, before);
    munmap(region->base + bytes, after);
    return 0;
}

int region_open(struct region *region, uint64_t half_bytes,
                struct gbx_error *err)
{
    int rc;

    *region = (struct region)REGION_NONE;
    if (half_bytes < GBX_HALF_BYTES_MIN || half_bytes > GBX_HALF_BYTES_MAX)
        return fail(err, GBX_ELIMIT,
                    "half a region has %llu to %llu bytes, not %llu",
                    (unsigned long long)GBX_HALF_BYTES_MIN,
                    (unsigned long long)GBX_HALF_BYTES_MAX,
                    (unsigned long long)half_bytes);
    region->half_bytes = round_up(half_bytes);
    if ((rc = reserve_window(region, err)) < 0 ||
        (rc = open_half(region, HALF_HOST, err)) < 0 ||
        (rc = open_half(region, HALF_GUEST, err)) < 0 ||
        (rc = open_reader(region, err)) < 0)
        region_close(region);
    return rc;
}

void region_close(struct region *region)
{
    if (region->keep != NULL) {
        keep_end(region);
        return;
    }
    if (region->base != NULL)
        munmap(region->base, 2 * region->half_bytes);
    close_fd(&region->host_read_fd);
    close_fd(&region->fd[HALF_GUEST]);
    close_fd(&region->fd[HALF_HOST]);
    *region = (struct region)REGION_NONE;
}

int region_grow(struct region *region, enum half half, uint64_t bytes)
{
    const uint64_t max = region->half_bytes - GBX_ARENA_OFF;
    uint64_t now = region->arena_bytes[half], next = 2 * now;

    if (bytes <= now)
        return 0;
    if (bytes > max)
        return GBX_ELIMIT;
    if (next < bytes)
        next = round_up(bytes);
    if (next > max)
        next = max;
    return region_set(region, half, next);
}

int region_set(struct region *region, enum half half, uint64_t bytes)
{
    struct stat st;
    int rc;

    if (bytes > region->half_bytes - GBX_ARENA_OFF)
        return GBX_ELIMIT;
    if (fstat(region->fd[half], &st) < 0)
        return GBX_EHOST;
    if ((uint64_t)st.st_size < GBX_ARENA_OFF + bytes &&
        (rc = lengthen(region->fd[half], bytes, NULL)) < 0)
        return rc;
    exists(region, half, bytes);
    return 0;
}

static int fill_random(void *to, size_t bytes)
{
    ssize_t n;

    do {
        n = getrandom(to, bytes, 0);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)bytes ? 0 : GBX_EHOST;
}

uint64_t region_held(const struct region *region)
{
    uint64_t bytes = 0;
    struct stat st;

    for (int half = 0; half < HALF_COUNT; half++)
        if (fstat(region->fd[half], &st) == 0)
            bytes += (uint64_t)st.st_blocks * 512;
    return bytes;
}

int region_seed(struct region *region)
{
    struct gbx_half_head *head = head_of(region, HALF_HOST);
    int rc = fill_random(head->seed, sizeof(head->seed));

    return rc < 0 ? rc : fill_random(&head->copy, sizeof(head->copy));
}

/*
 * A half that never grew is emptied and used again.  One that did gets a new
 * file: a file cannot shrink, and its length would tell the next user how much
 * the last one had.
 */
static int reset_half(struct region *region, enum half half)
{
    const uint64_t bytes = GBX_ARENA_OFF + FIRST_BYTES;
    struct stat st;

    if (fstat(region->fd[half], &st) < 0)
        return GBX_EHOST;
    if ((uint64_t)st.st_size > bytes) /* a guest may have done that, too */
        return open_half(region, half, NULL);
    if (fallocate(region->fd[half], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  0, (off_t)bytes) < 0)
        return GBX_EHOST;
    write_head(region, half);
    return 0;
}

int region_reset(struct region *region)
{
    const bool new_host = region->arena_bytes[HALF_HOST] > FIRST_BYTES;
    int rc;

    if ((rc = reset_half(region, HALF_HOST)) < 0 ||
        (rc = reset_half(region, HALF_GUEST)) < 0)
        return rc;
    return new_host ? open_reader(region, NULL) : 0;
}
