/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.c - a directory's entries: its own first, then the host's.
 *
 *   position   0    1     2 ... HOST_FIRST - 1     HOST_FIRST + n
 *              "."  ".."  kept entry of the        nth entry of the
 *                         cookie, or the next      host's directory
 *
 * A name that the host has, too, comes where the host has it, whatever the
 * guest did to it; so what is changed while it is listed comes once, and
 * positions stay good.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sandbox/files/tree/node.h"

#define HOST_FIRST (1ull << 62)

static uint8_t type_of(const struct node *node)
{
    return (uint8_t)IFTODT(node->mode);
}

static struct file_entry entry_of(const char *name, const struct node *node,
                                  uint64_t next)
{
    return (struct file_entry){
        .name = name, .ino = node->ino, .next = next, .type = type_of(node)};
}

/* Returns 1, the entry and where it is; or 0 at the end. */
static int own_at(const struct node *dir, uint64_t *position,
                  struct file_entry *entry)
{
    const struct entry *own = entry_next(dir, *position);

    while (own != NULL && (own->node == NULL || own->over_host))
        own = entry_next(dir, own->cookie + 1);
    if (own == NULL)
        return 0;
    *entry = entry_of(own->name, own->node, own->cookie + 1);
    *position = own->cookie;
    return 1;
}

static int host_at(const struct node *dir, struct host_list *list,
                   uint64_t *position, struct file_entry *entry)
{
    const struct entry *own;
    struct host_entry host;
    int rc;

    for (;; (*position)++) {
        rc = host_list_at(list, *position - HOST_FIRST, &host);
        if (rc <= 0)
            return rc;
        own = entry_find(dir, host.name);
        if (own == NULL || (own->node != NULL && own->over_host))
            break;
    }
    if (own != NULL)
        *entry = entry_of(host.name, own->node, *position + 1);
    else
        *entry = (struct file_entry){.name = host.name,
                                     .ino = host.ino,
                                     .next = *position + 1,
                                     .type = host.type};
    return 1;
}

/* The entry at a position or behind it, and where that is. */
static int entry_at(struct tree_file *file, uint64_t *position,
                    struct file_entry *entry)
{
    struct node *dir = file->file.node;

    if (*position == 0) {
        *entry = entry_of(".", dir, 1);
        return 1;
    }
    if (*position == 1) {
        bool is_root = dir == dir->tree->root;

        *entry = entry_of("..", is_root ? dir : dir->dir.up, 2);
        return 1;
    }
    if (*position < HOST_FIRST || dir->host == NULL) {
        if (own_at(dir, position, entry) > 0)
            return 1;
        if (dir->host == NULL)
            return 0; /* what is made later comes later */
        *position = HOST_FIRST;
    }
    return host_at(dir, &file->list, position, entry);
}

static int list_dir(struct file *file, file_entry_fn *fn, void *context)
{
    struct tree_file *self = (struct tree_file *)file;
    struct file_entry entry;
    bool any = false;

    if (file->node->is_dead)
        return -ENOENT;
    if (self->handle != HANDLE_NONE) {
        int rc = host_list_begin(&self->list, file->node->tree->handles,
                                 self->handle);

        if (rc < 0)
            return rc;
    }
    for (;;) {
        int rc = entry_at(self, &file->position, &entry);

        if (rc < 0 && !any)
            return rc;
        if (rc <= 0 || fn(context, &entry) != 0)
            break;
        file->position = entry.next;
        any = true;
    }
    if (any)
        attr_read(file->node);
    return 0;
}

static int64_t read_dir(struct file *file, const struct iovec *pieces,
                        int count, uint64_t *position)
{
    (void)file;
    (void)pieces;
    (void)count;
    (void)position;
    return -EISDIR;
}

static int64_t size_of_dir(struct file *file)
{
    (void)file;
    return -EINVAL; /* it has positions, but no known end */
}

const struct file_class list_class = {
    .name = "directory",
    .read = read_dir,
    .size = size_of_dir,
    .stat = open_stat,
    .list = list_dir,
    .close = open_close,
};
