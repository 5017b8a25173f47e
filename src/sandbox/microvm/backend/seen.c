/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "glovebox/error.h"
#include "sandbox/microvm/memory.h"
#include "sandbox/microvm/backend/seen.h"

#define PLACES  16u
#define PRESENT (1ull << 63)

int seen_sixteenths(const uint8_t *host, uint64_t bytes)
{
    const uint64_t first = (uintptr_t)host / MEMORY_PAGE_BYTES,
                   pages = bytes / MEMORY_PAGE_BYTES;
    auto_fd int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    int seen = 0;

    for (uint64_t i = 0; i < PLACES; i++) {
        uint64_t entry, page = first + (2 * i + 1) * pages / (2 * PLACES);

        if (pagemap < 0 ||
            pread(pagemap, &entry, sizeof(entry),
                  (off_t)(page * sizeof(entry))) != (ssize_t)sizeof(entry))
            return GBX_EHOST;
        seen += (entry & PRESENT) != 0;
    }
    return seen;
}
