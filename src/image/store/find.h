/* SPDX-License-Identifier: Apache-2.0 */
/* find.h - from what people write to what the store has.  Threads: any. */
#ifndef IMAGE_STORE_FIND_H
#define IMAGE_STORE_FIND_H

#include "image/store/record.h"

/* As reference_parse; what is on this host gets its real path.  GBX_EFILE: it
 * is not there. */
int find_settle(struct reference *reference, const char *text,
                struct gbx_error *err);

/* The image that a settled reference means, to fini; not of a rootfs.  Codes as
 * gbx_image_open. */
int find_record(struct record *record, const struct gbx_images *images,
                const struct reference *reference, struct gbx_error *err);

/* Hold a root (a record's) so that it stays, or, alone, so that nobody has it.
 * Returns a descriptor to close; -EAGAIN, -ENOENT or -errno. */
int find_hold(const struct gbx_images *images, const char *root, bool alone);

#endif
