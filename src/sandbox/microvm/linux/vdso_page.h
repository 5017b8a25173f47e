/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vdso_page.h - what the host tells a guest's vDSO: what a count of the
 * processor's clock means.  Freestanding: guest/vdso includes it, too.
 *
 *   ns = base + ((count - count_base) * scale >> 32)
 *
 * The host writes while the guest stands still, but a task may be interrupted
 * between two of its readings: so it reads `turn` before and after them.
 */
#ifndef SANDBOX_MICROVM_LINUX_VDSO_PAGE_H
#define SANDBOX_MICROVM_LINUX_VDSO_PAGE_H

#include <stdint.h>

struct vdso_page {
    uint32_t turn, zero;
    uint64_t count_base;
    uint64_t scale; /* ns a count, in 1 / 2^32 */
    uint64_t monotonic_ns, real_ns;
};

#endif
