/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "sandbox/process/cgroup.h"

#define PATH_BYTES 1024
#define TEXT_BYTES 4096

static const char *const controllers[PLAN_CGROUPS] = {
    [CGROUP_MEMORY] = "memory",
    [CGROUP_PIDS] = "pids",
    [CGROUP_CPU] = "cpuacct",
};

/* A short file of the kernel's; "" when it cannot be read. */
static void read_text(int dir, const char *path, char text[TEXT_BYTES])
{
    auto_fd int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, TEXT_BYTES - 1);

    text[got < 0 ? 0 : got] = '\0';
}

static int write_text(int dir, const char *path, const char *text)
{
    auto_fd int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);

    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

static bool has_word(const char *text, const char *word)
{
    const size_t bytes = strlen(word);

    for (const char *at = text; (at = strstr(at, word)) != NULL; at += bytes)
        if ((at == text || strchr(" ,\n", at[-1]) != NULL) &&
            (at[bytes] == '\0' || strchr(" ,\n", at[bytes]) != NULL))
            return true;
    return false;
}

/*
 * The caller's path in a hierarchy, from lines of "7:cpu,cpuacct:/path"; v2's
 * has no controllers.  Returns false when it is not listed.
 */
static bool own_path(const char *lines, const char *controller,
                     char path[PATH_BYTES])
{
    char names[128];

    for (const char *at = lines; at != NULL && *at != '\0';) {
        const char *end = strchr(at, '\n');
        int n = 0;

        names[0] = '\0';
        if (sscanf(at, "%*d:%127[^:\n]:%n", names, &n) < 1 || n == 0) {
            names[0] = '\0';
            n = 0;
            sscanf(at, "%*d::%n", &n);
        }
        if (n > 0 && end != NULL && end - at - n < PATH_BYTES &&
            (controller[0] == '\0' ? names[0] == '\0'
                                   : has_word(names, controller))) {
            memcpy(path, at + n, (size_t)(end - at - n));
            path[end - at - n] = '\0';
            return true;
        }
        at = end == NULL ? NULL : end + 1;
    }
    return false;
}

/*
 * A directory in which we may make others, and init may remove them: it is of
 * the caller's user, but without capabilities.  So a hierarchy's own root,
 * which not even its owner may write, is none.  Returns -1 then.
 */
static int open_writable(const char *mount, const char *path)
{
    char full[PATH_BYTES + 64];
    auto_fd int fd = -1;
    struct stat st;

    snprintf(full, sizeof(full), "%s%s", mount, path);
    fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) /* a container's view */
        fd = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
        (st.st_mode & S_IRWXU) != S_IRWXU ||
        faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
        return -1;
    return steal_fd(&fd);
}

static bool open_v1(struct cgroup *cgroup, const char *lines)
{
    char mount[64], path[PATH_BYTES];

    for (int i = 0; i < PLAN_CGROUPS; i++) {
        if (!own_path(lines, controllers[i], path))
            continue;
        snprintf(mount, sizeof(mount), "/sys/fs/cgroup/%s", controllers[i]);
        cgroup->parent[i] = open_writable(mount, path);
    }
    return cgroup->parent[CGROUP_MEMORY] >= 0 ||
           cgroup->parent[CGROUP_PIDS] >= 0;
}

static bool hands_down(int dir)
{
    char text[TEXT_BYTES];

    read_text(dir, "cgroup.subtree_control", text);
    return has_word(text, "memory") && has_word(text, "pids");
}

/*
 * Beside us is only ours if whoever manages this host says so: a service
 * manager marks what it delegates.  Else we would leave the limits we are
 * under.
 */
static bool is_delegated(const char *path)
{
    char value[8] = "";

    return (getxattr(path, "user.delegate", value, sizeof(value) - 1) > 0 ||
            getxattr(path, "trusted.delegate", value, sizeof(value) - 1) > 0) &&
           value[0] == '1';
}

static bool open_v2(struct cgroup *cgroup, const char *lines)
{
    const char *mount = access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0
                            ? "/sys/fs/cgroup"
                            : "/sys/fs/cgroup/unified";
    char path[PATH_BYTES], full[PATH_BYTES + 64], *slash;
    auto_fd int own = -1;
    auto_fd int beside = -1;

    if (!own_path(lines, "", path))
        return false;
    own = open_writable(mount, path);
    if (own >= 0 && hands_down(own)) {
        cgroup->parent[0] = steal_fd(&own);
        return true;
    }
    if ((slash = strrchr(path, '/')) == NULL || slash[1] == '\0')
        return false;
    *slash = '\0';
    snprintf(full, sizeof(full), "%s%s", mount, path);
    if (!is_delegated(full) || (beside = open_writable(mount, path)) < 0)
        return false;
    if (!hands_down(beside))
        write_text(beside, "cgroup.subtree_control", "+memory +pids");
    if (!hands_down(beside))
        return false;
    cgroup->parent[0] = steal_fd(&beside);
    return true;
}

void cgroup_open(struct cgroup *cgroup)
{
    char lines[TEXT_BYTES];

    *cgroup = (struct cgroup)CGROUP_NONE;
    read_text(AT_FDCWD, "/proc/self/cgroup", lines);
    if (open_v1(cgroup, lines))
        cgroup->version = 1;
    else if (open_v2(cgroup, lines))
        cgroup->version = 2;
}

void cgroup_close(struct cgroup *cgroup)
{
    for (int i = 0; i < PLAN_CGROUPS; i++)
        close_fd(&cgroup->parent[i]);
    *cgroup = (struct cgroup)CGROUP_NONE;
}

void cgroup_choose_name(struct cgroup *cgroup)
{
    static atomic_uint count;

    /* The clock tells apart processes that other pid namespaces number alike.
     */
    snprintf(cgroup->name, sizeof(cgroup->name), "glovebox-%d-%" PRIx64 "-%u",
             (int)getpid(), clock_now_ns(), atomic_fetch_add(&count, 1));
}

void cgroup_choose_inside(struct cgroup *cgroup, const struct cgroup *outer)
{
    static atomic_uint count;

    *cgroup = *outer;
    cgroup->nests = false;
    snprintf(cgroup->name, sizeof(cgroup->name), "%.50s/%u", outer->name,
             atomic_fetch_add(&count, 1));
}

/* A value into a file of our directory; missing files are older kernels'. */
static int set(const struct cgroup *cgroup, int controller, const char *file,
               uint64_t value)
{
    char path[PLAN_NAME_MAX + 32], text[24];

    if (cgroup->parent[controller] < 0)
        return 0;
    snprintf(path, sizeof(path), "%s/%s", cgroup->name, file);
    snprintf(text, sizeof(text), "%" PRIu64, value);
    if (write_text(cgroup->parent[controller], path, text) < 0 &&
        errno != ENOENT)
        return -1;
    return 0;
}

/* v2: who is in a cgroup that hands controllers down is in a leaf of it. */
static int make_nest(const struct cgroup *cgroup)
{
    char path[PLAN_NAME_MAX + 32];

    snprintf(path, sizeof(path), "%s/cgroup.subtree_control", cgroup->name);
    if (cgroup->version == 2 &&
        write_text(cgroup->parent[0], path, "+memory +pids") < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/" PLAN_ZYGOTE_CGROUP, cgroup->name);
    for (int i = 0; i < PLAN_CGROUPS; i++)
        if (cgroup->parent[i] >= 0 &&
            mkdirat(cgroup->parent[i], path, 0755) < 0)
            return -1;
    return 0;
}

static int set_limits(const struct cgroup *cgroup,
                      const struct cgroup_limits *limits)
{
    const uint64_t bytes = limits->memory_bytes;

    if (cgroup->version == 2)
        return set(cgroup, 0, "memory.max", bytes) < 0 ||
                       set(cgroup, 0, "memory.swap.max", 0) < 0 ||
                       set(cgroup, 0, "pids.max", limits->processes) < 0
                   ? -1
                   : 0;
    return set(cgroup, CGROUP_MEMORY, "memory.limit_in_bytes", bytes) < 0 ||
                   set(cgroup, CGROUP_MEMORY, "memory.memsw.limit_in_bytes",
                       bytes) < 0 ||
                   set(cgroup, CGROUP_PIDS, "pids.max", limits->processes) < 0
               ? -1
               : 0;
}

int cgroup_limit(const struct cgroup *cgroup,
                 const struct cgroup_limits *limits, struct gbx_error *err)
{
    return set_limits(cgroup, limits) == 0
               ? 0
               : fail(err, GBX_EHOST, "limit cgroup %s", cgroup->name);
}

int cgroup_make(const struct cgroup *cgroup, struct gbx_error *err)
{
    for (int i = 0; i < PLAN_CGROUPS; i++) {
        if (cgroup->parent[i] < 0 ||
            mkdirat(cgroup->parent[i], cgroup->name, 0755) == 0)
            continue;
        fail(err, GBX_EHOST, "make cgroup %s (%s)", cgroup->name,
             cgroup->version == 1 ? controllers[i] : "v2");
        cgroup_remove(cgroup);
        return GBX_EHOST;
    }
    if (!cgroup->nests || make_nest(cgroup) == 0)
        return 0;
    fail(err, GBX_EHOST, "make cgroups in %s", cgroup->name);
    cgroup_remove(cgroup);
    return GBX_EHOST;
}

int cgroup_hand_over(const struct cgroup *cgroup, uid_t uid, gid_t gid,
                     struct gbx_error *err)
{
    char path[PLAN_NAME_MAX + 32];

    if (cgroup->version != 2 || geteuid() == uid)
        return 0;
    snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup->name);
    return fchownat(cgroup->parent[0], path, uid, gid, 0) == 0
               ? 0
               : fail(err, GBX_EHOST, "hand cgroup %s over", cgroup->name);
}

int cgroup_entry(const struct cgroup *cgroup, int i)
{
    char path[PLAN_NAME_MAX + 32];

    snprintf(path, sizeof(path), "%s/tasks", cgroup->name);
    return cgroup->version == 1
               ? openat(cgroup->parent[i], path, O_WRONLY | O_CLOEXEC)
               : openat(cgroup->parent[i], cgroup->name,
                        O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The kernel may need a moment to see that the last process is gone. */
static void remove_one(int parent, const char *name)
{
    for (int tries = 0; parent >= 0 && tries < 200; tries++) {
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno != EBUSY)
            break;
        poll(NULL, 0, 1);
    }
}

void cgroup_remove(const struct cgroup *cgroup)
{
    char leaf[PLAN_NAME_MAX + 16];

    snprintf(leaf, sizeof(leaf), "%s/" PLAN_ZYGOTE_CGROUP, cgroup->name);
    for (int i = 0; i < PLAN_CGROUPS; i++) {
        if (cgroup->nests)
            remove_one(cgroup->parent[i], leaf);
        remove_one(cgroup->parent[i], cgroup->name);
    }
}

/* The number behind a word in one of our files; 0 when it is not there. */
static uint64_t get(const struct cgroup *cgroup, int controller,
                    const char *file, const char *word)
{
    char path[PLAN_NAME_MAX + 32], text[TEXT_BYTES];
    const char *at;

    if (cgroup->version == 0 || cgroup->parent[controller] < 0)
        return 0;
    snprintf(path, sizeof(path), "%s/%s", cgroup->name, file);
    read_text(cgroup->parent[controller], path, text);
    at = strstr(text, word);
    return at == NULL ? 0 : strtoull(at + strlen(word), NULL, 10);
}

uint64_t cgroup_oom_kills(const struct cgroup *cgroup)
{
    return get(cgroup, 0,
               cgroup->version == 2 ? "memory.events" : "memory.oom_control",
               "oom_kill ");
}

uint64_t cgroup_cpu_ns(const struct cgroup *cgroup)
{
    if (cgroup->version == 2)
        return get(cgroup, 0, "cpu.stat", "usage_usec ") * 1000u;
    return get(cgroup, CGROUP_CPU, "cpuacct.usage", "");
}
