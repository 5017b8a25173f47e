/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "sandbox/microvm/linux/region_file.h"

struct region_file {
    struct file file;
    const struct space_window *window; /* borrowed */
};

static int64_t region_size(struct file *file)
{
    struct region_file *self = (struct region_file *)file;

    return (int64_t)self->window->touchable(self->window);
}

static int64_t region_read(struct file *file, const struct iovec *pieces,
                           int count, uint64_t *position)
{
    struct region_file *self = (struct region_file *)file;
    uint64_t size = (uint64_t)region_size(file), done = 0;

    for (int i = 0; i < count && *position < size; i++) {
        uint64_t part = size - *position;

        if (part > pieces[i].iov_len)
            part = pieces[i].iov_len;
        /* It may be read into a mapping of itself. */
        memmove(pieces[i].iov_base, self->window->host + *position, part);
        *position += part;
        done += part;
    }
    return (int64_t)done;
}

static int region_stat(struct file *file, struct stat *st)
{
    *st = (struct stat){.st_mode = S_IFREG | 0600,
                        .st_nlink = 0,
                        .st_blksize = SPACE_PAGE_BYTES,
                        .st_size = region_size(file)};
    return 0;
}

static void region_close(struct file *file)
{
    heap_free(file);
}

static const struct file_class class = {
    .name = "region",
    .read = region_read,
    .size = region_size,
    .stat = region_stat,
    .close = region_close,
};

static void move(void *object, size_t bytes, const struct heap_move *how)
{
    struct region_file *self = object;

    (void)bytes;
    file_move(&self->file, how);
    move_pointer(how, &self->window);
}

static const struct heap_type type = {"region", move};

struct file *region_file_make(struct heap *heap,
                              const struct space_window *window, bool writable)
{
    struct region_file *self = heap_make(heap, &type, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->file = (struct file){.class = &class,
                               .references = 1,
                               .flags = writable ? O_RDWR : O_RDONLY};
    self->window = window;
    return &self->file;
}

bool region_file_is(const struct file *file)
{
    return file->class == &class;
}

int region_file_place(const struct file *file, uint64_t off, uint64_t bytes,
                      uint64_t *physical)
{
    const struct region_file *self = (const struct region_file *)file;

    if (off > self->window->bytes || bytes > self->window->bytes - off)
        return -EINVAL;
    *physical = self->window->at + off;
    return 0;
}
