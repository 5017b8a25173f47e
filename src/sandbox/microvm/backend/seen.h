/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen.h - has a guest looked at memory that it was shown?  The host's kernel
 * says where it had to bring pages for it.
 *
 * Threads: any.
 */
#ifndef SANDBOX_MICROVM_BACKEND_SEEN_H
#define SANDBOX_MICROVM_BACKEND_SEEN_H

#include <stdint.h>

/*
 * Of [host, host + bytes), whole pages of a shared mapping that nobody in this
 * process looks at: in how many of 16 places, evenly apart.  A kernel that
 * brings some pages at once (fault_around_bytes) makes it more.
 * Returns 0 to 16, or GBX_EHOST: nobody tells.
 */
int seen_sixteenths(const uint8_t *host, uint64_t bytes);

#endif
