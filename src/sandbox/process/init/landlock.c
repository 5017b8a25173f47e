/* SPDX-License-Identifier: Apache-2.0 */
/*
 * landlock.c - the second lock on the file system.
 *
 * The mounts already say what there is and what is read-only.  Landlock says it
 * again, by another mechanism of the kernel, and adds what mounts cannot say:
 * nothing outside /tmp and /dev is opened for writing even where the mount
 * would let it (a fifo in the script's folder), and no signal leaves.  A kernel
 * without it, or with an older one, has one lock less: no error.
 *
 * What is mounted to be changed has a rule of its own.
 *
 * Rules only add up on the way to /.  So of a root of its own the guest may
 * change what is in its directories, one rule for each, and nothing right below
 * /: else /script would be open to it, too.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox/process/init/init.h"
#include "sandbox/process/landlock.h"

/* More a root may have, but not change. */
#define DIRS_MAX 256

static uint64_t known_rights(int abi)
{
    if (abi >= 5)
        return LANDLOCK_FS_ABI5;
    if (abi >= 3)
        return LANDLOCK_FS_ABI3;
    return abi == 2 ? LANDLOCK_FS_ABI2 : LANDLOCK_FS_ABI1;
}

/* What is below fd, which it closes. */
static void allow_below(int ruleset, int fd, uint64_t rights)
{
    struct landlock_beneath rule = {.allowed = rights, .parent_fd = fd};

    if (fd < 0 ||
        syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_BENEATH, &rule, 0) < 0)
        init_fail(STEP_LANDLOCK, 1);
    close(fd);
}

static void allow(int ruleset, const char *path, uint64_t rights)
{
    allow_below(ruleset, open(path, O_PATH | O_CLOEXEC), rights);
}

/* Returns how many rules it took. */
static int allow_dir(int ruleset, int root, const char *name, uint64_t rights)
{
    static const char *const others[] = {".", "..", "script", ".glovebox",
                                         "dev"};
    int fd;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(name, others[i]) == 0)
            return 0;
    fd = openat(root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 0;
    allow_below(ruleset, fd, rights);
    return 1;
}

static void allow_dirs(int ruleset, uint64_t rights)
{
    static _Alignas(struct dirent64) char buffer[8192];
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), count = 0;
    long got;

    while ((got = syscall(SYS_getdents64, root, buffer, sizeof(buffer))) > 0)
        for (long at = 0; at < got && count < DIRS_MAX;) {
            const struct dirent64 *entry = (void *)(buffer + at);

            if (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN)
                count += allow_dir(ruleset, root, entry->d_name, rights);
            at += entry->d_reclen;
        }
    if (got < 0)
        init_fail(STEP_LANDLOCK, 3);
    close(root);
}

/* Of a file there are fewer rights. */
static void allow_mounts(int ruleset, const struct plan *plan, uint64_t rights)
{
    const uint64_t of_file = LANDLOCK_FS_EXECUTE | LANDLOCK_FS_WRITE_FILE |
                             LANDLOCK_FS_READ_FILE | LANDLOCK_FS_TRUNCATE;

    for (uint32_t i = 0; i < plan->operation_count; i++) {
        const struct operation *operation = &plan->operations[i];

        if (operation->kind == OPERATION_COW &&
            (operation->flags & OPERATION_SEALED) == 0)
            allow(ruleset, plan->text + operation->target,
                  operation->flags & OPERATION_FILE ? rights & of_file
                                                    : rights);
    }
}

void landlock_restrict(const struct plan *plan)
{
    const uint64_t nodes = LANDLOCK_FS_MAKE_CHAR | LANDLOCK_FS_MAKE_BLOCK;
    const uint64_t read =
        LANDLOCK_FS_EXECUTE | LANDLOCK_FS_READ_FILE | LANDLOCK_FS_READ_DIR;
    const int abi = landlock_abi();
    const uint64_t known = known_rights(abi);
    struct landlock_ruleset rules = {
        .fs = known,
        .net = abi >= 4 ? LANDLOCK_NET_ABI4 : 0,
        .scoped = abi >= 6 ? LANDLOCK_SCOPE_ABI6 : 0,
    };
    int ruleset;

    if (abi == 0)
        return;

    /* The kernel takes trailing fields it does not know if they are 0. */
    ruleset =
        (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0u);
    if (ruleset < 0)
        init_fail(STEP_LANDLOCK, 0);
    allow(ruleset, "/", read);
    if (plan->flags & PLAN_OWN_ROOT)
        allow_dirs(ruleset, known & ~nodes);
    allow_mounts(ruleset, plan, known & ~nodes);
    allow(ruleset, "/tmp", known & ~nodes);
    allow(ruleset, "/dev",
          known & (read | LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_TRUNCATE));
    if (syscall(SYS_landlock_restrict_self, ruleset, 0u) < 0)
        init_fail(STEP_LANDLOCK, 2);
    close(ruleset);
}
