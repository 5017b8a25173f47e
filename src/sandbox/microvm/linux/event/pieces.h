/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pieces.h - bytes that lie in several pieces, as readv and writev have them.
 *
 * Threads: any.
 */
#ifndef SANDBOX_MICROVM_LINUX_EVENT_PIECES_H
#define SANDBOX_MICROVM_LINUX_EVENT_PIECES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define PIECES_BYTES_MAX 0x7ffff000u /* Linux's MAX_RW_COUNT */

/* How many bytes they are, at most PIECES_BYTES_MAX. */
uint32_t pieces_bytes(const struct iovec *pieces, int count);

/* Copy the bytes [off, off + bytes) of them, which they must have. */
void pieces_gather(void *to, const struct iovec *pieces, int count, size_t off,
                   size_t bytes);
void pieces_scatter(const struct iovec *pieces, int count, size_t off,
                    const void *from, size_t bytes);

#endif
