/* SPDX-License-Identifier: Apache-2.0 */
/* map.c - the region, as a Linux process is born with it (abi/region.h). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/fd.h"

#include "guest.h"
#include "guest_private.h"

#define BELL_FD_MAX 1023u

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
    return guest_begin(guest, base, host.half_bytes);
}
