/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/layer/place.h"
#include "image/store/folder.h"

void place_init(struct place *place, int root_fd, struct notes *notes)
{
    place->root_fd = root_fd;
    place->notes = notes;
    place->parent_fd = -1;
    place->parent[0] = '\0';
}

void place_fini(struct place *place)
{
    close_fd(&place->parent_fd);
}

int place_clean(char path[PATH_MAX], const char *name)
{
    size_t at = 0, depth = 0;

    for (;;) {
        size_t part;

        name += strspn(name, "/");
        part = strcspn(name, "/");
        if (part == 0)
            break;
        if (part == 2 && name[0] == '.' && name[1] == '.')
            return -EINVAL;
        if (part == 1 && name[0] == '.') {
            name++;
            continue;
        }
        if (part > NAME_MAX || at + part + 2 > PATH_MAX)
            return -ENAMETOOLONG;
        if (++depth > PLACE_DEPTH_MAX)
            return -ELOOP;
        if (at > 0)
            path[at++] = '/';
        memcpy(path + at, name, part);
        at += part;
        name += part;
    }
    path[at] = '\0';
    return 0;
}

/* One folder after the other, each by what the kernel says its parent is. */
static int make_parents(struct place *place, const char *path)
{
    char part[PATH_MAX];

    for (const char *end = path;; end++) {
        auto_fd int fd = -1, dir = -1;
        const char *slash;

        end += strcspn(end, "/");
        memcpy(part, path, (size_t)(end - path));
        part[end - path] = '\0';
        fd = folder_find(place->root_fd, part);
        if (fd < 0 && fd != -ENOENT)
            return fd;
        if (fd == -ENOENT) {
            slash = strrchr(part, '/');
            dir = slash == NULL ? fcntl(place->root_fd, F_DUPFD_CLOEXEC, 0)
                                : (part[slash - part] = '\0',
                                   folder_find(place->root_fd, part));
            if (dir < 0)
                return slash == NULL ? -errno : dir;
            /* EEXIST: a link that leads nowhere is in the way. */
            if (mkdirat(dir, slash == NULL ? part : slash + 1, 0755) < 0)
                return errno == EEXIST ? -ENOTDIR : -errno;
            if (slash != NULL)
                part[slash - part] = '/';
            notes_add(place->notes,
                      &(struct note){.kind = NOTE_IMPLIED, .path = part});
        }
        if (*end == '\0')
            return 0;
    }
}

static int find(struct place *place, const char *path, struct spot *spot,
                bool makes)
{
    const char *slash = strrchr(path, '/');
    const size_t bytes = slash == NULL ? 0 : (size_t)(slash - path);
    int fd;

    spot->name = slash == NULL ? path : slash + 1;
    spot->dir_fd = place->root_fd;
    if (bytes == 0)
        return 0;
    spot->dir_fd = place->parent_fd;
    if (place->parent_fd >= 0 && strncmp(place->parent, path, bytes) == 0 &&
        place->parent[bytes] == '\0')
        return 0;
    close_fd(&place->parent_fd);
    memcpy(place->parent, path, bytes);
    place->parent[bytes] = '\0';
    fd = folder_find(place->root_fd, place->parent);
    if (fd == -ENOENT && makes) {
        int rc = make_parents(place, place->parent);

        fd = rc < 0 ? rc : folder_find(place->root_fd, place->parent);
    }
    if (fd < 0)
        return fd;
    place->parent_fd = spot->dir_fd = fd;
    return 0;
}

int place_find(struct place *place, const char *path, struct spot *spot)
{
    return find(place, path, spot, true);
}

int place_look(struct place *place, const char *path, struct spot *spot)
{
    return find(place, path, spot, false);
}

int place_clear(struct place *place, const struct spot *spot)
{
    /* What goes may be a folder on the way to the parent that stays open; but
     * not if it lies in that one. */
    if (spot->dir_fd != place->parent_fd)
        close_fd(&place->parent_fd);
    return folder_remove(spot->dir_fd, spot->name, NULL);
}
