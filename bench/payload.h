/* SPDX-License-Identifier: Apache-2.0 */
/* payload.h - what the two halves of the payload part share. */
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include "baseline/baseline.h"
#include "bench.h"

/* Two of the sizes have targets. */
enum { PAYLOAD_SMALL = 0, PAYLOAD_LARGE = 3, PAYLOADS = 5 };

extern const size_t payload_sizes[PAYLOADS];
extern const char *const payload_names[PAYLOADS];

#define PAYLOAD_BUDGET_NS 1500000000ull /* for one series of calls */

struct payload_body {
    unsigned char *bytes, *other; /* owned; as large as the largest size */
};

struct payload_result {
    struct figure call, fill;
    double handler_ns, copied_bytes;
    char why[GBX_ERROR_TEXT_MAX]; /* it could not be measured */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The sum that read.py makes. */
int64_t payload_sum(const unsigned char *bytes, size_t count);

/* All sizes through one server, until one call would take too long. */
void payload_measure_sockets(struct report *report, const struct paths *paths,
                             const struct payload_body *body,
                             const char *script, enum baseline_form form,
                             struct figure *figures);

/* The table; results are Glovebox's own. */
void payload_bench_sockets(struct report *report, const struct paths *paths,
                           const struct payload_body *body,
                           const struct payload_result *results);

#endif
