/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup.h - where a program lies: from the name that a person gave to a path
 * in the guest's root.
 *
 *  name        own root (--root)              the usual view
 *  sort        PATH, in the root              PATH
 *  /opt/x/y    in the root                    of the host; what the view does
 *  ./y         there, from the working dir      not show lies in /script then
 *  /script/y   in the folder                  in the folder
 *  in a mount  there                          there
 */
#ifndef RUNTIME_PROGRAM_LOOKUP_H
#define RUNTIME_PROGRAM_LOOKUP_H

#include <limits.h>

#include "glovebox/error.h"

#define LOOKUP_PATH "/usr/local/bin:/usr/bin:/bin"

struct grants;

struct lookup_view {
    const char *root;            /* host folder, or NULL: the usual view */
    const struct grants *grants; /* what is mounted, or NULL */
    const char *folder;          /* host folder shown as /script, or NULL */
    const char *working_dir;     /* in the root, or NULL */
    const char *search_path;     /* as PATH has it */
};

struct lookup {
    char path[PATH_MAX];   /* in the guest's root */
    char folder[PATH_MAX]; /* of the host, to be shown as /script; or "" */
};

/* Returns 0; GBX_EFILE when there is none, GBX_ELOAD when it is not one that
 * may be executed. */
int lookup_program(struct lookup *found, const char *name,
                   const struct lookup_view *view, struct gbx_error *err);

#endif
