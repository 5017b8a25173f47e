/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
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

#define LEAST(field, least, most) .field = least,
#define MOST(field, least, most)  .field = most,

static const struct gbx_limits limits_least = {GBX_LIMITS(LEAST)};
static const struct gbx_limits limits_most = {GBX_LIMITS(MOST)};

#undef LEAST
#undef MOST

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
    must(limits_most.message_bytes == GBX_HALF_BYTES_MAX - GBX_ARENA_OFF);
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

int limits_lower(struct gbx_limits *limits, const struct gbx_limits *most,
                 struct gbx_error *err)
{
#define X(field, text)                                                         \
    if (most->field != 0 &&                                                    \
        (limits->field == 0 || limits->field > most->field))                   \
        limits->field = most->field;
    LIMITS(X)
#undef X
    return limits_settle(limits, err);
}
