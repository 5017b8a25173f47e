/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/files/tree/host/seen.h"

#define SEEN_MAX                                                               \
    65536u /* paths; a guest that looks at more has no template                \
            */
#define ROOM_FIRST 64u

static int64_t to_ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static struct seen_file describe(const struct stat *st)
{
    if (st == NULL)
        return (struct seen_file){.mode = 0};
    return (struct seen_file){.dev = st->st_dev,
                              .ino = st->st_ino,
                              .size = (uint64_t)st->st_size,
                              .written_ns = to_ns(&st->st_mtim),
                              .changed_ns = to_ns(&st->st_ctim),
                              .mode = st->st_mode};
}

static bool is_same(const struct seen_file *a, const struct seen_file *b)
{
    return a->mode == b->mode && a->dev == b->dev && a->ino == b->ino &&
           a->size == b->size && a->written_ns == b->written_ns &&
           a->changed_ns == b->changed_ns;
}

/* Room for a file more and its path. */
static bool reserve(struct seen *seen, size_t path_bytes)
{
    if (seen->count == seen->room) {
        uint32_t room = seen->room == 0 ? ROOM_FIRST : 2 * seen->room;
        struct seen_file *files =
            reallocarray(seen->files, room, sizeof(*files));

        if (files == NULL)
            return false;
        seen->files = files;
        seen->room = room;
    }
    if (seen->text_room - seen->text_bytes < path_bytes) {
        size_t room = 2 * seen->text_room + path_bytes + 1024;
        char *texts = room > UINT32_MAX ? NULL : realloc(seen->texts, room);

        if (texts == NULL)
            return false;
        seen->texts = texts;
        seen->text_room = (uint32_t)room;
    }
    return true;
}

void seen_note(struct seen *seen, const char *path, const struct stat *st)
{
    struct seen_file file = describe(st);
    size_t bytes = strlen(path) + 1;

    /* The same path comes again soon, or not at all. */
    for (uint32_t i = seen->count; i > 0 && seen->count - i < 64; i--)
        if (is_same(&seen->files[i - 1], &file) &&
            strcmp(seen->texts + seen->files[i - 1].path, path) == 0)
            return;
    if (seen->failed || seen->count == SEEN_MAX || !reserve(seen, bytes)) {
        seen->failed = true;
        return;
    }
    file.path = seen->text_bytes;
    memcpy(seen->texts + seen->text_bytes, path, bytes);
    seen->text_bytes += (uint32_t)bytes;
    seen->files[seen->count++] = file;
}

bool seen_is_stale(const struct seen *seen, const char **path)
{
    *path = NULL;
    for (uint32_t i = 0; i < seen->count; i++) {
        const struct seen_file *was = &seen->files[i];
        struct seen_file is;
        struct stat st;

        *path = seen->texts + was->path;
        if (lstat(*path, &st) == 0)
            is = describe(&st);
        else if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
            is = describe(NULL);
        else
            return true;
        if (!is_same(was, &is))
            return true;
    }
    return seen->failed;
}

bool seen_copy(struct seen *to, const struct seen *from)
{
    *to = (struct seen){.failed = from->failed};
    for (uint32_t i = 0; i < from->count; i++) {
        const char *path = from->texts + from->files[i].path;
        size_t bytes = strlen(path) + 1;
        struct seen_file file = from->files[i];

        if (!reserve(to, bytes)) {
            seen_fini(to);
            return false;
        }
        file.path = to->text_bytes;
        memcpy(to->texts + to->text_bytes, path, bytes);
        to->text_bytes += (uint32_t)bytes;
        to->files[to->count++] = file;
    }
    return true;
}

void seen_save(const struct seen *seen, struct bytes_out *out)
{
    bytes_put_block(out, seen->files, seen->count * sizeof(*seen->files));
    bytes_put_block(out, seen->texts, seen->text_bytes);
    if (seen->failed)
        out->failed = true;
}

bool seen_load(struct seen *seen, struct bytes_in *in)
{
    size_t file_bytes, text_bytes;
    const void *files = bytes_take_block(in, &file_bytes);
    const char *texts = bytes_take_block(in, &text_bytes);
    uint32_t count = (uint32_t)(file_bytes / sizeof(*seen->files));

    *seen = (struct seen){.failed = false};
    if (in->failed || file_bytes % sizeof(*seen->files) != 0 ||
        text_bytes > UINT32_MAX ||
        (text_bytes > 0 && texts[text_bytes - 1] != '\0'))
        return false;
    seen->files = calloc(count + 1, sizeof(*seen->files));
    seen->texts = malloc(text_bytes + 1);
    if (seen->files == NULL || seen->texts == NULL) {
        seen_fini(seen);
        return false;
    }
    memcpy(seen->files, files, count * sizeof(*seen->files));
    memcpy(seen->texts, texts, text_bytes);
    seen->count = seen->room = count;
    seen->text_bytes = seen->text_room = (uint32_t)text_bytes;
    for (uint32_t i = 0; i < count; i++)
        if (seen->files[i].path >= text_bytes) {
            seen_fini(seen);
            return false;
        }
    return true;
}

void seen_fini(struct seen *seen)
{
    free(seen->files);
    free(seen->texts);
    *seen = (struct seen){.failed = false};
}
