/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vdso.h - the host's side of a guest's own clock (guest/vdso).
 *
 *   physical             + 4096
 *   | struct vdso_page   | image: ELF, linux-vdso.so.1 |
 *
 *  at = vdso_map(&space, &vdso);     AT_SYSINFO_EHDR
 *  vdso_tick(&vdso, ...);               each time before the guest runs on
 *
 * What the guest reads never goes back: where the host's clock turns out to be
 * behind what was told, telling goes on from there, until it has caught up.
 *
 * Threads: the machine's.
 */
#ifndef SANDBOX_MICROVM_LINUX_VDSO_H
#define SANDBOX_MICROVM_LINUX_VDSO_H

#include <stdint.h>

#include "sandbox/microvm/linux/space/space.h"
#include "sandbox/microvm/linux/vdso_page.h"
#include "sandbox/microvm/linux/wake.h"

#define VDSO_BYTES 8192u

struct vdso {
    struct vdso_page *page; /* guest memory, borrowed; NULL: there is none */
    uint64_t physical;
    uint64_t ticked_ns;
};

/*
 * Put it into VDSO_BYTES of guest memory that belongs to nobody else.
 * tsc_khz: how fast the processor counts.
 */
void vdso_init(struct vdso *vdso, uint8_t *host, uint64_t physical,
               uint32_t tsc_khz);

/* Returns the address of the image, or -errno. */
int64_t vdso_map(struct space *space, const struct vdso *vdso);

/* waker: whose clock it tells; now_ns: the host's, monotonic. */
void vdso_tick(struct vdso *vdso, const struct waker *waker, uint64_t now_ns);

#endif
