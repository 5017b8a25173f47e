/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.c - the remedy depends on the reason, so that is looked for.  Names of
 * owners come from files, not from services: this is in somebody's process.
 */
#include "sandbox/microvm/device.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "base/fd.h"
#include "glovebox/error.h"

#define API_VERSION 12
#define NAME_BYTES  33 /* what useradd allows */

static void name_user(char name[NAME_BYTES], uid_t uid)
{
    FILE *file = fopen("/etc/passwd", "re");
    struct passwd entry, *found = NULL;
    char line[1024];

    snprintf(name, NAME_BYTES, "%u", uid);
    while (file != NULL &&
           fgetpwent_r(file, &entry, line, sizeof(line), &found) == 0)
        if (entry.pw_uid == uid) {
            snprintf(name, NAME_BYTES, "%s", entry.pw_name);
            break;
        }
    if (file != NULL)
        fclose(file);
}

static void name_group(char name[NAME_BYTES], gid_t gid)
{
    FILE *file = fopen("/etc/group", "re");
    struct group entry, *found = NULL;
    char line[8192];

    snprintf(name, NAME_BYTES, "%u", gid);
    while (file != NULL &&
           fgetgrent_r(file, &entry, line, sizeof(line), &found) == 0)
        if (entry.gr_gid == gid) {
            snprintf(name, NAME_BYTES, "%s", entry.gr_name);
            break;
        }
    if (file != NULL)
        fclose(file);
}

/* Whom it would open for.  Nobody should have to join the group root. */
static void explain_permission(struct device_fault *fault)
{
    char user[NAME_BYTES], group[NAME_BYTES];
    struct stat st;

    if (stat(DEVICE_PATH, &st) < 0) {
        snprintf(fault->what, sizeof(fault->what),
                 DEVICE_PATH ": no permission");
        snprintf(fault->remedy, sizeof(fault->remedy),
                 "let this user into /dev and at /dev/kvm");
        return;
    }
    name_user(user, st.st_uid);
    name_group(group, st.st_gid);
    snprintf(fault->what, sizeof(fault->what),
             DEVICE_PATH ": no permission: owner %s, group %s, mode %04o", user,
             group, st.st_mode & 07777);
    if (geteuid() == 0)
        snprintf(fault->remedy, sizeof(fault->remedy),
                 "allow the device to this container or service (docker run "
                 "--device /dev/kvm)");
    else if ((st.st_mode & 0060) == 0060 && st.st_gid != 0)
        snprintf(fault->remedy, sizeof(fault->remedy),
                 "add the user to its group (%s), and log in anew", group);
    else
        snprintf(fault->remedy, sizeof(fault->remedy),
                 "as root: chgrp kvm /dev/kvm; chmod 660 /dev/kvm; then add "
                 "the user to the group kvm, and log in anew");
}

static int explain_open(struct device_fault *fault, int sys)
{
    if (sys == EACCES || sys == EPERM) {
        explain_permission(fault);
        return GBX_EUNSUPPORTED;
    }
    snprintf(fault->what, sizeof(fault->what), DEVICE_PATH ": %s",
             strerrordesc_np(sys));
    if (sys == EMFILE || sys == ENFILE) {
        snprintf(fault->remedy, sizeof(fault->remedy), "raise %s",
                 sys == EMFILE ? "ulimit -n" : "/proc/sys/fs/file-max");
        errno = sys;
        return GBX_EHOST;
    }
    snprintf(fault->remedy, sizeof(fault->remedy),
             "load kvm_intel or kvm_amd; a virtual machine needs nested "
             "virtualization, a container the host's device");
    return GBX_EUNSUPPORTED;
}

static int check_version(int fd, struct device_fault *fault)
{
    int version = ioctl(fd, KVM_GET_API_VERSION, 0);

    if (version == API_VERSION)
        return 0;
    if (version < 0) {
        snprintf(fault->what, sizeof(fault->what),
                 DEVICE_PATH ": something else than KVM (%s)",
                 strerrordesc_np(errno));
        snprintf(fault->remedy, sizeof(fault->remedy),
                 "in a container, hand the host's in");
    } else {
        snprintf(fault->what, sizeof(fault->what),
                 DEVICE_PATH ": its interface is version %d, not %d", version,
                 API_VERSION);
        snprintf(fault->remedy, sizeof(fault->remedy), "use a newer kernel");
    }
    return GBX_EUNSUPPORTED;
}

int device_open(int *fd, struct device_fault *fault)
{
    int rc;

    *fd = open(DEVICE_PATH, O_RDWR | O_CLOEXEC);
    if (*fd < 0)
        return explain_open(fault, errno);
    rc = check_version(*fd, fault);
    if (rc < 0)
        close_fd(fd);
    return rc;
}
