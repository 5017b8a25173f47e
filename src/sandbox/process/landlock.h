/* SPDX-License-Identifier: Apache-2.0 */
/*
 * landlock.h - the kernel's Landlock interface as of ABI 6; the headers of
 * Debian 12 end at ABI 2, and its C library has no functions for it.
 */
#ifndef SANDBOX_PROCESS_LANDLOCK_H
#define SANDBOX_PROCESS_LANDLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LANDLOCK_FS_EXECUTE    (UINT64_C(1) << 0)
#define LANDLOCK_FS_WRITE_FILE (UINT64_C(1) << 1)
#define LANDLOCK_FS_READ_FILE  (UINT64_C(1) << 2)
#define LANDLOCK_FS_READ_DIR   (UINT64_C(1) << 3)
#define LANDLOCK_FS_MAKE_CHAR  (UINT64_C(1) << 6)
#define LANDLOCK_FS_MAKE_BLOCK (UINT64_C(1) << 11)
#define LANDLOCK_FS_TRUNCATE   (UINT64_C(1) << 14)
#define LANDLOCK_FS_ABI1       ((UINT64_C(1) << 13) - 1)
#define LANDLOCK_FS_ABI2       ((UINT64_C(1) << 14) - 1) /* and refer */
#define LANDLOCK_FS_ABI3       ((UINT64_C(1) << 15) - 1) /* and truncate */
#define LANDLOCK_FS_ABI5       ((UINT64_C(1) << 16) - 1) /* and ioctl */
#define LANDLOCK_NET_ABI4      UINT64_C(3) /* bind and connect, TCP */
#define LANDLOCK_SCOPE_ABI6    UINT64_C(3) /* abstract sockets, signals */

#define LANDLOCK_ASK_VERSION 1u
#define LANDLOCK_BENEATH     1

struct landlock_ruleset {
    uint64_t fs, net, scoped;
};

struct landlock_beneath {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

/* Returns the ABI's number, 0 when there is none. */
static inline int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
                       LANDLOCK_ASK_VERSION);

    return abi < 0 ? 0 : (int)abi;
}

#endif
