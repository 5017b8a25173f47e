/* SPDX-License-Identifier: Apache-2.0 */
/*
 * draft.c - the plan: what a sandbox's root holds, and which limits apply.
 *
 * Of the host's files it is what view.h says, and nothing else: no /proc and no
 * /sys (init/root.c says why), and no /dev/zero: mapped shared, it is memory
 * that nobody counts.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "sandbox/process/process.h"
#include "sandbox/view.h"

#define STACK_BYTES (8u << 20)
#define PAGE_BYTES  4096u

/* For what is ours in a root of the guest's own: nodes and names. */
#define OWN_BYTES 65536u

/* Addresses beyond counted memory: code, reservations of allocators. */
#define ADDRESS_SLACK (UINT64_C(1) << 30)

/*
 * A plan in the making.  What does not fit is counted, not written, and told
 * at the end: one check instead of thirty.
 */
struct draft {
    struct plan *plan;
    bool is_full;
};

static uint32_t text(struct draft *draft, const char *string)
{
    struct plan *plan = draft->plan;
    const size_t bytes = strlen(string) + 1;
    const uint32_t off = plan->text_bytes;

    if (bytes > PLAN_TEXT_MAX - off) {
        draft->is_full = true;
        return 0;
    }
    memcpy(plan->text + off, string, bytes);
    plan->text_bytes += (uint32_t)bytes;
    return off;
}

static struct operation *operation(struct draft *draft,
                                   enum operation_kind kind, const char *source,
                                   const char *target, uint32_t flags)
{
    struct plan *plan = draft->plan;

    must(plan->operation_count < PLAN_OPERATIONS_MAX);
    plan->operations[plan->operation_count] = (struct operation){
        .kind = kind,
        .flags = flags,
        .source = text(draft, source),
        .target = text(draft, target),
        .fd = -1,
    };
    return &plan->operations[plan->operation_count++];
}

static int see(void *context, const struct view_entry *entry)
{
    static const struct {
        enum operation_kind kind;
        uint32_t flags;
    } as[] = {
        [VIEW_DIR] = {OPERATION_DIR, 0},
        [VIEW_HOST_DIR] = {OPERATION_BIND, OPERATION_OPTIONAL},
        [VIEW_HOST_FILE] = {OPERATION_BIND,
                            OPERATION_OPTIONAL | OPERATION_FILE},
        [VIEW_DEVICE] = {OPERATION_BIND, OPERATION_FILE | OPERATION_DEVICE},
        [VIEW_LINK] = {OPERATION_LINK, 0},
        [VIEW_TEXT] = {OPERATION_TEXT, 0},
    };
    const char *source = entry->text;

    if (source == NULL)
        source = entry->kind == VIEW_DIR ? "" : entry->path;
    operation(context, as[entry->kind].kind, source, entry->path + 1,
              as[entry->kind].flags);
    return 0;
}

uint32_t plan_inodes(uint64_t bytes)
{
    const uint64_t inodes = bytes / PAGE_BYTES + 64;

    return (uint32_t)(inodes < 1u << 20 ? inodes : 1u << 20);
}

static void in_memory(struct operation *operation, uint64_t bytes)
{
    operation->size_bytes = bytes;
    operation->inodes = plan_inodes(bytes);
}

static void private_tmp(struct draft *draft, uint64_t bytes)
{
    in_memory(operation(draft, OPERATION_TMPFS, "", "tmp", OPERATION_PUBLIC),
              bytes);
}

/* And /tmp is in it. */
static void stage(struct draft *draft, uint64_t bytes)
{
    in_memory(operation(draft, OPERATION_STAGE, "", "tmp", 0), bytes);
    draft->plan->flags |= PLAN_STAGE;
}

/* For free(), or NULL, and err says why. */
static char *real_path(const char *path, struct gbx_error *err)
{
    char *full = realpath(path, NULL);

    if (full == NULL)
        fail(err, GBX_EFILE, "%s: %s", path, strerrordesc_np(errno));
    return full;
}

/* A mount that the host brings, or a host path that init can walk to. */
static int show(struct draft *draft, bool brought, int fd, const char *path,
                const char *target, uint32_t flags, struct gbx_error *err)
{
    char *full = real_path(path, err);
    struct operation *bind;

    if (full == NULL)
        return GBX_EFILE;
    bind = operation(draft, brought ? OPERATION_MOUNT : OPERATION_BIND, full,
                     target, flags);
    bind->fd = brought ? fd : -1;
    free(full);
    return 0;
}

/* A folder of the host, and over what it has where we show ours something
 * empty: it may have anything there. */
static int own_root(struct draft *draft, const struct process *self,
                    const char *path, struct gbx_error *err)
{
    char *full = real_path(path, err);

    if (full == NULL)
        return GBX_EFILE;
    stage(draft, self->limits.disk_bytes);
    operation(draft, OPERATION_ROOT, full, "", 0)->fd =
        self->brings_mounts ? INIT_FD_ROOT : -1;
    free(full);
    in_memory(operation(draft, OPERATION_TMPFS, "", "dev", 0), OWN_BYTES);
    in_memory(operation(draft, OPERATION_TMPFS, "", ".glovebox", 0), OWN_BYTES);
    draft->plan->flags |= PLAN_OWN_ROOT;
    return 0;
}

static bool has_overlays(const struct process *self)
{
    for (size_t i = 0; i < grant_count(self); i++)
        if (mount_is_overlaid(self, &self->grants->all[i]))
            return true;
    return false;
}

/* A mount that the host brings; or a path that init walks to, where it must
 * find what was opened: it is told by what that is called now. */
static int grant(struct draft *draft, const struct process *self, size_t index,
                 struct gbx_error *err)
{
    const struct grant *grant = &self->grants->all[index];
    const bool is_overlaid = mount_is_overlaid(self, grant);
    const enum operation_kind as = is_overlaid           ? OPERATION_COW
                                   : self->brings_mounts ? OPERATION_MOUNT
                                                         : OPERATION_BIND;
    char link[32], path[PATH_MAX];
    struct operation *made;
    ssize_t got;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", grant->fd);
    got = readlink(link, path, sizeof(path) - 1);
    if (got <= 0)
        return fail(err, GBX_EHOST, "find %s again", grant->source);
    path[got] = '\0';
    made = operation(draft, as, path, grant->target + 1,
                     OPERATION_GRANT | (grant->is_file ? OPERATION_FILE : 0u));
    if (is_overlaid && !grant->is_writable)
        made->flags |= OPERATION_SEALED;
    made->fd = self->brings_mounts ? INIT_FD_GRANT + (int)index : -1;
    made->dev = grant->dev;
    made->ino = grant->ino;
    return 0;
}

/* What a guest without a root of its own sees of the host's. */
static void usual_root(struct draft *draft, const struct process *self,
                       bool has_folder)
{
    struct plan *plan = draft->plan;

    if (has_overlays(self))
        stage(draft, self->limits.disk_bytes);
    view_files(plan->uid, plan->gid, see, draft);
    if (self->is_zygote) { /* each copy mounts its own there */
        operation(draft, OPERATION_DIR, "", "tmp", 0);
        if (self->brings_mounts && !has_folder)
            operation(draft, OPERATION_DIR, "", "script", 0);
    } else if (!has_overlays(self)) {
        private_tmp(draft, self->limits.disk_bytes);
    }
}

static int list_root(struct draft *draft, const struct process *self,
                     const struct bundle *what, struct gbx_error *err)
{
    struct plan *plan = draft->plan;
    char program[NAME_MAX + 16];
    int rc = 0;

    snprintf(program, sizeof(program), "/.glovebox/%s",
             basename(what->program));
    if (what->root != NULL)
        rc = own_root(draft, self, what->root, err);
    else
        usual_root(draft, self, what->folder != NULL);
    if (rc < 0)
        return rc;
    view_devices(see, draft);
    if (!self->is_program) {
        operation(draft, OPERATION_DIR, "", ".glovebox", 0);
        rc = show(draft, self->brings_mounts, INIT_FD_PROGRAM, what->program,
                  program + 1, OPERATION_FILE, err);
    }
    if (rc == 0 && what->folder != NULL)
        rc = show(draft, self->brings_mounts, INIT_FD_FOLDER, what->folder,
                  "script", 0, err);
    for (size_t i = 0; rc == 0 && i < grant_count(self); i++)
        rc = grant(draft, self, i, err);
    plan->program = text(draft, self->is_program ? what->program : program);
    plan->working_dir =
        text(draft, what->working_dir != NULL ? what->working_dir : "/");
    return rc;
}

static void limit(struct plan *plan, __rlimit_resource_t resource,
                  uint64_t soft, uint64_t hard)
{
    must(plan->rlimit_count < PLAN_RLIMITS_MAX);
    plan->rlimits[plan->rlimit_count].resource = resource;
    plan->rlimits[plan->rlimit_count].soft = soft;
    plan->rlimits[plan->rlimit_count++].hard = hard;
}

/* What a zygote has, too: where its memory lies depends on the first. */
static void list_limits_of_all(struct plan *plan)
{
    limit(plan, RLIMIT_STACK, STACK_BYTES, STACK_BYTES);
    /* 1, not 0: it keeps a core handler that is a program from running, too. */
    limit(plan, RLIMIT_CORE, 1, 1);
}

static void list_limits(struct plan *plan, const struct process *self)
{
    const struct gbx_limits *limits = &self->limits;
    const uint64_t half_bytes =
        self->shared != NULL ? self->shared->half_bytes : 0;
    const uint64_t addresses =
        limits->memory_bytes + 2 * half_bytes + ADDRESS_SLACK;
    const uint64_t seconds = (limits->cpu_ns + 999999999u) / 1000000000u;

    /* RLIMIT_DATA counts private writable memory: not the shared region, not
     * code, nor what was made read-only after it was filled.  The limit on
     * addresses is the net below it. */
    limit(plan, RLIMIT_DATA, limits->memory_bytes, limits->memory_bytes);
    limit(plan, RLIMIT_AS, addresses, addresses);
    limit(plan, RLIMIT_NOFILE, limits->files, limits->files);
    if (!self->is_program) /* whose output may be a file of any length */
        limit(plan, RLIMIT_FSIZE, limits->disk_bytes, limits->disk_bytes);
    limit(plan, RLIMIT_MEMLOCK, 65536, 65536);
    limit(plan, RLIMIT_MSGQUEUE, 0, 0);
    limit(plan, RLIMIT_SIGPENDING, 1024, 1024);
    limit(plan, RLIMIT_RTPRIO, 0, 0);
    limit(plan, RLIMIT_NICE, 0, 0);

    /* A program may catch the first (SIGXCPU), not the second. */
    if (limits->cpu_ns != 0)
        limit(plan, RLIMIT_CPU, seconds, seconds + 1);

    /* Counted in this user namespace.  Where init is of the guest's own user,
     * it is one of those counted (start.c adds it). */
    limit(plan, RLIMIT_NPROC, limits->processes, limits->processes);
}

static int list_texts(struct draft *draft, const char *const *strings,
                      uint32_t offs[PLAN_ARGS_MAX], uint32_t *count,
                      struct gbx_error *err)
{
    for (*count = 0; strings[*count] != NULL; ++*count) {
        if (*count == PLAN_ARGS_MAX - 1)
            return fail(err, GBX_ELIMIT,
                        "more than %d arguments or variables for a guest",
                        PLAN_ARGS_MAX - 1);
        offs[*count] = text(draft, strings[*count]);
    }
    return 0;
}

int draft_plan(struct process *self, const struct bundle *what,
               struct gbx_error *err)
{
    struct plan *plan = self->plan;
    struct draft draft = {.plan = plan};
    int rc;

    if ((rc = list_root(&draft, self, what, err)) < 0 ||
        (rc = list_texts(&draft, what->argv, plan->args, &plan->arg_count,
                         err)) < 0 ||
        (rc = list_texts(&draft, what->envp, plan->envs, &plan->env_count,
                         err)) < 0)
        return rc;
    list_limits_of_all(plan);
    if (self->is_zygote)
        plan->flags |= PLAN_ZYGOTE;
    else
        list_limits(plan, self);
    if (draft.is_full)
        return fail(err, GBX_ELIMIT,
                    "arguments and paths of a guest exceed %d bytes",
                    PLAN_TEXT_MAX);
    plan->magic = PLAN_MAGIC;
    return 0;
}

int draft_copy(struct process *self, const struct bundle *what,
               struct gbx_error *err)
{
    struct plan *plan = self->plan;
    struct draft draft = {.plan = plan};
    int fd = COPY_FD_MOUNT, rc = 0;

    if (mount_brings_tmp(self))
        operation(&draft, OPERATION_MOUNT, "", "tmp", 0)->fd = fd++;
    else
        private_tmp(&draft, self->limits.disk_bytes);
    if (self->folder.fd >= 0)
        rc = show(&draft, true, fd++, what->folder, "script", 0, err);
    plan->mounts = (uint32_t)(fd - COPY_FD_MOUNT);
    list_limits_of_all(plan);
    list_limits(plan, self);
    plan->magic = PLAN_MAGIC;
    return rc;
}

void plan_set_processes(struct plan *plan, uint64_t count)
{
    for (uint32_t i = 0; i < plan->rlimit_count; i++)
        if (plan->rlimits[i].resource == RLIMIT_NPROC)
            plan->rlimits[i].soft = plan->rlimits[i].hard = count;
}

size_t plan_bytes(const struct plan *plan)
{
    return offsetof(struct plan, text) + plan->text_bytes;
}
