/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs.h - a file system in memory, for init, and for the host who brings it.
 */
#ifndef SANDBOX_PROCESS_TMPFS_H
#define SANDBOX_PROCESS_TMPFS_H

#include <stdint.h>

/* A new one, not yet attached, with nothing in it; mode is octal.  Owned, or -1
 * with errno. */
int tmpfs_open(uint64_t size_bytes, uint32_t inodes, const char *mode);

#endif
