/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.c - a guest that is a Linux process: the region that it was born with
 * (abi/region.h), a futex to sleep on, an eventfd to wake the host with.
 *
 *   host half (read-only)          guest half
 *   bell word --- FUTEX_WAIT       asleep = 1 while we wait
 *                                  eventfd --- write(1) wakes the host's poll
 *
 * What a script may do to its own process must not reach the channel by
 * accident: the descriptors of the two memory files are closed before it runs,
 * the bell lies under the highest number there is, and a child of fork() finds
 * the guest detached, because two writers would ruin the ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/fd.h"

#include "guest.h"
#include "guest_private.h"

#define BELL_FD_MAX 1023u

static struct gbx_guest *forked; /* the one that a fork() copies */

static void detach(void)
{
    forked->detached = true;
    if (forked->bell_fd >= 0)
        close(forked->bell_fd);
    forked->bell_fd = -1;
}

int guest_sleep(void *context, uint32_t seen, uint64_t deadline_ns)
{
    struct gbx_guest *guest = context;
    const void *word = &guest->channel.peer->bell;
    struct timespec until = clock_timespec(deadline_ns);

    /* A bitset wait takes an absolute CLOCK_MONOTONIC time.  Not FUTEX_PRIVATE:
     * the word is the host's. */
    if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen,
                deadline_ns != 0 ? &until : NULL, NULL,
                FUTEX_BITSET_MATCH_ANY) < 0 &&
        errno == ETIMEDOUT)
        return GBX_ETIME;
    return 0;
}

void guest_ring(void *context)
{
    struct gbx_guest *guest = context;
    const uint64_t one = 1;
    int sys = errno;

    /* EAGAIN: the counter is full, so the host has not woken yet, but will. */
    while (write(guest->bell_fd, &one, sizeof(one)) < 0 && errno != EAGAIN) {
        if (errno != EINTR) {
            guest->lost = true;
            break;
        }
    }
    errno = sys;
}

/* Read before anything is mapped: the sizes are in it. */
static int read_head(struct gbx_half_head *head)
{
    ssize_t n = pread(GBX_FD_HOST_HALF, head, sizeof(*head), 0);

    if (n < 0)
        return GBX_EHOST;
    if (n != (ssize_t)sizeof(*head) || head->magic != GBX_REGION_MAGIC ||
        head->version != GBX_ABI_VERSION ||
        head->half_bytes < GBX_HALF_BYTES_MIN ||
        head->half_bytes > GBX_HALF_BYTES_MAX)
        return GBX_EFORMAT;
    return 0;
}

static int map_half(uint8_t *where, uint64_t bytes, int fd, int protection)
{
    void *got =
        mmap(where, bytes, protection, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);

    if (got == MAP_FAILED)
        return GBX_EHOST;
    if (got != where) { /* a kernel that does not know the flag */
        munmap(got, bytes);
        errno = EEXIST;
        return GBX_EHOST;
    }
    return 0;
}

/* Under a number that scripts do not use, and no program inherits. */
static int hide_bell(void)
{
    struct rlimit files = {0};
    int fd;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur > BELL_FD_MAX)
        files.rlim_cur = BELL_FD_MAX + 1;
    fd = files.rlim_cur == 0
             ? -1
             : fcntl(GBX_FD_BELL, F_DUPFD_CLOEXEC, (int)files.rlim_cur - 1);
    if (fd < 0)
        fd = fcntl(GBX_FD_BELL, F_DUPFD_CLOEXEC, GBX_FD_BELL + 1);
    return fd;
}

int guest_map(struct gbx_guest *guest)
{
    uint8_t *base = (uint8_t *)GBX_REGION_ADDRESS; /* NOLINT: it is so */
    struct gbx_half_head host, *mine;
    int rc = read_head(&host);

    if (rc < 0)
        return rc;
    rc = map_half(base, host.half_bytes, GBX_FD_HOST_HALF, PROT_READ);
    if (rc == 0)
        rc = map_half(base + host.half_bytes, host.half_bytes,
                      GBX_FD_GUEST_HALF, PROT_READ | PROT_WRITE);
    if (rc < 0)
        return rc;
    guest->bell_fd = hide_bell();
    if (guest->bell_fd < 0)
        return GBX_EHOST;
    close(GBX_FD_HOST_HALF);
    close(GBX_FD_GUEST_HALF);
    close(GBX_FD_BELL);

    mine = (struct gbx_half_head *)(base + host.half_bytes);
    mine->magic = GBX_REGION_MAGIC;
    mine->version = GBX_ABI_VERSION;
    mine->half_bytes = host.half_bytes;
    forked = guest;
    return pthread_atfork(NULL, NULL, detach) == 0
               ? guest_begin(guest, base, host.half_bytes)
               : GBX_EHOST;
}

void gbx_guest_stand(void (*begin)(void))
{
    if (gbx_guest_is_template())
        gbx_guest_multiply();
    begin();
}

int gbx_guest_serve(struct gbx_guest *guest, gbx_guest_take_fn *take,
                    void *context)
{
    struct gbx_descriptor d;
    int rc;

    do {
        rc = gbx_guest_recv(guest, &d);
        if (rc == 0)
            rc = take(context, &d);
    } while (rc == 0);
    return rc;
}
