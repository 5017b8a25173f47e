/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.h - one entry of a layer's archive, put in its place.
 *
 * Threads: none.
 */
#ifndef IMAGE_LAYER_ENTRY_H
#define IMAGE_LAYER_ENTRY_H

#include <archive.h>
#include <archive_entry.h>

#include "image/layer/place.h"
#include "image/reference/reference.h"

struct entry_how {
    struct place place;
    const char *name;   /* of the layer, for errors */
    uint64_t bytes_max; /* of one file */
    struct notes *notes, *named;
};

/* Returns 0, GBX_EFORMAT, GBX_ELIMIT or GBX_EHOST. */
int entry_put(struct entry_how *how, struct archive *archive,
              struct archive_entry *entry, struct gbx_error *err);

#endif
