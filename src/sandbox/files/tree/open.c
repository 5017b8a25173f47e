/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open.c - opening files of the tree, and what is done with them then.
 *
 * A host file is opened on the host and read from there.  One that is opened
 * for writing is copied into memory first; whoever has it open already reads
 * the copy from then on.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/check.h"
#include "sandbox/files/tree/node.h"

#define TMPFILE    (O_TMPFILE & ~O_DIRECTORY)
#define LARGE      0100000 /* O_LARGEFILE, which glibc has as 0 */
#define NOT_KEPT   (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC | TMPFILE)
#define OF_PATH    (O_PATH | O_DIRECTORY | O_NOFOLLOW)
#define MEMFD_MODE 0777u

static struct tree_file *of(struct file *file)
{
    return (struct tree_file *)file;
}

/* The host's, or -1. */
static int fd_of(struct file *file)
{
    return handles_fd(file->node->tree->handles, of(file)->handle);
}

int open_stat(struct file *file, struct stat *st)
{
    return attr_stat_fd(file->node, fd_of(file), st);
}

void open_close(struct file *file)
{
    struct node *node = file->node;

    if (of(file)->handle != HANDLE_NONE)
        node->tree->host_files--;
    handles_drop(node->tree->handles, of(file)->handle);
    host_list_close(&of(file)->list);
    text_free(of(file)->text);
    heap_free(file);
    node_put(node);
}

static int64_t read_file(struct file *file, const struct iovec *pieces,
                         int count, uint64_t *position)
{
    struct node *node = file->node;
    int64_t n;

    if (node->host != NULL)
        n = host_read(fd_of(file), pieces, count, *position);
    else
        n = content_read(&node->content, &node->tree->quota, pieces, count,
                         *position);
    if (n > 0) {
        *position += (uint64_t)n;
        attr_read(node);
    }
    return n;
}

static int64_t write_file(struct file *file, const struct iovec *pieces,
                          int count, uint64_t *position)
{
    struct node *node = file->node;
    int64_t n;

    must(node->host == NULL);
    if ((file->flags & O_APPEND) != 0)
        *position = node->content.bytes;
    n = content_write(&node->content, &node->tree->quota, pieces, count,
                      *position);
    if (n > 0) {
        *position += (uint64_t)n;
        attr_written(node);
    }
    return n;
}

static int64_t size_of_file(struct file *file)
{
    struct stat st;

    if (file->node->host == NULL)
        return (int64_t)file->node->content.bytes;
    return fstat(fd_of(file), &st) < 0 ? -errno : st.st_size;
}

static int resize(struct node *node, uint64_t bytes)
{
    int rc = content_resize(&node->content, &node->tree->quota, bytes);

    if (rc == 0)
        attr_written(node);
    return rc;
}

static int truncate_file(struct file *file, uint64_t bytes)
{
    must(file->node->host == NULL);
    return resize(file->node, bytes);
}

static int page_of_file(struct file *file, uint64_t index, uint64_t *physical)
{
    struct node *node = file->node;

    if (node->host != NULL)
        return -ENODEV;
    return content_page(&node->content, &node->tree->quota, index, physical);
}

static void map_file(struct file *file, int more)
{
    content_mapped(&file->node->content, &file->node->tree->quota, more);
}

static const struct file_class stored_class = {
    .name = "file",
    .read = read_file,
    .write = write_file,
    .size = size_of_file,
    .truncate = truncate_file,
    .stat = open_stat,
    .page = page_of_file,
    .mapped = map_file,
    .close = open_close,
};

static const struct file_class path_class = {
    .name = "path",
    .stat = open_stat,
    .close = open_close,
};

int file_host_fd(const struct file *file)
{
    if (file->class != &stored_class || file->node->host == NULL)
        return -1;
    return handles_fd(file->node->tree->handles,
                      ((const struct tree_file *)file)->handle);
}

int open_copy(struct node *node, bool is_empty)
{
    struct content content = {0};
    int rc = 0;

    if (node->host == NULL)
        return 0;
    if (!is_empty)
        rc = host_copy(node, &content);
    if (rc == 0)
        rc = attr_own(node);
    if (rc < 0) {
        content_fini(&content, &node->tree->quota);
        return rc;
    }
    content.mapped = node->content.mapped;
    node->content = content;
    heap_free(node->host);
    node->host = NULL;
    return 0;
}

int node_truncate(struct node *node, int64_t bytes)
{
    int rc;

    if (bytes < 0)
        return -EINVAL;
    if (node->kind != NODE_FILE)
        return node->kind == NODE_DIR ? -EISDIR : -EINVAL;
    rc = attr_may(node, W_OK);
    if (rc == 0)
        rc = open_copy(node, bytes == 0);
    return rc < 0 ? rc : resize(node, (uint64_t)bytes);
}

static const struct file_class *class_of(const struct node *node,
                                         unsigned flags)
{
    if ((flags & O_PATH) != 0)
        return &path_class;
    switch (node->kind) {
    case NODE_FILE:
        return &stored_class;
    case NODE_DIR:
        return &list_class;
    case NODE_TEXT:
        return &special_text_class;
    default:
        return &special_device_class;
    }
}

static void move_tree_file(void *object, size_t bytes,
                           const struct heap_move *move)
{
    struct tree_file *file = object;

    (void)bytes;
    file_move(&file->file, move);
    move_pointer(move, &file->list.buffer);
    move_pointer(move, &file->list.heap);
    move_pointer(move, &file->text);
}

static const struct heap_type tree_file_type = {"tree file", move_tree_file};

/* Without its node, which comes when nothing can fail any more. */
static struct tree_file *make_file(const struct tree *tree, unsigned flags)
{
    struct heap *heap = tree->frames->heap;
    struct tree_file *file = heap_make(heap, &tree_file_type, sizeof(*file));

    if (file == NULL)
        return NULL;
    file->handle = HANDLE_NONE;
    file->list.heap = heap;
    file->file.references = 1;
    file->file.flags = flags & ~(unsigned)NOT_KEPT;
    if ((flags & O_PATH) == 0)
        file->file.flags |= LARGE;
    return file;
}

static struct file *finish(struct tree_file *file, struct node *node)
{
    file->file.class = class_of(node, file->file.flags);
    file->file.node = node_get(node);
    return &file->file;
}

static unsigned access_of(unsigned flags)
{
    static const unsigned accesses[] = {R_OK, W_OK, R_OK | W_OK, R_OK | W_OK};

    return accesses[flags & O_ACCMODE] | ((flags & O_TRUNC) != 0 ? W_OK : 0u);
}

/* May it be opened so?  Nothing is changed yet. */
static int check(struct node *node, unsigned flags)
{
    unsigned access = access_of(flags);

    if ((flags & O_DIRECTORY) != 0 && node->kind != NODE_DIR)
        return -ENOTDIR;
    if ((flags & O_PATH) != 0)
        return 0;
    if (node->kind == NODE_LINK)
        return -ELOOP;
    if (node->kind == NODE_DIR && (access & W_OK) != 0)
        return -EISDIR;
    if (node->kind == NODE_OTHER)
        return -ENXIO;
    if (node->host != NULL && !node->is_own && !attr_is_roots(node))
        access &= W_OK; /* the host says no when it is opened */
    return attr_may(node, access);
}

static int open_stored(struct node *node, unsigned flags,
                       struct tree_file *file)
{
    bool is_empty = (flags & O_TRUNC) != 0;
    int rc = 0;

    if (node->kind == NODE_FILE && (access_of(flags) & W_OK) != 0) {
        rc = open_copy(node, is_empty);
        if (rc == 0 && is_empty)
            rc = resize(node, 0);
    }
    if (rc < 0 || node->host == NULL)
        return rc;
    if (node->tree->host_files == node->tree->host_files_max)
        return -ENFILE;
    rc = host_open(node);
    if (rc >= 0)
        rc = handles_add(node->tree->handles, rc);
    if (rc < 0)
        return rc;
    file->handle = rc;
    node->tree->host_files++;
    return 0;
}

int tree_open_node(struct node *node, unsigned flags, struct file **file)
{
    struct tree_file *new;
    int rc;

    if ((flags & O_PATH) != 0)
        flags &= OF_PATH;
    rc = check(node, flags);
    if (rc < 0)
        return rc;
    new = make_file(node->tree, flags);
    if (new == NULL)
        return -ENOMEM;
    if ((flags & O_PATH) == 0)
        rc = open_stored(node, flags, new);
    if (rc < 0) {
        heap_free(new);
        return rc;
    }
    *file = finish(new, node);
    return 0;
}

/* A new file, with the name or without one. */
static int create(struct tree *tree, struct node *dir, const char *name,
                  unsigned flags, unsigned mode, struct file **file)
{
    struct tree_file *new = make_file(tree, flags);
    struct node *node = NULL;
    int rc = new == NULL ? -ENOMEM : 0;

    if (rc == 0) {
        node = node_make(tree, NODE_FILE, S_IFREG | (mode & 07777), dir);
        rc = node == NULL ? -ENOSPC : 0;
    }
    if (rc == 0 && name != NULL)
        rc = change_add(dir, name, node);
    if (rc == 0)
        *file = finish(new, node);
    else
        heap_free(new);
    node_put(node);
    return rc;
}

static int create_nameless(struct tree *tree, struct node *dir, unsigned flags,
                           unsigned mode, struct file **file)
{
    int rc;

    if (dir->kind != NODE_DIR)
        return -ENOTDIR;
    rc = change_begin(dir);
    if (rc == 0)
        rc = create(tree, dir, NULL, flags, mode, file);
    if (rc == 0)
        (*file)->node->stays_nameless = (flags & O_EXCL) != 0;
    return rc;
}

int tree_open_nameless(struct tree *tree, unsigned flags, struct file **file)
{
    int rc = create(tree, NULL, NULL, flags, MEMFD_MODE, file);

    if (rc == 0)
        (*file)->node->stays_nameless = true;
    return rc;
}

static int open_walked(struct walk *walk, unsigned flags, unsigned mode,
                       struct tree *tree, struct file **file)
{
    int rc;

    if ((flags & TMPFILE) != 0 && walk->node != NULL)
        return create_nameless(tree, walk->node, flags, mode, file);
    if ((flags & O_CREAT) != 0) {
        if (walk->has_slash)
            return -EISDIR;
        if (walk->node != NULL && (flags & O_EXCL) != 0)
            return -EEXIST;
        if (walk->node != NULL && walk->node->kind == NODE_DIR)
            return -EISDIR;
    }
    if (walk->node != NULL)
        return tree_open_node(walk->node, flags, file);
    if ((flags & O_CREAT) == 0)
        return -ENOENT;
    rc = change_begin(walk->parent);
    return rc < 0 ? rc
                  : create(tree, walk->parent, walk->name, flags, mode, file);
}

static bool are_flags(unsigned flags)
{
    if ((flags & TMPFILE) != 0)
        return (flags & O_TMPFILE) == O_TMPFILE && (flags & O_CREAT) == 0 &&
               (access_of(flags) & W_OK) != 0;
    return (flags & (O_CREAT | O_DIRECTORY)) != (O_CREAT | O_DIRECTORY);
}

int tree_open_file(struct tree *tree, struct node *from, const char *path,
                   unsigned flags, unsigned mode, struct file **file)
{
    const unsigned exclusive = O_CREAT | O_EXCL;
    unsigned how = WALK_FOLLOW;
    struct walk walk;
    int rc;

    if ((flags & O_PATH) != 0)
        flags &= OF_PATH;
    if (!are_flags(flags))
        return -EINVAL;
    if ((flags & O_NOFOLLOW) != 0 || (flags & exclusive) == exclusive)
        how = 0;
    if ((flags & O_CREAT) != 0)
        how |= WALK_SLASH;
    rc = walk_path(&walk, tree, from, path, how);
    if (rc < 0)
        return rc;
    rc = open_walked(&walk, flags, mode, tree, file);
    walk_end(&walk);
    return rc;
}
