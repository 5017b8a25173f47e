/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf.h - what a Linux program's file asks for, and the stack it starts with.
 *
 * Only a plan is made here: nothing is mapped.  Programs and interpreters are
 * read alike; of an interpreter, the interpreter that it names is nobody's.
 *
 *  if ((rc = elf_read(&program, fd, file_bytes, user_top, &err)) < 0)
 *      return fail(err, rc, "%s: %s", path, inner.what);
 *  if (program.needs_base)
 *      elf_place(&program, base);          a multiple of program.align
 *  ... map program.segments; if program.interp[0], the interpreter likewise ...
 *  plan.program = &program, plan.interp_base = interpreter.base;
 *  rc = elf_stack(&sp, buffer, sizeof(buffer), &plan, &err);
 *
 * Threads: any.
 * Memory:  the caller's; nothing is allocated.
 */
#ifndef SANDBOX_MICROVM_ELF_ELF_H
#define SANDBOX_MICROVM_ELF_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/error.h"

#define ELF_PAGE             4096u
#define ELF_LOWEST           0x10000u   /* as Linux's mmap_min_addr */
#define ELF_HEADERS_MAX      128u       /* program headers of any kind */
#define ELF_SEGMENTS_MAX     32u        /* of them, PT_LOAD */
#define ELF_INTERP_BYTES_MAX 255u       /* path, without its end */
#define ELF_ALIGN_MAX        (1u << 30) /* p_align */

/* argv and envp with their pointers; one string; the program's own name. */
#define ELF_ARGUMENT_BYTES_MAX (1u << 20)
#define ELF_STRING_BYTES_MAX   (1u << 17)
#define ELF_NAME_BYTES_MAX     4095u
/* No stack image is larger. */
#define ELF_STACK_BYTES_MAX (ELF_ARGUMENT_BYTES_MAX + 8192u)

/*
 * A piece of the file in memory.  va and file_off have the same place in their
 * page; no two segments share a page; none is both writable and executable.
 * From file_bytes to memory_bytes, and around them to whole pages, is zero.
 *
 *        va                              va + memory_bytes
 *  |.....[ file_bytes of the file ][ zeros ].....|
 *  page                                          page
 */
struct elf_segment {
    uint64_t va;
    uint64_t memory_bytes; /* > 0 */
    uint64_t file_off;     /* meaningless where file_bytes is 0 */
    uint64_t file_bytes;   /* <= memory_bytes */
    bool readable, writable, executable;
};

struct elf_image {
    bool needs_base; /* addresses count from a base that is not chosen yet */
    uint64_t base;   /* what elf_place added */
    uint64_t align;  /* of the base; a power of two, at least a page */
    uint64_t lowest, highest; /* whole pages around all segments */
    uint64_t entry;           /* within an executable segment */
    uint64_t phdr;            /* of the program headers; 0: not loaded */
    uint32_t phnum;
    uint32_t segment_count;                        /* > 0 */
    struct elf_segment segments[ELF_SEGMENTS_MAX]; /* from low to high */
    char interp[ELF_INTERP_BYTES_MAX + 1];         /* absolute, or "" */
};

/*
 * Read the headers of a file of file_bytes bytes.  No segment will end above
 * user_top, which is the end of a page.
 * Returns 0; GBX_EFORMAT (a fault of the file), GBX_EUNSUPPORTED (a program,
 * but none for this machine), GBX_ELIMIT or GBX_EHOST.  The sentence in err is
 * made to follow the file's name and a colon.
 */
int elf_read(struct elf_image *image, int fd, uint64_t file_bytes,
             uint64_t user_top, struct gbx_error *err);

/*
 * Choose the base of an image that needs one: a multiple of its align, such
 * that it begins at ELF_LOWEST at least.  All addresses are absolute after it.
 */
void elf_place(struct elf_image *image, uint64_t base);

struct elf_stack_plan {
    const struct elf_image *program; /* placed */
    uint64_t interp_base;            /* of the interpreter, or 0 */
    uint64_t top;                    /* first address above; 16-byte aligned */
    const char *name;                /* path it was started by (AT_EXECFN) */
    const char *const *argv;         /* NULL-terminated; argv[0] must be */
    const char *const *envp;         /* NULL-terminated */
    uint32_t uid, gid;
    uint64_t hwcap, hwcap2; /* CPUID 1 EDX; bit 1: FSGSBASE may be used */
    uint64_t signal_stack_bytes_min; /* AT_MINSIGSTKSZ */
    uint64_t vdso_at;                /* AT_SYSINFO_EHDR; 0: there is none */
    uint8_t random[16];              /* for stack protectors; not to repeat */
};

/*
 * Write the stack that a program finds at its entry.  The end of buffer is
 * plan->top, and the image its last top - *sp bytes: nothing before is touched.
 * Begin and length of the buffer are multiples of 8.
 *
 *  *sp (16-byte aligned)                                           plan->top
 *  | argc | argv NULL | envp NULL | auxv | random | "x86_64" | argv strings
 *                                            envp strings | name | 8 zeros |
 *
 * Returns 0 and *sp; GBX_ELIMIT when argv and envp are too much, also for the
 * buffer (ELF_STACK_BYTES_MAX is always enough); GBX_EARGUMENT without argv[0].
 */
int elf_stack(uint64_t *sp, void *buffer, size_t buffer_bytes,
              const struct elf_stack_plan *plan, struct gbx_error *err);

#endif
