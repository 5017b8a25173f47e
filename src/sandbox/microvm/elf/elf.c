/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf.c - a stranger's file is read once, checked, and becomes a plan.
 *
 * The ELF header, the program headers and the interpreter's path are each read
 * with one pread into memory of our own; the file may change under us, what we
 * checked does not.  Section headers, notes and symbols are never looked at.
 *
 * We are stricter than Linux where its leniency only serves damaged files:
 * headers out of order, segments that share a page (Linux lets the later one
 * hide the earlier), sizes that do not fit the file (Linux kills the program
 * when it touches them).  And stricter in one thing that does occur: memory
 * both writable and executable, be it a segment or the stack, is refused.  A
 * program without PT_GNU_STACK gets a stack that is not executable, as on
 * Linux since 5.8.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/utf8.h"
#include "sandbox/microvm/elf/elf.h"

struct headers {
    Elf64_Ehdr file;
    Elf64_Phdr program[ELF_HEADERS_MAX];
};

static const char *machine_name(unsigned number)
{
    static const struct {
        unsigned number;
        const char *name;
    } machines[] = {
        {EM_386, "x86"},         {EM_ARM, "arm"},
        {EM_AARCH64, "aarch64"}, {EM_RISCV, "riscv"},
        {EM_PPC64, "ppc64"},     {EM_S390, "s390x"},
        {EM_MIPS, "mips"},       {EM_SPARCV9, "sparc64"},
        {EM_IA_64, "ia64"},      {EM_BPF, "the kernel's BPF"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
        if (machines[i].number == number)
            return machines[i].name;
    return NULL;
}

/* Returns how many bytes there were before the file's end, or GBX_EHOST. */
static ssize_t read_at(int fd, void *to, size_t bytes, uint64_t off,
                       struct gbx_error *err)
{
    size_t have = 0;
    ssize_t n;

    while (have < bytes) {
        n = pread(fd, (char *)to + have, bytes - have, (off_t)(off + have));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, GBX_EHOST, "cannot be read");
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static bool within(uint64_t off, uint64_t bytes, uint64_t all)
{
    return off <= all && bytes <= all - off;
}

/* What it is if it is no ELF file, as far as its first bytes tell. */
static int check_magic(const void *bytes, size_t have, struct gbx_error *err)
{
    if (have == 0)
        return fail(err, GBX_EFORMAT, "an empty file, not a program");
    if (have >= 2 && memcmp(bytes, "#!", 2) == 0)
        return fail(err, GBX_EFORMAT,
                    "a script, not an ELF file; start its interpreter, with "
                    "the script as argument");
    if (have >= 2 && memcmp(bytes, "MZ", 2) == 0)
        return fail(err, GBX_EFORMAT,
                    "a Windows program, not an ELF file; build it for Linux");
    if (have < SELFMAG || memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return fail(err, GBX_EFORMAT, "not an ELF file");
    if (have < sizeof(Elf64_Ehdr))
        return fail(err, GBX_EFORMAT,
                    "cut off inside its ELF header; copy it anew");
    return 0;
}

static int check_machine(const Elf64_Ehdr *file, struct gbx_error *err)
{
    const char *name = machine_name(file->e_machine);
    unsigned abi = file->e_ident[EI_OSABI];

    if (file->e_ident[EI_CLASS] == ELFCLASS32)
        return fail(err, GBX_EUNSUPPORTED,
                    "a 32-bit program; this machine is 64-bit x86-64");
    if (file->e_ident[EI_CLASS] != ELFCLASS64)
        return fail(err, GBX_EFORMAT, "neither 32-bit nor 64-bit (class %u)",
                    file->e_ident[EI_CLASS]);
    if (file->e_ident[EI_DATA] == ELFDATA2MSB)
        return fail(err, GBX_EUNSUPPORTED,
                    "a big-endian program; this machine is x86-64");
    if (file->e_ident[EI_DATA] != ELFDATA2LSB)
        return fail(err, GBX_EFORMAT, "of an unknown byte order (%u)",
                    file->e_ident[EI_DATA]);
    if (file->e_ident[EI_VERSION] != EV_CURRENT ||
        file->e_version != EV_CURRENT)
        return fail(err, GBX_EFORMAT, "of an ELF version that is not 1");
    if (file->e_machine != EM_X86_64 && name != NULL)
        return fail(err, GBX_EUNSUPPORTED,
                    "a program for %s; this machine is x86-64", name);
    if (file->e_machine != EM_X86_64)
        return fail(err, GBX_EUNSUPPORTED,
                    "a program for machine number %u; this machine is x86-64",
                    file->e_machine);
    if (abi != ELFOSABI_SYSV && abi != ELFOSABI_GNU)
        return fail(err, GBX_EUNSUPPORTED, "a program for %s, not for Linux",
                    abi == ELFOSABI_FREEBSD ? "FreeBSD"
                                            : "another operating system");
    return 0;
}

static int check_kind(const Elf64_Ehdr *file, struct gbx_error *err)
{
    switch (file->e_type) {
    case ET_EXEC:
    case ET_DYN:
        return 0;
    case ET_REL:
        return fail(err, GBX_EFORMAT,
                    "an object file, not a program; link it first");
    case ET_CORE:
        return fail(err, GBX_EFORMAT, "a core dump, not a program");
    }
    return fail(err, GBX_EFORMAT, "not a program (ELF type %u)", file->e_type);
}

/* The copy that all else works on. */
static int read_headers(struct headers *h, int fd, uint64_t file_bytes,
                        struct gbx_error *err)
{
    const Elf64_Ehdr *file = &h->file;
    ssize_t have;
    size_t bytes;
    int rc;

    have = read_at(fd, &h->file, sizeof(h->file), 0, err);
    if (have < 0)
        return (int)have;
    if ((rc = check_magic(&h->file, (size_t)have, err)) < 0 ||
        (rc = check_machine(file, err)) < 0 || (rc = check_kind(file, err)) < 0)
        return rc;

    if (file->e_phnum == 0)
        return fail(err, GBX_EFORMAT,
                    "without program headers: there is nothing to load");
    if (file->e_phentsize != sizeof(Elf64_Phdr))
        return fail(err, GBX_EFORMAT,
                    "its program headers have %u bytes each, not %zu",
                    file->e_phentsize, sizeof(Elf64_Phdr));
    if (file->e_phnum > ELF_HEADERS_MAX)
        return fail(err, GBX_ELIMIT,
                    "it has %u program headers; at most %u are read",
                    file->e_phnum, ELF_HEADERS_MAX);
    if (file->e_phoff < sizeof(Elf64_Ehdr))
        return fail(err, GBX_EFORMAT,
                    "its program headers lie inside its ELF header");

    bytes = file->e_phnum * sizeof(Elf64_Phdr);
    if (!within(file->e_phoff, bytes, file_bytes))
        return fail(err, GBX_EFORMAT,
                    "cut off inside its program headers; copy it anew");
    have = read_at(fd, h->program, bytes, file->e_phoff, err);
    if (have < 0)
        return (int)have;
    if ((size_t)have < bytes)
        return fail(err, GBX_EFORMAT,
                    "cut off inside its program headers; copy it anew");
    return 0;
}

static int read_interp(struct elf_image *image, const Elf64_Phdr *p, int fd,
                       uint64_t file_bytes, struct gbx_error *err)
{
    size_t bytes;
    ssize_t have;

    if (image->interp[0] != '\0')
        return fail(err, GBX_EFORMAT, "it names two interpreters");
    if (p->p_filesz > sizeof(image->interp))
        return fail(err, GBX_ELIMIT,
                    "the path of its interpreter has %" PRIu64
                    " bytes; at most %u are read",
                    p->p_filesz - 1, ELF_INTERP_BYTES_MAX);
    if (!within(p->p_offset, p->p_filesz, file_bytes))
        return fail(err, GBX_EFORMAT,
                    "cut off before the path of its interpreter; copy it anew");

    bytes = (size_t)p->p_filesz;
    have = read_at(fd, image->interp, bytes, p->p_offset, err);
    if (have < 0)
        return (int)have;
    if ((size_t)have < bytes)
        return fail(err, GBX_EFORMAT,
                    "cut off before the path of its interpreter; copy it anew");
    if (bytes == 0 || image->interp[bytes - 1] != '\0')
        return fail(err, GBX_EFORMAT, "the path of its interpreter has no end");

    /* It may be shorter than its room, but goes into messages for people. */
    bytes = strlen(image->interp);
    if (image->interp[0] != '/')
        return fail(err, GBX_EFORMAT,
                    "the path of its interpreter does not start with '/'");
    if (!utf8_valid(image->interp, bytes))
        return fail(err, GBX_EFORMAT,
                    "the path of its interpreter is not UTF-8");
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)image->interp[i] < ' ' || image->interp[i] == 127)
            return fail(err, GBX_EFORMAT,
                        "the path of its interpreter has control characters");
    return 0;
}

/* Everything about one segment that can be said without the others. */
static int check_segment(const Elf64_Phdr *p, uint64_t file_bytes,
                         uint64_t user_top, struct gbx_error *err)
{
    if (p->p_filesz > p->p_memsz)
        return fail(err, GBX_EFORMAT,
                    "a segment is larger in the file than in memory");
    if (!within(p->p_offset, p->p_filesz, file_bytes))
        return fail(err, GBX_EFORMAT,
                    "cut off: a segment ends behind the file's end, of %" PRIu64
                    " bytes; copy it anew",
                    file_bytes);
    if (!within(p->p_vaddr, p->p_memsz, user_top))
        return fail(err, GBX_EFORMAT,
                    "a segment lies above the addresses of programs, which end "
                    "at 0x%" PRIx64,
                    user_top);
    if (p->p_filesz > 0 && (p->p_vaddr - p->p_offset) % ELF_PAGE != 0)
        return fail(err, GBX_EFORMAT,
                    "a segment has different places in the pages of file and "
                    "memory, and cannot be mapped");
    if ((p->p_align & (p->p_align - 1)) != 0)
        return fail(err, GBX_EFORMAT,
                    "a segment is aligned to %" PRIu64 ", no power of two",
                    p->p_align);
    if (p->p_align > ELF_ALIGN_MAX)
        return fail(err, GBX_ELIMIT,
                    "a segment is aligned to %" PRIu64
                    " bytes; at most %u are supported",
                    p->p_align, ELF_ALIGN_MAX);
    if ((p->p_flags & PF_W) && (p->p_flags & PF_X))
        return fail(err, GBX_EUNSUPPORTED,
                    "a segment is both writable and executable; link it "
                    "without -N");
    return 0;
}

static int add_segment(struct elf_image *image, const Elf64_Phdr *p,
                       uint64_t file_bytes, uint64_t user_top,
                       struct gbx_error *err)
{
    uint64_t from = p->p_vaddr - p->p_vaddr % ELF_PAGE;
    struct elf_segment *last;
    int rc = check_segment(p, file_bytes, user_top, err);

    if (rc < 0)
        return rc;
    if (p->p_memsz == 0)
        return 0;
    if (image->segment_count == ELF_SEGMENTS_MAX)
        return fail(err, GBX_ELIMIT, "it has more than %u segments",
                    ELF_SEGMENTS_MAX);
    if (image->segment_count == 0) {
        image->lowest = from;
    } else {
        last = &image->segments[image->segment_count - 1];
        if (p->p_vaddr < last->va)
            return fail(err, GBX_EFORMAT,
                        "its segments are not in the order of their addresses");
        if (p->p_vaddr < last->va + last->memory_bytes)
            return fail(err, GBX_EFORMAT, "its segments overlap");
        if (from < image->highest)
            return fail(err, GBX_EFORMAT,
                        "two of its segments share a page; link it without "
                        "-n and -N");
    }
    /* user_top is a page's end, so going up to one stays below it. */
    image->highest = (p->p_vaddr + p->p_memsz + ELF_PAGE - 1) & -4096ull;
    if (p->p_align > image->align)
        image->align = p->p_align;
    image->segments[image->segment_count++] = (struct elf_segment){
        .va = p->p_vaddr,
        .memory_bytes = p->p_memsz,
        .file_off = p->p_offset,
        .file_bytes = p->p_filesz,
        /* The processor has no memory that is only written or only run. */
        .readable = p->p_flags != 0,
        .writable = p->p_flags & PF_W,
        .executable = p->p_flags & PF_X,
    };
    return 0;
}

static int add_header(struct elf_image *image, const struct headers *h,
                      const Elf64_Phdr *p, int fd, uint64_t file_bytes,
                      uint64_t user_top, struct gbx_error *err)
{
    uint64_t phoff = h->file.e_phoff;
    int rc;

    switch (p->p_type) {
    case PT_INTERP:
        return read_interp(image, p, fd, file_bytes, err);
    case PT_GNU_STACK:
        if (p->p_flags & PF_X)
            return fail(err, GBX_EUNSUPPORTED,
                        "it wants an executable stack; link it with -z "
                        "noexecstack");
        return 0;
    case PT_LOAD:
        rc = add_segment(image, p, file_bytes, user_top, err);
        /* Found where Linux finds it: by the file's bytes, not by PT_PHDR. */
        if (rc == 0 && image->phdr == 0 && phoff >= p->p_offset &&
            phoff - p->p_offset < p->p_filesz)
            image->phdr = p->p_vaddr + (phoff - p->p_offset);
        return rc;
    }
    return 0; /* notes, TLS, RELRO...: the program's own business */
}

static int check_entry(const struct elf_image *image, struct gbx_error *err)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];

        if (s->executable && image->entry >= s->va &&
            image->entry - s->va < s->memory_bytes)
            return 0;
    }
    if (image->needs_base && image->entry == 0)
        return fail(err, GBX_EFORMAT,
                    "a shared library without an entry, not a program");
    return fail(err, GBX_EFORMAT,
                "its entry 0x%" PRIx64 " is not in an executable segment",
                image->entry);
}

int elf_read(struct elf_image *image, int fd, uint64_t file_bytes,
             uint64_t user_top, struct gbx_error *err)
{
    struct headers h;
    int rc;

    must(user_top > ELF_LOWEST && user_top % ELF_PAGE == 0);
    must(user_top <= 1ull << 47 && file_bytes <= INT64_MAX);
    if ((rc = read_headers(&h, fd, file_bytes, err)) < 0)
        return rc;

    *image = (struct elf_image){
        .needs_base = h.file.e_type == ET_DYN,
        .align = ELF_PAGE,
        .entry = h.file.e_entry,
        .phnum = h.file.e_phnum,
    };
    for (uint32_t i = 0; i < h.file.e_phnum; i++)
        if ((rc = add_header(image, &h, &h.program[i], fd, file_bytes, user_top,
                             err)) < 0)
            return rc;
    if (image->segment_count == 0)
        return fail(err, GBX_EFORMAT, "without a segment to load");
    if (!image->needs_base && image->lowest < ELF_LOWEST)
        return fail(err, GBX_EUNSUPPORTED,
                    "it wants memory at 0x%" PRIx64 "; addresses below 0x%x "
                    "stay empty, so that null pointers are noticed",
                    image->lowest, ELF_LOWEST);
    return check_entry(image, err);
}

void elf_place(struct elf_image *image, uint64_t base)
{
    must(image->needs_base && base % image->align == 0);
    must(base <= UINT64_MAX - image->highest);
    must(base + image->lowest >= ELF_LOWEST);
    image->needs_base = false;
    image->base = base;
    image->lowest += base;
    image->highest += base;
    image->entry += base;
    if (image->phdr != 0)
        image->phdr += base;
    for (uint32_t i = 0; i < image->segment_count; i++)
        image->segments[i].va += base;
}
