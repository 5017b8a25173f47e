/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/layer/notes.h"

#define MAGIC     0x31736574a9u
#define BYTES_MAX (1ull << 30)

void notes_add(struct notes *notes, const struct note *note)
{
    bytes_put(&notes->out, &note->kind, sizeof(note->kind));
    bytes_put(&notes->out, &note->uid, sizeof(note->uid));
    bytes_put(&notes->out, &note->gid, sizeof(note->gid));
    bytes_put(&notes->out, &note->mode, sizeof(note->mode));
    bytes_put(&notes->out, note->device, sizeof(note->device));
    bytes_put(&notes->out, &note->time_s, sizeof(note->time_s));
    bytes_put_text(&notes->out, note->path);
    bytes_put_text(&notes->out, note->target);
}

static bool take(struct bytes_in *in, struct note *note)
{
    *note = (struct note){0};
    bytes_take(in, &note->kind, sizeof(note->kind));
    bytes_take(in, &note->uid, sizeof(note->uid));
    bytes_take(in, &note->gid, sizeof(note->gid));
    bytes_take(in, &note->mode, sizeof(note->mode));
    bytes_take(in, note->device, sizeof(note->device));
    bytes_take(in, &note->time_s, sizeof(note->time_s));
    note->path = bytes_take_text(in);
    note->target = bytes_take_text(in);
    return !in->failed && note->kind > 0 && note->kind < NOTE_KINDS &&
           note->path != NULL &&
           (note->target != NULL) == (note->kind == NOTE_LINK);
}

static int by_path(const void *a, const void *b)
{
    const struct note *one = a, *other = b;

    if (one->kind != other->kind)
        return one->kind < other->kind ? -1 : 1;
    return strcmp(one->path, other->path);
}

/* Of one path, the last first. */
static int by_order(const void *a, const void *b)
{
    const struct note *one = a, *other = b;
    const int rc = by_path(a, b);

    return rc != 0 ? rc : one->order > other->order ? -1 : 1;
}

/* A list of what lies in bytes that stay. */
static int list(struct notes *notes, struct bytes_in *in)
{
    size_t room = 0;
    struct note note;

    while (in->at < in->end) {
        if (!take(in, &note))
            return -EBADMSG;
        if (notes->count == room) {
            struct note *more;

            room = room * 2 + 64;
            more = reallocarray(notes->all, room, sizeof(*more));
            if (more == NULL)
                return -ENOMEM;
            notes->all = more;
        }
        note.order = notes->count;
        notes->all[notes->count++] = note;
    }
    if (notes->count > 0)
        qsort(notes->all, notes->count, sizeof(*notes->all), by_order);
    return 0;
}

int notes_sort(struct notes *notes)
{
    struct bytes_in in = {.at = notes->out.bytes};
    size_t kept = 0;
    int rc;

    notes->count = 0;
    if (notes->out.failed)
        return -ENOMEM;
    if (notes->out.count == 0)
        return 0;
    in.end = in.at + notes->out.count;
    if ((rc = list(notes, &in)) < 0)
        return rc;
    for (size_t i = 0; i < notes->count; i++)
        if (kept == 0 || by_path(&notes->all[kept - 1], &notes->all[i]) != 0)
            notes->all[kept++] = notes->all[i];
    notes->count = kept;
    return 0;
}

bool notes_has(const struct notes *notes, enum note_kind kind, const char *path)
{
    const struct note key = {.kind = kind, .path = path};

    return notes->count > 0 && bsearch(&key, notes->all, notes->count,
                                       sizeof(key), by_path) != NULL;
}

int notes_write(struct notes *notes, int dir_fd)
{
    auto_fd int fd = openat(dir_fd, NOTES_FILE,
                            O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct notes sorted = {0};
    const uint64_t magic = MAGIC;
    int rc = 0;

    bytes_put(&sorted.out, &magic, sizeof(magic));
    for (size_t i = 0; i < notes->count; i++)
        notes_add(&sorted, &notes->all[i]);
    if (sorted.out.failed)
        rc = -ENOMEM;
    else if (fd < 0 ||
             fd_write_at(fd, sorted.out.bytes, sorted.out.count, 0) < 0)
        rc = -errno;
    notes_fini(&sorted);
    return rc;
}

int notes_read(struct notes *notes, int dir_fd)
{
    auto_fd int fd = openat(dir_fd, NOTES_FILE, O_RDONLY | O_CLOEXEC);
    struct bytes_in in;
    uint64_t magic;
    struct stat st;
    size_t bytes;

    *notes = (struct notes){0};
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size > (off_t)BYTES_MAX)
        return -EBADMSG;
    bytes = (size_t)st.st_size;
    notes->text = malloc(bytes + 1);
    if (notes->text == NULL)
        return -ENOMEM;
    if (read(fd, notes->text, bytes) != (ssize_t)bytes)
        return -EBADMSG;
    in = (struct bytes_in){.at = notes->text, .end = notes->text + bytes};
    bytes_take(&in, &magic, sizeof(magic));
    return in.failed || magic != MAGIC ? -EBADMSG : list(notes, &in);
}

void notes_fini(struct notes *notes)
{
    bytes_out_fini(&notes->out);
    free(notes->all);
    free(notes->text);
    *notes = (struct notes){0};
}
