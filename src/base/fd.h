/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fd.h - file descriptors that die with the function that opened them.
 *
 *  auto_fd int fd = open(...);      closed when the function returns
 *  self->fd = steal_fd(&fd);        unless somebody else owns it now
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

/* Close, if open; keep errno; say "not there". */
static inline void close_fd(int *fd)
{
    int sys = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = sys;
}

static inline int steal_fd(int *fd)
{
    int was = *fd;

    *fd = -1;
    return was;
}

/* How long this process may make a file, also one in memory (RLIMIT_FSIZE): at
 * a byte more the kernel sends SIGXFSZ, which is the end of the embedder. */
static inline uint64_t fd_bytes_max(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_FSIZE, &limit) < 0 ? RLIM_INFINITY : limit.rlim_cur;
}

/*
 * F_ADD_SEALS.  A page that the kernel holds for a moment, to look at its age
 * or to merge it, makes a file busy that nobody writes to: asked again then,
 * for a second at most.  Returns 0, or -1 and errno.
 */
static inline int fd_seal(int fd, int seals)
{
    int rc = fcntl(fd, F_ADD_SEALS, seals);

    for (int turn = 0; rc < 0 && errno == EBUSY && turn < 100; turn++) {
        usleep(10000);
        rc = fcntl(fd, F_ADD_SEALS, seals);
    }
    return rc < 0 ? -1 : 0;
}

/* All of them.  Returns 0, or -1 and errno. */
static inline int fd_write_at(int fd, const void *bytes, uint64_t count,
                              uint64_t off)
{
    const char *at = bytes;

    while (count > 0) {
        ssize_t n = pwrite(fd, at, count, (off_t)off);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        at += n, off += (uint64_t)n, count -= (uint64_t)n;
    }
    return 0;
}

#define auto_fd __attribute__((cleanup(close_fd)))

#endif
