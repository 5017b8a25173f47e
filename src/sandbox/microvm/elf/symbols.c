/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbols.c - a stranger's symbol table is read in runs, and never believed.
 *
 * The ELF header, runs of section headers and runs of symbols are each read
 * with pread into memory of our own, and one symbol is kept: the best so far.
 * Its name is read at the end.  The full table (.symtab) is asked first, then
 * that of the dynamic linker (.dynsym), which is there in stripped files.
 */
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "sandbox/microvm/elf/symbols.h"

#define RUN_BYTES 16384u

struct input {
    int fd;
    uint64_t bytes; /* what lies behind them is not there */
    Elf64_Ehdr head;
};

/* All of [off, off + bytes), or -ENOEXEC. */
static int read_at(const struct input *in, void *to, size_t bytes, uint64_t off)
{
    size_t have = 0;
    ssize_t n;

    if (off > in->bytes || bytes > in->bytes - off)
        return -ENOEXEC;
    while (have < bytes) {
        n = pread(in->fd, (char *)to + have, bytes - have, (off_t)(off + have));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -ENOEXEC;
        have += (size_t)n;
    }
    return 0;
}

static int read_head(struct input *in)
{
    const Elf64_Ehdr *head = &in->head;
    int rc = read_at(in, &in->head, sizeof(in->head), 0);

    if (rc < 0)
        return rc;
    if (memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
        head->e_ident[EI_CLASS] != ELFCLASS64 ||
        head->e_ident[EI_DATA] != ELFDATA2LSB || head->e_machine != EM_X86_64)
        return -ENOEXEC;
    if (head->e_shoff == 0 || head->e_shnum == 0)
        return -ENOENT; /* stripped of its sections, too */
    return head->e_shentsize == sizeof(Elf64_Shdr) ? 0 : -ENOEXEC;
}

static int read_section(const struct input *in, Elf64_Shdr *section,
                        uint32_t index)
{
    if (index >= in->head.e_shnum || in->head.e_shoff > in->bytes)
        return -ENOEXEC;
    return read_at(in, section, sizeof(*section),
                   in->head.e_shoff + index * sizeof(*section));
}

/* The first section of a type; -ENOENT: there is none. */
static int find_section(const struct input *in, Elf64_Shdr *found,
                        uint32_t type)
{
    Elf64_Shdr run[RUN_BYTES / sizeof(Elf64_Shdr)];
    uint32_t left = in->head.e_shnum;
    uint64_t off = in->head.e_shoff;
    int rc;

    while (left > 0) {
        uint32_t n = left < ARRAY_SIZE(run) ? left : ARRAY_SIZE(run);

        if ((rc = read_at(in, run, n * sizeof(run[0]), off)) < 0)
            return rc;
        for (uint32_t i = 0; i < n; i++)
            if (run[i].sh_type == type) {
                *found = run[i];
                return 0;
            }
        left -= n;
        off += n * sizeof(run[0]);
    }
    return -ENOENT;
}

static bool is_function(const Elf64_Sym *symbol)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info);

    return (type == STT_FUNC || type == STT_NOTYPE) && symbol->st_name != 0 &&
           symbol->st_shndx != SHN_UNDEF &&
           (symbol->st_shndx < SHN_LORESERVE || symbol->st_shndx == SHN_XINDEX);
}

/* Does the address lie in what the symbol says is its size? */
static bool has(const Elf64_Sym *symbol, uint64_t address)
{
    return address - symbol->st_value < symbol->st_size;
}

/* Both lie at or below the address.  Of equals, the first stays. */
static bool is_better(const Elf64_Sym *a, const Elf64_Sym *b, uint64_t address)
{
    if (has(a, address) != has(b, address))
        return has(a, address);
    if (a->st_value != b->st_value)
        return a->st_value > b->st_value;
    return ELF64_ST_TYPE(a->st_info) == STT_FUNC &&
           ELF64_ST_TYPE(b->st_info) != STT_FUNC;
}

static int find_symbol(const struct input *in, Elf64_Sym *best,
                       const Elf64_Shdr *table, uint64_t address)
{
    Elf64_Sym run[RUN_BYTES / sizeof(Elf64_Sym)];
    uint64_t left = table->sh_size / sizeof(run[0]), off = table->sh_offset;
    bool found = false;
    int rc;

    if (table->sh_entsize != sizeof(run[0]) || off > in->bytes)
        return -ENOEXEC;
    if (left > ELF_SYMBOLS_MAX)
        left = ELF_SYMBOLS_MAX;
    while (left > 0) {
        size_t n = left < ARRAY_SIZE(run) ? left : ARRAY_SIZE(run);

        if ((rc = read_at(in, run, n * sizeof(run[0]), off)) < 0)
            return rc;
        for (size_t i = 0; i < n; i++) {
            if (!is_function(&run[i]) || run[i].st_value > address)
                continue;
            if (!found || is_better(&run[i], best, address))
                *best = run[i];
            found = true;
        }
        left -= n;
        off += n * sizeof(run[0]);
    }
    return found ? 0 : -ENOENT;
}

static int read_name(const struct input *in, char *name, size_t name_bytes,
                     const Elf64_Shdr *table, const Elf64_Sym *symbol)
{
    Elf64_Shdr texts;
    size_t bytes = name_bytes - 1;
    uint64_t off = symbol->st_name;
    int rc = read_section(in, &texts, table->sh_link);

    if (rc < 0)
        return rc;
    if (texts.sh_type != SHT_STRTAB || texts.sh_offset > in->bytes ||
        texts.sh_size > in->bytes - texts.sh_offset || off >= texts.sh_size)
        return -ENOEXEC;
    if (bytes > texts.sh_size - off)
        bytes = texts.sh_size - off;
    if ((rc = read_at(in, name, bytes, texts.sh_offset + off)) < 0)
        return rc;
    name[bytes] = '\0';
    for (char *c = name; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return 0;
}

int elf_symbol(int fd, uint64_t file_bytes, uint64_t address, char *name,
               size_t name_bytes, uint64_t *off)
{
    static const uint32_t types[] = {SHT_SYMTAB, SHT_DYNSYM};
    struct input in = {.fd = fd, .bytes = file_bytes};
    Elf64_Shdr table;
    Elf64_Sym best;
    int rc = read_head(&in), first = -ENOENT;

    must(name_bytes > 0 && file_bytes <= INT64_MAX);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        rc = find_section(&in, &table, types[i]);
        if (rc == 0)
            rc = find_symbol(&in, &best, &table, address);
        if (rc == 0)
            rc = read_name(&in, name, name_bytes, &table, &best);
        if (rc == 0) {
            *off = address - best.st_value;
            return 0;
        }
        if (first == -ENOENT)
            first = rc;
    }
    return first;
}
