/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c - a program becomes the first task.
 *
 *  0x10000          0x55..              0x7f..                0x7fffffffefff
 *  | static ones .. | program, heap ... | ... mappings | gap | stack |
 *                                  interpreter, libraries <--
 *
 * Places are chosen at random within these, as Linux does it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "sandbox/microvm/elf/elf.h"
#include "sandbox/microvm/linux/kernel.h"
#include "sandbox/microvm/linux/space/user.h"

#define STACK_BYTES  KERNEL_STACK_BYTES
#define STACK_FIRST  (256u << 10) /* made at once */
#define GUARD_BYTES  (1ull << 20)
#define PROGRAM_BASE 0x550000000000ull
#define INTERP_BASE  0x7f0000000000ull
#define SPREAD_BYTES (1ull << 39) /* of random bases */
#define BRK_BYTES    (1ull << 40)
#define ABOVE_BYTES  (64ull << 10) /* the vDSO's */
#define STACK_SPREAD (1ull << 30)

static uint64_t spread(uint64_t bytes, uint64_t align)
{
    uint64_t random;

    must(getrandom(&random, sizeof(random), 0) == sizeof(random));
    return random % bytes & ~(align - 1);
}

/* The sentence is made to follow the path. */
static int fail_file(struct gbx_error *err, const char *path, int rc)
{
    return fail(err, GBX_EFILE, "%s: %s", path, strerrordesc_np(-rc));
}

static int open_file(struct kernel *kernel, const char *path,
                     struct file **file, uint64_t *bytes, struct gbx_error *err)
{
    struct stat st;
    int rc = tree_open_file(kernel->tree, NULL, path, O_RDONLY, 0, file);

    if (rc < 0)
        return fail_file(err, path, rc);
    rc = file_stat(*file, &st);
    if (rc == 0 && !S_ISREG(st.st_mode))
        rc = -EACCES;
    if (rc == 0)
        rc = node_access((*file)->node, X_OK);
    if (rc == 0 && file_host_fd(*file) < 0)
        rc = -ETXTBSY;
    *bytes = (uint64_t)st.st_size;
    if (rc == 0)
        return 0;
    file_put(*file);
    return fail_file(err, path, rc);
}

static int map_failed(struct kernel *kernel, const char *path, int64_t rc,
                      struct gbx_error *err)
{
    if (kernel->space.met_limit)
        return fail(
            err, GBX_EMEMORY,
            "%s: the memory limit of %llu KiB is too small to load it", path,
            (unsigned long long)(kernel->space.charged_max * SPACE_PAGE_BYTES -
                                 KERNEL_STACK_BYTES) /
                1024);
    return fail(err, GBX_EHOST, "%s: cannot be mapped: %s", path,
                strerrordesc_np((int)-rc));
}

/* One segment: pages of the file, then zeros to its end. */
static int64_t map_segment(struct kernel *kernel,
                           const struct elf_segment *segment, struct file *file)
{
    const uint64_t mask = SPACE_PAGE_BYTES - 1ull;
    uint64_t start = segment->va & ~mask,
             file_end = segment->va + segment->file_bytes;
    uint64_t end = (segment->va + segment->memory_bytes + mask) & ~mask;
    unsigned access = (segment->readable ? TABLES_READ : 0u) |
                      (segment->writable ? TABLES_READ | TABLES_WRITE : 0u) |
                      (segment->executable ? TABLES_READ | TABLES_EXEC : 0u);
    bool zeros = segment->memory_bytes > segment->file_bytes;
    struct space_request request = {
        .address = start,
        .bytes = ((file_end + mask) & ~mask) - start,
        .access = access | (zeros ? TABLES_READ | TABLES_WRITE : 0u),
        .kind = AREA_FILE,
        .fixed = true,
        .may_write = true,
        .file = file,
        .off = segment->file_off - (segment->va - start),
    };
    int64_t rc = 0;

    if (segment->file_bytes == 0)
        request.bytes = 0;
    if (request.bytes > 0)
        rc = space_map(&kernel->space, &request);
    if (rc >= 0 && zeros && (file_end & mask) != 0 && segment->file_bytes > 0)
        rc = user_zero(&kernel->space, file_end,
                       SPACE_PAGE_BYTES - (file_end & mask));
    if (rc >= 0 && request.bytes > 0 && request.access != access)
        rc = space_protect(&kernel->space, start, request.bytes, access);
    if (rc < 0 || start + request.bytes >= end)
        return rc;
    request = (struct space_request){.address = start + request.bytes,
                                     .bytes = end - start - request.bytes,
                                     .access = access,
                                     .kind = AREA_ANONYMOUS,
                                     .fixed = true,
                                     .may_write = true};
    return space_map(&kernel->space, &request);
}

static int map_image(struct kernel *kernel, const char *path,
                     struct elf_image *image, uint64_t base_from,
                     struct gbx_error *err)
{
    struct gbx_error why = {0};
    struct file *file;
    uint64_t bytes = 0;
    int64_t mapped = 0;
    int rc = open_file(kernel, path, &file, &bytes, err);

    if (rc < 0)
        return rc;
    rc = elf_read(image, file_host_fd(file), bytes, TABLES_USER_END, &why);
    if (rc < 0)
        rc = fail(err, rc == GBX_EHOST ? rc : GBX_ELOAD, "%s: %s", path,
                  why.what);
    else if (image->needs_base)
        elf_place(image, base_from + spread(SPREAD_BYTES, image->align));
    for (uint32_t i = 0; rc == 0 && i < image->segment_count; i++) {
        mapped = map_segment(kernel, &image->segments[i], file);
        if (mapped < 0)
            rc = map_failed(kernel, path, mapped, err);
    }
    file_put(file);
    return rc;
}

static int map_stack(struct kernel *kernel, const char *path,
                     struct gbx_error *err)
{
    uint64_t top =
        TABLES_USER_END - ABOVE_BYTES - spread(STACK_SPREAD, SPACE_PAGE_BYTES);
    struct space_request request = {
        .address = top - STACK_BYTES,
        .bytes = STACK_BYTES,
        .access = TABLES_READ | TABLES_WRITE,
        .kind = AREA_ANONYMOUS,
        .fixed = true,
        .may_write = true,
        .name = "[stack]",
    };
    int64_t rc = space_map(&kernel->space, &request);
    struct area *area;

    if (rc >= 0) {
        area = space_find(&kernel->space, top - STACK_FIRST);
        rc = space_fill(&kernel->space, area, top - STACK_FIRST, top);
    }
    if (rc < 0)
        return map_failed(kernel, path, rc, err);
    kernel->stack_top = top;
    kernel->space.top = request.address - GUARD_BYTES;
    return 0;
}

/* Strings one after the other, for /proc. */
static char *join(struct heap *heap, const char *const *strings, size_t *bytes)
{
    char *all;

    *bytes = 0;
    for (size_t i = 0; strings[i] != NULL; i++)
        *bytes += strlen(strings[i]) + 1;
    all = heap_make(heap, &heap_plain, *bytes + 1);
    for (size_t i = 0, at = 0; all != NULL && strings[i] != NULL; i++) {
        memcpy(all + at, strings[i], strlen(strings[i]) + 1);
        at += strlen(strings[i]) + 1;
    }
    return all;
}

static int write_stack(struct kernel *kernel,
                       const struct kernel_program *program,
                       const struct elf_image *image, uint64_t interp_base,
                       uint64_t *sp, struct gbx_error *err)
{
    struct elf_stack_plan plan = {
        .program = image,
        .interp_base = interp_base,
        .top = kernel->stack_top,
        .name = program->path,
        .argv = program->argv,
        .envp = program->envp,
        .uid = kernel->uid,
        .gid = kernel->gid,
        .hwcap = program->hwcap,
        .hwcap2 = program->hwcap2,
        .signal_stack_bytes_min = kernel->cpu.xsave_bytes + 1024u,
        .vdso_at = program->vdso_at,
    };
    void *buffer = malloc(ELF_STACK_BYTES_MAX);
    uint64_t bytes;
    int rc;

    if (buffer == NULL)
        return fail(err, GBX_EHOST, "no memory for a guest's arguments");
    must(getrandom(plan.random, sizeof(plan.random), 0) == sizeof(plan.random));
    rc = elf_stack(sp, buffer, ELF_STACK_BYTES_MAX, &plan, err);
    bytes = plan.top - *sp;
    if (rc == 0 &&
        user_write(&kernel->space, *sp,
                   (char *)buffer + ELF_STACK_BYTES_MAX - bytes, bytes) < 0)
        rc = map_failed(kernel, program->path, -ENOMEM, err);
    free(buffer);
    return rc;
}

/* The first task, with registers as Linux gives them. */
static int start(struct kernel *kernel, const char *path, uint64_t entry,
                 uint64_t sp, struct gbx_error *err)
{
    struct task *task = task_make(kernel);
    const char *name = strrchr(path, '/');

    if (task == NULL)
        return fail(err, GBX_EHOST, "no memory for a guest's first task");
    name = name == NULL ? path : name + 1;
    memcpy(task->name, name, strnlen(name, sizeof(task->name) - 1));
    machine_state_init(&task->state, entry, sp);
    if (kernel->cpu.load(kernel->cpu.context, &task->state) < 0)
        return fail(err, GBX_EHOST, "KVM refuses a program's registers");
    kernel->current = task;
    return 0;
}

int kernel_exec(struct kernel *kernel, const struct kernel_program *program,
                struct gbx_error *err)
{
    struct elf_image image, interp = {.base = 0};
    uint64_t sp;
    int rc;

    if (strlen(program->path) >= sizeof(kernel->program))
        return fail(err, GBX_EARGUMENT, "the program's path is too long");
    strcpy(kernel->program, program->path);
    if ((rc = map_stack(kernel, program->path, err)) < 0 ||
        (rc = map_image(kernel, program->path, &image, PROGRAM_BASE, err)) < 0)
        return rc;
    if (image.interp[0] != '\0') {
        struct gbx_error why = {0};

        rc = map_image(kernel, image.interp, &interp, INTERP_BASE, &why);
        if (rc < 0)
            return fail(err, rc, "%s needs %s; is its root complete?",
                        program->path, why.what);
    }
    kernel->image_base = image.base;
    kernel->space.brk = kernel->space.brk_start = image.highest;
    kernel->space.brk_max = image.highest + BRK_BYTES;
    kernel->arguments =
        join(kernel->heap, program->argv, &kernel->argument_bytes);
    kernel->environment =
        join(kernel->heap, program->envp, &kernel->environment_bytes);
    if (kernel->arguments == NULL || kernel->environment == NULL)
        return fail(err, GBX_EHOST, "no memory for a guest's arguments");
    rc = write_stack(kernel, program, &image, interp.base, &sp, err);
    if (rc < 0)
        return rc;
    return start(kernel, program->path,
                 image.interp[0] != '\0' ? interp.entry : image.entry, sp, err);
}
