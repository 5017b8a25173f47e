/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h - where a layer's entries are put: below one folder, whatever their
 * names say.
 *
 * A name is taken apart first (place_clean).  The folder that it lies in is
 * asked of the kernel with the layer's folder as / (openat2, RESOLVE_IN_ROOT),
 * so links that the layer has made lead nowhere else, and its last part is made
 * by calls that follow no link.  Entries mostly come folder by folder, so the
 * last one stays open.
 *
 *  place_clean(path, name)                      "./a//b" is "a/b"
 *  place_find(&place, path, &spot)              folders on the way are made
 *  place_clear(&place, &spot)                   what is there goes
 *  symlinkat(target, spot.dir_fd, spot.name)
 *
 * All return 0 or -errno.  Threads: none.
 */
#ifndef IMAGE_LAYER_PLACE_H
#define IMAGE_LAYER_PLACE_H

#include <limits.h>
#include <stddef.h>

#include "image/layer/notes.h"

#define PLACE_DEPTH_MAX 128u /* of folders in each other */

struct place {
    int root_fd;         /* borrowed */
    struct notes *notes; /* borrowed: gets the folders made on the way */
    int parent_fd;       /* owned, or -1 */
    char parent[PATH_MAX];
};

struct spot {
    int dir_fd;       /* borrowed until the next find */
    const char *name; /* borrowed from the path; "" is the root itself */
};

void place_init(struct place *place, int root_fd, struct notes *notes);
void place_fini(struct place *place);

/* -EINVAL: it has "..", or is nothing a file may be called; -ENAMETOOLONG, and
 * -ELOOP where it is too deep. */
int place_clean(char path[PATH_MAX], const char *name);

int place_find(struct place *place, const char *path, struct spot *spot);

/* The same, but nothing is made: -ENOENT. */
int place_look(struct place *place, const char *path, struct spot *spot);

int place_clear(struct place *place, const struct spot *spot);

#endif
