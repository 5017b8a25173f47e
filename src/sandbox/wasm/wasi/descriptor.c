/* SPDX-License-Identifier: Apache-2.0 */
/* descriptor.c - the numbers that a module has for what is open. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/wasm/wasi/inner.h"

static unsigned preopen_count(const struct wasi *wasi)
{
    return wasi->config.working_dir != NULL ? PREOPENS_MAX : 1;
}

static struct descriptor first_at(const struct wasi *wasi, unsigned number)
{
    if (number < PREOPENS_FIRST)
        return (struct descriptor){
            .kind = DESCRIPTOR_STREAM,
            .which = (uint8_t)number,
            .rights = WASI_RIGHTS_STREAM | WASI_FD_SEEK | WASI_FD_TELL |
                      (number == 0 ? WASI_FD_READ : WASI_FD_WRITE)};
    if (number < PREOPENS_FIRST + preopen_count(wasi))
        return (struct descriptor){.kind = DESCRIPTOR_PREOPEN,
                                   .which = (uint8_t)(number - PREOPENS_FIRST),
                                   .rights = WASI_RIGHTS_DIR,
                                   .inheriting = WASI_RIGHTS_ALL};
    return (struct descriptor){.kind = DESCRIPTOR_FREE};
}

void descriptors_open(struct wasi *wasi)
{
    wasi->all = wasi->first;
    wasi->room = DESCRIPTORS_FIRST;
    for (unsigned i = 0; i < DESCRIPTORS_FIRST; i++)
        wasi->first[i] = first_at(wasi, i);
}

void descriptors_close(struct wasi *wasi)
{
    for (uint32_t i = 0; i < wasi->room; i++) {
        file_put(wasi->all[i].file);
        wasi->all[i].file = NULL;
    }
    if (wasi->all != wasi->first)
        free(wasi->all);
    wasi->all = NULL;
    wasi->room = 0;
}

bool descriptors_are_first(const struct wasi *wasi)
{
    for (uint32_t i = 0; i < wasi->room; i++) {
        const struct descriptor *is = &wasi->all[i];
        const struct descriptor was = first_at(wasi, i);

        if (is->kind != was.kind || is->which != was.which ||
            is->flags != was.flags || is->rights != was.rights ||
            is->inheriting != was.inheriting)
            return false;
    }
    return true;
}

struct descriptor *descriptor_find(struct wasi *wasi, uint64_t number)
{
    uint32_t index = (uint32_t)number;

    if (index >= wasi->room || wasi->all[index].kind == DESCRIPTOR_FREE)
        return NULL;
    return &wasi->all[index];
}

static int make_room(struct wasi *wasi)
{
    uint32_t room = wasi->room;
    struct descriptor *all;

    if (room >= wasi->config.files_max)
        return -EMFILE;
    room =
        room > wasi->config.files_max / 2 ? wasi->config.files_max : 2 * room;
    all = calloc(room, sizeof(*all));
    if (all == NULL)
        return -ENOMEM;
    memcpy(all, wasi->all, wasi->room * sizeof(*all));
    if (wasi->all != wasi->first)
        free(wasi->all);
    wasi->all = all;
    wasi->room = room;
    return 0;
}

int64_t descriptor_add(struct wasi *wasi, const struct descriptor *descriptor)
{
    uint32_t number = 0;
    int rc = 0;

    while (number < wasi->room && wasi->all[number].kind != DESCRIPTOR_FREE)
        number++;
    if (number >= wasi->config.files_max)
        return -EMFILE;
    if (number == wasi->room)
        rc = make_room(wasi);
    if (rc < 0)
        return rc;
    wasi->all[number] = *descriptor;
    return number;
}

int descriptor_file(struct wasi *wasi, uint64_t number,
                    struct descriptor **descriptor)
{
    struct descriptor *found = descriptor_find(wasi, number);

    if (found == NULL)
        return -EBADF;
    *descriptor = found;
    if (found->kind != DESCRIPTOR_PREOPEN || found->file != NULL)
        return 0;
    return files_preopen(wasi, found->which, &found->file);
}

bool descriptor_is_dir(const struct descriptor *descriptor)
{
    return descriptor->kind == DESCRIPTOR_PREOPEN ||
           (descriptor->file != NULL && node_is_dir(descriptor->file->node));
}

int descriptor_dir(struct wasi *wasi, uint64_t number,
                   struct descriptor **descriptor)
{
    int rc = descriptor_file(wasi, number, descriptor);

    if (rc == 0 && !descriptor_is_dir(*descriptor))
        return -ENOTDIR;
    return rc;
}

static void release(struct descriptor *descriptor)
{
    file_put(descriptor->file);
    *descriptor = (struct descriptor){.kind = DESCRIPTOR_FREE};
}

int wasi_fd_close(struct wasi *wasi, const struct wasi_memory *memory,
                  const uint64_t *a)
{
    struct descriptor *descriptor = descriptor_find(wasi, a[0]);

    (void)memory;
    if (descriptor == NULL)
        return -EBADF;
    release(descriptor);
    return 0;
}

/* Programs look for preopened directories by counting up from 3: there, none
 * may appear or be replaced. */
int wasi_fd_renumber(struct wasi *wasi, const struct wasi_memory *memory,
                     const uint64_t *a)
{
    struct descriptor *from = descriptor_find(wasi, a[0]);
    struct descriptor *to = descriptor_find(wasi, a[1]);

    (void)memory;
    if (from == NULL || to == NULL)
        return -EBADF;
    if (from->kind == DESCRIPTOR_PREOPEN || to->kind == DESCRIPTOR_PREOPEN)
        return -EOPNOTSUPP;
    if (from == to)
        return 0;
    release(to);
    *to = *from;
    *from = (struct descriptor){.kind = DESCRIPTOR_FREE};
    return 0;
}

/* prestat: a tag (u8, 0: a directory), at 4 the length of its name. */
int wasi_fd_prestat_get(struct wasi *wasi, const struct wasi_memory *memory,
                        const uint64_t *a)
{
    const struct descriptor *descriptor = descriptor_find(wasi, a[0]);
    uint32_t prestat[2] = {0, 0};

    if (descriptor == NULL || descriptor->kind != DESCRIPTOR_PREOPEN)
        return -EBADF;
    prestat[1] = (uint32_t)strlen(preopen_names[descriptor->which]);
    return wasi_copy_out(memory, (uint32_t)a[1], prestat, sizeof(prestat));
}

int wasi_fd_prestat_dir_name(struct wasi *wasi,
                             const struct wasi_memory *memory,
                             const uint64_t *a)
{
    const struct descriptor *descriptor = descriptor_find(wasi, a[0]);
    const char *name;

    if (descriptor == NULL || descriptor->kind != DESCRIPTOR_PREOPEN)
        return -EBADF;
    name = preopen_names[descriptor->which];
    if ((uint32_t)a[2] < strlen(name))
        return -ENAMETOOLONG;
    return wasi_copy_out(memory, (uint32_t)a[1], name, strlen(name));
}

/* fdstat: filetype (u8), at 2 flags (u16), at 8 rights, at 16 inheriting. */
int wasi_fd_fdstat_get(struct wasi *wasi, const struct wasi_memory *memory,
                       const uint64_t *a)
{
    const struct descriptor *descriptor = descriptor_find(wasi, a[0]);
    uint64_t rights, fdstat[3] = {0};
    struct stat st = {.st_mode = S_IFDIR};

    if (descriptor == NULL)
        return -EBADF;
    rights = descriptor->rights;
    if (descriptor->kind == DESCRIPTOR_STREAM) {
        rights &= stream_rights(wasi, descriptor->which);
        if (stream_stat(wasi, descriptor->which, &st) < 0)
            st.st_mode = 0;
    } else if (descriptor->file != NULL &&
               file_stat(descriptor->file, &st) < 0) {
        st.st_mode = 0; /* the host's, and gone */
    }
    fdstat[0] = (uint64_t)filetype_of(st.st_mode) | (uint64_t)descriptor->flags
                                                        << 16;
    fdstat[1] = rights;
    fdstat[2] = descriptor->inheriting;
    return wasi_copy_out(memory, (uint32_t)a[1], fdstat, sizeof(fdstat));
}

int wasi_fd_fdstat_set_flags(struct wasi *wasi,
                             const struct wasi_memory *memory,
                             const uint64_t *a)
{
    struct descriptor *descriptor = descriptor_find(wasi, a[0]);
    uint32_t flags = (uint32_t)a[1];

    (void)memory;
    if (descriptor == NULL)
        return -EBADF;
    if ((flags & ~WASI_FLAGS_ALL) != 0)
        return -EINVAL;
    descriptor->flags = (uint16_t)flags;
    if (descriptor->file != NULL) {
        descriptor->file->flags &= ~(uint32_t)O_APPEND;
        if ((flags & WASI_APPEND) != 0)
            descriptor->file->flags |= O_APPEND;
    }
    return 0;
}

int wasi_fd_fdstat_set_rights(struct wasi *wasi,
                              const struct wasi_memory *memory,
                              const uint64_t *a)
{
    struct descriptor *descriptor = descriptor_find(wasi, a[0]);

    (void)memory;
    if (descriptor == NULL)
        return -EBADF;
    if ((a[1] & ~descriptor->rights) != 0 ||
        (a[2] & ~descriptor->inheriting) != 0)
        return -NOT_CAPABLE;
    descriptor->rights = a[1];
    descriptor->inheriting = a[2];
    return 0;
}
