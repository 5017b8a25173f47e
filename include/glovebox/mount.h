/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/mount.h - what a sandbox sees of the host beside its own files: each
 * folder or file is granted by name.
 *
 *  static const struct gbx_mount mounts[] = {
 *      {.source = "data", .target = "/data"},
 *      {.source = "site", .target = "/srv/site", .is_writable = 1}};
 *  config.mounts = mounts;         of a script (runtime.h) or program.h
 *  config.mount_count = 2;
 *
 * A source is opened once, when the script or the program is; whatever its name
 * leads to later changes nothing.  Its files are read where they lie, when they
 * are asked for: so what the host changes there is seen, and nothing of them is
 * kept in a template but what a script has read while it was loaded.  Links in
 * it lead to where they lead in the sandbox.  What the caller may not read, the
 * sandbox may not.  A source is not /, and neither in procfs nor has it that
 * mounted below.
 *
 * A target is a path of the sandbox: absolute, without "..".  What is missing
 * on the way to it is made; links on the way are followed inside; a folder
 * hides what was there, and so does a file.  It is not /, and neither in /dev,
 * /proc, /sys, /script or /.glovebox, nor /tmp itself; and not in another
 * mount.
 *
 * Micro-VMs and processes have them; wasm and remote refuse.
 */
#ifndef GBX_MOUNT_H
#define GBX_MOUNT_H

#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GBX_MOUNTS_MAX 16 /* of one sandbox */

struct gbx_mount {
    const char *source; /* a folder or file of the host */
    const char *target; /* where it is seen */
    int is_writable;    /* 0: changes are refused (EROFS); 1: they are the
                         * sandbox's own, in memory, count as its disk_bytes,
                         * and end with it or its wipe; the host never sees
                         * them */
};

/*
 * Take SOURCE:TARGET[:ro|cow] apart: text is cut in place, and what mount names
 * lies in it.  A source may have colons in it.
 * Returns 0; or GBX_EARGUMENT, and err says what is expected.
 */
int gbx_mount_parse(struct gbx_mount *mount, char *text, struct gbx_error *err);

#ifdef __cplusplus
}
#endif

#endif
