/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "sandbox/process/tmpfs.h"

int tmpfs_open(uint64_t size_bytes, uint32_t inodes, const char *mode)
{
    char size[24], nodes[12];
    int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), fd = -1;

    snprintf(size, sizeof(size), "%llu", (unsigned long long)size_bytes);
    snprintf(nodes, sizeof(nodes), "%u", inodes);
    if (fs >= 0 && fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) == 0 &&
        fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", nodes, 0) == 0 &&
        fsconfig(fs, FSCONFIG_SET_STRING, "mode", mode, 0) == 0 &&
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (fs >= 0)
        close(fs);
    return fd;
}
