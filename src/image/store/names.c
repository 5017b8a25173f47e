/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/store/folder.h"
#include "image/store/names.h"

#define FILE_BYTES (sizeof(STORE_NAMES) + 1 + NAME_MAX)

static bool is_plain(char letter)
{
    return isalnum((unsigned char)letter) ||
           (letter != '\0' && strchr("._:@-", letter) != NULL);
}

/* False: it is too long. */
static bool encode(char path[FILE_BYTES], const char *name)
{
    size_t at = (size_t)sprintf(path, STORE_NAMES "/");

    for (; *name != '\0'; name++) {
        if (at + 4 > FILE_BYTES)
            return false;
        if (*name == '/')
            path[at++] = '+';
        else if (is_plain(*name))
            path[at++] = *name;
        else
            at += (size_t)sprintf(path + at, "%%%02X", (unsigned char)*name);
    }
    path[at] = '\0';
    return true;
}

/* To free(); NULL where it is no name of ours. */
static char *decode(const char *file)
{
    char *name = malloc(strlen(file) + 1), *to = name;
    unsigned byte;

    for (; name != NULL && *file != '\0'; file++) {
        if (*file == '+') {
            *to++ = '/';
        } else if (*file == '%' && sscanf(file, "%%%2X", &byte) == 1 &&
                   byte != 0) {
            *to++ = (char)byte;
            file += 2;
        } else if (is_plain(*file)) {
            *to++ = *file;
        } else {
            free(name);
            return NULL;
        }
    }
    if (name != NULL)
        *to = '\0';
    return name;
}

int name_check(const char *name, struct gbx_error *err)
{
    char path[FILE_BYTES];

    return encode(path, name)
               ? 0
               : fail(err, GBX_ELIMIT,
                      "image %.100s...: too long a name for the store; "
                      "--name gives it another",
                      name);
}

int name_read(const struct gbx_images *images, const char *name,
              char digest[DIGEST_BYTES], struct gbx_error *err)
{
    char path[FILE_BYTES], *text;

    if (!encode(path, name))
        return fail(err, GBX_EFILE, "no image %.100s in the store", name);
    text = store_read(images, path, DIGEST_BYTES + 1, NULL);
    if (text == NULL && errno == ENOENT)
        return fail(err, GBX_EFILE,
                    "no image %.100s in %.60s: glovebox image pull gets it",
                    name, images->path);
    if (text == NULL && errno != EFBIG)
        return fail(err, GBX_EHOST, "%s/%s", images->path, path);
    digest[0] = '\0';
    if (text != NULL) {
        text[strcspn(text, "\n")] = '\0';
        snprintf(digest, DIGEST_BYTES, "%s", text);
    }
    free(text);
    return digest_is_valid(digest)
               ? 0
               : fail(err, GBX_EFORMAT, "%s/%s is damaged; pull it again",
                      images->path, path);
}

int name_write(const struct gbx_images *images, const char *name,
               const char *digest, struct gbx_error *err)
{
    char path[FILE_BYTES], text[DIGEST_BYTES + 1];
    int rc = name_check(name, err);

    if (rc < 0)
        return rc;
    encode(path, name);
    snprintf(text, sizeof(text), "%s\n", digest);
    rc = store_write(images, path, text, strlen(text));
    errno = -rc;
    return rc < 0 ? fail(err, GBX_EHOST, "%s/%s", images->path, path) : 0;
}

int name_remove(const struct gbx_images *images, const char *name,
                uint64_t *freed, struct gbx_error *err)
{
    char path[FILE_BYTES];
    int rc;

    if (!encode(path, name) ||
        faccessat(images->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(err, GBX_EFILE, "no image %.100s in the store", name);
    rc = folder_remove(images->fd, path, freed);
    errno = -rc;
    return rc < 0 ? fail(err, GBX_EHOST, "%s/%s", images->path, path) : 0;
}

static int by_name(const void *a, const void *b)
{
    const struct name *one = a, *other = b;

    return strcmp(one->name, other->name);
}

/* One that is damaged is passed over: verify tells of it.  One that cannot be
 * read now is an error: who removes must not take it for none. */
static int add(struct names *names, const struct gbx_images *images,
               const char *file, struct gbx_error *err)
{
    struct name *more =
        reallocarray(names->all, names->count + 1, sizeof(*more));
    struct name *name;
    int rc;

    if (more == NULL)
        return fail(err, GBX_EHOST, "no memory for names");
    names->all = more;
    name = &more[names->count];
    errno = 0;
    name->name = decode(file);
    if (name->name == NULL)
        return errno == ENOMEM ? fail(err, GBX_EHOST, "no memory for names")
                               : 0;
    rc = name_read(images, name->name, name->digest, err);
    if (rc < 0)
        free(name->name);
    else
        names->count++;
    return rc == GBX_EHOST ? rc : 0;
}

int names_read(struct names *names, const struct gbx_images *images,
               struct gbx_error *err)
{
    int fd =
        openat(images->fd, STORE_NAMES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    int rc = 0;

    *names = (struct names){0};
    if (dir == NULL) {
        close_fd(&fd);
        return fail(err, GBX_EHOST, "%s/%s", images->path, STORE_NAMES);
    }
    while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = add(names, images, entry->d_name, err);
    if (rc == 0 && errno != 0)
        rc = fail(err, GBX_EHOST, "%s/%s", images->path, STORE_NAMES);
    closedir(dir);
    if (rc < 0)
        names_fini(names);
    if (names->count > 0)
        qsort(names->all, names->count, sizeof(*names->all), by_name);
    return rc;
}

bool names_mean(const struct names *names, const char *digest)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->all[i].digest, digest) == 0)
            return true;
    return false;
}

void names_fini(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->all[i].name);
    free(names->all);
    *names = (struct names){0};
}
