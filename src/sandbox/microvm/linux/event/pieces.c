/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/check.h"
#include "sandbox/microvm/linux/event/pieces.h"

uint32_t pieces_bytes(const struct iovec *pieces, int count)
{
    size_t bytes = 0;

    for (int i = 0; i < count; i++) {
        if (pieces[i].iov_len > PIECES_BYTES_MAX - bytes)
            return PIECES_BYTES_MAX;
        bytes += pieces[i].iov_len;
    }
    return (uint32_t)bytes;
}

/* The next run of bytes at *off, of one piece; moves on to the one behind. */
static char *next_run(const struct iovec **pieces, const struct iovec *end,
                      size_t *off, size_t *bytes)
{
    char *run;

    while (*pieces < end && *off >= (*pieces)->iov_len)
        *off -= (*pieces)++->iov_len;
    must(*pieces < end);
    run = (char *)(*pieces)->iov_base + *off;
    if (*bytes > (*pieces)->iov_len - *off)
        *bytes = (*pieces)->iov_len - *off;
    *off += *bytes;
    return run;
}

void pieces_gather(void *to, const struct iovec *pieces, int count, size_t off,
                   size_t bytes)
{
    const struct iovec *end = pieces + count;
    char *at = to;

    while (bytes > 0) {
        size_t n = bytes;
        const char *run = next_run(&pieces, end, &off, &n);

        memcpy(at, run, n);
        at += n, bytes -= n;
    }
}

void pieces_scatter(const struct iovec *pieces, int count, size_t off,
                    const void *from, size_t bytes)
{
    const struct iovec *end = pieces + count;
    const char *at = from;

    while (bytes > 0) {
        size_t n = bytes;
        char *run = next_run(&pieces, end, &off, &n);

        memcpy(run, at, n);
        at += n, bytes -= n;
    }
}
