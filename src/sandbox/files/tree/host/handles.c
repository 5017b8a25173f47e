/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "sandbox/files/tree/host/handles.h"

#define ROOM_FIRST  32u
#define HANDLES_MAX (1 << 20)

struct handle {
    atomic_uint references;
    int fd; /* owned */
};

static void put(struct handle *handle)
{
    if (handle == NULL || atomic_fetch_sub(&handle->references, 1) > 1)
        return;
    close(handle->fd);
    free(handle);
}

static bool has_room(struct handles *handles, uint32_t number)
{
    uint32_t room = handles->room == 0 ? ROOM_FIRST : handles->room;
    struct handle **all;

    while (room <= number)
        room *= 2;
    if (room == handles->room)
        return true;
    all = reallocarray(handles->all, room, sizeof(struct handle *));
    if (all == NULL)
        return false;
    memset(all + handles->room, 0,
           (room - handles->room) * sizeof(struct handle *));
    handles->all = all;
    handles->room = room;
    return true;
}

/* At a number that is free.  Takes the descriptor over. */
static int add_at(struct handles *handles, uint32_t number, int fd)
{
    struct handle *handle = malloc(sizeof(*handle));

    if (handle == NULL || !has_room(handles, number)) {
        free(handle);
        close(fd);
        return -ENOMEM;
    }
    *handle = (struct handle){.references = 1, .fd = fd};
    handles->all[number] = handle;
    return (int)number;
}

int handles_add(struct handles *handles, int fd)
{
    uint32_t number = 0;

    while (number < handles->room && handles->all[number] != NULL)
        number++;
    return add_at(handles, number, fd);
}

static struct handle *find(const struct handles *handles, int number)
{
    must(number >= 0 && (uint32_t)number < handles->room);
    must(handles->all[number] != NULL);
    return handles->all[number];
}

int handles_fd(const struct handles *handles, int number)
{
    return number == HANDLE_NONE ? -1 : find(handles, number)->fd;
}

int handles_own(struct handles *handles, int number)
{
    struct handle *handle = find(handles, number), *own;
    int fd;

    if (atomic_load(&handle->references) == 1)
        return 0;
    own = malloc(sizeof(*own));
    fd = own == NULL
             ? -1
             : openat(handle->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        int rc = own == NULL ? -ENOMEM : -errno;

        free(own);
        return rc;
    }
    *own = (struct handle){.references = 1, .fd = fd};
    handles->all[number] = own;
    put(handle);
    return 1;
}

void handles_drop(struct handles *handles, int number)
{
    if (number == HANDLE_NONE)
        return;
    put(find(handles, number));
    handles->all[number] = NULL;
}

static void clear(struct handles *handles)
{
    for (uint32_t i = 0; i < handles->room; i++) {
        put(handles->all[i]);
        handles->all[i] = NULL;
    }
}

int handles_share(struct handles *handles, const struct handles *from)
{
    struct handle **all = handles->all;

    clear(handles);
    if (handles->room < from->room) {
        all = reallocarray(all, from->room, sizeof(struct handle *));
        if (all == NULL)
            return -ENOMEM;
        memset(all + handles->room, 0,
               (from->room - handles->room) * sizeof(struct handle *));
        handles->all = all;
        handles->room = from->room;
    }
    for (uint32_t i = 0; i < from->room; i++) {
        if (from->all[i] == NULL)
            continue;
        atomic_fetch_add(&from->all[i]->references, 1);
        all[i] = from->all[i];
    }
    return 0;
}

void handles_fini(struct handles *handles)
{
    clear(handles);
    free(handles->all);
    *handles = (struct handles){0};
}

/* A descriptor in a file. */
struct saved {
    int32_t number, flags;
    uint64_t dev, ino, size;
    int64_t written_s, written_ns;
};

static struct saved describe(int number, int flags, const struct stat *st)
{
    return (struct saved){.number = number,
                          .flags = flags,
                          .dev = st->st_dev,
                          .ino = st->st_ino,
                          .size = (uint64_t)st->st_size,
                          .written_s = st->st_mtim.tv_sec,
                          .written_ns = st->st_mtim.tv_nsec};
}

static bool save_one(int fd, int number, struct bytes_out *out)
{
    char link[32], path[4096];
    int flags = fcntl(fd, F_GETFL);
    struct saved saved;
    struct stat st;
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    if (n <= 0 || flags < 0 || fstat(fd, &st) < 0)
        return false;
    path[n] = '\0';
    saved = describe(number, (flags & O_PATH) != 0 ? O_PATH : O_RDONLY, &st);
    bytes_put(out, &saved, sizeof(saved));
    bytes_put_text(out, path);
    return true;
}

void handles_save(const struct handles *handles, struct bytes_out *out)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < handles->room; i++)
        count += handles->all[i] != NULL;
    bytes_put_number(out, count);
    for (uint32_t i = 0; i < handles->room; i++)
        if (handles->all[i] != NULL &&
            !save_one(handles->all[i]->fd, (int)i, out))
            out->failed = true;
}

/* What a table can have, and what it may be opened for. */
static bool is_good(const struct handles *handles, const struct saved *was)
{
    return was->number >= 0 && was->number < HANDLES_MAX &&
           ((uint32_t)was->number >= handles->room ||
            handles->all[was->number] == NULL) &&
           (was->flags == O_PATH || was->flags == O_RDONLY);
}

/* At its number. */
static bool load_one(struct handles *handles, struct bytes_in *in)
{
    struct saved was, is;
    const char *path;
    struct stat st;
    int fd;

    bytes_take(in, &was, sizeof(was));
    path = bytes_take_text(in);
    if (in->failed || path == NULL || !is_good(handles, &was))
        return false;
    fd = open(path, was.flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) < 0) {
        close(fd);
        return false;
    }
    is = describe(was.number, was.flags, &st);
    return add_at(handles, (uint32_t)was.number, fd) >= 0 &&
           memcmp(&is, &was, sizeof(is)) == 0;
}

bool handles_load(struct handles *handles, struct bytes_in *in)
{
    uint64_t count = bytes_take_number(in);
    bool good = !in->failed;

    for (uint64_t i = 0; i < count && good; i++)
        good = load_one(handles, in);
    if (!good)
        handles_fini(handles);
    return good;
}
