/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf_fuzz.c - any bytes as a program, and the stack of those that pass.
 *
 * An input whose first byte is odd is a list of patches (place, value) on the
 * first page of a real program, this one; so what is deep in the checks is met
 * from the first second on.  Other inputs are the file itself.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/microvm/elf/elf.h"

#define TOP       ((1ull << 47) - ELF_PAGE)
#define STACK_TOP 0x7ff000000000ull
#define BASE      0x550000000000ull /* also a multiple of ELF_ALIGN_MAX */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t real[ELF_PAGE], file[ELF_PAGE];
static int memory = -1;

static void set_up(void)
{
    auto_fd int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    must(pread(self, real, sizeof(real), 0) == sizeof(real));
    memory = memfd_create("elf", MFD_CLOEXEC);
    must(memory >= 0);
}

static size_t patch(const uint8_t *data, size_t size)
{
    memcpy(file, real, sizeof(file));
    for (; size >= 3; data += 3, size -= 3)
        file[(data[0] + 256u * data[1]) % sizeof(file)] = data[2];
    return sizeof(file);
}

/* All that elf.h promises. */
static void check(const struct elf_image *image, uint64_t file_bytes)
{
    uint64_t below = image->lowest;
    bool entered = false;

    must(image->segment_count > 0 && image->segment_count <= ELF_SEGMENTS_MAX);
    must(image->highest <= TOP && image->lowest % ELF_PAGE == 0);
    must(image->align >= ELF_PAGE && image->align <= ELF_ALIGN_MAX);
    must((image->align & (image->align - 1)) == 0);
    must(image->interp[0] == '\0' || image->interp[0] == '/');
    must(memchr(image->interp, '\0', sizeof(image->interp)) != NULL);
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];

        must(s->memory_bytes > 0 && s->file_bytes <= s->memory_bytes);
        must(s->va / ELF_PAGE * ELF_PAGE >= below);
        must(s->memory_bytes <= image->highest - s->va);
        must(s->file_bytes == 0 || (s->file_off <= file_bytes &&
                                    s->file_bytes <= file_bytes - s->file_off));
        must(s->file_bytes == 0 || s->va % ELF_PAGE == s->file_off % ELF_PAGE);
        must(!s->writable || !s->executable);
        below = (s->va + s->memory_bytes + ELF_PAGE - 1) / ELF_PAGE * ELF_PAGE;
        entered |= s->executable && image->entry >= s->va &&
                   image->entry < s->va + s->memory_bytes;
    }
    must(below == image->highest && entered);
}

static void stack_of(const struct elf_image *image, const uint8_t *data,
                     size_t size)
{
    static _Alignas(16) char buffer[2 * ELF_PAGE];
    char text[4][64] = {""};
    const char *argv[] = {text[0], text[1], NULL};
    const char *envp[] = {text[2], text[3], NULL};
    struct elf_stack_plan plan = {.program = image,
                                  .top = STACK_TOP,
                                  .name = image->interp,
                                  .argv = argv,
                                  .envp = envp};
    uint64_t sp;

    for (size_t i = 0; i < 4 && size > 0; i++) {
        size_t n = data[0] % 63u < size ? data[0] % 63u : size;

        memcpy(text[i], data, n);
        data += n, size -= n;
    }
    must(elf_stack(&sp, buffer, sizeof(buffer), &plan, NULL) == 0);
    must(sp % 16 == 0 && sp < STACK_TOP && STACK_TOP - sp <= sizeof(buffer));
}

static void read_as(uint64_t file_bytes, const uint8_t *data, size_t size)
{
    struct elf_image image;
    struct gbx_error err = {0};
    int rc = elf_read(&image, memory, file_bytes, TOP, &err);

    if (rc < 0) {
        must(err.code == rc && err.what[0] != '\0');
        must(rc == GBX_EFORMAT || rc == GBX_EUNSUPPORTED || rc == GBX_ELIMIT);
        return;
    }
    check(&image, file_bytes);
    if (image.needs_base && image.highest <= TOP - BASE) {
        elf_place(&image, BASE);
        check(&image, file_bytes);
    }
    if (!image.needs_base)
        stack_of(&image, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (memory < 0)
        set_up();
    if (size > 0 && data[0] % 2 == 1) {
        size_t bytes = patch(data + 1, size - 1);

        must(pwrite(memory, file, bytes, 0) == (ssize_t)bytes);
        must(ftruncate(memory, (off_t)bytes) == 0);
    } else {
        must(pwrite(memory, data, size, 0) == (ssize_t)size);
        must(ftruncate(memory, (off_t)size) == 0);
    }
    read_as(size, data, size);
    read_as(64 << 20, data, size); /* and cut off below that */
    return 0;
}
