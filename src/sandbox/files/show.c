/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "sandbox/files/show.h"
#include "sandbox/files/tree/tree.h"
#include "sandbox/grants/grants.h"
#include "sandbox/view.h"

/* errno says why, once. */
static int refuse_all(const char *what, int rc, struct gbx_error *err)
{
    errno = -rc;
    return fail(err, GBX_EHOST, "%s", what);
}

int show_refuse(const char *path, int rc, struct gbx_error *err)
{
    return fail(err, rc == -EMFILE ? GBX_EHOST : GBX_EFILE, "%s: %s%s", path,
                strerrordesc_np(-rc), rc == -EMFILE ? "; raise ulimit -n" : "");
}

int show_path(struct tree *tree, const char *path, const char *at, unsigned how)
{
    auto_fd int fd = open(path, O_PATH | O_CLOEXEC);

    return fd < 0 ? -errno : tree_mount(tree, at, fd, how);
}

/* Not there: no error, nothing to see. */
static int show_if_there(struct tree *tree, const char *path)
{
    int rc = show_path(tree, path, path, MOUNT_SEALED | MOUNT_FOREIGN);

    return rc == -ENOENT ? 0 : rc;
}

static int see(void *context, const struct view_entry *entry)
{
    struct tree *tree = context;

    switch (entry->kind) {
    case VIEW_DIR:
        return 0; /* parents are made where they are needed */
    case VIEW_HOST_DIR:
    case VIEW_HOST_FILE:
        return show_if_there(tree, entry->path);
    case VIEW_DEVICE:
        return tree_make_device(tree, entry->path, basename(entry->path));
    case VIEW_LINK:
        return tree_make_link(tree, entry->path, entry->text);
    case VIEW_TEXT:
        return tree_make_file(tree, entry->path, entry->text,
                              strlen(entry->text), 0444);
    }
    return -EINVAL;
}

/* Over a directory of the host: what is missing there is made, and what it has
 * where a kernel shows its own is covered. */
static int show_root(struct tree *tree, const char *root, struct gbx_error *err)
{
    static const char *const kernels[] = {"/dev", "/proc", "/sys"};
    struct stat st;
    int rc;

    if (stat(root, &st) < 0)
        return show_refuse(root, -errno, err);
    if (!S_ISDIR(st.st_mode))
        return show_refuse(root, -ENOTDIR, err);
    rc = show_path(tree, root, "/", 0);
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(kernels); i++)
        rc = tree_make_dir(tree, kernels[i], 0755);
    if (rc == 0)
        rc = tree_make_dir(tree, "/tmp", 01777);
    return rc < 0 ? show_refuse(root, rc, err) : 0;
}

int show_files(struct tree *tree, const char *root, uid_t uid, gid_t gid,
               struct gbx_error *err)
{
    int rc;

    if (root != NULL)
        rc = show_root(tree, root, err);
    else if ((rc = view_files(uid, gid, see, tree)) < 0)
        return refuse_all("a guest's files", rc, err);
    if (rc < 0)
        return rc;
    if ((rc = view_devices(see, tree)) < 0 ||
        (rc = tree_make_device(tree, "/dev/zero", "zero")) < 0)
        return refuse_all("a guest's devices", rc, err);
    return 0;
}

int show_folder(struct tree *tree, const char *folder, struct gbx_error *err)
{
    int rc = show_path(tree, folder, "/script", MOUNT_SEALED);

    return rc < 0 ? show_refuse(folder, rc, err) : 0;
}

int show_seal(struct tree *tree, struct gbx_error *err)
{
    int rc = tree_seal(tree, "/");

    if (rc == 0)
        rc = tree_make_dir(tree, "/tmp", 01777);
    return rc < 0 ? refuse_all("a guest's files", rc, err) : 0;
}

/* What is there may have been put there by whoever made the root. */
static int check_target(struct tree *tree, const struct grant *grant)
{
    struct node *node;
    struct stat st;
    int rc = tree_look(tree, NULL, grant->target, TREE_NOFOLLOW, &node);

    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    rc = node_stat(node, &st);
    node_put(node);
    if (rc == 0 && S_ISLNK(st.st_mode))
        return -ELOOP;
    if (rc == 0 && S_ISDIR(st.st_mode) == grant->is_file)
        return grant->is_file ? -EISDIR : -ENOTDIR;
    return rc;
}

int show_grants(struct tree *tree, const struct grants *grants,
                struct gbx_error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && grants != NULL && i < grants->count; i++) {
        const struct grant *grant = &grants->all[i];

        rc = check_target(tree, grant);
        if (rc == 0)
            rc = tree_mount(tree, grant->target, grant->fd,
                            grant->is_writable ? 0 : MOUNT_SEALED);
        if (rc < 0)
            return fail(err, GBX_EFILE, "%.80s cannot be mounted at %.80s: %s",
                        grant->source, grant->target, strerrordesc_np(-rc));
    }
    return rc;
}
