/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <x86intrin.h>

#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/vdso.h"

#include "vdso_image.h"

#define EACH_NS 10000000u /* what is told is not older */

_Static_assert(sizeof(vdso_image) <= VDSO_BYTES - SPACE_PAGE_BYTES,
               "its pages hold it");

void vdso_init(struct vdso *vdso, uint8_t *host, uint64_t physical,
               uint32_t tsc_khz)
{
    *vdso = (struct vdso){.page = (struct vdso_page *)(void *)host,
                          .physical = physical};
    memcpy(host + SPACE_PAGE_BYTES, vdso_image, sizeof(vdso_image));
    vdso->page->scale = (1000000ull << 32) / tsc_khz;
}

int64_t vdso_map(struct space *space, const struct vdso *vdso)
{
    struct space_request request = {
        .bytes = VDSO_BYTES,
        .access = TABLES_READ,
        .kind = AREA_PHYSICAL,
        .name = "[vvar]",
        .off = vdso->physical,
    };
    int64_t at = space_map(space, &request);

    if (at < 0)
        return at;
    request.address = (uint64_t)at + SPACE_PAGE_BYTES;
    request.bytes = VDSO_BYTES - SPACE_PAGE_BYTES;
    request.access = TABLES_READ | TABLES_EXEC;
    request.fixed = request.replace = true;
    request.name = "[vdso]";
    request.off += SPACE_PAGE_BYTES;
    return space_map(space, &request);
}

void vdso_tick(struct vdso *vdso, const struct waker *waker, uint64_t now_ns)
{
    struct vdso_page *page = vdso->page;
    uint64_t count, told;

    if (page == NULL || now_ns - vdso->ticked_ns < EACH_NS)
        return;
    count = __rdtsc();
    now_ns = waker_now_ns(waker, CLOCK_MONOTONIC);
    told = page->monotonic_ns +
           (uint64_t)((unsigned __int128)(count - page->count_base) *
                          page->scale >>
                      32);
    if (vdso->ticked_ns != 0 && told > now_ns)
        now_ns = told;
    page->turn++;
    page->count_base = count;
    page->monotonic_ns = now_ns;
    page->real_ns = waker_now_ns(waker, CLOCK_REALTIME);
    vdso->ticked_ns = now_ns;
}
