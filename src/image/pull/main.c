/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - glovebox-image: what reads the bytes of images, in a process of its
 * own.  The library starts it (image/start.c), and hears report.h's lines.
 *
 *   glovebox-image pull STORE REFERENCE [KEY=VALUE]...
 *   glovebox-image verify STORE
 *   glovebox-image skopeo WORD...           becomes that program
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "image/pull/bring.h"
#include "image/pull/report.h"
#include "image/pull/source/skopeo.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

static int read_option(struct pull_options *options, const char *word)
{
    const char *value = strchr(word, '=');
    const size_t bytes = value == NULL ? 0 : (size_t)(value++ - word);

#define IS(key) (bytes == strlen(key) && strncmp(word, key, bytes) == 0)
    if (IS("platform"))
        options->platform = value;
    else if (IS("auth"))
        options->auth_file = value;
    else if (IS("name"))
        options->name = value;
    else if (IS("insecure"))
        options->is_insecure = true;
    else if (IS("deadline"))
        options->deadline_ns = strtoull(value, NULL, 10);
    else if (IS("silence"))
        options->silence_ns = strtoull(value, NULL, 10);
    else if (IS("size"))
        options->limits.bytes_max = strtoull(value, NULL, 10);
    else if (IS("ratio"))
        options->limits.ratio_max = (uint32_t)strtoul(value, NULL, 10);
    else
        return EXIT_USAGE;
#undef IS
    return 0;
}

static int run_pull(struct gbx_images *images, int argc, char **argv,
                    struct gbx_error *err)
{
    struct pull_options options = {.limits = LAYER_LIMITS,
                                   .silence_ns = 60000000000ull};
    static char auth_file[PATH_MAX];

    for (int i = 1; i < argc; i++)
        if (read_option(&options, argv[i]) != 0)
            return fail(err, GBX_EARGUMENT, "no option %.100s", argv[i]);
    /* skopeo works elsewhere. */
    if (options.auth_file != NULL &&
        realpath(options.auth_file, auth_file) == NULL)
        return fail(err, GBX_EFILE, "%.120s: %s", options.auth_file,
                    strerrordesc_np(errno));
    if (options.auth_file != NULL)
        options.auth_file = auth_file;
    return bring(images, argv[0], &options, err);
}

int main(int argc, char **argv)
{
    struct gbx_images *images;
    struct gbx_error err = {0};
    int rc;

    if (argc > 2 && strcmp(argv[1], "skopeo") == 0)
        return skopeo_become(argv + 2);
    if (argc < 3 || (strcmp(argv[1], "verify") != 0 &&
                     (strcmp(argv[1], "pull") != 0 || argc < 4))) {
        fprintf(stderr, "glovebox-image: glovebox image starts this\n");
        return EXIT_USAGE;
    }
    /* A file that is too large is an error, and the end of whoever started this
     * is ours. */
    signal(SIGXFSZ, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    umask(077);
    rc = gbx_images_open(&images, argv[2], &err);
    if (rc == 0)
        rc = strcmp(argv[1], "verify") == 0
                 ? verify(images, &err)
                 : run_pull(images, argc - 3, argv + 3, &err);
    gbx_images_close(images);
    if (rc < 0)
        report_error(&err);
    return rc < 0 ? EXIT_FAILED : 0;
}
