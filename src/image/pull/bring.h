/* SPDX-License-Identifier: Apache-2.0 */
/* bring.h - what this program is asked to do. */
#ifndef IMAGE_PULL_BRING_H
#define IMAGE_PULL_BRING_H

#include "image/pull/source/source.h"

/* Codes as of gbx_image_pull. */
int bring(struct gbx_images *images, const char *reference,
          const struct pull_options *options, struct gbx_error *err);

/* Reports each damage; how many there were, or a code. */
int verify(struct gbx_images *images, struct gbx_error *err);

#endif
