/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder.h - folders of the store: removed with all that is in them, and looked
 * into without a way out.
 *
 * Threads: any.
 */
#ifndef IMAGE_STORE_FOLDER_H
#define IMAGE_STORE_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Remove a file or a folder of dir_fd, links as links.  freed: NULL, or it
 * grows by what the disk gets back: a file that has another name costs it
 * nothing.  Returns 0, also where there was none, or -errno.
 */
int folder_remove(int dir_fd, const char *name, uint64_t *freed);

/* The same of all that is in a folder. */
int folder_clear(int dir_fd, uint64_t *freed);

/* What removing it would give back if no file in it had another name. */
int folder_bytes(int dir_fd, const char *name, uint64_t *bytes);

/*
 * A descriptor (O_PATH) of a directory that a path leads to with root_fd as /:
 * links and ".." stay below it.  Returns it, or -errno.
 */
int folder_find(int root_fd, const char *path);

/* Made with its parents, for us alone.  Returns a descriptor, or -errno. */
int folder_make(const char *path);

#endif
