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
#include "image/image.h"

#define ROUNDS  5
#define IMAGES  100
#define LISTS   20
#define RATIO   1.5 /* 0.3 is the aim, and not always met */
#define LIST_NS 50e6

struct bench {
    struct image_bench at;
    char bundle[80];
    struct samples umoci, first, shared, list;
};

uint64_t image_run(const char *program, const char *const *words)
{
    const uint64_t from_ns = measure_now_ns();
    posix_spawn_file_actions_t files;
    char *argv[IMAGE_WORDS_MAX] = {NULL};
    int status = -1, rc;
    pid_t child;

    for (size_t i = 0; i + 1 < IMAGE_WORDS_MAX && words[i] != NULL; i++)
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

void image_drop(const char *path)
{
    IMAGE_RUN("rm", "-rf", path);
}

static bool make_layout(const struct image_bench *at, struct report *report)
{
    char image[96], tagged[96], author[32];

    snprintf(image, sizeof(image), "%s:x", at->layout);
    report_progress(report, "an image of %s", IMAGE_LIBRARY);
    if (IMAGE_RUN("umoci", "init", "--layout", at->layout) == 0 ||
        IMAGE_RUN("umoci", "new", "--image", image) == 0 ||
        IMAGE_RUN("umoci", "insert", "--rootless", "--image", image,
                  IMAGE_LIBRARY, IMAGE_LIBRARY) == 0)
        return false;
    for (int i = 0; i < IMAGES; i++) {
        snprintf(tagged, sizeof(tagged), "t%d", i);
        snprintf(author, sizeof(author), "nobody %d", i);
        report_progress(report, "image %d of %d", i + 1, IMAGES);
        if (IMAGE_RUN("umoci", "config", "--image", image, "--tag", tagged,
                      "--author", author) == 0)
            return false;
    }
    return true;
}

uint64_t image_pull(const struct image_bench *at, const char *tag)
{
    char image[96];

    snprintf(image, sizeof(image), "oci:%s:%s", at->layout, tag);
    return IMAGE_RUN(at->glovebox, "image", "pull", "--quiet", "--store",
                     at->store, "--name", tag, image);
}

static bool unpack(struct bench *bench, struct report *report)
{
    char image[96];

    snprintf(image, sizeof(image), "%s:x", bench->at.layout);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t ns;

        report_progress(report, "unpacked, round %d of %d", i + 1, ROUNDS);
        image_drop(bench->bundle);
        sync();
        ns = IMAGE_RUN("umoci", "unpack", "--rootless", "--image", image,
                       bench->bundle);
        if (ns != 0)
            samples_add(&bench->umoci, ns);
        image_drop(bench->at.store);
        sync();
        ns = image_pull(&bench->at, "x");
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
        ns = image_pull(&bench->at, tag);
        if (ns == 0)
            return false;
        samples_add(&bench->shared, ns);
    }
    for (int i = 0; i < LISTS; i++) {
        uint64_t ns = IMAGE_RUN(bench->at.glovebox, "image", "ls", "--store",
                                bench->at.store);

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
    report_note(report, "The image is one layer: %s.", IMAGE_LIBRARY);
    report_target(report, "pull of a layout to umoci unpack", REPORT_TIMES,
                  rows[1].figure.median / umoci.median, AT_MOST, RATIO);
    report_target(report, "ls, of 101 images", REPORT_TIME,
                  rows[3].figure.median, AT_MOST, LIST_NS);
    report_end(report);
}

bool bench_image(struct report *report, const struct paths *paths)
{
    const char *tmp = getenv("TMPDIR");
    struct bench bench = {
        .at = {.glovebox = paths->glovebox, .libexec = paths->libexec}};
    struct image_bench *at = &bench.at;
    bool good = true;

    snprintf(at->folder, sizeof(at->folder), "%.40s/glovebox-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(at->folder) == NULL)
        return false;
    snprintf(at->layout, sizeof(at->layout), "%s/layout", at->folder);
    snprintf(at->store, sizeof(at->store), "%s/store", at->folder);
    snprintf(bench.bundle, sizeof(bench.bundle), "%s/bundle", at->folder);
    if (make_layout(at, report)) {
        good = unpack(&bench, report) && fill(&bench, report);
        tell(&bench, report);
        good = image_share(at, report) && good;
        good = image_warm(at, report) && good;
    } else {
        report_begin(report, "image", "images: unpacked, shared, listed", NULL,
                     0);
        report_note(report,
                    "Not measured: it takes umoci, and " IMAGE_LIBRARY ".");
        report_end(report);
    }
    image_drop(at->folder);
    samples_fini(&bench.umoci);
    samples_fini(&bench.first);
    samples_fini(&bench.shared);
    samples_fini(&bench.list);
    return good;
}
