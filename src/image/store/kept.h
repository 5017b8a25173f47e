/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kept.h - is a folder of the store on the disk, or only on its way there?
 *
 *   X/boot   since which start of this computer it is there
 *   X/kept   all in it has been written to the disk
 *
 * A pull does not wait for the disk, which may take longer than all else: a
 * child of it does, and says so then.  What is not kept, and is of an earlier
 * start, may lack anything: it is made anew.
 *
 * Threads: any.
 */
#ifndef IMAGE_STORE_KEPT_H
#define IMAGE_STORE_KEPT_H

#include "image/store/store.h"

/* In a draft, when all else is in it.  0 or -errno. */
int kept_begin(int dir_fd);

/* May what is in this folder be relied on?  False also where there is none. */
bool kept_is_whole(const struct gbx_images *images, const char *path);

/* Is it known to be on the disk? */
bool kept_is_marked(const struct gbx_images *images, const char *path);

/* It has been written. */
void kept_mark(const struct gbx_images *images, const char *path);

#endif
