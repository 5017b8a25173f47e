/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - the wall: an address of the module becomes memory here, and
 * nowhere else. */
#include <endian.h>
#include <string.h>

#include "sandbox/wasm/wasi/inner.h"

#define ONCE_BYTES 0x7ffff000u /* as Linux: in one read or write */

_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "as WebAssembly has it");

void *wasi_reach(const struct wasi_memory *memory, uint64_t at, uint64_t bytes)
{
    if (at > memory->bytes || bytes > memory->bytes - at)
        return NULL;
    return memory->data + at;
}

int wasi_copy_in(const struct wasi_memory *memory, void *to, uint64_t at,
                 uint64_t bytes)
{
    const void *from = wasi_reach(memory, at, bytes);

    if (from == NULL)
        return -EFAULT;
    if (bytes > 0)
        memcpy(to, from, bytes);
    return 0;
}

int wasi_copy_out(const struct wasi_memory *memory, uint64_t at,
                  const void *from, uint64_t bytes)
{
    void *to = wasi_reach(memory, at, bytes);

    if (to == NULL)
        return -EFAULT;
    if (bytes > 0)
        memcpy(to, from, bytes);
    return 0;
}

int wasi_put_u32(const struct wasi_memory *memory, uint64_t at, uint32_t value)
{
    return wasi_copy_out(memory, at, &value, sizeof(value));
}

int wasi_put_u64(const struct wasi_memory *memory, uint64_t at, uint64_t value)
{
    return wasi_copy_out(memory, at, &value, sizeof(value));
}

int wasi_pieces(const struct wasi_memory *memory, uint64_t at, uint32_t count,
                struct wasi_pieces *pieces)
{
    pieces->count = 0;
    pieces->bytes = 0;
    if (count > WASI_PIECES_MAX)
        return -EINVAL;
    if (wasi_reach(memory, at, 8ull * count) == NULL)
        return -EFAULT;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t raw[2]; /* where, and how many bytes */
        struct iovec *piece = &pieces->all[pieces->count];

        wasi_copy_in(memory, raw, at + 8ull * i, sizeof(raw));
        piece->iov_base = wasi_reach(memory, raw[0], raw[1]);
        piece->iov_len = raw[1];
        if (piece->iov_base == NULL)
            return -EFAULT;
        if (piece->iov_len > ONCE_BYTES - pieces->bytes)
            piece->iov_len = ONCE_BYTES - pieces->bytes;
        pieces->bytes += piece->iov_len;
        pieces->count += piece->iov_len > 0;
    }
    return 0;
}

int wasi_path(const struct wasi_memory *memory, uint64_t at, uint32_t bytes,
              char path[WASI_PATH_MAX])
{
    if (wasi_reach(memory, at, bytes) == NULL)
        return -EFAULT;
    if (bytes >= WASI_PATH_MAX)
        return -ENAMETOOLONG;
    wasi_copy_in(memory, path, at, bytes);
    path[bytes] = '\0';
    return strlen(path) == bytes ? 0 : -EINVAL;
}
