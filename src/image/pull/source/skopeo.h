/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skopeo.h - the program that talks to registries, as a child of ours.
 *
 *  skopeo_begin(&skopeo, pull, "inspect");
 *  skopeo_add(&skopeo, "--raw");
 *  skopeo_run(&skopeo, &text, &bytes, NULL, err);
 *
 * It ends with us, at the deadline, and when no byte has come for a while.
 * What it says of registries is told in our words where we know them.
 */
#ifndef IMAGE_PULL_SOURCE_SKOPEO_H
#define IMAGE_PULL_SOURCE_SKOPEO_H

#include "image/pull/source/source.h"

#define SKOPEO_WORDS 24
#define SKOPEO_SAID  4096

struct skopeo {
    struct pull *pull;
    const char *words[SKOPEO_WORDS];
    size_t count;
    char said[SKOPEO_SAID]; /* the last of its complaints */
};

void skopeo_begin(struct skopeo *skopeo, struct pull *pull, const char *act);
void skopeo_add(struct skopeo *skopeo, const char *word); /* borrowed */

/* Where a transfer is, in bytes; asked now and then. */
typedef uint64_t skopeo_look_fn(struct pull *pull);

/* Run it.  text: what it printed, to free(), with a NUL behind it; or NULL,
 * and that is dropped.  look: NULL, or a transfer.  Codes as of gbx_image_pull.
 */
int skopeo_run(struct skopeo *skopeo, char **text, size_t *bytes,
               skopeo_look_fn *look, struct gbx_error *err);

/* Of a run that failed: did its connection break off? */
bool skopeo_was_cut(const struct skopeo *skopeo);

/* In the child: become it, and end with our parent.  Only returns to fail. */
int skopeo_become(char **words);

#endif
