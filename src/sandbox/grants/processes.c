/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "sandbox/grants/processes.h"

#define LINE_BYTES 16384 /* what is longer is cut; the type stands early */

static int is_below(const char *path, const char *folder)
{
    const size_t bytes = strlen(folder);

    return strncmp(path, folder, bytes) == 0 &&
           (path[bytes] == '/' || path[bytes] == '\0' ||
            strcmp(folder, "/") == 0);
}

int processes_below(const char *folder, char place[PATH_MAX])
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    char line[LINE_BYTES];
    struct mntent entry;
    int found = 0;

    if (mounts == NULL)
        return errno == ENOENT ? 0 : -errno;
    while (!found && getmntent_r(mounts, &entry, line, sizeof(line)) != NULL)
        found = strcmp(entry.mnt_type, "proc") == 0 &&
                is_below(entry.mnt_dir, folder);
    if (found)
        snprintf(place, PATH_MAX, "%s", entry.mnt_dir);
    endmntent(mounts);
    return found;
}

int processes_refuse(const char *folder, struct gbx_error *err)
{
    char path[PATH_MAX], place[PATH_MAX];
    int rc;

    if (realpath(folder, path) == NULL)
        return fail(err, GBX_EFILE, "%s: %s", folder, strerrordesc_np(errno));
    rc = processes_below(path, place);
    if (rc > 0)
        return fail(err, GBX_EFILE,
                    "%.100s shows the host's processes, at %.100s: move what "
                    "is to run to a folder of its own, or hide that",
                    folder, place);
    return rc < 0 ? fail(err, GBX_EHOST, "look at what is mounted below %s",
                         folder)
                  : 0;
}
