/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handles.h - descriptors of the host, as objects of a heap name them: by a
 * number that is the same in each copy of the heap.
 *
 *   heap  file -> handle 3      handles  [3] -> counted -> descriptor 17
 *   copy  file -> handle 3      handles  [3] ---^
 *
 * A copy shares the descriptors, which therefore are only read at given
 * positions; who needs a position of its own asks handles_own.
 *
 * Threads: a table belongs to one; descriptors may be shared by tables of
 *          several.
 */
#ifndef SANDBOX_FILES_TREE_HOST_HANDLES_H
#define SANDBOX_FILES_TREE_HOST_HANDLES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define HANDLE_NONE (-1)

struct handle;

struct handles {
    struct handle **all; /* owned; NULL where a number is free */
    uint32_t room;
};

/* Takes the descriptor over.  Returns its number; or -ENOMEM, and it is
 * closed. */
int handles_add(struct handles *handles, int fd);

/* Its descriptor, borrowed; -1 for HANDLE_NONE. */
int handles_fd(const struct handles *handles, int number);

/*
 * Before the position of a directory is used: nobody else shall see it.
 * Returns 0; 1 where it was opened anew, at its begin; or -errno.
 */
int handles_own(struct handles *handles, int number);

void handles_drop(struct handles *handles, int number); /* NONE is allowed */

/* Have what another one has, and nothing else. Returns 0 or -ENOMEM, with
 * none. */
int handles_share(struct handles *handles, const struct handles *from);
void handles_fini(struct handles *handles); /* idempotent */

/* To a file and back: by their paths.  load: false where one of them is not
 * there any more, or another file. */
void handles_save(const struct handles *handles, struct bytes_out *out);
bool handles_load(struct handles *handles, struct bytes_in *in);

#endif
