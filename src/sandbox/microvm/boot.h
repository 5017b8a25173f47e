/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.h - the guest's kernel: five pages, and what the processor is told.
 *
 *  BOOT_AT  +-------------------------------------------------+
 *    +0     | descriptors (GDT), task state (TSS)   ring 0    |
 *    +1     | interrupt table (IDT)                 ring 0    |
 *    +2     | a stub for each exception, iretq      ring 0, X |
 *    +3     | the gate of system calls           any ring, X  |
 *    +4     | stack; its end is struct boot_frame   ring 0, W |
 *           +-------------------------------------------------+
 *
 * It does nothing but leave: each stub is an `out` to a port of its own.  What
 * is done about it is done by the host (run.c).
 */
#ifndef SANDBOX_MICROVM_BOOT_H
#define SANDBOX_MICROVM_BOOT_H

#include <stdint.h>

#include "glovebox/error.h"

#include "sandbox/microvm/machine.h"
#include "sandbox/microvm/tables.h"

#define BOOT_AT    0xffffffff80000000ull
#define BOOT_PAGES 5
#define BOOT_BYTES (BOOT_PAGES * MEMORY_PAGE_BYTES)

#define BOOT_VECTORS    32
#define BOOT_STUB_BYTES 4
#define BOOT_STUBS_AT   (BOOT_AT + 2 * MEMORY_PAGE_BYTES)
#define BOOT_IRETQ_AT   (BOOT_STUBS_AT + BOOT_VECTORS * BOOT_STUB_BYTES)
#define BOOT_GATE_AT    (BOOT_AT + 3 * MEMORY_PAGE_BYTES)
#define BOOT_OUT_BYTES  2 /* of `out %al, $port` */

/* Ports.  (0x7e is special to KVM.) */
#define BOOT_PORT_BELL      0x10
#define BOOT_PORT_GATE      0x11
#define BOOT_PORT_EXCEPTION 0x20 /* + vector */

/* Selectors of ring 3, and of ring 0 with STAR's order. */
#define BOOT_KERNEL_CODE 0x10
#define BOOT_USER_DATA   0x2b
#define BOOT_USER_CODE   0x33

/*
 * What the processor pushes at an exception; error only at some vectors.  It
 * is at the very end of the stack.
 */
struct boot_frame {
    uint64_t error, rip, cs, rflags, rsp, ss;
};

#define BOOT_FRAME_AT (BOOT_AT + BOOT_BYTES - sizeof(struct boot_frame))

/*
 * Write the pages to guest-physical `physical`, map them, and prepare the
 * processor for ring 3 with these tables.  machine_load says where it starts.
 * Returns 0, GBX_EBOUNDS, GBX_EMEMORY, GBX_EHOST or GBX_EUNSUPPORTED.
 */
int boot_open(struct machine *machine, struct tables *tables, uint64_t physical,
              struct gbx_error *err);

/* The same for memory in which the pages are already, mapped by its tables. */
int boot_attach(struct machine *machine, const struct tables *tables,
                uint64_t physical, struct gbx_error *err);

#endif
