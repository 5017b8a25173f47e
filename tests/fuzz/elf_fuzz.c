/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf_fuzz.c - any bytes as a program; the stack of those that pass, and the
 * names of their functions.
 *
 * An input whose first byte is odd is a list of patches (place, value) on the
 * first page of a real program, this one, or on a page with symbols; so what
 * is deep in the checks is met from the first second on.  Other inputs are the
 * file itself.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/microvm/elf/elf.h"
#include "sandbox/microvm/elf/symbols.h"

#define TOP       ((1ull << 47) - ELF_PAGE)
#define STACK_TOP 0x7ff000000000ull
#define BASE      0x550000000000ull /* also a multiple of ELF_ALIGN_MAX */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t real[ELF_PAGE], file[ELF_PAGE];
static union {
    struct {
        Elf64_Ehdr head;
        Elf64_Shdr sections[4];
        Elf64_Sym symbols[8];
        char texts[32];
    } parts;
    uint8_t page[ELF_PAGE];
} named;
static int memory = -1;

/* A file with two tables of symbols, which share their texts. */
static void set_up_named(void)
{
    const char *at = (const char *)&named;

    memcpy(&named.parts.head, real, sizeof(named.parts.head));
    named.parts.head.e_shoff =
        (uint64_t)((const char *)named.parts.sections - at);
    named.parts.head.e_shnum = 4;
    named.parts.head.e_shentsize = sizeof(Elf64_Shdr);
    for (unsigned i = 1; i < 3; i++)
        named.parts.sections[i] = (Elf64_Shdr){
            .sh_type = i == 1 ? SHT_SYMTAB : SHT_DYNSYM,
            .sh_offset = (uint64_t)((const char *)named.parts.symbols - at),
            .sh_size = sizeof(named.parts.symbols),
            .sh_entsize = sizeof(Elf64_Sym),
            .sh_link = 3,
        };
    named.parts.sections[3] = (Elf64_Shdr){
        .sh_type = SHT_STRTAB,
        .sh_offset = (uint64_t)((const char *)named.parts.texts - at),
        .sh_size = sizeof(named.parts.texts),
    };
    for (unsigned i = 0; i < 8; i++)
        named.parts.symbols[i] = (Elf64_Sym){
            .st_name = i,
            .st_info = ELF64_ST_INFO(STB_GLOBAL, i % 2 ? STT_FUNC : STT_NOTYPE),
            .st_shndx = 1,
            .st_value = i * 64,
            .st_size = i % 3 * 32,
        };
    memcpy(named.parts.texts, "\0one\0two\0three\0four\0", 20);
}

static void set_up(void)
{
    auto_fd int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    must(pread(self, real, sizeof(real), 0) == sizeof(real));
    memory = memfd_create("elf", MFD_CLOEXEC);
    must(memory >= 0);
    set_up_named();
}

static size_t patch(const uint8_t *page, const uint8_t *data, size_t size)
{
    memcpy(file, page, sizeof(file));
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

static void name_as(uint64_t file_bytes, uint64_t address)
{
    char name[8];
    uint64_t off;
    int rc = elf_symbol(memory, file_bytes, address, name, sizeof(name), &off);

    must(rc == 0 || rc == -ENOENT || rc == -ENOEXEC);
    if (rc < 0)
        return;
    must(off <= address && memchr(name, '\0', sizeof(name)) != NULL);
    for (const char *c = name; *c != '\0'; c++)
        must(*c >= ' ' && *c <= '~');
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
        size_t bytes =
            patch(data[0] & 2 ? named.page : real, data + 1, size - 1);

        must(pwrite(memory, file, bytes, 0) == (ssize_t)bytes);
        must(ftruncate(memory, (off_t)bytes) == 0);
    } else {
        must(pwrite(memory, data, size, 0) == (ssize_t)size);
        must(ftruncate(memory, (off_t)size) == 0);
    }
    read_as(size, data, size);
    read_as(64 << 20, data, size); /* and cut off below that */
    for (uint64_t address = 0; address < 600; address += 100)
        name_as(ELF_PAGE, address);
    name_as(64 << 20, UINT64_MAX);
    return 0;
}
