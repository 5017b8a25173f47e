/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasm.c - modules of WebAssembly: what a call, an instance and a load cost,
 * and how fast their code is against the same C compiled for this machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "bench.h"
#include "glovebox/wasm.h"
#include "wasm/kernels.h"

#define ROUNDS 7
#define BATCH  1000 /* calls between two looks at the clock */

struct kernel {
    const char *name, *export;
    uint32_t (*here)(uint32_t);
    uint32_t argument;
    struct samples native, wasm; /* CPU time */
};

struct wasm_bench {
    struct gbx_wasm_config config;
    char file[4300], large[4300]; /* small, and one of the usual size */
    char cache[64];
    struct gbx_wasm *module;
    struct kernel kernels[3];
    struct samples calls, instances, first, second;
    struct gbx_error err;
};

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The artefact once more, as a file of its own: the loader knows those that it
 * has seen. */
static bool load_again(struct wasm_bench *b, const char *artefact)
{
    char copy[128];
    struct gbx_wasm *module;
    uint64_t from_ns;

    snprintf(copy, sizeof(copy), "%s/copy.gbx", b->cache);
    if (gbx_wasm_build(artefact, copy, 0, &b->config, &b->err) < 0)
        return false;
    from_ns = measure_now_ns();
    if (gbx_wasm_open(&module, copy, &b->config, &b->err) < 0)
        return false;
    samples_add(&b->second, measure_now_ns() - from_ns);
    gbx_wasm_close(module);
    unlink(copy);
    return true;
}

static bool load(struct wasm_bench *b)
{
    char artefact[128];
    uint64_t from_ns = measure_now_ns();

    snprintf(artefact, sizeof(artefact), "%s/first.gbx", b->cache);
    if (gbx_wasm_build(b->large, artefact, 0, &b->config, &b->err) < 0)
        return false;
    samples_add(&b->first, measure_now_ns() - from_ns);
    for (int i = 0; i < 50; i++)
        if (!load_again(b, artefact))
            return false;
    unlink(artefact);
    return gbx_wasm_open(&b->module, b->file, &b->config, &b->err) == 0;
}

static bool call_often(struct wasm_bench *b)
{
    struct gbx_wasm_instance *instance;
    uint64_t cells[1] = {0}, from_ns, deadline_ns;
    uint32_t nothing;
    int rc = 0;

    if (gbx_wasm_find(b->module, "kernel_nothing", "i:i", &nothing, &b->err) <
            0 ||
        gbx_wasm_start(&instance, b->module, NULL, &b->err) < 0)
        return false;
    for (int i = 0; i < 200 && rc == 0; i++) {
        from_ns = measure_now_ns();
        deadline_ns = from_ns + 1000000000u;
        for (int j = 0; j < BATCH && rc == 0; j++)
            rc = gbx_wasm_call(instance, nothing, cells, deadline_ns, &b->err);
        samples_add(&b->calls, (measure_now_ns() - from_ns) * 1000 / BATCH);
    }
    gbx_wasm_stop(instance);
    return rc == 0;
}

static bool open_often(struct wasm_bench *b)
{
    struct gbx_wasm_instance *instance;
    uint32_t nothing;
    int rc;

    if (gbx_wasm_find(b->module, "kernel_nothing", "i:i", &nothing, &b->err) <
        0)
        return false;
    for (int i = 0; i < 1000; i++) {
        uint64_t cells[1] = {0}, from_ns = measure_now_ns();

        if (gbx_wasm_start(&instance, b->module, NULL, &b->err) < 0)
            return false;
        rc = gbx_wasm_call(instance, nothing, cells, 0, &b->err);
        gbx_wasm_stop(instance);
        samples_add(&b->instances, measure_now_ns() - from_ns);
        if (rc < 0)
            return false;
    }
    return true;
}

static bool compute(struct wasm_bench *b, struct kernel *kernel)
{
    struct gbx_wasm_instance *instance;
    uint64_t cells[1] = {kernel->argument}, from_ns = cpu_ns();
    uint32_t function, want = kernel->here(kernel->argument);
    int rc;

    samples_add(&kernel->native, cpu_ns() - from_ns);
    if (gbx_wasm_find(b->module, kernel->export, "i:i", &function, &b->err) <
            0 ||
        gbx_wasm_start(&instance, b->module, NULL, &b->err) < 0)
        return false;
    from_ns = cpu_ns();
    rc = gbx_wasm_call(instance, function, cells, 0, &b->err);
    samples_add(&kernel->wasm, cpu_ns() - from_ns);
    gbx_wasm_stop(instance);
    /* Of the bodies, two compilers' roundings differ in the end. */
    must(rc < 0 || cells[0] == want || kernel->here == kernel_bodies);
    return rc == 0;
}

static bool measure(struct report *report, struct wasm_bench *b)
{
    report_progress(report, "wasm: compiling");
    if (!load(b) || !call_often(b) || !open_often(b))
        return false;
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < ARRAY_SIZE(b->kernels); i++) {
            report_progress(report, "wasm: round %d of %d, %s", round + 1,
                            ROUNDS, b->kernels[i].name);
            if (!compute(b, &b->kernels[i]))
                return false;
        }
    return true;
}

static const struct report_column columns[] = {
    {"what", "what", REPORT_TEXT},
    {"n", "n", REPORT_COUNT},
    {"median_ns", "median", REPORT_TIME},
    {"p99_ns", "p99", REPORT_TIME},
    {"native_ns", "native", REPORT_TIME},
    {"per_native", "/ native", REPORT_TIMES},
};

static double tell_row(struct report *report, const char *what,
                       struct samples *samples, double scale)
{
    struct figure figure = samples_figure(samples);

    figure.median *= scale;
    figure.p99 *= scale;
    report_row(report);
    report_text(report, "what", what);
    report_figure(report, &figure);
    return figure.median;
}

static void tell(struct report *report, struct wasm_bench *b)
{
    double call, instance, second, ratios[3];
    struct stat st = {0};
    char what[80];

    stat(b->large, &st);
    report_begin(report, "wasm", "modules of WebAssembly in the calling thread",
                 columns, ARRAY_SIZE(columns));
    call = tell_row(report, "call of an exported function", &b->calls, 1e-3);
    instance = tell_row(report, "open, call, close", &b->instances, 1);
    snprintf(what, sizeof(what), "load of %lld KB, compiled",
             (long long)st.st_size / 1000);
    tell_row(report, what, &b->first, 1);
    second = tell_row(report, "the same, compiled before", &b->second, 1);
    for (size_t i = 0; i < ARRAY_SIZE(b->kernels); i++) {
        struct kernel *kernel = &b->kernels[i];
        double native = samples_figure(&kernel->native).median;
        double wasm = tell_row(report, kernel->name, &kernel->wasm, 1);

        report_number(report, "native_ns", native);
        report_ratio(report, "per_native", wasm, native);
        ratios[i] = native > 0 ? wasm / native : 0;
    }
    report_note(report, "native: the same C, gcc -O2; CPU time.");
    report_target(report, "call of an exported function", REPORT_TIME, call,
                  AT_MOST, 300);
    report_target(report, "open, call, close", REPORT_TIME, instance, AT_MOST,
                  25000);
    report_target(report, "second load", REPORT_TIME, second, AT_MOST, 2e6);
    for (size_t i = 0; i < ARRAY_SIZE(b->kernels); i++)
        report_target(report, b->kernels[i].name, REPORT_TIMES, ratios[i],
                      AT_MOST, 1.3);
    report_end(report);
}

bool bench_wasm(struct report *report, const struct paths *paths)
{
    struct wasm_bench b = {.config = {.struct_bytes = sizeof(b.config),
                                      .libexec_dir = paths->libexec},
                           .cache = "/tmp/glovebox-bench-XXXXXX",
                           .kernels = {{.name = "blur of a picture's bytes",
                                        .export = "kernel_blur",
                                        .here = kernel_blur,
                                        .argument = 20},
                                       {.name = "five bodies, in doubles",
                                        .export = "kernel_bodies",
                                        .here = kernel_bodies,
                                        .argument = 100000},
                                       {.name = "quicksort of 1 MiB",
                                        .export = "kernel_sort",
                                        .here = kernel_sort,
                                        .argument = 2}}};
    bool good;

    if (mkdtemp(b.cache) == NULL)
        return false;
    snprintf(b.file, sizeof(b.file), "%s/scripts/kernels.wasm", paths->bench);
    snprintf(b.large, sizeof(b.large), "%s/scripts/native.wasm", paths->bench);
    good = measure(report, &b);
    if (good)
        tell(report, &b);
    else
        fprintf(stderr, "glovebox bench: wasm: %s\n", b.err.what);
    gbx_wasm_close(b.module);
    rmdir(b.cache);
    for (size_t i = 0; i < ARRAY_SIZE(b.kernels); i++) {
        samples_fini(&b.kernels[i].native);
        samples_fini(&b.kernels[i].wasm);
    }
    samples_fini(&b.calls);
    samples_fini(&b.instances);
    samples_fini(&b.first);
    samples_fini(&b.second);
    return good;
}
