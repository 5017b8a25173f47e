/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.h - the least that KVM can do here, without Glovebox: a virtual machine
 * whose guest touches pages and leaves again by an `out`, in ring 3.
 *
 *  raw_open(&raw, &times, why);
 *  raw_exit(&raw);                    once into the guest and out again
 *  raw_touch(&raw, 0, 64);            that, and 64 pages written to
 *  raw_close(&raw);
 */
#ifndef BENCH_MICROVM_RAW_H
#define BENCH_MICROVM_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAW_WHY_BYTES  160
#define RAW_PAGES      7936u /* that may be touched */
#define RAW_SLOT_BYTES (32ul << 20)
#define RAW_TABLES_AT  (3 * 4096ul) /* an entry for each page of the slot */

struct kvm_run;
struct samples;

struct raw {
    int kvm_fd, vm_fd, cpu_fd;
    struct kvm_run *cpu; /* owned mapping */
    size_t cpu_bytes;
    uint8_t *memory; /* owned mapping of RAW_SLOT_BYTES */
};

struct raw_times {
    uint64_t vm_ns, cpu_ns, slot_ns;
};

/* Returns true and a machine to close, else says why not. */
bool raw_open(struct raw *raw, struct raw_times *times,
              char why[RAW_WHY_BYTES]);
void raw_close(struct raw *raw);

/* With registers, as whoever answers the guest: they are read and set. */
void raw_registers(struct raw *raw, bool wanted);

/* Each returns false when the guest left in another way than it should. */
bool raw_exit(struct raw *raw);
bool raw_touch(struct raw *raw, uint64_t first, uint64_t count);

/* Where the first of the pages that may be touched lies; then all others. */
uint8_t *raw_page(struct raw *raw, uint64_t number);

/* What so many exits take, in a machine of their own; none without KVM. */
void raw_sample_exits(struct samples *samples, size_t count);

/* The host's page comes first. */
void raw_fill(struct raw *raw, uint64_t first, uint64_t count);

#endif
