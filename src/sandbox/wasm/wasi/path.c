/* SPDX-License-Identifier: Apache-2.0 */
/* path.c - names are looked for, come, go and move; and files are opened. */
#include <fcntl.h>
#include <string.h>

#include "sandbox/wasm/wasi/inner.h"

#define CREAT      1u /* oflags */
#define DIRECTORY  2u
#define EXCL       4u
#define TRUNC      8u
#define OFLAGS_ALL 15u

#define NEW_FILE 0644u
#define NEW_DIR  0755u

/* A path, and the directory that it starts from. */
struct place {
    struct descriptor *dir;
    struct node *from; /* borrowed */
    char path[WASI_PATH_MAX];
};

static int find_place(struct wasi *wasi, const struct wasi_memory *memory,
                      uint64_t number, const uint64_t *text,
                      struct place *place)
{
    int rc = descriptor_dir(wasi, number, &place->dir);

    if (rc < 0)
        return rc;
    place->from = place->dir->file->node;
    return wasi_path(memory, (uint32_t)text[0], (uint32_t)text[1], place->path);
}

int wasi_path_create_directory(struct wasi *wasi,
                               const struct wasi_memory *memory,
                               const uint64_t *a)
{
    struct place place;
    int rc = find_place(wasi, memory, a[0], a + 1, &place);

    if (rc < 0)
        return rc;
    wasi->has_changed = true;
    return tree_make(files_tree(wasi), place.from, place.path, NEW_DIR);
}

static int remove_name(struct wasi *wasi, const struct wasi_memory *memory,
                       const uint64_t *a, bool is_dir)
{
    struct place place;
    int rc = find_place(wasi, memory, a[0], a + 1, &place);

    if (rc < 0)
        return rc;
    wasi->has_changed = true;
    return tree_remove(files_tree(wasi), place.from, place.path, is_dir);
}

int wasi_path_remove_directory(struct wasi *wasi,
                               const struct wasi_memory *memory,
                               const uint64_t *a)
{
    return remove_name(wasi, memory, a, true);
}

int wasi_path_unlink_file(struct wasi *wasi, const struct wasi_memory *memory,
                          const uint64_t *a)
{
    return remove_name(wasi, memory, a, false);
}

int wasi_path_link(struct wasi *wasi, const struct wasi_memory *memory,
                   const uint64_t *a)
{
    const unsigned flags = (uint32_t)a[1];
    struct place from, to;
    int rc = find_place(wasi, memory, a[0], a + 2, &from);

    if (rc == 0)
        rc = find_place(wasi, memory, a[4], a + 5, &to);
    if (rc == 0 && (flags & ~WASI_FOLLOW) != 0)
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    wasi->has_changed = true;
    return tree_link(files_tree(wasi), from.from, from.path,
                     (flags & WASI_FOLLOW) != 0 ? 0 : TREE_NOFOLLOW, to.from,
                     to.path);
}

int wasi_path_rename(struct wasi *wasi, const struct wasi_memory *memory,
                     const uint64_t *a)
{
    struct place from, to;
    int rc = find_place(wasi, memory, a[0], a + 1, &from);

    if (rc == 0)
        rc = find_place(wasi, memory, a[3], a + 4, &to);
    if (rc < 0)
        return rc;
    wasi->has_changed = true;
    return tree_rename(files_tree(wasi), from.from, from.path, to.from, to.path,
                       0);
}

/* One that starts with '/' could never be followed. */
int wasi_path_symlink(struct wasi *wasi, const struct wasi_memory *memory,
                      const uint64_t *a)
{
    char target[WASI_PATH_MAX];
    struct place place;
    int rc = find_place(wasi, memory, a[2], a + 3, &place);

    if (rc == 0)
        rc = wasi_path(memory, (uint32_t)a[0], (uint32_t)a[1], target);
    if (rc < 0)
        return rc;
    if (target[0] == '/')
        return -NOT_CAPABLE;
    wasi->has_changed = true;
    return tree_symlink(files_tree(wasi), target, place.from, place.path);
}

int wasi_path_readlink(struct wasi *wasi, const struct wasi_memory *memory,
                       const uint64_t *a)
{
    char target[WASI_PATH_MAX];
    struct place place;
    struct node *link;
    uint64_t bytes;
    int64_t n = find_place(wasi, memory, a[0], a + 1, &place);

    if (n == 0)
        n = tree_look(files_tree(wasi), place.from, place.path, TREE_NOFOLLOW,
                      &link);
    if (n < 0)
        return (int)n;
    n = node_read_link(link, target, sizeof(target));
    node_put(link);
    if (n < 0)
        return (int)n;
    bytes = (uint64_t)n < (uint32_t)a[4] ? (uint64_t)n : (uint32_t)a[4];
    if (wasi_reach(memory, (uint32_t)a[3], (uint32_t)a[4]) == NULL ||
        wasi_reach(memory, (uint32_t)a[5], sizeof(uint32_t)) == NULL)
        return -EFAULT;
    wasi_copy_out(memory, (uint32_t)a[3], target, bytes);
    return wasi_put_u32(memory, (uint32_t)a[5], (uint32_t)bytes);
}

/* ---- path_open ---- */

struct opening {
    struct place place;
    uint32_t lookup, oflags, fdflags;
    uint64_t rights; /* that are asked for */
};

static int decode(struct wasi *wasi, const struct wasi_memory *memory,
                  const uint64_t *a, struct opening *o)
{
    uint64_t wanted;
    int rc = find_place(wasi, memory, a[0], a + 2, &o->place);

    if (rc < 0)
        return rc;
    o->lookup = (uint32_t)a[1];
    o->oflags = (uint32_t)a[4];
    o->rights = a[5];
    o->fdflags = (uint32_t)a[7];
    if ((o->lookup & ~WASI_FOLLOW) != 0 || (o->oflags & ~OFLAGS_ALL) != 0 ||
        (o->fdflags & ~WASI_FLAGS_ALL) != 0)
        return -EINVAL;
    if ((o->oflags & DIRECTORY) != 0)
        o->rights &= ~WASI_TO_WRITE;
    wanted = o->rights & (WASI_TO_READ | WASI_TO_WRITE);
    if ((o->oflags & TRUNC) != 0)
        wanted |= WASI_FD_SET_SIZE;
    if ((wanted & ~o->place.dir->inheriting) != 0)
        return -NOT_CAPABLE;
    return wasi_reach(memory, (uint32_t)a[8], sizeof(uint32_t)) == NULL
               ? -EFAULT
               : 0;
}

/* As open(2) has them. */
static unsigned flags_of(const struct opening *o)
{
    bool reads = (o->rights & WASI_TO_READ) != 0;
    bool writes = (o->rights & WASI_TO_WRITE) != 0;
    unsigned flags = writes ? (reads ? O_RDWR : O_WRONLY) : O_RDONLY;

    flags |= (o->oflags & CREAT) != 0 ? O_CREAT : 0;
    flags |= (o->oflags & DIRECTORY) != 0 ? O_DIRECTORY : 0;
    flags |= (o->oflags & EXCL) != 0 ? O_EXCL : 0;
    flags |= (o->oflags & TRUNC) != 0 ? O_TRUNC : 0;
    flags |= (o->fdflags & WASI_APPEND) != 0 ? O_APPEND : 0;
    flags |= (o->lookup & WASI_FOLLOW) != 0 ? 0 : O_NOFOLLOW;
    return flags;
}

/* All that a file of this kind can have, but for what it was not opened to do.
 */
static uint64_t rights_of(const struct opening *o, bool is_dir)
{
    uint64_t rights = is_dir ? WASI_RIGHTS_DIR : WASI_RIGHTS_FILE;

    if ((o->rights & WASI_TO_READ) == 0)
        rights &= ~WASI_TO_READ;
    if ((o->rights & WASI_TO_WRITE) == 0)
        rights &= ~WASI_TO_WRITE;
    return rights;
}

int wasi_path_open(struct wasi *wasi, const struct wasi_memory *memory,
                   const uint64_t *a)
{
    struct descriptor new = {.kind = DESCRIPTOR_FILE};
    struct opening o;
    unsigned flags;
    int64_t number = decode(wasi, memory, a, &o);

    if (number < 0)
        return (int)number;
    flags = flags_of(&o);
    if ((flags & (O_ACCMODE | O_CREAT | O_TRUNC)) != O_RDONLY)
        wasi->has_changed = true;
    number = tree_open_file(files_tree(wasi), o.place.from, o.place.path, flags,
                            NEW_FILE, &new.file);
    if (number < 0)
        return (int)number;
    new.flags = (uint16_t)o.fdflags;
    new.rights = rights_of(&o, node_is_dir(new.file->node));
    if (node_is_dir(new.file->node))
        new.inheriting = o.place.dir->inheriting;
    number = descriptor_add(wasi, &new);
    if (number < 0) {
        file_put(new.file);
        return (int)number;
    }
    return wasi_put_u32(memory, (uint32_t)a[8], (uint32_t)number);
}
