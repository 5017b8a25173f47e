/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of four sections is made from tables, and one thing in it is spoiled.
 * At last this test is asked where its own functions are.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/microvm/elf/symbols.h"

#define FUNC  ELF64_ST_INFO(STB_GLOBAL, STT_FUNC)
#define PLAIN ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE)

enum { SYMTAB = 1, DYNSYM = 2, STRTAB = 3, SECTIONS = 4 };

static struct image {
    Elf64_Ehdr head;
    Elf64_Shdr sections[SECTIONS];
    Elf64_Sym full[8], dynamic[2];
    char texts[64];
} image;

static const struct image good = {
    .head =
        {
            .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
            .e_machine = EM_X86_64,
            .e_shoff = offsetof(struct image, sections),
            .e_shentsize = sizeof(Elf64_Shdr),
            .e_shnum = SECTIONS,
        },
    .sections =
        {
            [SYMTAB] = {.sh_type = SHT_SYMTAB,
                        .sh_offset = offsetof(struct image, full),
                        .sh_size = sizeof(image.full),
                        .sh_entsize = sizeof(Elf64_Sym),
                        .sh_link = STRTAB},
            [DYNSYM] = {.sh_type = SHT_DYNSYM,
                        .sh_offset = offsetof(struct image, dynamic),
                        .sh_size = sizeof(image.dynamic),
                        .sh_entsize = sizeof(Elf64_Sym),
                        .sh_link = STRTAB},
            [STRTAB] = {.sh_type = SHT_STRTAB,
                        .sh_offset = offsetof(struct image, texts),
                        .sh_size = sizeof(image.texts)},
        },
    .full =
        {
            {0},
            {.st_name = 1,
             .st_info = FUNC,
             .st_shndx = 1,
             .st_value = 0x1000,
             .st_size = 0x100}, /* first */
            {.st_name = 7,
             .st_info = PLAIN,
             .st_shndx = 1,
             .st_value = 0x1080}, /* label, in first */
            {.st_name = 13,
             .st_info = PLAIN,
             .st_shndx = 1,
             .st_value = 0x2000}, /* twin, ... */
            {.st_name = 18,
             .st_info = FUNC,
             .st_shndx = 1,
             .st_value = 0x2000}, /* ... and real */
            {.st_name = 1, .st_info = FUNC, .st_value = 0x2001}, /* undefined */
            {.st_name = 1,
             .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
             .st_shndx = 1,
             .st_value = 0x2001},
            {.st_name = 0, .st_info = FUNC, .st_shndx = 1, .st_value = 0x2001},
        },
    .dynamic =
        {{0},
         {.st_name = 23, .st_info = FUNC, .st_shndx = 1, .st_value = 0x500}},
    .texts = "\0first\0label\0twin\0real\0dynamic\0a\x1b[31m\n\x7f\xc3\xa9z",
};

static int memory = -1; /* of a temporary file */

/* What is said of an address in the image as it is; NAME+0xOFF. */
static int ask(char *text, size_t bytes, uint64_t address)
{
    char name[32];
    uint64_t off;
    int rc;

    if (memory < 0)
        memory = fileno(tmpfile());
    assert_int_equal(pwrite(memory, &image, sizeof(image), 0), sizeof(image));
    rc = elf_symbol(memory, sizeof(image), address, name, sizeof(name), &off);
    if (rc == 0)
        snprintf(text, bytes, "%s+0x%lx", name, (unsigned long)off);
    return rc;
}

static void the_function_that_has_it_or_the_nearest_below(void **state)
{
    static const struct {
        uint64_t address;
        const char *want; /* NULL: -ENOENT */
    } cases[] = {
        {0, NULL},
        {0x4ff, NULL},
        {0x500, "dynamic+0x0"}, /* the full table has none */
        {0xfff, "dynamic+0xaff"},
        {0x1000, "first+0x0"},
        {0x10ff, "first+0xff"}, /* not label, which has no size */
        {0x1100, "label+0x80"},
        {0x2000, "real+0x0"},
        {0x2001, "real+0x1"},
        {UINT64_MAX, "real+0xffffffffffffdfff"},
    };
    char text[64];

    (void)state;
    image = good;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int rc = ask(text, sizeof(text), cases[i].address);

        assert_int_equal(rc, cases[i].want != NULL ? 0 : -ENOENT);
        if (rc == 0)
            assert_string_equal(text, cases[i].want);
    }
}

static void a_size_that_wraps_holds_nothing_below_it(void **state)
{
    char text[64];

    (void)state;
    image = good;
    image.full[1].st_value = UINT64_MAX - 1;
    image.full[1].st_size = UINT64_MAX;
    assert_int_equal(ask(text, sizeof(text), 0x1090), 0);
    assert_string_equal(text, "label+0x10");
}

static void a_name_is_printable_and_cut_to_fit(void **state)
{
    char text[64], name[4];
    uint64_t off;

    (void)state;
    image = good;
    image.full[1].st_name = 31;
    assert_int_equal(ask(text, sizeof(text), 0x1000), 0);
    assert_string_equal(text, "a?[31m????z+0x0");

    image = good;
    for (size_t bytes = 1; bytes <= sizeof(name); bytes++) {
        ask(text, sizeof(text), 0x1000);
        memset(name, 'x', sizeof(name));
        assert_int_equal(
            elf_symbol(memory, sizeof(image), 0x1000, name, bytes, &off), 0);
        assert_int_equal(strlen(name), bytes - 1);
        assert_memory_equal(name, "first", bytes - 1);
    }
    image.sections[STRTAB].sh_size = 4; /* it ends with the table */
    assert_int_equal(ask(text, sizeof(text), 0x1000), 0);
    assert_string_equal(text, "fir+0x0");
}

/* One number is set at a time; the dynamic table is gone, and cannot help. */
static void a_damaged_file_is_refused(void **state)
{
    static const struct {
        size_t at, bytes;
        uint64_t value;
        int want;
    } cases[] = {
#define AT(member) offsetof(struct image, member), sizeof(image.member)
        {AT(head.e_machine), EM_X86_64, 0},
        {AT(head.e_machine), EM_AARCH64, -ENOEXEC},
        {AT(head.e_ident[0]), 0x7e, -ENOEXEC},
        {AT(head.e_ident[EI_CLASS]), ELFCLASS32, -ENOEXEC},
        {AT(head.e_ident[EI_DATA]), ELFDATA2MSB, -ENOEXEC},
        {AT(head.e_shoff), 0, -ENOENT},
        {AT(head.e_shoff), sizeof(struct image) - 1, -ENOEXEC},
        {AT(head.e_shoff), UINT64_MAX, -ENOEXEC},
        {AT(head.e_shoff), UINT64_MAX - 63, -ENOEXEC},
        {AT(head.e_shoff), INT64_MAX, -ENOEXEC},
        {AT(head.e_shnum), 0, -ENOENT},
        {AT(head.e_shnum), 1, -ENOENT},
        {AT(head.e_shnum), 3, -ENOEXEC}, /* texts are behind */
        {AT(head.e_shnum), UINT16_MAX, -ENOEXEC},
        {AT(head.e_shentsize), 63, -ENOEXEC},
        {AT(sections[SYMTAB].sh_entsize), 0, -ENOEXEC},
        {AT(sections[SYMTAB].sh_entsize), 25, -ENOEXEC},
        {AT(sections[SYMTAB].sh_offset), UINT64_MAX, -ENOEXEC},
        {AT(sections[SYMTAB].sh_offset), sizeof(struct image) - 23, -ENOEXEC},
        {AT(sections[SYMTAB].sh_offset), INT64_MAX, -ENOEXEC},
        {AT(sections[SYMTAB].sh_size), UINT64_MAX, -ENOEXEC},
        {AT(sections[SYMTAB].sh_size), 23, -ENOENT},
        {AT(sections[SYMTAB].sh_size), 0, -ENOENT},
        {AT(sections[SYMTAB].sh_link), 0, -ENOEXEC},
        {AT(sections[SYMTAB].sh_link), SECTIONS, -ENOEXEC},
        {AT(sections[SYMTAB].sh_link), UINT32_MAX, -ENOEXEC},
        {AT(sections[STRTAB].sh_type), SHT_PROGBITS, -ENOEXEC},
        {AT(sections[STRTAB].sh_offset), UINT64_MAX, -ENOEXEC},
        {AT(sections[STRTAB].sh_offset), sizeof(struct image), -ENOEXEC},
        {AT(sections[STRTAB].sh_size), UINT64_MAX, -ENOEXEC},
        {AT(sections[STRTAB].sh_size), 1, -ENOEXEC},
        {AT(full[1].st_name), sizeof(image.texts), -ENOEXEC},
        {AT(full[1].st_name), UINT32_MAX, -ENOEXEC},
#undef AT
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        image = good;
        image.sections[DYNSYM].sh_type = SHT_NULL;
        memcpy((char *)&image + cases[i].at, &cases[i].value, cases[i].bytes);
        assert_int_equal(ask(text, sizeof(text), 0x1000), cases[i].want);
    }
}

static void a_damaged_table_leaves_the_other(void **state)
{
    char text[64];

    (void)state;
    image = good;
    image.sections[SYMTAB].sh_entsize = 1;
    assert_int_equal(ask(text, sizeof(text), 0x1000), 0);
    assert_string_equal(text, "dynamic+0xb00");
}

/* The file is shorter than it was when somebody asked. */
static void a_file_that_is_cut_is_refused(void **state)
{
    char name[8];
    uint64_t off;

    (void)state;
    image = good;
    image.sections[DYNSYM].sh_type = SHT_NULL;
    ask(name, sizeof(name), 0);
    for (size_t bytes = 0; bytes < offsetof(struct image, texts); bytes++) {
        assert_int_equal(
            elf_symbol(memory, bytes, 0x1000, name, sizeof(name), &off),
            -ENOEXEC);
        if (bytes % 50 != 0)
            continue;
        assert_int_equal(ftruncate(memory, (off_t)bytes), 0);
        assert_int_equal(
            elf_symbol(memory, sizeof(image), 0x1000, name, sizeof(name), &off),
            -ENOEXEC);
        ask(name, sizeof(name), 0);
    }
    assert_int_equal(elf_symbol(-1, 4096, 0, name, sizeof(name), &off),
                     -ENOEXEC);
}

/* The last of a million is found, and nobody looks behind it. */
static void only_so_many_symbols_are_looked_at(void **state)
{
    const uint64_t at = sizeof(image);
    char text[64];

    (void)state;
    image = good;
    ask(text, sizeof(text), 0);
    image.sections[SYMTAB].sh_offset = at;
    for (unsigned more = 0; more < 2; more++) {
        uint64_t count = ELF_SYMBOLS_MAX + more;
        uint64_t last = at + (count - 1) * sizeof(Elf64_Sym);
        char name[8];
        uint64_t off;

        image.sections[SYMTAB].sh_size = count * sizeof(Elf64_Sym);
        assert_int_equal(ftruncate(memory, (off_t)at), 0);
        ask(text, sizeof(text), 0);
        assert_int_equal(
            pwrite(memory, &good.full[1], sizeof(Elf64_Sym), (off_t)last),
            sizeof(Elf64_Sym));
        assert_int_equal(elf_symbol(memory, last + sizeof(Elf64_Sym), 0x1000,
                                    name, sizeof(name), &off),
                         0);
        assert_string_equal(name, more ? "dynamic" : "first");
    }
}

int a_function_to_be_found(int);

__attribute__((noinline)) int a_function_to_be_found(int value)
{
    return value * 3 + 1;
}

static void a_real_program_names_its_functions(void **state)
{
    auto_fd int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    uint64_t head = getauxval(AT_PHDR) - sizeof(Elf64_Ehdr), off;
    uint64_t address = (uint64_t)(uintptr_t)a_function_to_be_found;
    Elf64_Ehdr file;
    struct stat st;
    char name[64];

    (void)state;
    assert_int_equal(fstat(self, &st), 0);
    assert_int_equal(pread(self, &file, sizeof(file), 0), sizeof(file));
    address -= file.e_type == ET_DYN ? head : 0;
    for (uint64_t i = 0; i < 2; i++) {
        assert_int_equal(elf_symbol(self, (uint64_t)st.st_size, address + i,
                                    name, sizeof(name), &off),
                         0);
        assert_string_equal(name, "a_function_to_be_found");
        assert_int_equal(off, i);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_function_that_has_it_or_the_nearest_below),
        cmocka_unit_test(a_size_that_wraps_holds_nothing_below_it),
        cmocka_unit_test(a_name_is_printable_and_cut_to_fit),
        cmocka_unit_test(a_damaged_file_is_refused),
        cmocka_unit_test(a_damaged_table_leaves_the_other),
        cmocka_unit_test(a_file_that_is_cut_is_refused),
        cmocka_unit_test(only_so_many_symbols_are_looked_at),
        cmocka_unit_test(a_real_program_names_its_functions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
