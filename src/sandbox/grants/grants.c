/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/grants/grants.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "sandbox/grants/processes.h"

#define TARGET_BYTES 1024u

/* A path without empty names and ".", for free(); NULL where it has "..", or is
 * too long, or there is no memory: errno says which. */
static char *in_one_form(const char *path)
{
    const size_t bytes = strnlen(path, TARGET_BYTES);
    char *form = bytes < TARGET_BYTES ? malloc(bytes + 2) : NULL, *end = form;

    errno = bytes < TARGET_BYTES ? ENOMEM : ENAMETOOLONG;
    while (form != NULL && *path != '\0') {
        const size_t name = strcspn(path, "/");
        const bool is_up = name == 2 && memcmp(path, "..", 2) == 0;

        if (is_up || name > NAME_MAX) {
            errno = is_up ? EINVAL : ENAMETOOLONG;
            free(form);
            return NULL;
        }
        if (name > 0 && !(name == 1 && path[0] == '.')) {
            *end++ = '/';
            memcpy(end, path, name);
            end += name;
        }
        path += name + (path[name] == '/');
    }
    if (form != NULL)
        *end = '\0';
    return form;
}

/* What of path lies in a folder: "" is that itself; NULL: it is elsewhere. */
static const char *below(const char *path, const char *folder)
{
    const size_t bytes = strlen(folder);

    if (strncmp(path, folder, bytes) != 0)
        return NULL;
    return path[bytes] == '\0'  ? ""
           : path[bytes] == '/' ? path + bytes + 1
                                : NULL;
}

static int check_place(const char *target, struct gbx_error *err)
{
    static const char *const taken[] = {"/dev", "/proc", "/sys", "/script",
                                        "/.glovebox"};

    if (target[0] == '\0')
        return fail(err, GBX_EARGUMENT,
                    "a mount's target is /: a folder that is all of it is a "
                    "root (--root), or an image");
    if (strcmp(target, "/tmp") == 0)
        return fail(err, GBX_EARGUMENT,
                    "a mount's target is /tmp, which each sandbox has for "
                    "itself: name a folder in it");
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
        if (below(target, taken[i]) != NULL)
            return fail(err, GBX_EARGUMENT,
                        "a mount's target is %.100s: %s is the sandbox's own",
                        target, taken[i]);
    return 0;
}

static int check_others(const struct grants *grants, const char *target,
                        struct gbx_error *err)
{
    for (size_t i = 0; i < grants->count; i++) {
        const char *other = grants->all[i].target;

        if (strcmp(target, other) == 0)
            return fail(err, GBX_EARGUMENT, "two mounts have the target %.120s",
                        target);
        if (below(target, other) != NULL || below(other, target) != NULL)
            return fail(err, GBX_EARGUMENT,
                        "the targets of two mounts, %.80s and %.80s, lie in "
                        "each other",
                        other, target);
    }
    return 0;
}

static int take_target(struct grant *grant, const struct grants *grants,
                       const char *target, struct gbx_error *err)
{
    int rc;

    if (target == NULL || target[0] != '/')
        return fail(err, GBX_EARGUMENT,
                    "a mount's target, %.120s, does not begin with /",
                    target == NULL ? "NULL" : target);
    grant->target = in_one_form(target);
    if (grant->target == NULL && errno == ENOMEM)
        return fail(err, GBX_EHOST, "no memory for a mount");
    if (grant->target == NULL)
        return fail(err, GBX_EARGUMENT, "a mount's target, %.120s%s", target,
                    errno == EINVAL ? ", has .. in it" : ", is too long");
    if ((rc = check_place(grant->target, err)) < 0)
        return rc;
    return check_others(grants, grant->target, err);
}

static int refuse_processes(const char *source, const char *place,
                            struct gbx_error *err)
{
    return fail(err, GBX_EARGUMENT,
                "a mount's source, %.100s, shows the host's processes%s%.100s: "
                "that is not given away",
                source, place[0] != '\0' ? ", at " : "", place);
}

/* What is mounted in it is shown, too. */
static int check_below(const char *source, int fd, struct gbx_error *err)
{
    char link[32], path[PATH_MAX], place[PATH_MAX];
    ssize_t got;
    int rc;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    got = readlink(link, path, sizeof(path) - 1);
    if (got < 0)
        return fail(err, GBX_EHOST, "look at %s", source);
    path[got] = '\0';
    rc = processes_below(path, place);
    if (rc > 0)
        return refuse_processes(source, place, err);
    return rc < 0 ? fail(err, GBX_EHOST, "look at what is mounted below %s",
                         source)
                  : 0;
}

/* All of this computer, or what is no file but looks into processes. */
static int check_whole(const char *source, int fd, const struct stat *st,
                       struct gbx_error *err)
{
    struct statfs fs;
    struct stat top;

    if (stat("/", &top) < 0 || fstatfs(fd, &fs) < 0)
        return fail(err, GBX_EHOST, "look at %s", source);
    if (st->st_dev == top.st_dev && st->st_ino == top.st_ino)
        return fail(err, GBX_EARGUMENT,
                    "a mount's source is %.120s, all of this computer: name a "
                    "folder in it",
                    source);
    if (fs.f_type == PROC_SUPER_MAGIC)
        return refuse_processes(source, "", err);
    return S_ISDIR(st->st_mode) ? check_below(source, fd, err) : 0;
}

static int take_source(struct grant *grant, const char *source,
                       struct gbx_error *err)
{
    struct stat st;
    int may;

    if (source == NULL || source[0] == '\0')
        return fail(err, GBX_EARGUMENT, "a mount has no source");
    if ((grant->source = strdup(source)) == NULL)
        return fail(err, GBX_EHOST, "no memory for a mount");
    grant->fd = open(source, O_PATH | O_CLOEXEC);
    if (grant->fd < 0 && errno == EMFILE)
        return fail(err, GBX_EHOST, "open %.150s", source);
    if (grant->fd < 0 || fstat(grant->fd, &st) < 0)
        return fail(err, GBX_EFILE, "%.150s, to be mounted: %s", source,
                    strerrordesc_np(errno));
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return fail(err, GBX_EFILE,
                    "%.150s, to be mounted, is neither a folder nor a file",
                    source);
    grant->is_file = !S_ISDIR(st.st_mode);
    grant->dev = st.st_dev;
    grant->ino = st.st_ino;
    may = grant->is_file ? R_OK : R_OK | X_OK;
    if (syscall(SYS_faccessat2, grant->fd, "", may,
                AT_EMPTY_PATH | AT_EACCESS) < 0)
        return fail(err, GBX_EFILE, "%.150s, to be mounted, cannot be read: %s",
                    source, strerrordesc_np(errno));
    return check_whole(source, grant->fd, &st, err);
}

static void drop(struct grant *grant)
{
    close_fd(&grant->fd);
    free(grant->source);
    free(grant->target);
    *grant = (struct grant){.fd = -1};
}

int grants_open(struct grants *grants, const struct gbx_mount *mounts,
                size_t count, struct gbx_error *err)
{
    int rc = 0;

    *grants = (struct grants){.count = 0};
    if (count > GBX_MOUNTS_MAX)
        return fail(err, GBX_ELIMIT, "%zu mounts: at most %d", count,
                    GBX_MOUNTS_MAX);
    while (rc == 0 && grants->count < count) {
        const struct gbx_mount *mount = &mounts[grants->count];
        struct grant grant = {.fd = -1, .is_writable = mount->is_writable != 0};

        if ((rc = take_target(&grant, grants, mount->target, err)) < 0 ||
            (rc = take_source(&grant, mount->source, err)) < 0)
            drop(&grant);
        else
            grants->all[grants->count++] = grant;
    }
    if (rc < 0)
        grants_close(grants);
    return rc;
}

const struct grant *grants_find(const struct grants *grants, const char *path,
                                const char **rest)
{
    for (size_t i = 0; i < grants->count; i++)
        if ((*rest = below(path, grants->all[i].target)) != NULL)
            return &grants->all[i];
    return NULL;
}

void grants_put(const struct grants *grants, struct bytes_out *key)
{
    bytes_put_number(key, grants->count);
    for (size_t i = 0; i < grants->count; i++) {
        const struct grant *grant = &grants->all[i];

        bytes_put_text(key, grant->target);
        bytes_put_number(key, grant->is_writable);
        bytes_put_number(key, grant->dev);
        bytes_put_number(key, grant->ino);
    }
}

void grants_close(struct grants *grants)
{
    while (grants->count > 0)
        drop(&grants->all[--grants->count]);
}
