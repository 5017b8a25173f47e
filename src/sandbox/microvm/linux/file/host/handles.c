/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "sandbox/microvm/linux/file/host/handles.h"

#define ROOM_FIRST 32u

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

static int find_free(struct handles *handles)
{
    uint32_t i = 0, room = handles->room == 0 ? ROOM_FIRST : 2 * handles->room;
    struct handle **all;

    while (i < handles->room && handles->all[i] != NULL)
        i++;
    if (i < handles->room)
        return (int)i;
    all = reallocarray(handles->all, room, sizeof(struct handle *));
    if (all == NULL)
        return -ENOMEM;
    memset(all + i, 0, (room - i) * sizeof(struct handle *));
    handles->all = all;
    handles->room = room;
    return (int)i;
}

int handles_add(struct handles *handles, int fd)
{
    struct handle *handle = malloc(sizeof(*handle));
    int number = handle == NULL ? -ENOMEM : find_free(handles);

    if (number < 0) {
        free(handle);
        close(fd);
        return number;
    }
    *handle = (struct handle){.references = 1, .fd = fd};
    handles->all[number] = handle;
    return number;
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
