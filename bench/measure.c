/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "measure.h"

uint64_t measure_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void samples_add(struct samples *samples, uint64_t value)
{
    if (samples->count == samples->room) {
        samples->room = samples->room > 0 ? samples->room * 2 : 1024;
        samples->values =
            realloc(samples->values, samples->room * sizeof(*samples->values));
        if (samples->values == NULL)
            abort();
    }
    samples->values[samples->count++] = value;
}

void samples_fini(struct samples *samples)
{
    free(samples->values);
    *samples = (struct samples){0};
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

struct figure samples_figure(struct samples *samples)
{
    const uint64_t *v = samples->values;
    size_t n = samples->count;

    if (n == 0)
        return (struct figure){0};
    qsort(samples->values, n, sizeof(*samples->values), compare);
    return (struct figure){
        .median = ((double)v[(n - 1) / 2] + (double)v[n / 2]) / 2,
        .p99 = (double)v[(n * 99 + 99) / 100 - 1], /* nearest rank */
        .count = n};
}

size_t measure_repeats(uint64_t once_ns, uint64_t budget_ns, size_t least,
                       size_t most)
{
    uint64_t fit = budget_ns / (once_ns > 0 ? once_ns : 1);

    return fit < least ? least : fit > most ? most : (size_t)fit;
}

static struct {
    bool known;
    cpu_set_t all;
    unsigned count;
    int first, second;
} cpus;

static void look(void)
{
    if (cpus.known)
        return;
    cpus.known = true;
    cpus.first = cpus.second = -1;
    if (sched_getaffinity(0, sizeof(cpus.all), &cpus.all) < 0)
        return;
    cpus.count = (unsigned)CPU_COUNT(&cpus.all);
    for (int i = 0; i < CPU_SETSIZE && cpus.second < 0; i++) {
        if (!CPU_ISSET((unsigned)i, &cpus.all))
            continue;
        if (cpus.first < 0)
            cpus.first = i;
        else
            cpus.second = i;
    }
}

static void pin(int cpu)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((unsigned)cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
}

static void place(enum place place, int cpu)
{
    look();
    if (place == PLACE_FREE || cpu < 0)
        sched_setaffinity(0, sizeof(cpus.all), &cpus.all);
    else
        pin(cpu);
}

void place_self(enum place where)
{
    look();
    place(where, cpus.first);
}

void place_peer(enum place where)
{
    look();
    place(where, where == PLACE_TWO ? cpus.second : cpus.first);
}

unsigned place_cpus(void)
{
    look();
    return cpus.count;
}

bool place_possible(enum place where)
{
    look();
    return where == PLACE_FREE ||
           (where == PLACE_ONE ? cpus.first : cpus.second) >= 0;
}

const char *place_name(enum place where)
{
    static char names[3][48];
    char *name = names[where];

    look();
    if (where == PLACE_FREE)
        return "not pinned";
    if (!place_possible(where))
        return where == PLACE_ONE ? "one CPU" : "two CPUs";
    if (where == PLACE_ONE)
        snprintf(name, sizeof(names[0]), "both on CPU %d", cpus.first);
    else
        snprintf(name, sizeof(names[0]), "CPU %d and CPU %d", cpus.first,
                 cpus.second);
    return name;
}
