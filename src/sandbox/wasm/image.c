/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/wasm/image.h"
#include "sandbox/wasm/instance.h"

#define END_MAGIC 0x316567616d697867ull /* "gximage1" */
#define LINE      4096u

/* The last bytes of a file that has one. */
struct image_end {
    uint64_t magic;
    uint64_t off; /* of the memory, from the file's start */
    uint32_t pages, global_count;
};

static bool is_empty(const uint64_t *line)
{
    for (size_t i = 0; i < LINE / sizeof(*line); i++)
        if (line[i] != 0)
            return false;
    return true;
}

/* Only what is not zero: the file has holes. */
static int write_memory(int fd, uint64_t off, const uint8_t *memory,
                        uint64_t bytes)
{
    if (ftruncate(fd, (off_t)(off + bytes)) < 0)
        return -1;
    for (uint64_t at = 0; at < bytes; at += LINE)
        if (!is_empty((const uint64_t *)(const void *)(memory + at)) &&
            fd_write_at(fd, memory + at, LINE, off + at) < 0)
            return -1;
    return 0;
}

static struct image *make(int fd, uint64_t off, uint32_t pages,
                          uint32_t global_count)
{
    struct image *image = calloc(1, sizeof(*image));
    uint64_t *globals = calloc((size_t)global_count + 1, sizeof(*globals));

    if (image == NULL || globals == NULL) {
        free(image);
        free(globals);
        return NULL;
    }
    *image = (struct image){.fd = fd,
                            .off = off,
                            .pages = pages,
                            .global_count = global_count,
                            .globals = globals};
    atomic_store(&image->references, 1);
    return image;
}

int image_take(struct image **made, const struct instance *instance,
               struct gbx_error *err)
{
    const struct wasm_artefact *artefact = instance->config.module->artefact;
    const struct wasm_memory *memory = instance->memory;
    auto_fd int fd = -1;

    if (!artefact->can_save || memory == NULL ||
        instance->doing != INSTANCE_READY)
        return fail(err, GBX_EUNSUPPORTED,
                    "a module that changes its tables cannot be copied");
    fd = memfd_create("glovebox-image", MFD_CLOEXEC);
    if (fd < 0 || write_memory(fd, 0, memory->data, memory->size) < 0)
        return fail(err, GBX_EHOST, "a copy of a module's memory");
    *made = make(fd, 0, memory->pages, artefact->global_count);
    if (*made == NULL)
        return fail(err, GBX_EHOST, "no memory for an image");
    steal_fd(&fd);
    artefact->save(instance->state, (*made)->globals);
    return 0;
}

static bool read_at(int fd, void *to, uint64_t bytes, uint64_t off)
{
    return pread(fd, to, bytes, (off_t)off) == (ssize_t)bytes;
}

struct image *image_find(int fd, uint32_t global_count)
{
    struct image_end end;
    struct image *image;
    struct stat st;
    uint64_t globals_at;

    if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(end) ||
        !read_at(fd, &end, sizeof(end), (uint64_t)st.st_size - sizeof(end)) ||
        end.magic != END_MAGIC || end.pages > WASM_PAGES_MAX ||
        end.global_count != global_count || end.off % LINE != 0)
        return NULL;
    globals_at = end.off + (uint64_t)end.pages * WASM_PAGE_BYTES;
    if (end.off > (uint64_t)st.st_size ||
        globals_at + 8ull * global_count + sizeof(end) != (uint64_t)st.st_size)
        return NULL;
    image = make(-1, end.off, end.pages, global_count);
    if (image == NULL)
        return NULL;
    image->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (image->fd >= 0 &&
        read_at(fd, image->globals, 8ull * global_count, globals_at))
        return image;
    image_put(image);
    return NULL;
}

static int copy_memory(const struct image *image, int fd, uint64_t off)
{
    const uint64_t bytes = (uint64_t)image->pages * WASM_PAGE_BYTES;
    uint8_t *memory =
        mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, image->fd, (off_t)image->off);
    int rc;

    if (memory == MAP_FAILED)
        return -1;
    rc = write_memory(fd, off, memory, bytes);
    munmap(memory, bytes);
    return rc;
}

int image_append(const struct image *image, int fd)
{
    struct image_end end = {.magic = END_MAGIC,
                            .pages = image->pages,
                            .global_count = image->global_count};
    uint64_t at;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -1;
    end.off = ((uint64_t)st.st_size + LINE - 1) / LINE * LINE;
    at = end.off + (uint64_t)image->pages * WASM_PAGE_BYTES;
    if (copy_memory(image, fd, end.off) < 0 ||
        fd_write_at(fd, image->globals, 8ull * image->global_count, at) < 0)
        return -1;
    return fd_write_at(fd, &end, sizeof(end), at + 8ull * image->global_count);
}

struct image *image_share(struct image *image)
{
    if (image != NULL)
        atomic_fetch_add(&image->references, 1);
    return image;
}

void image_put(struct image *image)
{
    if (image == NULL || atomic_fetch_sub(&image->references, 1) != 1)
        return;
    close_fd(&image->fd);
    free(image->globals);
    free(image);
}
