/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notes.h - what a layer says that files of ours cannot: kept beside them.
 *
 *   HIDE      what the layers below have at a path is gone
 *   CLEAR     all in a folder of theirs is
 *   IMPLIED   a folder that no entry names: something in it is
 *   LINK      a hard link to what a layer below has
 *   OWNER     who owns a file, and its mode, where ours is another
 *   DEVICE    a device or a pipe, which is not made
 *
 *  notes_add(&notes, &(struct note){NOTE_HIDE, "etc/motd"});
 *  notes_write(&notes, dir_fd);
 *
 *  notes_read(&notes, dir_fd);
 *  for (i = 0; i < notes.count; i++) ... notes.all[i] ...
 *  notes_fini(&notes);
 *
 * Threads: none.
 */
#ifndef IMAGE_LAYER_NOTES_H
#define IMAGE_LAYER_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define NOTES_FILE "notes"

enum note_kind {
    NOTE_HIDE = 1,
    NOTE_CLEAR,
    NOTE_IMPLIED,
    NOTE_LINK,
    NOTE_OWNER,
    NOTE_DEVICE,
    NOTE_KINDS
};

struct note {
    uint32_t kind;
    const char *path;   /* from the layer's root, without a / before it */
    const char *target; /* of LINK: the same; else NULL */
    uint32_t uid, gid, mode;
    uint32_t device[2]; /* major, minor */
    int64_t time_s;     /* of a folder that is named, while it is unpacked */
    size_t order;       /* which one it was, when it is listed */
};

struct notes {
    struct bytes_out out; /* as they will be written */
    struct note *all;     /* owned: sorted, after notes_sort or notes_read */
    size_t count;
    uint8_t *text; /* owned: where the paths of `all` lie */
};

void notes_add(struct notes *notes, const struct note *note);

/* All that have been added, by kind and path; of two, the one that came last.
 * 0 or -errno. */
int notes_sort(struct notes *notes);

/* Is there one of this kind and path?  After sort. */
bool notes_has(const struct notes *notes, enum note_kind kind,
               const char *path);

/* Sorted, as a file of a layer's folder.  0 or -errno. */
int notes_write(struct notes *notes, int dir_fd);

/* 0 or -errno; -EBADMSG: the file is damaged. */
int notes_read(struct notes *notes, int dir_fd);

void notes_fini(struct notes *notes); /* idempotent */

#endif
