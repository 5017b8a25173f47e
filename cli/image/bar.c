/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/image/image.h"

#define CELLS     24
#define NAME_MOST 40

const char *image_size(char text[32], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    int unit = 0;

    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(text, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

static void show_rate(const struct cli_pull *pull,
                      const struct gbx_image_progress *progress)
{
    const double s = (double)(cli_now_ns() - pull->began_ns) / 1e9;
    const double rate = s > 0.2 && progress->bytes > pull->bytes
                            ? (double)(progress->bytes - pull->bytes) / s
                            : 0;
    char size[32];

    if (rate <= 0 || progress->bytes_all < progress->bytes)
        return;
    fprintf(stderr, ", %s/s", image_size(size, (uint64_t)rate));
    fprintf(stderr, ", %.0f s left",
            (double)(progress->bytes_all - progress->bytes) / rate);
}

bool cli_pull_show(void *context, const struct gbx_image_progress *progress)
{
    static const char *const acts[] = {"asking for", "fetching", "unpacking"};
    struct cli_pull *pull = context;
    const uint64_t all = progress->bytes_all;
    const uint64_t done = progress->bytes < all ? progress->bytes : all;
    char bar[CELLS + 1], size[32];

    if (pull->is_quiet || !isatty(STDERR_FILENO))
        return true;
    if (!pull->has_bar || pull->phase != progress->phase) {
        pull->phase = progress->phase;
        pull->began_ns = cli_now_ns();
        pull->bytes = progress->bytes;
        pull->has_bar = true;
    }
    fputs("\r\033[K", stderr); /* what is in this line */
    fprintf(stderr, "%s ", acts[progress->phase]);
    cli_print(stderr, progress->name, strnlen(progress->name, NAME_MOST), true);
    if (progress->phase != GBX_IMAGE_ASK && all > 0) {
        memset(bar, '.', CELLS);
        memset(bar, '#', done * CELLS / all);
        bar[CELLS] = '\0';
        fprintf(stderr, " [%s] %d %% of %s", bar, (int)(done * 100 / all),
                image_size(size, all));
        show_rate(pull, progress);
    }
    return true;
}

void cli_pull_end(struct cli_pull *pull)
{
    if (pull->has_bar)
        fputs("\r\033[K", stderr);
    pull->has_bar = false;
}

/* What lies on this computer may have changed since. */
static bool is_local(const char *reference)
{
    return strncmp(reference, "oci:", 4) == 0 ||
           strncmp(reference, "docker-archive:", 15) == 0;
}

static int pull_it(struct gbx_images *images, const char *reference,
                   struct gbx_error *err)
{
    struct cli_pull pull = {0};
    const struct gbx_image_pull_config config = {.struct_bytes = sizeof(config),
                                                 .libexec_dir = cli_libexec(),
                                                 .progress = cli_pull_show,
                                                 .progress_context = &pull};
    int rc = gbx_image_pull(images, reference, &config, err);

    cli_pull_end(&pull);
    return rc;
}

int cli_image_open(struct gbx_images **images, struct gbx_image **image,
                   const char *dir, const char *reference)
{
    struct gbx_error err = {0};
    int rc = gbx_images_open(images, dir, &err);

    *image = NULL;
    if (rc == 0)
        rc = is_local(reference)
                 ? GBX_EFILE
                 : gbx_image_open(image, *images, reference, &err);
    if (rc == GBX_EFORMAT || (rc == GBX_EFILE && *images != NULL &&
                              strncmp(reference, "sha256:", 7) != 0 &&
                              strncmp(reference, "rootfs:", 7) != 0)) {
        rc = pull_it(*images, reference, &err);
        if (rc == 0)
            rc = gbx_image_open(image, *images, reference, &err);
    }
    return rc < 0 ? cli_fail(&err) : CLI_OK;
}
