/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow.c - messages through rows of actors: how many a second, how long one
 * takes, what a large one costs; and what actors cost that do nothing.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "bench.h"
#include "glovebox/flow.h"

#define HOPS    3
#define SMALL   64u
#define LARGE   (16u << 20)
#define LARGES  16
#define ROUNDS  5
#define ONES    2000 /* messages that are alone */
#define NODES   10000
#define IDLE    1000
#define IDLE_NS 1000000000u
#define CALL_NS 60000000000u

enum { NATIVE, PROCESS, MICROVM, LOOKING, WHERES };
static const char *const names[WHERES] = {
    "native", "Python, process", "Python, micro-VM", "the same, and crc32"};
static const size_t counts[WHERES] = {1000000, 5000, 5000, 5000};
static const size_t ones[WHERES] = {ONES, 500, 500, 500};
/* Of large ones: who looks at them has both ways tried first. */
static const int turns[WHERES] = {1, 1, 1, 4};

struct row {
    struct samples rates; /* messages a second */
    struct samples small, large;
    double copied_bytes; /* of a large one, all actors */
    char why[GBX_ERROR_TEXT_MAX];
};

struct bench {
    struct row rows[WHERES];
    struct samples load; /* of NODES nodes, and started */
    double idle_bytes, idle_ns, idle_made_ns;
    char idle_why[GBX_ERROR_TEXT_MAX];
};

/* ---- what arrives ---- */

static atomic_size_t arrived;
static _Atomic uint64_t arrived_ns;

static void take(void *context, const char *port,
                 const struct gbx_message *message)
{
    (void)context;
    (void)port;
    (void)message;
    atomic_store_explicit(&arrived_ns, measure_now_ns(), memory_order_relaxed);
    atomic_fetch_add(&arrived, 1);
}

static int run_pass(void *self, struct gbx_actor *actor)
{
    struct gbx_message m;
    int rc = gbx_actor_input(actor, "in", &m);

    (void)self;
    return rc < 0 ? rc : gbx_actor_send_at(actor, 0, &m);
}

static const char *const ins[] = {"in", NULL}, *const outs[] = {"out", NULL};
static const struct gbx_actor_type pass = {.struct_bytes = sizeof(pass),
                                           .component = "pass",
                                           .inports = ins,
                                           .outports = outs,
                                           .run = run_pass};
static const struct gbx_actor_type *const types[] = {&pass, NULL};

/* ---- a row of actors ---- */

struct line {
    struct gbx_runtime *runtime;
    struct gbx_flow *flow;
};

static void close_line(struct line *line)
{
    gbx_flow_close(line->flow);
    gbx_runtime_close(line->runtime);
    *line = (struct line){.flow = NULL};
}

static int add_row(struct gbx_flow *flow, const char *component, size_t nodes,
                   struct gbx_error *err)
{
    char id[32], before[32];
    int rc = 0;

    for (size_t i = 0; i < nodes && rc == 0; i++) {
        snprintf(id, sizeof(id), "n%zu", i);
        rc = gbx_flow_add_node(flow, id, component, NULL, err);
        if (rc == 0 && i > 0)
            rc = gbx_flow_connect(flow, before, "out", id, "in", err);
        memcpy(before, id, sizeof(id));
    }
    if (rc == 0)
        rc = gbx_flow_add_inport(flow, "in", "n0", "in", err);
    if (rc == 0)
        rc = gbx_flow_add_outport(flow, "out", id, "out", err);
    return rc == 0 ? gbx_flow_start(flow, err) : rc;
}

static int open_line(struct line *line, int where, size_t nodes,
                     const struct paths *paths, struct gbx_error *err)
{
    const struct gbx_runtime_config runtime = {.struct_bytes = sizeof(runtime),
                                               .libexec_dir = paths->libexec};
    const struct gbx_script_config script = {
        .struct_bytes = sizeof(script),
        .isolation =
            where == PROCESS ? GBX_ISOLATION_PROCESS : GBX_ISOLATION_MICROVM};
    struct gbx_flow_config config = {.struct_bytes = sizeof(config),
                                     .script = &script,
                                     .types = types,
                                     .output = take};
    char path[4300];
    int rc = 0;

    *line = (struct line){.flow = NULL};
    snprintf(path, sizeof(path), "%s/scripts/%s.py", paths->bench,
             where == LOOKING ? "look" : "echo");
    if (where != NATIVE)
        rc = gbx_runtime_open(&line->runtime, &runtime, err);
    config.runtime = line->runtime;
    if (rc == 0)
        rc = gbx_flow_open(&line->flow, &config, err);
    if (rc == 0)
        rc = add_row(line->flow, where == NATIVE ? "pass" : path, nodes, err);
    if (rc < 0)
        close_line(line);
    return rc;
}

static bool give(struct line *line, const void *body, size_t bytes)
{
    const struct gbx_message m = {
        .type = GBX_STREAM, .body = body, .body_bytes = bytes};

    return gbx_flow_send(line->flow, "in", &m, measure_now_ns() + CALL_NS,
                         NULL) == 0;
}

/* A room that has been filled: that is not what is measured. */
static bool give_room(struct line *line, void *room, size_t bytes)
{
    const struct gbx_message m = {
        .type = GBX_STREAM, .body = room, .body_bytes = bytes};

    return gbx_flow_send_room(line->flow, "in", room, &m,
                              measure_now_ns() + CALL_NS, NULL) == 0;
}

/* One alone, to its arrival. */
static bool send_one(struct line *line, void *room, size_t bytes,
                     struct samples *samples)
{
    const size_t before = atomic_load(&arrived);
    const uint64_t from_ns = measure_now_ns();

    if (!give_room(line, room, bytes))
        return false;
    while (atomic_load(&arrived) == before)
        if (measure_now_ns() - from_ns > CALL_NS)
            return false;
    samples_add(samples, atomic_load(&arrived_ns) - from_ns);
    return true;
}

/* One after the other.  They are filled ahead: what is sent has been written
 * long ago, whatever its size, and nobody has gone to sleep meanwhile. */
static bool send_ones(struct line *line, const void *body, size_t bytes,
                      size_t count, struct samples *samples)
{
    void **rooms = calloc(count, sizeof(*rooms));
    bool good = rooms != NULL;
    size_t sent = 0;

    for (size_t i = 0; i < count && good; i++) {
        good = gbx_flow_room(line->flow, bytes, &rooms[i], NULL) == 0;
        if (good)
            memcpy(rooms[i], body, bytes);
    }
    while (good && sent < count) {
        good = send_one(line, rooms[sent], bytes, samples);
        rooms[sent++] = NULL;
    }
    for (size_t i = sent; rooms != NULL && i < count; i++)
        gbx_flow_drop_room(line->flow, rooms[i]);
    free(rooms);
    return good;
}

static bool send_many(struct line *line, const void *body, size_t count,
                      struct samples *rates)
{
    const uint64_t from_ns = measure_now_ns();
    bool good = true;

    for (size_t i = 0; i < count && good; i++)
        good = give(line, body, SMALL);
    if (!good || gbx_flow_drain(line->flow, from_ns + CALL_NS) < 0)
        return false;
    samples_add(rates, (uint64_t)((double)count * 1e9 /
                                  (double)(measure_now_ns() - from_ns)));
    return true;
}

static void add_copied(void *context, const struct gbx_node_stats *stats)
{
    *(double *)context += (double)stats->copied_bytes;
}

static double copied(struct line *line)
{
    double bytes = 0;

    gbx_flow_stats(line->flow, add_copied, &bytes);
    return bytes;
}

static void measure(struct bench *bench, int where, const uint8_t *body,
                    const struct paths *paths)
{
    struct row *row = &bench->rows[where];
    struct gbx_error err = {.what = "it stands still"};
    struct line line;
    double before;
    bool good;

    if (row->why[0] != '\0')
        return;
    if (open_line(&line, where, HOPS, paths, &err) < 0) {
        snprintf(row->why, sizeof(row->why), "%s", err.what);
        return;
    }
    good = send_ones(&line, body, SMALL, ones[where] / ROUNDS, &row->small) &&
           send_many(&line, body, counts[where], &row->rates);
    before = copied(&line);
    for (int i = 0; i < turns[where]; i++)
        good = good && send_ones(&line, body, LARGE, LARGES, &row->large);
    row->copied_bytes = (copied(&line) - before) / LARGES / turns[where];
    if (!good)
        snprintf(row->why, sizeof(row->why), "%s", err.what);
    close_line(&line);
}

/* ---- many that do nothing ---- */

static double resident_bytes(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[200];
    double bytes = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "Pss:", 4) == 0)
            bytes = strtod(line + 4, NULL) * 1024;
    if (file != NULL)
        fclose(file);
    return bytes;
}

static double cpu_ns(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return ((double)use.ru_utime.tv_sec + (double)use.ru_stime.tv_sec) * 1e9 +
           ((double)use.ru_utime.tv_usec + (double)use.ru_stime.tv_usec) * 1e3;
}

/* Each script has loaded, and run once. */
static void measure_idle(struct report *report, struct bench *bench,
                         const struct paths *paths)
{
    const double before = resident_bytes();
    const uint64_t from_ns = measure_now_ns();
    const size_t all = atomic_load(&arrived);
    struct gbx_error err = {.what = "it stands still"};
    uint8_t body[SMALL] = {0};
    struct line line;
    double cpu;

    report_progress(report, "flow: %d scripts that do nothing", IDLE);
    if (open_line(&line, MICROVM, IDLE, paths, &err) < 0) {
        snprintf(bench->idle_why, sizeof(bench->idle_why), "%s", err.what);
        return;
    }
    if (!give(&line, body, SMALL) ||
        gbx_flow_drain(line.flow, measure_now_ns() + CALL_NS) < 0 ||
        atomic_load(&arrived) != all + 1) {
        snprintf(bench->idle_why, sizeof(bench->idle_why), "%s", err.what);
        close_line(&line);
        return;
    }
    bench->idle_made_ns = (double)(measure_now_ns() - from_ns);
    sleep(1); /* those that were awake go to sleep */
    cpu = cpu_ns();
    usleep(IDLE_NS / 1000);
    bench->idle_ns = cpu_ns() - cpu;
    bench->idle_bytes = resident_bytes() - before;
    close_line(&line);
}

static void measure_load(struct bench *bench, const struct paths *paths)
{
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t from_ns = measure_now_ns();
        struct line line;

        if (open_line(&line, NATIVE, NODES, paths, NULL) < 0)
            return;
        samples_add(&bench->load, measure_now_ns() - from_ns);
        close_line(&line);
    }
}

/* ---- the report ---- */

static const struct report_column columns[] = {
    {"what", "what", REPORT_TEXT},
    {"per_second", "messages / s", REPORT_COUNT},
    {"n", "n", REPORT_COUNT},
    {"median_ns", "64 B, one", REPORT_TIME},
    {"p99_ns", "p99", REPORT_TIME},
    {"hop_ns", "a hop", REPORT_TIME},
    {"large_ns", "16 MiB, one", REPORT_TIME},
    {"per_small", "/ 64 B", REPORT_TIMES},
    {"copied_bytes", "copied", REPORT_BYTES},
};

static void tell_rows(struct report *report, struct bench *bench)
{
    for (int where = 0; where < WHERES; where++) {
        struct row *row = &bench->rows[where];
        struct figure rate = samples_figure(&row->rates);
        struct figure small = samples_figure(&row->small);
        struct figure large = samples_figure(&row->large);

        report_row(report);
        report_text(report, "what", names[where]);
        if (row->why[0] != '\0') {
            report_note(report, "%s: %s", names[where], row->why);
            continue;
        }
        report_number(report, "per_second", rate.median);
        report_figure(report, &small);
        report_number(report, "hop_ns", small.median / HOPS);
        report_number(report, "large_ns", large.median);
        report_ratio(report, "per_small", large.median, small.median);
        report_number(report, "copied_bytes", row->copied_bytes);
    }
}

static double nanoseconds_each(struct row *row)
{
    struct figure rate = samples_figure(&row->rates);

    return rate.median > 0 ? 1e9 / rate.median : 0;
}

static void tell_targets(struct report *report, struct bench *bench)
{
    struct row *native = &bench->rows[NATIVE], *vm = &bench->rows[MICROVM];
    struct figure small = samples_figure(&vm->small);
    struct figure large = samples_figure(&vm->large);

    report_target(report, "three in C: a message (a million a second)",
                  REPORT_TIME, nanoseconds_each(native), AT_MOST, 1000);
    report_target(report, "three in C: one message, a hop", REPORT_TIME,
                  samples_figure(&native->small).median / HOPS, AT_MOST, 5000);
    report_target(report, "three micro-VMs: a message (10,000 a second)",
                  REPORT_TIME, nanoseconds_each(vm), AT_MOST, 100000);
    report_target(report, "three micro-VMs: 16 MiB against 64 B", REPORT_TIMES,
                  small.median > 0 ? large.median / small.median : 0, AT_MOST,
                  1.2);
    report_target(report, "10,000 nodes, made and started", REPORT_TIME,
                  samples_figure(&bench->load).median, AT_MOST, 2e9);
    if (bench->idle_why[0] != '\0') {
        report_note(report, "idle scripts: %s", bench->idle_why);
        return;
    }
    report_note(report, "%d idle scripts: made, and run once, in %.1f s", IDLE,
                bench->idle_made_ns / 1e9);
    report_target(report, "1,000 idle scripts: memory", REPORT_BYTES,
                  bench->idle_bytes, AT_MOST, 2.0 * (1u << 30));
    report_target(report, "1,000 idle scripts: CPU time of a second",
                  REPORT_TIME, bench->idle_ns + 1, AT_MOST, 1e7);
}

bool bench_flow(struct report *report, const struct paths *paths)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    uint8_t *body = calloc(1, LARGE);
    bool good;

    if (bench == NULL || body == NULL)
        return false;
    for (int round = 0; round < ROUNDS; round++)
        for (int where = 0; where < WHERES; where++) {
            report_progress(report, "flow: round %d of %d, %s", round + 1,
                            ROUNDS, names[where]);
            measure(bench, where, body, paths);
        }
    measure_load(bench, paths);
    measure_idle(report, bench, paths);
    report_begin(report, "flow", "three actors in a row", columns,
                 ARRAY_SIZE(columns));
    tell_rows(report, bench);
    tell_targets(report, bench);
    report_end(report);
    good = bench->rows[NATIVE].rates.count > 0;
    for (int where = 0; where < WHERES; where++) {
        samples_fini(&bench->rows[where].rates);
        samples_fini(&bench->rows[where].small);
        samples_fini(&bench->rows[where].large);
    }
    samples_fini(&bench->load);
    free(body);
    free(bench);
    return good;
}
