/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h - the parts.  Each measures Glovebox and what it is compared
 * with one after the other, so that both meet the same machine.
 *
 * Each returns false when Glovebox itself could not be measured; what else
 * could not is said in a note.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "box.h"
#include "report.h"

bool bench_call(struct report *report, const struct paths *paths);
bool bench_payload(struct report *report, const struct paths *paths);
bool bench_start(struct report *report, const struct paths *paths);
bool bench_languages(struct report *report, const struct paths *paths);
bool bench_flow(struct report *report, const struct paths *paths);
bool bench_wasm(struct report *report, const struct paths *paths);
bool bench_serve(struct report *report, const struct paths *paths);
bool bench_nats(struct report *report, const struct paths *paths);
bool bench_image(struct report *report, const struct paths *paths);

/* Without KVM they say so, and return true. */
bool bench_floor(struct report *report, const struct paths *paths);
bool bench_isolation(struct report *report, const struct paths *paths);
bool bench_wipe(struct report *report, const struct paths *paths);
bool bench_written(struct report *report, const struct paths *paths);
bool bench_density(struct report *report, const struct paths *paths);
bool bench_compute(struct report *report, const struct paths *paths);

#endif
