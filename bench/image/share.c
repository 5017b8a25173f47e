/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share.c - an image of which nine tenths of the bytes are in the store, by
 * another that has the same layer: what its pull takes should be what the rest
 * takes.
 *
 * Two images: the library, and over it each a layer of its own, which has a
 * ninth as many bytes.  One is pulled into an empty store, then the other.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "glovebox/image.h"
#include "image/image.h"

#define SHARE_ROUNDS 5
#define SHARE_SLACK                                                            \
    0.1 /* of the first: what each pull takes, however small                   \
         */

struct share {
    const struct image_bench *at;
    struct samples first, second;
    double packed, shared; /* bytes of the second's layers */
};

/* A ninth of the library's bytes: from the front or from the back, so that the
 * two differ. */
static bool add_layer(const struct image_bench *at, const char *tag,
                      const char *order)
{
    static const char copy[] =
        "rm -rf \"$1\"; mkdir \"$1\" && cd \"$0\" && find . -type f -printf "
        "'%s %p\\n' | sort $2 -k 2 | awk '{all += $1; size[NR] = $1; name[NR] "
        "= $2} END {for (i = 1; i <= NR && sum < all / 9; i++) {sum += "
        "size[i]; print name[i]}}' | xargs cp --parents -t \"$1\"";
    char stage[80], image[96];

    snprintf(stage, sizeof(stage), "%s/ninth", at->folder);
    snprintf(image, sizeof(image), "%s:x", at->layout);
    return IMAGE_RUN("sh", "-c", copy, IMAGE_LIBRARY, stage, order) != 0 &&
           IMAGE_RUN("umoci", "insert", "--rootless", "--image", image, "--tag",
                     tag, stage, "/more") != 0;
}

static void see(void *context, const struct gbx_image_info *info)
{
    struct share *share = context;

    if (info->name == NULL)
        return;
    if (strcmp(info->name, "docker.io/library/second:latest") == 0)
        share->packed = (double)info->packed_bytes;
    if (strcmp(info->name, "docker.io/library/x:latest") == 0)
        share->shared = (double)info->packed_bytes;
}

static bool weigh(struct share *share)
{
    struct gbx_images *images;
    bool good;

    if (image_pull(share->at, "x") == 0 ||
        gbx_images_open(&images, share->at->store, NULL) < 0)
        return false;
    good = gbx_images_list(images, see, share, NULL) == 0;
    gbx_images_close(images);
    return good && share->packed > 0 && share->shared > 0;
}

static bool measure(struct share *share, struct report *report)
{
    for (int i = 0; i < SHARE_ROUNDS; i++) {
        uint64_t first, second;

        report_progress(report, "shared, round %d of %d", i + 1, SHARE_ROUNDS);
        image_drop(share->at->store);
        sync();
        first = image_pull(share->at, "first");
        sync();
        second = image_pull(share->at, "second");
        if (first == 0 || second == 0)
            return false;
        samples_add(&share->first, first);
        samples_add(&share->second, second);
    }
    return weigh(share);
}

static void tell(struct share *share, struct report *report)
{
    const struct figure first = samples_figure(&share->first),
                        second = samples_figure(&share->second);
    const double fresh = share->packed - share->shared;

    report_row(report);
    report_text(report, "what", "pull, all of it new");
    report_number(report, "new_bytes", share->packed);
    report_figure(report, &first);
    report_ratio(report, "ratio", first.median, first.median);
    report_ratio(report, "share", share->packed, share->packed);
    report_row(report);
    report_text(report, "what", "pull, the other layer there");
    report_number(report, "new_bytes", fresh);
    report_figure(report, &second);
    report_ratio(report, "ratio", second.median, first.median);
    report_ratio(report, "share", fresh, share->packed);
    report_target(report, "pull of the rest to one of all", REPORT_TIMES,
                  second.median / first.median, AT_MOST,
                  fresh / share->packed + SHARE_SLACK);
}

bool image_share(const struct image_bench *at, struct report *report)
{
    static const struct report_column columns[] = {
        {"what", "", REPORT_TEXT},
        {"new_bytes", "new bytes", REPORT_BYTES},
        {"n", "n", REPORT_COUNT},
        {"median_ns", "median", REPORT_TIME},
        {"p99_ns", "p99", REPORT_TIME},
        {"share", "share of bytes", REPORT_TIMES},
        {"ratio", "of time", REPORT_TIMES}};
    struct share share = {.at = at};
    bool good = add_layer(at, "first", "") && add_layer(at, "second", "-r") &&
                measure(&share, report);

    report_begin(report, "image-shared", "an image whose base is there",
                 columns, ARRAY_SIZE(columns));
    if (good)
        tell(&share, report);
    report_end(report);
    samples_fini(&share.first);
    samples_fini(&share.second);
    return good;
}
