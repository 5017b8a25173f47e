/* SPDX-License-Identifier: Apache-2.0 */
/*
 * show.h - the files of the host that a guest sees in its tree.
 *
 *  show_files(tree, root, uid, gid, err);   view.h's, or the root; devices
 *  show_folder(tree, folder, err);          /script
 *  ...                                      what the isolation has beside it
 *  if (root == NULL)
 *      show_seal(tree, err);                nothing changes but in /tmp
 *  show_grants(tree, grants, err);          and in what is mounted for that
 *
 * Without a root of its own a guest sees what view.h says (threats.md says
 * why).  With one it sees that directory, and what is written to it stays in
 * memory.  And, as no other kernel is behind it that could leak: /dev/zero.
 *
 * All return 0; GBX_EFILE, GBX_EHOST, and err names the path.
 * Threads: the tree's owner's.
 */
#ifndef SANDBOX_FILES_SHOW_H
#define SANDBOX_FILES_SHOW_H

#include <sys/types.h>

#include "glovebox/error.h"

struct grants;
struct tree;

/* uid, gid: of the guest.  root: a directory of the host, or NULL. */
int show_files(struct tree *tree, const char *root, uid_t uid, gid_t gid,
               struct gbx_error *err);
int show_folder(struct tree *tree, const char *folder, struct gbx_error *err);
int show_seal(struct tree *tree, struct gbx_error *err);
/* A target must be of the source's kind, where it is there; and no link. */
int show_grants(struct tree *tree, const struct grants *grants,
                struct gbx_error *err);

/* Show a path of the host at `at`; how: as tree_mount.  Returns 0 or -errno. */
int show_path(struct tree *tree, const char *path, const char *at,
              unsigned how);

/* Returns the code of a path that cannot be shown, rc: -errno; err says it. */
int show_refuse(const char *path, int rc, struct gbx_error *err);

#endif
