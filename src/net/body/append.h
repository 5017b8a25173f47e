/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append.h - a buffer that grows as what comes does.
 *
 * Threads: one at a time.  Memory: malloc's, the caller's to free.
 */
#ifndef NET_BODY_APPEND_H
#define NET_BODY_APPEND_H

#include <stddef.h>
#include <stdint.h>

/* Bytes at the end of a buffer that grows to `most` (and one more, for a zero).
 * Returns 0, GBX_ELIMIT or GBX_EHOST. */
int net_append(uint8_t **buffer, size_t *count, size_t *room, uint64_t most,
               const void *data, size_t bytes);

#endif
