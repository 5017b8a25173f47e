/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warm.c - a script that sees an image, against one that sees none: whole
 * processes, in turns, from templates that are in the cache.
 *
 * The image is the library, and what the guest program is linked with.
 */
#include <stdio.h>

#include "image/image.h"

#define WARM_ROUNDS 100
#define WARM_RATIO  1.1

struct warm {
    const struct image_bench *at;
    char cache[80], script[4200];
    struct samples plain, image;
};

/* image: its name, or NULL.  Returns ns, or 0. */
static uint64_t run_script(const struct warm *warm, const char *image)
{
    const char *const words[] = {warm->at->glovebox,
                                 "run",
                                 "--no-config",
                                 "--isolation",
                                 "microvm",
                                 "--cache",
                                 warm->cache,
                                 warm->script,
                                 image != NULL ? "--store" : NULL,
                                 warm->at->store,
                                 "--image",
                                 image,
                                 NULL};

    return image_run(warm->at->glovebox, words);
}

/* Its root has all that the language needs. */
static bool make_image(const struct image_bench *at)
{
    static const char copy[] =
        "mkdir -p \"$1\" && for f in $(ldd \"$0\" | grep -o '/[^ ]*'); do "
        "cp -L --parents \"$f\" \"$1\" || exit; done";
    char guest[4200], stage[80], image[96];

    snprintf(guest, sizeof(guest), "%s/glovebox-python", at->libexec);
    snprintf(stage, sizeof(stage), "%s/stage", at->folder);
    snprintf(image, sizeof(image), "%s:x", at->layout);
    return IMAGE_RUN("sh", "-c", copy, guest, stage) != 0 &&
           IMAGE_RUN("umoci", "insert", "--rootless", "--image", image, "--tag",
                     "python", stage, "/") != 0 &&
           image_pull(at, "python") != 0;
}

static bool measure(struct warm *warm, struct report *report)
{
    for (int i = 0; i < WARM_ROUNDS; i++) {
        const uint64_t plain = run_script(warm, NULL),
                       image = run_script(warm, "python");

        report_progress(report, "run, round %d of %d", i + 1, WARM_ROUNDS);
        if (plain == 0 || image == 0)
            return false;
        samples_add(&warm->plain, plain);
        samples_add(&warm->image, image);
    }
    return true;
}

static void tell(struct warm *warm, struct report *report)
{
    const struct figure plain = samples_figure(&warm->plain),
                        image = samples_figure(&warm->image);

    report_row(report);
    report_text(report, "what", "run hello.py");
    report_figure(report, &plain);
    report_row(report);
    report_text(report, "what", "run --image python hello.py");
    report_figure(report, &image);
    report_ratio(report, "ratio", image.median, plain.median);
    report_target(report, "run --image to run, templates in the cache",
                  REPORT_TIMES, image.median / plain.median, AT_MOST,
                  WARM_RATIO);
}

bool image_warm(const struct image_bench *at, struct report *report)
{
    static const struct report_column columns[] = {
        {"what", "", REPORT_TEXT},
        {"n", "n", REPORT_COUNT},
        {"median_ns", "median", REPORT_TIME},
        {"p99_ns", "p99", REPORT_TIME},
        {"ratio", "to none", REPORT_TIMES}};
    struct warm warm = {.at = at};
    bool good = true;

    snprintf(warm.cache, sizeof(warm.cache), "%s/cache", at->folder);
    snprintf(warm.script, sizeof(warm.script), "%s/bench/scripts/hello.py",
             at->libexec);
    report_begin(report, "image-run", "a script in an image, and in none",
                 columns, ARRAY_SIZE(columns));
    if (!make_image(at)) {
        good = false;
    } else if (run_script(&warm, NULL) == 0) {
        report_note(report, "Not measured: it takes KVM.");
    } else {
        good = run_script(&warm, "python") != 0 && measure(&warm, report);
        if (good)
            tell(&warm, report);
    }
    report_end(report);
    samples_fini(&warm.plain);
    samples_fini(&warm.image);
    return good;
}
