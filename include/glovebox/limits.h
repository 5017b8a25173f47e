/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/limits.h - how much a script, or a program, may take.
 *
 * Included by glovebox/runtime.h.  They hold for each sandbox alike, whatever
 * isolates it; what meets one is told by its code (GBX_EMEMORY, GBX_ECPU, ...).
 *
 *  config.limits = (struct gbx_limits){.memory_bytes = 64 << 20,
 *                                      .cpu_ns = 5000000000};
 */
#ifndef GBX_LIMITS_H
#define GBX_LIMITS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero in any field means the default. */
struct gbx_limits {
    uint64_t memory_bytes;  /* private memory, default 256 MiB */
    uint64_t message_bytes; /* one arena; largest message; default 1 GiB */
    uint64_t cpu_ns;       /* CPU time since open, at least 1 s; default none */
    uint64_t output_bytes; /* printed in one call; default 16 MiB */
    uint64_t disk_bytes;   /* private /tmp; default 64 MiB */
    uint32_t processes;    /* and threads, in all; default 64 */
    uint32_t files;        /* open at once, a process; default 256 */
};

/* X(field, least, most): below, no language starts; above, sums might wrap. */
#define GBX_LIMITS(X)                                                          \
    X(memory_bytes, 16ull << 20, 1ull << 45)                                   \
    X(message_bytes, 2ull << 20, (16ull << 30) - (2ull << 20))                 \
    X(cpu_ns, 1000000000ull, 1000000000ull * 86400 * 3650)                     \
    X(output_bytes, 1, 1ull << 45)                                             \
    X(disk_bytes, 4096, 1ull << 45)                                            \
    X(processes, 1, 1u << 22)                                                  \
    X(files, 8, 1u << 20)

#ifdef __cplusplus
}
#endif

#endif
