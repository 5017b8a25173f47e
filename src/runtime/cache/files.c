/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/cache/files.h"
#include "sandbox/template_file.h"

#define PATH_BYTES 4096u
#define DEAD_S     600 /* a writer that has not finished by then */

/* With its parents. */
static int make_dirs(const char *dir)
{
    char path[PATH_BYTES];
    size_t bytes = strlen(dir);

    if (bytes >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path, dir, bytes + 1);
    for (size_t i = 1; i < bytes; i++) {
        if (path[i] != '/')
            continue;
        path[i] = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return -1;
        path[i] = '/';
    }
    return mkdir(path, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

int files_open(const char *dir, bool make, struct gbx_error *err)
{
    auto_fd int fd = -1;
    struct stat st;

    if (make && make_dirs(dir) < 0)
        return fail(err, GBX_EFILE, "%s: %s", dir, strerrordesc_np(errno));
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(err, GBX_EFILE, "%s: %s", dir, strerrordesc_np(errno));
    if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return fail(err, GBX_EFILE,
                    "%s: others may write there; make it yours (chmod 700)",
                    dir);
    return steal_fd(&fd);
}

struct found {
    char name[TEMPLATE_NAME_BYTES + 32];
    uint64_t bytes;
    int64_t used_ns;
};

static int by_age(const void *a, const void *b)
{
    const struct found *one = a, *other = b;

    return (one->used_ns > other->used_ns) - (one->used_ns < other->used_ns);
}

static bool is_template(const char *name)
{
    size_t bytes = strlen(name), end = strlen(TEMPLATE_FILE_END);

    return name[0] != '.' && bytes > end &&
           strcmp(name + bytes - end, TEMPLATE_FILE_END) == 0;
}

/* A writer's, whose process is gone. */
static bool is_left(const char *name, const struct stat *st)
{
    return name[0] == '.' && strstr(name, TEMPLATE_FILE_END ".") != NULL &&
           time(NULL) - st->st_mtime > DEAD_S;
}

static bool look(int dir_fd, const char *name, struct found *found)
{
    struct stat st;

    if (strlen(name) >= sizeof(found->name) ||
        fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode))
        return false;
    if (is_left(name, &st))
        unlinkat(dir_fd, name, 0);
    if (!is_template(name))
        return false;
    strcpy(found->name, name);
    found->bytes = (uint64_t)st.st_blocks * 512;
    found->used_ns =
        (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return true;
}

/* Returns them sorted, to free(); NULL where there is no memory. */
static struct found *find_all(int dir_fd, size_t *count)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct found *all = NULL;
    const struct dirent *entry;

    *count = 0;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct found *more = reallocarray(all, *count + 1, sizeof(*all));

        if (more == NULL)
            break;
        all = more;
        *count += look(dir_fd, entry->d_name, &all[*count]);
    }
    if (dir != NULL)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    if (all != NULL)
        qsort(all, *count, sizeof(*all), by_age);
    return all;
}

static void tell(const struct found *found, gbx_cache_fn fn, void *context)
{
    const struct gbx_cache_file file = {found->name, found->bytes,
                                        found->used_ns / 1000000000};

    if (fn != NULL)
        fn(context, &file);
}

void files_list(int dir_fd, gbx_cache_fn fn, void *context)
{
    size_t count;
    struct found *all = find_all(dir_fd, &count);

    for (size_t i = 0; i < count; i++)
        tell(&all[i], fn, context);
    free(all);
}

void files_prune(int dir_fd, uint64_t max_bytes, gbx_cache_fn fn, void *context)
{
    uint64_t sum = 0;
    size_t count;
    struct found *all = find_all(dir_fd, &count);

    for (size_t i = 0; i < count; i++)
        sum += all[i].bytes;
    for (size_t i = 0; i < count && sum > max_bytes; i++) {
        const bool removed = unlinkat(dir_fd, all[i].name, 0) == 0;

        if (removed || errno == ENOENT) /* then somebody else did */
            sum -= all[i].bytes;
        if (removed)
            tell(&all[i], fn, context);
    }
    free(all);
}

int gbx_cache_default(char *dir, size_t bytes)
{
    const char *base = secure_getenv("XDG_CACHE_HOME"), *end = "/glovebox";
    int n;

    if (base == NULL || base[0] != '/') { /* relative ones are to be ignored */
        base = secure_getenv("HOME");
        end = "/.cache/glovebox";
    }
    if (base == NULL || base[0] != '/')
        return GBX_EFILE;
    n = snprintf(dir, bytes, "%s%s", base, end);
    return n < 0 || (size_t)n >= bytes ? GBX_ELIMIT : 0;
}

int gbx_cache_list(const char *dir, gbx_cache_fn fn, void *context,
                   struct gbx_error *err)
{
    auto_fd int fd = files_open(dir, false, err);

    if (fd < 0)
        return fd;
    files_list(fd, fn, context);
    return 0;
}

int gbx_cache_prune(const char *dir, uint64_t max_bytes, gbx_cache_fn fn,
                    void *context, struct gbx_error *err)
{
    auto_fd int fd = files_open(dir, false, err);

    if (fd < 0)
        return fd;
    files_prune(fd, max_bytes, fn, context);
    return 0;
}
