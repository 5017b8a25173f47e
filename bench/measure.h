/* SPDX-License-Identifier: Apache-2.0 */
/* measure.h - the clock, the statistics, and who runs on which CPU. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t measure_now_ns(void);

/* What was measured, one number for each repetition.  Zero is "none yet". */
struct samples {
    uint64_t *values; /* owned */
    size_t count, room;
};

struct figure {
    double median, p99;
    size_t count; /* 0: not measured */
};

void samples_add(struct samples *samples, uint64_t value);
void samples_fini(struct samples *samples);

/* Sorts them. */
struct figure samples_figure(struct samples *samples);

/* How many repetitions fit in budget_ns, when one takes once_ns. */
size_t measure_repeats(uint64_t once_ns, uint64_t budget_ns, size_t least,
                       size_t most);

/*
 * Where the two sides of a conversation run.  A new process inherits the
 * placement of who starts it, and this is how a sandbox is placed too:
 *
 *  place_peer(place);    then start the peer
 *  place_self(place);    then measure
 *  place_self(PLACE_FREE);
 */
enum place {
    PLACE_FREE, /* as the scheduler likes, on all CPUs that we may use */
    PLACE_ONE,  /* both on one CPU: a wake-up crosses no border */
    PLACE_TWO   /* each on its own */
};

void place_peer(enum place place);
void place_self(enum place place);

/* Are there CPUs enough? */
bool place_possible(enum place place);
unsigned place_cpus(void);

/* "CPU 0 both", for a table; static storage. */
const char *place_name(enum place place);

#endif
