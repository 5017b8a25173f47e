/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf_stack.c - the stack that a program starts with.
 *
 * Everything is measured and placed before the first byte is written, so that
 * a refusal leaves the buffer alone.  The strings lie as Linux lays them, argv,
 * envp and name without gaps: programs that rename themselves rely on it.
 */
#include <elf.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "sandbox/microvm/elf/elf.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51 /* Linux 5.14; not in every C library */
#endif

static const char platform[] = "x86_64";

/* Where things of the stack lie, from high to low; all known before writing. */
struct layout {
    size_t argc, envc;
    size_t arg_bytes, env_bytes, name_bytes; /* with their ends */
    uint64_t name, envs, args, platform, random, sp;
};

static int measure(size_t *count, size_t *bytes, const char *const *list,
                   const char *what, size_t before, struct gbx_error *err)
{
    size_t n, sum = before;

    *count = *bytes = 0;
    for (; list[*count] != NULL; ++*count) {
        n = strnlen(list[*count], ELF_STRING_BYTES_MAX) + 1;
        if (n > ELF_STRING_BYTES_MAX)
            return fail(err, GBX_ELIMIT,
                        "%s %zu is longer than %u bytes; hand it over in a "
                        "file or a message",
                        what, *count, ELF_STRING_BYTES_MAX - 1);
        *bytes += n;
        sum += n + sizeof(uint64_t);
        if (sum > ELF_ARGUMENT_BYTES_MAX)
            return fail(err, GBX_ELIMIT,
                        "arguments and environment need more than %u bytes; "
                        "hand some over in a file or a message",
                        ELF_ARGUMENT_BYTES_MAX);
    }
    return 0;
}

#define AUX_COUNT 21

static int lay_out(struct layout *l, const struct elf_stack_plan *plan,
                   struct gbx_error *err)
{
    size_t words;
    int rc;

    if (plan->argv[0] == NULL)
        return fail(err, GBX_EARGUMENT, "a program needs its name as argv[0]");
    l->name_bytes = strnlen(plan->name, ELF_NAME_BYTES_MAX + 1) + 1;
    if (l->name_bytes > ELF_NAME_BYTES_MAX + 1)
        return fail(err, GBX_ELIMIT,
                    "the program's path is longer than %u bytes",
                    ELF_NAME_BYTES_MAX);
    rc = measure(&l->argc, &l->arg_bytes, plan->argv, "argument", 0, err);
    if (rc < 0)
        return rc;
    rc = measure(&l->envc, &l->env_bytes, plan->envp, "environment variable",
                 l->arg_bytes + l->argc * sizeof(uint64_t), err);
    if (rc < 0)
        return rc;

    l->name = plan->top - sizeof(uint64_t) - l->name_bytes;
    l->envs = l->name - l->env_bytes;
    l->args = l->envs - l->arg_bytes;
    l->platform = (l->args & -16ull) - sizeof(platform);
    l->random = l->platform - sizeof(plan->random);
    words = 1 + l->argc + 1 + l->envc + 1 + AUX_COUNT * 2;
    l->sp = (l->random - words * sizeof(uint64_t)) & -16ull;
    return 0;
}

/* The vector, in the kernel's order.  */
static void write_aux(uint64_t *to, const struct elf_stack_plan *plan,
                      const struct layout *l)
{
    const struct elf_image *program = plan->program;
    const uint64_t aux[AUX_COUNT][2] = {
        {plan->vdso_at != 0 ? AT_SYSINFO_EHDR : AT_IGNORE, plan->vdso_at},
        {AT_MINSIGSTKSZ, plan->signal_stack_bytes_min},
        {AT_HWCAP, plan->hwcap},
        {AT_PAGESZ, ELF_PAGE},
        {AT_CLKTCK, 100},
        {AT_PHDR, program->phdr},
        {AT_PHENT, sizeof(Elf64_Phdr)},
        {AT_PHNUM, program->phnum},
        {AT_BASE, plan->interp_base},
        {AT_FLAGS, 0},
        {AT_ENTRY, program->entry},
        {AT_UID, plan->uid},
        {AT_EUID, plan->uid},
        {AT_GID, plan->gid},
        {AT_EGID, plan->gid},
        {AT_SECURE, 0},
        {AT_RANDOM, l->random},
        {AT_HWCAP2, plan->hwcap2},
        {AT_EXECFN, l->name},
        {AT_PLATFORM, l->platform},
        {AT_NULL, 0},
    };

    memcpy(to, aux, sizeof(aux));
}

/* Copies strings one behind the other; pointers to them go to `to`. */
static uint64_t *write_list(uint64_t *to, char *at, uint64_t va, size_t bytes,
                            const char *const *list)
{
    size_t n, sum = 0;

    for (; *list != NULL; list++) {
        n = strlen(*list) + 1;
        must(n <= bytes - sum);
        memcpy(at + sum, *list, n);
        *to++ = va + sum;
        sum += n;
    }
    *to++ = 0;
    return to;
}

int elf_stack(uint64_t *sp, void *buffer, size_t buffer_bytes,
              const struct elf_stack_plan *plan, struct gbx_error *err)
{
    struct layout l = {0};
    size_t bytes;
    uint64_t *to;
    char *start;
    int rc;

    must(!plan->program->needs_base && plan->top % 16 == 0);
    must(plan->top > ELF_STACK_BYTES_MAX && (uintptr_t)buffer % 8 == 0);
    must(buffer_bytes % 8 == 0);
    if ((rc = lay_out(&l, plan, err)) < 0)
        return rc;
    bytes = (size_t)(plan->top - l.sp);
    must(bytes <= ELF_STACK_BYTES_MAX);
    if (bytes > buffer_bytes)
        return fail(err, GBX_ELIMIT,
                    "arguments and environment need %zu bytes of stack; there "
                    "are %zu",
                    bytes, buffer_bytes);

    start = (char *)buffer + (buffer_bytes - bytes);
    memset(start, 0, bytes);
    to = (uint64_t *)(void *)start;
    *to++ = l.argc;
    to = write_list(to, start + (l.args - l.sp), l.args, l.arg_bytes,
                    plan->argv);
    to = write_list(to, start + (l.envs - l.sp), l.envs, l.env_bytes,
                    plan->envp);
    write_aux(to, plan, &l);

    memcpy(start + (l.random - l.sp), plan->random, sizeof(plan->random));
    memcpy(start + (l.platform - l.sp), platform, sizeof(platform));
    memcpy(start + (l.name - l.sp), plan->name, l.name_bytes);
    *sp = l.sp;
    return 0;
}
