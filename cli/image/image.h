/* SPDX-License-Identifier: Apache-2.0 */
/* image.h - what the acts of `glovebox image` share, and who pulls too. */
#ifndef CLI_IMAGE_IMAGE_H
#define CLI_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "glovebox/image.h"

/* A bar with rate and time left, on a terminal. */
struct cli_pull {
    uint64_t began_ns, moved_ns; /* the phase; the rate */
    uint64_t bytes;              /* when the phase began */
    enum gbx_image_phase phase;
    bool is_quiet, has_bar;
};

/* gbx_image_progress_fn; the context is a struct cli_pull. */
bool cli_pull_show(void *context, const struct gbx_image_progress *progress);
void cli_pull_end(struct cli_pull *pull); /* the line is free again */

/* Open an image, which is pulled if it is not there, or lies on this computer.
 * dir: of the store, or NULL.  Returns CLI_OK, or an exit code with what is
 * wrong said. */
int cli_image_open(struct gbx_images **images, struct gbx_image **image,
                   const char *dir, const char *reference);

/* An act of `glovebox image`. */
struct image_options {
    const char *act, *dir, *what; /* what: a reference, or NULL */
    bool json, all, quiet;
    struct gbx_image_pull_config pull;
};

int image_pull(struct gbx_images *images, const struct image_options *options);
int image_list(struct gbx_images *images, const struct image_options *options);
int image_inspect(struct gbx_images *images,
                  const struct image_options *options);
int image_remove(struct gbx_images *images,
                 const struct image_options *options);
int image_prune(struct gbx_images *images, const struct image_options *options);
int image_verify(struct gbx_images *images,
                 const struct image_options *options);

/* "44.1 MiB" */
const char *image_size(char text[32], uint64_t bytes);

#endif
