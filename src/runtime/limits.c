/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "runtime/runtime.h"

static const struct gbx_limits limits_default = {
    .memory_bytes = 256ull << 20,
    .message_bytes = 1ull << 30,
    .cpu_ns = 0,
    .output_bytes = 16ull << 20,
    .disk_bytes = 64ull << 20,
    .processes = 64,
    .files = 256,
};

/* Below this no language starts. */
static const struct gbx_limits limits_least = {
    .memory_bytes = 16ull << 20,
    .message_bytes = 2ull << 20,
    .cpu_ns = 1000000000,
    .output_bytes = 1,
    .disk_bytes = 4096,
    .processes = 1,
    .files = 8,
};

/* Above these, sums of them might wrap. */
static const struct gbx_limits limits_most = {
    .memory_bytes = 1ull << 45,
    .message_bytes = GBX_HALF_BYTES_MAX - GBX_ARENA_OFF,
    .cpu_ns = 1000000000ull * 86400 * 3650,
    .output_bytes = 1ull << 45,
    .disk_bytes = 1ull << 45,
    .processes = 1u << 22,
    .files = 1u << 20,
};

/* X(field, what a person calls it): limits that have a default and a least. */
#define LIMITS(X)                                                              \
    X(memory_bytes, "memory limit")                                            \
    X(message_bytes, "message limit")                                          \
    X(cpu_ns, "CPU time limit (ns)")                                           \
    X(output_bytes, "output limit")                                            \
    X(disk_bytes, "disk limit")                                                \
    X(processes, "process limit")                                              \
    X(files, "open files limit")

int limits_settle(struct gbx_limits *limits, struct gbx_error *err)
{
#define X(field, text)                                                         \
    if (limits->field == 0)                                                    \
        limits->field = limits_default.field;                                  \
    else if (limits->field < limits_least.field)                               \
        return fail(err, GBX_EARGUMENT,                                        \
                    "the %s of %llu is too small: at least %llu", text,        \
                    (unsigned long long)limits->field,                         \
                    (unsigned long long)limits_least.field);                   \
    else if (limits->field > limits_most.field)                                \
        return fail(err, GBX_EARGUMENT,                                        \
                    "the %s of %llu is too large: at most %llu", text,         \
                    (unsigned long long)limits->field,                         \
                    (unsigned long long)limits_most.field);
    LIMITS(X)
#undef X
    return 0;
}
