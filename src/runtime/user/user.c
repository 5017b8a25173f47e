/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/user/user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#define NAME_BYTES 128u
#define FILE_BYTES (1u << 20)
#define RACES_MAX  1000

/* A file of the root, in memory. */
struct text {
    char *bytes; /* owned, or NULL: it is not there */
    size_t count;
};

static int open_in(const char *root, const char *name)
{
    struct open_how how = {.flags =
                               O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    auto_fd int top = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    long fd;
    int races = 0;

    if (top < 0)
        return -1;
    do {
        fd = syscall(SYS_openat2, top, name, &how, sizeof(how));
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN) &&
             races++ < RACES_MAX);
    return (int)fd;
}

static int read_all(struct text *text, int fd)
{
    while (text->count < FILE_BYTES) {
        ssize_t got =
            read(fd, text->bytes + text->count, FILE_BYTES - text->count);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -1 : 0;
        text->count += (size_t)got;
    }
    errno = EFBIG;
    return -1;
}

/* One that is not there has nobody in it. */
static int read_file(struct text *text, const char *root, const char *name,
                     struct gbx_error *err)
{
    auto_fd int fd = root == NULL ? -1 : open_in(root, name);
    struct stat st;

    *text = (struct text){0};
    if (root == NULL || (fd < 0 && (errno == ENOENT || errno == ENOTDIR)))
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(err, GBX_EFILE, "%.120s/%s: %s", root, name,
                    strerrordesc_np(errno));
    if (!S_ISREG(st.st_mode))
        return fail(err, GBX_EFILE, "%.120s/%s: not a file", root, name);
    if ((text->bytes = malloc(FILE_BYTES)) == NULL)
        return fail(err, GBX_EHOST, "no memory for the names of users");
    if (read_all(text, fd) == 0)
        return 0;
    free(text->bytes);
    return fail(err, GBX_EFILE, "%.120s/%s: %s", root, name,
                strerrordesc_np(errno));
}

static bool is_number(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static int take_number(uint32_t *id, const char *text, struct gbx_error *err)
{
    const unsigned long value =
        strlen(text) <= 10 ? strtoul(text, NULL, 10) : USER_NO_ID;

    *id = (uint32_t)value;
    return value < USER_NO_ID
               ? 0
               : fail(err, GBX_EARGUMENT,
                      "%.60s is no number of a user or group: at most %u", text,
                      USER_NO_ID - 1);
}

static int refuse(const char *kind, const char *name, const char *root,
                  const char *file, struct gbx_error *err)
{
    if (root == NULL)
        return fail(err, GBX_EARGUMENT,
                    "the %s \"%.60s\": without an image or a root there are no "
                    "names to be looked up; give a number",
                    kind, name);
    return fail(err, GBX_EARGUMENT,
                "the %s \"%.60s\" is not in %.80s/%s; give another, or a "
                "number (--user)",
                kind, name, root, file);
}

static int find_user(struct guest_ids *ids, const char *name, const char *root,
                     struct gbx_error *err)
{
    static const char file[] = "etc/passwd";
    const bool is_named = !is_number(name);
    struct text text;
    uint32_t uid = USER_NO_ID;
    bool is_there;
    int rc = is_named ? 0 : take_number(&uid, name, err);

    if (rc < 0 || (rc = read_file(&text, root, file, err)) < 0)
        return rc;
    is_there = user_in_passwd(ids, is_named ? name : NULL, uid, text.bytes,
                              text.count);
    free(text.bytes);
    if (!is_there && is_named)
        return refuse("user", name, root, file, err);
    if (!is_there)
        *ids = (struct guest_ids){.is_set = true, .uid = uid, .gid = 0};
    return 0;
}

static int find_group(uint32_t *gid, const char *name, const char *root,
                      struct gbx_error *err)
{
    static const char file[] = "etc/group";
    struct text text;
    bool is_there;
    int rc;

    if (is_number(name))
        return take_number(gid, name, err);
    if ((rc = read_file(&text, root, file, err)) < 0)
        return rc;
    is_there = user_in_group(gid, name, text.bytes, text.count);
    free(text.bytes);
    return is_there ? 0 : refuse("group", name, root, file, err);
}

int user_find(struct guest_ids *ids, const char *text, const char *root,
              struct gbx_error *err)
{
    const char *colon = strchr(text, ':');
    const size_t bytes = strcspn(text, ":");
    char name[NAME_BYTES];
    int rc;

    if (bytes == 0 || bytes >= sizeof(name) ||
        (colon != NULL && colon[1] == '\0'))
        return fail(err, GBX_EARGUMENT,
                    "\"%.60s\" is no user: NAME, NAME:GROUP, UID or UID:GID "
                    "is expected",
                    text);
    memcpy(name, text, bytes);
    name[bytes] = '\0';
    rc = find_user(ids, name, root, err);
    if (rc == 0 && colon != NULL)
        rc = find_group(&ids->gid, colon + 1, root, err);
    return rc;
}
