/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/microvm/elf/elf.h"

#define TOP ((1ull << 47) - ELF_PAGE)

static struct elf_image image;
static struct gbx_error error;

/* A file of this machine as it lies on the disk, and read by elf_read. */
struct whole {
    const uint8_t *bytes;
    size_t count;
};

static bool open_whole(struct whole *file, const char *path)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *at;

    if (fd < 0)
        return false;
    assert_int_equal(fstat(fd, &st), 0);
    file->count = (size_t)st.st_size;
    at = mmap(NULL, file->count, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(at != MAP_FAILED);
    file->bytes = at;
    if (elf_read(&image, fd, file->count, TOP, &error) < 0)
        fail_msg("%s: %s", path, error.what);
    return true;
}

static void close_whole(struct whole *file)
{
    munmap((void *)(uintptr_t)file->bytes, file->count);
}

/* The oracle: the file's own tables, trusted, looked at in place. */
static void assert_same(const struct whole *file)
{
    const Elf64_Ehdr *eh = (const void *)file->bytes;
    const Elf64_Phdr *ph = (const void *)(file->bytes + eh->e_phoff);
    const struct elf_segment *s = image.segments;
    const char *interp = "";
    uint64_t align = ELF_PAGE, low = UINT64_MAX, high = 0;

    assert_int_equal(image.needs_base, eh->e_type == ET_DYN);
    assert_int_equal(image.base, 0);
    assert_int_equal(image.entry, eh->e_entry);
    assert_int_equal(image.phnum, eh->e_phnum);
    for (unsigned i = 0; i < eh->e_phnum; i++) {
        if (ph[i].p_type == PT_INTERP)
            interp = (const char *)file->bytes + ph[i].p_offset;
        if (ph[i].p_type == PT_PHDR)
            assert_int_equal(image.phdr, ph[i].p_vaddr);
        if (ph[i].p_type != PT_LOAD)
            continue;
        assert_int_equal(s->va, ph[i].p_vaddr);
        assert_int_equal(s->memory_bytes, ph[i].p_memsz);
        assert_int_equal(s->file_off, ph[i].p_offset);
        assert_int_equal(s->file_bytes, ph[i].p_filesz);
        assert_int_equal(s->readable, (ph[i].p_flags & PF_R) != 0);
        assert_int_equal(s->writable, (ph[i].p_flags & PF_W) != 0);
        assert_int_equal(s->executable, (ph[i].p_flags & PF_X) != 0);
        align = ph[i].p_align > align ? ph[i].p_align : align;
        low = s->va < low ? s->va : low;
        high = s->va + s->memory_bytes > high ? s->va + s->memory_bytes : high;
        s++;
    }
    assert_int_equal(s - image.segments, image.segment_count);
    assert_int_equal(image.align, align);
    assert_int_equal(image.lowest, low / ELF_PAGE * ELF_PAGE);
    assert_int_equal(image.highest,
                     (high + ELF_PAGE - 1) / ELF_PAGE * ELF_PAGE);
    assert_string_equal(image.interp, interp);
}

/* What the build made lies beside the tests. */
static const char *beside(char *path, const char *name)
{
    ssize_t n = readlink("/proc/self/exe", path, 400);

    must(n > 0 && n < 400);
    path[n] = '\0';
    snprintf(strrchr(path, '/') + 1, 100, "%s", name);
    return path;
}

static void programs_of_this_machine_are_read_as_their_files_say(void **state)
{
    char room[2][512];
    const char *paths[] = {
        "/bin/true",                   /* position independent */
        "/usr/bin/python3.11",         /* at a fixed place */
        "/sbin/ldconfig",              /* static, position independent */
        "/lib64/ld-linux-x86-64.so.2", /* an interpreter */
        beside(room[0], "libexec/glovebox-init"),
        beside(room[1], "libexec/glovebox-python"),
    };
    unsigned found = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct whole file;

        if (!open_whole(&file, paths[i]))
            continue; /* not on this machine, or not built */
        assert_same(&file);
        close_whole(&file);
        found++;
    }
    assert_true(found >= 2);
}

static int own_base(struct dl_phdr_info *info, size_t bytes, void *base)
{
    (void)bytes;
    *(uint64_t *)base = info->dlpi_addr;
    return 1; /* the program itself is the first */
}

/* What the kernel made of the same file is in our own auxiliary vector. */
static void we_place_our_own_program_as_the_kernel_did(void **state)
{
    struct whole file;
    uint64_t base = 0;

    (void)state;
    dl_iterate_phdr(own_base, &base);
    assert_true(open_whole(&file, "/proc/self/exe"));
    close_whole(&file);
    if (image.needs_base)
        elf_place(&image, base);
    assert_int_equal(image.base, base);
    assert_int_equal(image.phdr, getauxval(AT_PHDR));
    assert_int_equal(image.phnum, getauxval(AT_PHNUM));
    assert_int_equal(image.entry, getauxval(AT_ENTRY));
    assert_true(image.lowest <= (uintptr_t)&image);
    assert_true(image.highest > (uintptr_t)&image);

    assert_true(open_whole(&file, image.interp));
    close_whole(&file);
    elf_place(&image, getauxval(AT_BASE));
    assert_true(image.entry > image.base && image.entry < image.highest);
}

/*
 * A good program, small and whole, in which one thing is spoiled:
 *
 *  0        64                    0x300     0x1000      0x2000      0x3000
 *  | header | 5 program headers | interp | code ...   | data ...  |
 */
struct good {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[5];
    char gap[0x300 - 64 - 5 * 56];
    char interp[0x500];
    char rest[0x3000 - 0x800];
};

enum { INTERP, TEXT, CODE, DATA, STACK };

_Static_assert(offsetof(struct good, interp) == 0x300, "as in the picture");
_Static_assert(sizeof(struct good) == 0x3000, "as in the picture");

static struct good good;
static uint64_t good_bytes;

static int set_up(void **state)
{
    (void)state;
    memset(&good, 0, sizeof(good));
    good_bytes = sizeof(good);
    strcpy(good.interp, "/lib/ld.so");
    good.eh = (Elf64_Ehdr){
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_entry = 0x401010,
        .e_phoff = 64,
        .e_ehsize = 64,
        .e_phentsize = 56,
        .e_phnum = 5,
    };
    good.ph[INTERP] = (Elf64_Phdr){
        .p_type = PT_INTERP, .p_offset = 0x300, .p_filesz = 11, .p_memsz = 11};
    good.ph[TEXT] =
        (Elf64_Phdr){PT_LOAD, PF_R, 0, 0x400000, 0, 0x1000, 0x1000, 0x1000};
    good.ph[CODE] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0x1000, 0x401000,
                                 0,       0xf00,       0xf00,  0x1000};
    good.ph[DATA] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 0x2100, 0x402100,
                                 0,       0xf00,       0x5000, 0x1000};
    good.ph[STACK] =
        (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W};
    return 0;
}

static int read_good(void)
{
    FILE *file = tmpfile();
    int rc;

    must(file != NULL && good_bytes <= sizeof(good));
    must(fwrite(&good, 1, (size_t)good_bytes, file) == good_bytes);
    must(fflush(file) == 0);
    rc = elf_read(&image, fileno(file), good_bytes, TOP, &error);
    fclose(file);
    if (rc < 0)
        assert_int_equal(rc, error.code);
    return rc;
}

static void the_good_program_is_good(void **state)
{
    (void)state;
    assert_int_equal(read_good(), 0);
    assert_string_equal(image.interp, "/lib/ld.so");
    assert_int_equal(image.phdr, 0x400040);
    assert_int_equal(image.segment_count, 3);
    assert_int_equal(image.lowest, 0x400000);
    assert_int_equal(image.highest, 0x408000);
    assert_int_equal(image.segments[DATA - TEXT].memory_bytes, 0x5000);
}

/* One place of the good program, the value put there, and the refusal. */
#define AT(field)   offsetof(struct good, field), sizeof(good.field)
#define IDENT(n)    offsetof(struct good, eh.e_ident) + (n), 1
#define PH(n, what) offsetof(struct good, ph[n].what), sizeof(good.ph[n].what)

static const struct spoiled {
    size_t off, bytes;
    uint64_t value;
    int code;
    const char *words;
} table[] = {
    {IDENT(0), 'x', GBX_EFORMAT, "not an ELF file"},
    {AT(eh), 0, GBX_EFORMAT, "not an ELF file"},
    {IDENT(EI_CLASS), 1, GBX_EUNSUPPORTED, "32-bit"},
    {IDENT(EI_CLASS), 3, GBX_EFORMAT, "neither"},
    {IDENT(EI_DATA), 2, GBX_EUNSUPPORTED, "big-endian"},
    {IDENT(EI_DATA), 0, GBX_EFORMAT, "byte order"},
    {IDENT(EI_VERSION), 2, GBX_EFORMAT, "version"},
    {AT(eh.e_version), 0, GBX_EFORMAT, "version"},
    {IDENT(EI_OSABI), ELFOSABI_FREEBSD, GBX_EUNSUPPORTED, "FreeBSD"},
    {IDENT(EI_OSABI), 6, GBX_EUNSUPPORTED, "another operating system"},
    {AT(eh.e_machine), EM_AARCH64, GBX_EUNSUPPORTED,
     "a program for aarch64; this machine is x86-64"},
    {AT(eh.e_machine), 9999, GBX_EUNSUPPORTED, "machine number 9999"},
    {AT(eh.e_type), ET_REL, GBX_EFORMAT, "link it first"},
    {AT(eh.e_type), ET_CORE, GBX_EFORMAT, "core dump"},
    {AT(eh.e_type), 77, GBX_EFORMAT, "type 77"},

    {AT(eh.e_phnum), 0, GBX_EFORMAT, "nothing to load"},
    {AT(eh.e_phnum), 1, GBX_EFORMAT, "without a segment"},
    {AT(eh.e_phnum), ELF_HEADERS_MAX + 1, GBX_ELIMIT, "129 program headers"},
    {AT(eh.e_phnum), PN_XNUM, GBX_ELIMIT, "65535 program headers"},
    {AT(eh.e_phentsize), 32, GBX_EFORMAT, "32 bytes each"},
    {AT(eh.e_phoff), 63, GBX_EFORMAT, "inside its ELF header"},
    {AT(eh.e_phoff), sizeof(good) - 5 * 56 + 1, GBX_EFORMAT, "cut off"},
    {AT(eh.e_phoff), UINT64_MAX - 8, GBX_EFORMAT, "cut off"},

    {AT(eh.e_entry), 0x400fff, GBX_EFORMAT, "entry 0x400fff"},
    {AT(eh.e_entry), 0x401f00, GBX_EFORMAT, "entry"},
    {AT(eh.e_entry), 0x402100, GBX_EFORMAT, "entry"},
    {AT(eh.e_entry), 0, GBX_EFORMAT, "entry 0x0"},

    {PH(TEXT, p_type), PT_INTERP, GBX_EFORMAT, "two interpreters"},
    {PH(INTERP, p_filesz), 0, GBX_EFORMAT, "has no end"},
    {PH(INTERP, p_filesz), 10, GBX_EFORMAT, "has no end"},
    {PH(INTERP, p_filesz), 257, GBX_ELIMIT, "at most 255"},
    {PH(INTERP, p_filesz), UINT64_MAX, GBX_ELIMIT, "at most 255"},
    {PH(INTERP, p_offset), sizeof(good) - 10, GBX_EFORMAT, "cut off"},
    {PH(INTERP, p_offset), 0x301, GBX_EFORMAT, "does not start with '/'"},
    {offsetof(struct good, interp) + 3, 1, '\n', GBX_EFORMAT, "control"},
    {offsetof(struct good, interp) + 3, 1, 0xff, GBX_EFORMAT, "UTF-8"},
    {offsetof(struct good, interp), 1, 0, GBX_EFORMAT, "does not start"},

    {PH(STACK, p_flags), PF_R | PF_W | PF_X, GBX_EUNSUPPORTED, "noexecstack"},
    {PH(CODE, p_flags), PF_R | PF_W | PF_X, GBX_EUNSUPPORTED, "without -N"},
    {PH(CODE, p_filesz), 0xf01, GBX_EFORMAT, "larger in the file"},
    {PH(DATA, p_offset), 0x3100, GBX_EFORMAT, "cut off"},
    {PH(DATA, p_offset), 0x2001, GBX_EFORMAT, "cannot be mapped"},
    {PH(DATA, p_offset), UINT64_MAX - 0xeff, GBX_EFORMAT, "cut off"},
    {PH(DATA, p_vaddr), 0x402000, GBX_EFORMAT, "cannot be mapped"},
    {PH(DATA, p_vaddr), 0x400100, GBX_EFORMAT, "not in the order"},
    {PH(DATA, p_vaddr), 0x401100, GBX_EFORMAT, "overlap"},
    {PH(CODE, p_memsz), 0x1101, GBX_EFORMAT, "overlap"},
    {PH(CODE, p_memsz), 0x1100, GBX_EFORMAT, "share a page"},
    {PH(CODE, p_memsz), UINT64_MAX, GBX_EFORMAT, "above the addresses"},
    {PH(DATA, p_vaddr), TOP - 0x5000 + 0x100, GBX_EFORMAT, "above"},
    {PH(DATA, p_vaddr), UINT64_MAX - 0xeff, GBX_EFORMAT, "above"},
    {PH(DATA, p_align), 0x1001, GBX_EFORMAT, "no power of two"},
    {PH(DATA, p_align), 1ull << 63, GBX_ELIMIT, "at most 1073741824"},
    {PH(TEXT, p_vaddr), 0xf000, GBX_EUNSUPPORTED, "null pointers"},
};

static void one_spoiled_thing_is_refused_by_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const struct spoiled *c = &table[i];
        uint64_t value[8] = {c->value};
        int rc;

        set_up(NULL);
        memcpy((char *)&good + c->off, value, c->bytes);
        rc = read_good();
        if (rc != c->code || strstr(error.what, c->words) == NULL)
            fail_msg("case %zu (%s): %d, %s", i, c->words, rc,
                     rc < 0 ? error.what : "read");
    }
}

/* The same, spoiled up to the last value that is still good. */
static void what_lies_just_inside_is_read(void **state)
{
    static const struct {
        size_t off, bytes;
        uint64_t value;
    } cases[] = {
        {IDENT(EI_OSABI), ELFOSABI_GNU},
        {AT(eh.e_phnum), 4}, /* no PT_GNU_STACK */
        {AT(eh.e_entry), 0x401000},
        {AT(eh.e_entry), 0x401eff},
        {AT(eh.e_ehsize), 0}, /* nobody's */
        {PH(INTERP, p_filesz), 256},
        {PH(INTERP, p_type), PT_NOTE},
        {PH(CODE, p_memsz), 0x1000},
        {PH(DATA, p_vaddr), TOP - 0x5000 - 0xf00},
        {PH(DATA, p_align), 0},
        {PH(DATA, p_align), ELF_ALIGN_MAX},
        {PH(TEXT, p_vaddr), ELF_LOWEST},
        {PH(TEXT, p_flags), 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        set_up(NULL);
        memcpy((char *)&good + cases[i].off, &cases[i].value, cases[i].bytes);
        if (read_good() < 0)
            fail_msg("case %zu: %s", i, error.what);
    }
}

static void a_file_cut_anywhere_is_told_from_other_files(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *words;
    } cases[] = {
        {0, "empty"},
        {1, "not an ELF file"},
        {3, "not an ELF file"},
        {4, "cut off inside its ELF header"},
        {63, "cut off inside its ELF header"},
        {64, "cut off inside its program headers"},
        {64 + 5 * 56 - 1, "cut off inside its program headers"},
        {64 + 5 * 56, "cut off before the path"},
        {0x2fff, "a segment ends behind the file's end, of 12287 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        good_bytes = cases[i].bytes;
        assert_int_equal(read_good(), GBX_EFORMAT);
        assert_non_null(strstr(error.what, cases[i].words));
    }
    good_bytes = sizeof(good);
    memcpy(&good, "#!/bin/sh\n", 10);
    assert_int_equal(read_good(), GBX_EFORMAT);
    assert_non_null(strstr(error.what, "a script"));
    memcpy(&good, "MZ", 2);
    assert_int_equal(read_good(), GBX_EFORMAT);
    assert_non_null(strstr(error.what, "a Windows program"));
}

/* The length that was asked for earlier is no promise. */
static void a_file_that_shrank_meanwhile_is_cut_off(void **state)
{
    FILE *file = tmpfile();

    (void)state;
    must(file != NULL && fwrite(&good, 1, 100, file) == 100);
    must(fflush(file) == 0);
    assert_int_equal(elf_read(&image, fileno(file), sizeof(good), TOP, &error),
                     GBX_EFORMAT);
    assert_non_null(strstr(error.what, "inside its program headers"));
    fclose(file);
    assert_int_equal(elf_read(&image, -1, sizeof(good), TOP, &error),
                     GBX_EHOST);
    assert_non_null(strstr(error.what, "cannot be read"));
}

static void a_path_of_255_bytes_is_the_longest_interpreter(void **state)
{
    (void)state;
    memset(good.interp, 'x', 255);
    good.interp[0] = '/';
    good.ph[INTERP].p_filesz = 256;
    assert_int_equal(read_good(), 0);
    assert_int_equal(strlen(image.interp), 255);
}

static void segments_are_counted(void **state)
{
    Elf64_Phdr *ph = (Elf64_Phdr *)(void *)((char *)&good + 0x800);

    (void)state;
    good.eh.e_phoff = 0x800;
    for (unsigned i = 0; i <= ELF_SEGMENTS_MAX; i++) {
        ph[i] = good.ph[CODE];
        ph[i].p_vaddr += i * 0x10000ull;
    }
    good.eh.e_phnum = ELF_SEGMENTS_MAX;
    assert_int_equal(read_good(), 0);
    assert_int_equal(image.segment_count, ELF_SEGMENTS_MAX);
    assert_int_equal(image.phdr, 0); /* no segment has that of the file */
    good.eh.e_phnum++;
    assert_int_equal(read_good(), GBX_ELIMIT);
    ph[7].p_filesz = ph[7].p_memsz = 0; /* nothing is no segment */
    assert_int_equal(read_good(), 0);
    assert_int_equal(image.segment_count, ELF_SEGMENTS_MAX);
}

static void zeros_alone_need_no_place_in_the_file(void **state)
{
    (void)state;
    good.ph[DATA].p_offset = 0;
    good.ph[DATA].p_filesz = 0;
    assert_int_equal(read_good(), 0);
    assert_int_equal(image.segments[2].file_bytes, 0);
    assert_int_equal(image.segments[2].memory_bytes, 0x5000);
}

static void a_base_moves_every_address(void **state)
{
    (void)state;
    good.eh.e_type = ET_DYN;
    good.ph[CODE].p_align = 0x200000;
    good.ph[TEXT].p_vaddr = 0;
    good.ph[CODE].p_vaddr = 0x1000;
    good.ph[DATA].p_vaddr = 0x2100;
    good.eh.e_entry = 0x1010;
    assert_int_equal(read_good(), 0);
    assert_true(image.needs_base);
    assert_int_equal(image.align, 0x200000);
    elf_place(&image, 0x400000);
    assert_false(image.needs_base);
    assert_int_equal(image.base, 0x400000);
    assert_int_equal(image.lowest, 0x400000);
    assert_int_equal(image.highest, 0x408000);
    assert_int_equal(image.entry, 0x401010);
    assert_int_equal(image.phdr, 0x400040);
    assert_int_equal(image.segments[2].va, 0x402100);

    good.eh.e_entry = 0;
    assert_int_equal(read_good(), GBX_EFORMAT);
    assert_non_null(strstr(error.what, "a shared library"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_of_this_machine_are_read_as_their_files_say),
        cmocka_unit_test(we_place_our_own_program_as_the_kernel_did),
        cmocka_unit_test_setup(the_good_program_is_good, set_up),
        cmocka_unit_test(one_spoiled_thing_is_refused_by_its_name),
        cmocka_unit_test(what_lies_just_inside_is_read),
        cmocka_unit_test_setup(a_file_cut_anywhere_is_told_from_other_files,
                               set_up),
        cmocka_unit_test_setup(a_file_that_shrank_meanwhile_is_cut_off, set_up),
        cmocka_unit_test_setup(a_path_of_255_bytes_is_the_longest_interpreter,
                               set_up),
        cmocka_unit_test_setup(segments_are_counted, set_up),
        cmocka_unit_test_setup(zeros_alone_need_no_place_in_the_file, set_up),
        cmocka_unit_test_setup(a_base_moves_every_address, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
