/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "sandbox/view.h"

/* As the host has it: /bin is a link on most, a directory on others. */
static int see_top(const char *path, view_fn *fn, void *context)
{
    struct view_entry entry = {.kind = VIEW_HOST_DIR, .path = path};
    char target[PATH_MAX];
    struct stat st;
    ssize_t got;

    if (lstat(path, &st) < 0)
        return 0;
    if (S_ISLNK(st.st_mode)) {
        got = readlink(path, target, sizeof(target) - 1);
        target[got < 0 ? 0 : got] = '\0';
        entry.kind = VIEW_LINK;
        entry.text = target;
        return got > 0 ? fn(context, &entry) : 0;
    }
    return S_ISDIR(st.st_mode) ? fn(context, &entry) : 0;
}

/* Without a time zone file, time is UTC. */
static int see_time_zone(view_fn *fn, void *context)
{
    static const char path[] = "/etc/localtime", zones[] = "/usr/share/";
    struct view_entry entry = {.kind = VIEW_HOST_FILE, .path = path};
    char target[PATH_MAX];
    ssize_t got = readlink(path, target, sizeof(target) - 1);

    target[got < 0 ? 0 : got] = '\0';
    if (strncmp(target, zones, sizeof(zones) - 1) == 0) {
        entry.kind = VIEW_LINK;
        entry.text = target;
    } else if (access(path, R_OK) < 0) {
        return 0;
    }
    return fn(context, &entry);
}

static int see_names(uid_t uid, gid_t gid, view_fn *fn, void *context)
{
    char text[128];
    struct view_entry entry = {
        .kind = VIEW_TEXT, .path = "/etc/passwd", .text = text};
    int rc;

    snprintf(text, sizeof(text), "guest:x:%u:%u:guest:/tmp:/usr/sbin/nologin\n",
             uid, gid);
    if ((rc = fn(context, &entry)) != 0)
        return rc;
    snprintf(text, sizeof(text), "guest:x:%u:\n", gid);
    entry.path = "/etc/group";
    return fn(context, &entry);
}

static int see_all(const struct view_entry *entries, size_t count, view_fn *fn,
                   void *context)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = fn(context, &entries[i]);
    return rc;
}

int view_files(uid_t uid, gid_t gid, view_fn *fn, void *context)
{
    static const struct view_entry usr = {.kind = VIEW_HOST_DIR,
                                          .path = "/usr"};
    static const char *const tops[] = {"/bin",   "/sbin",   "/lib",
                                       "/lib32", "/libx32", "/lib64"};
    static const struct view_entry etc[] = {
        {.kind = VIEW_DIR, .path = "/etc"},
        {.kind = VIEW_HOST_FILE, .path = "/etc/ld.so.cache"},
        {.kind = VIEW_HOST_DIR, .path = "/etc/alternatives"},
        {.kind = VIEW_TEXT,
         .path = "/etc/nsswitch.conf",
         .text = "passwd: files\ngroup: files\n"},
    };
    int rc = fn(context, &usr);

    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(tops); i++)
        rc = see_top(tops[i], fn, context);
    if (rc != 0 || (rc = see_all(etc, ARRAY_SIZE(etc), fn, context)) != 0 ||
        (rc = see_time_zone(fn, context)) != 0)
        return rc;
    return see_names(uid, gid, fn, context);
}

int view_devices(view_fn *fn, void *context)
{
    static const struct view_entry dev[] = {
        {.kind = VIEW_DIR, .path = "/dev"},
        {.kind = VIEW_DEVICE, .path = "/dev/null"},
        {.kind = VIEW_DEVICE, .path = "/dev/full"},
        {.kind = VIEW_DEVICE, .path = "/dev/random"},
        {.kind = VIEW_DEVICE, .path = "/dev/urandom"},
        {.kind = VIEW_LINK, .path = "/dev/shm", .text = "/tmp"},
    };

    return see_all(dev, ARRAY_SIZE(dev), fn, context);
}
