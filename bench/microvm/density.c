/* SPDX-License-Identifier: Apache-2.0 */
/*
 * density.c - how many actors one process holds, each in a micro-VM of its own.
 *
 * Each actor is a key of a script whose sandboxes are never wiped: its first
 * call makes a clone, which keeps its state from then on.  Those that idle are
 * parked, and then suspended, by the pool itself.  What they cost is asked of
 * the kernel: Pss counts what they share once.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "bench.h"

#define EDGE  50 /* calls at either end, for a median */
#define SOME  1000
#define MANY  10000
#define AGAIN 200 /* of those that were idle, called once more */

struct use {
    double pss_bytes, available_bytes;
    unsigned maps, fds;
};

struct stage {
    unsigned actors;
    uint64_t made_ns, took_ns; /* without the answers, and with all */
    struct samples first, last, again;
    struct use use;
};

struct density {
    struct stage stages[2];
    struct use before;
    unsigned done; /* stages */
    char why[GBX_ERROR_TEXT_MAX];
};

/* A number of KiB behind a word, in a file of /proc. */
static double kib_of(const char *path, const char *word)
{
    FILE *file = fopen(path, "re");
    char line[200];
    double kib = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, word, strlen(word)) == 0)
            kib = strtod(line + strlen(word), NULL);
    if (file != NULL)
        fclose(file);
    return kib * 1024;
}

static unsigned count_lines(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned lines = 0;
    int c;

    while (file != NULL && (c = getc(file)) != EOF)
        lines += c == '\n';
    if (file != NULL)
        fclose(file);
    return lines;
}

static unsigned count_fds(void)
{
    DIR *all = opendir("/proc/self/fd");
    unsigned count = 0;

    while (all != NULL && readdir(all) != NULL)
        count++;
    if (all != NULL)
        closedir(all);
    return count;
}

static struct use look(void)
{
    return (struct use){.pss_bytes = kib_of("/proc/self/smaps_rollup", "Pss:"),
                        .available_bytes =
                            kib_of("/proc/meminfo", "MemAvailable:"),
                        .maps = count_lines("/proc/self/maps"),
                        .fds = count_fds()};
}

static bool call_actor(struct density *density, struct box *box,
                       unsigned number, struct samples *samples,
                       uint64_t *made_ns)
{
    char key[20];
    struct box_call call = {.number = number, .key = key};
    struct gbx_error err = {0};

    snprintf(key, sizeof(key), "actor %u", number);
    if (!box_call(box, &call, &err)) {
        snprintf(density->why, sizeof(density->why), "%s: %.400s", key,
                 err.what);
        return false;
    }
    if (samples != NULL)
        samples_add(samples, call.answer_ns);
    if (made_ns != NULL)
        *made_ns += call.begin_ns;
    return true;
}

/* Up to so many actors; then some of them are called again, the oldest first.
 */
static bool measure_stage(struct density *density, struct report *report,
                          struct box *box, unsigned from, struct stage *stage)
{
    uint64_t begin_ns = measure_now_ns();

    for (unsigned i = from; i < stage->actors; i++) {
        struct samples *samples = i < from + EDGE             ? &stage->first
                                  : i >= stage->actors - EDGE ? &stage->last
                                                              : NULL;

        report_progress(report, "density: %u actors", i);
        if (!call_actor(density, box, i, samples, &stage->made_ns))
            return false;
    }
    stage->took_ns = measure_now_ns() - begin_ns;
    stage->use = look();
    for (unsigned i = 0; i < AGAIN; i++)
        if (!call_actor(density, box, from + i, &stage->again, NULL))
            return false;
    density->done++;
    return true;
}

static void measure(struct density *density, struct report *report,
                    const struct paths *paths)
{
    struct box_how how = {.script = "echo.py",
                          .isolation = GBX_ISOLATION_MICROVM,
                          .place = PLACE_FREE,
                          .wipe = GBX_WIPE_NEVER,
                          .pool.total_max = MANY + 1};
    struct gbx_error err = {0};
    struct box box;
    unsigned from = 0;

    if (!box_open(&box, paths, &how, &err)) {
        snprintf(density->why, sizeof(density->why), "%s", err.what);
        return;
    }
    /* One makes the template. */
    if (call_actor(density, &box, MANY, NULL, NULL)) {
        density->before = look();
        for (size_t i = 0; i < ARRAY_SIZE(density->stages); i++) {
            struct stage *stage = &density->stages[i];

            if (!measure_stage(density, report, &box, from, stage))
                break;
            from = stage->actors;
        }
    }
    box_close(&box);
}

static const struct report_column columns[] = {
    {"actors", "actors", REPORT_COUNT},
    {"made_ns", "made in", REPORT_TIME},
    {"took_ns", "and answered", REPORT_TIME},
    {"first_ns", "first 50", REPORT_TIME},
    {"last_ns", "last 50", REPORT_TIME},
    {"again_ns", "again", REPORT_TIME},
    {"pss_bytes", "private bytes", REPORT_BYTES},
    {"available_bytes", "all memory", REPORT_BYTES},
    {"maps", "maps", REPORT_COUNT},
    {"fds", "fds", REPORT_COUNT},
};

static double each(double now, double before, const struct stage *stage)
{
    return (now - before) / stage->actors;
}

static void tell_stage(struct report *report, const struct density *density,
                       struct stage *stage)
{
    const struct use *before = &density->before, *now = &stage->use;
    double first_ns = samples_figure(&stage->first).median;
    double last_ns = samples_figure(&stage->last).median;
    double private = each(now->pss_bytes, before->pss_bytes, stage);

    report_row(report);
    report_number(report, "actors", stage->actors);
    report_number(report, "made_ns", (double)stage->made_ns);
    report_number(report, "took_ns", (double)stage->took_ns);
    report_number(report, "first_ns", first_ns);
    report_number(report, "last_ns", last_ns);
    report_number(report, "again_ns", samples_figure(&stage->again).median);
    report_number(report, "pss_bytes", private);
    report_number(report, "available_bytes",
                  each(before->available_bytes, now->available_bytes, stage));
    report_number(report, "maps", now->maps);
    report_number(report, "fds", now->fds);
    if (stage->actors == SOME) {
        report_target(report, "1,000 clones made", REPORT_TIME,
                      (double)stage->made_ns, AT_MOST, 2e9);
        report_target(report, "the last 50 of 1,000 against the first 50",
                      REPORT_TIMES, last_ns / first_ns, AT_MOST, 1.5);
        report_target(report, "private memory of each", REPORT_BYTES,
                      private > 0 ? private : -1, AT_MOST, 1.5 * (1 << 20));
    }
}

static void tell(struct report *report, struct density *density)
{
    report_begin(report, "density", "actors with state, each in its micro-VM",
                 columns, ARRAY_SIZE(columns));
    for (unsigned i = 0; i < density->done; i++)
        tell_stage(report, density, &density->stages[i]);
    if (density->why[0] != '\0')
        report_note(report, "%s", density->why);
    report_note(report,
                "made in: until each is there, asked for one after the other; "
                "and answered: with a call of each, and what the pool does "
                "with those that idle.");
    report_note(report,
                "first 50, last 50: from asking for an actor that is not there "
                "yet to its answer. again: the first 200 of them, after all "
                "others: it is resumed for that.");
    report_note(report, "private bytes (Pss) and all memory (what became "
                        "unavailable, with the kernel's) are of one actor; "
                        "maps and fds of the whole process.");
    report_end(report);
}

bool bench_density(struct report *report, const struct paths *paths)
{
    static struct density density;

    density = (struct density){.stages = {{.actors = SOME}, {.actors = MANY}}};
    measure(&density, report, paths);
    tell(report, &density);
    for (size_t i = 0; i < ARRAY_SIZE(density.stages); i++) {
        samples_fini(&density.stages[i].first);
        samples_fini(&density.stages[i].last);
        samples_fini(&density.stages[i].again);
    }
    return true;
}
