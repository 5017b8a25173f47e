/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window.c - the region at the end of the module's 4 GiB of addresses.
 *
 *   0                 size          window_at              4 GiB
 *   | the module's memory |  zeros   | host half | guest half |
 *
 * The kernel's own protection is not relied on: a fault would be the caller's.
 * The module's compiled code lets it write only in its memory and in what
 * exists of its half, and read in all of the region.  What does not exist yet
 * of a half is private memory of zeros, which nobody writes; the file is mapped
 * over it as far as it reaches, and anew where it has grown.
 */
#include <errno.h>
#include <sys/mman.h>

#include "base/error.h"
#include "channel/region.h"
#include "sandbox/wasm/backend/wasm.h"

uint64_t wasm_window_bytes(const struct region *shared)
{
    return shared != NULL ? 2 * shared->half_bytes : 0;
}

static int map_file(uint8_t *at, uint64_t bytes, int how, int fd, uint64_t off)
{
    return mmap(at, bytes, how, MAP_SHARED | MAP_FIXED, fd, (off_t)off) == at
               ? 0
               : GBX_EHOST;
}

/* [from, to) of a half. */
static int map_half(const struct wasm *self, enum half half, uint64_t from,
                    uint64_t to)
{
    const struct region *shared = self->shared;
    uint8_t *at = self->instance.memory_at + self->window_at +
                  (uint64_t)half * shared->half_bytes + from;
    const int fd = half == HALF_HOST ? shared->host_read_fd : shared->fd[half];
    const int how = half == HALF_HOST ? PROT_READ : PROT_READ | PROT_WRITE;

    return map_file(at, to - from, how, fd, from);
}

int wasm_map(struct wasm *self, struct gbx_error *err)
{
    struct wasm_context *context = &self->instance.context;
    const struct region *shared = self->shared;

    self->mapped[HALF_HOST] = self->mapped[HALF_GUEST] = 0;
    if (shared == NULL)
        return 0;
    self->window_at = INSTANCE_ADDRESSES - wasm_window_bytes(shared);
    context->readable = (struct wasm_window){
        .at = self->window_at, .bytes = wasm_window_bytes(shared)};
    context->writable.at = self->window_at + shared->half_bytes;
    return wasm_reach(self) < 0
               ? fail(err, GBX_EHOST, "map the region for a module")
               : 0;
}

int wasm_borrow(void *context, uint64_t off, uint64_t bytes, int fd,
                uint64_t at)
{
    struct wasm *self = context;
    uint8_t *host = self->instance.memory_at + self->window_at + off;

    if (fd < 0)
        return map_half(self, HALF_HOST, off, off + bytes);
    if (wasm_reach(self) < 0) /* or it would be mapped over later */
        return GBX_EHOST;
    return map_file(host, bytes, PROT_READ, fd, at);
}

/* Only when an arena has grown is there anything to do. */
int wasm_reach(struct wasm *self)
{
    if (self->shared == NULL)
        return 0;
    for (enum half half = HALF_HOST; half < HALF_COUNT; half++) {
        uint64_t there = GBX_ARENA_OFF + self->shared->arena_bytes[half];

        if (there <= self->mapped[half])
            continue;
        if (map_half(self, half, self->mapped[half], there) < 0)
            return GBX_EHOST;
        self->mapped[half] = there;
    }
    self->instance.context.writable.bytes =
        GBX_ARENA_OFF + self->shared->arena_bytes[HALF_GUEST];
    return 0;
}
