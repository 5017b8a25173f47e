/* SPDX-License-Identifier: Apache-2.0 */
/* special.c - files whose content is nowhere: texts of /proc, and devices. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"
#include "sandbox/files/tree/node.h"

#define TEXT_BYTES_MAX   (8u << 20)
#define TEXTS_BYTES_MAX  (16u << 20) /* of all that are open */
#define RANDOM_BYTES_MAX (1u << 20)  /* at once: it takes milliseconds */

struct text {
    char *bytes; /* owned */
    size_t count, room;
    uint64_t *all;     /* rooms of the tree, this one's too */
    struct heap *heap; /* borrowed */
};

static struct tree_file *of(struct file *file)
{
    return (struct tree_file *)file;
}

/* Room for so many more. */
static int reserve(struct text *text, size_t more)
{
    size_t room = text->room == 0 ? 512 : text->room;
    char *bytes;

    if (more > TEXT_BYTES_MAX - text->count)
        return -ENOMEM;
    while (room < text->count + more)
        room *= 2;
    if (room == text->room)
        return 0;
    if (*text->all + (room - text->room) > TEXTS_BYTES_MAX)
        return -ENOMEM;
    bytes = heap_resize(text->heap, &heap_plain, text->bytes, room);
    if (bytes == NULL)
        return -ENOMEM;
    *text->all += room - text->room;
    text->bytes = bytes;
    text->room = room;
    return 0;
}

int text_add_bytes(struct text *text, const void *bytes, size_t count)
{
    int rc = reserve(text, count);

    if (rc == 0 && count > 0)
        memcpy(text->bytes + text->count, bytes, count);
    if (rc == 0)
        text->count += count;
    return rc;
}

int text_add(struct text *text, const char *format, ...)
{
    size_t room;
    va_list args;
    int n, rc = reserve(text, 1);

    for (unsigned tries = 0; rc == 0; tries++) {
        room = text->room - text->count;
        va_start(args, format);
        n = vsnprintf(text->bytes + text->count, room, format, args);
        va_end(args);
        if (n >= 0 && (size_t)n < room) {
            text->count += (size_t)n;
            return 0;
        }
        if (n < 0 || tries > 0)
            return -EINVAL;
        rc = reserve(text, (size_t)n + 1); /* and a NUL behind it */
    }
    return rc;
}

void text_free(struct text *text)
{
    if (text == NULL)
        return;
    *text->all -= text->room;
    heap_free(text->bytes);
    heap_free(text);
}

static void move_text(void *object, size_t bytes, const struct heap_move *move)
{
    struct text *text = object;

    (void)bytes;
    move_pointer(move, &text->bytes);
    move_pointer(move, &text->all);
    move_pointer(move, &text->heap);
}

static const struct heap_type text_type = {"text", move_text};

/* A text is made anew whenever it is read from its start. */
static int make_text(struct tree_file *file)
{
    const struct node_text *source = &file->file.node->text;
    struct tree *tree = file->file.node->tree;
    int rc;

    if (file->text == NULL)
        file->text =
            heap_make(tree->frames->heap, &text_type, sizeof(*file->text));
    if (file->text == NULL)
        return -ENOMEM;
    file->text->all = &tree->text_bytes;
    file->text->heap = tree->frames->heap;
    file->text->count = 0;
    rc = source->fn(source->context, file->text);
    if (rc < 0)
        file->text->count = 0;
    return rc < 0 ? rc : 0;
}

static int64_t read_text(struct file *file, const struct iovec *pieces,
                         int count, uint64_t *position)
{
    const struct text *text;
    uint64_t at = *position;
    int64_t done = 0;

    if (at == 0 || of(file)->text == NULL) {
        int rc = make_text(of(file));

        if (rc < 0)
            return rc;
    }
    text = of(file)->text;
    for (int i = 0; i < count && at < text->count; i++) {
        size_t n = pieces[i].iov_len;

        n = n < text->count - at ? n : text->count - at;
        if (n > 0)
            memcpy(pieces[i].iov_base, text->bytes + at, n);
        at += n, done += (int64_t)n;
    }
    *position = at;
    return done;
}

static int64_t size_of_text(struct file *file)
{
    (void)file;
    return -EINVAL; /* nobody knows its end */
}

const struct file_class special_text_class = {
    .name = "text",
    .read = read_text,
    .size = size_of_text,
    .stat = open_stat,
    .close = open_close,
};

enum { NULL_DEVICE = 3, ZERO = 5, FULL = 7, RANDOM = 8, URANDOM = 9 };

static const struct {
    const char *name;
    unsigned number;
} devices[] = {{"null", NULL_DEVICE},
               {"zero", ZERO},
               {"full", FULL},
               {"random", RANDOM},
               {"urandom", URANDOM}};

unsigned special_device(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
        if (strcmp(devices[i].name, name) == 0)
            return devices[i].number;
    return 0;
}

static int64_t fill_random(uint8_t *to, size_t bytes)
{
    size_t done = 0;

    bytes = bytes < RANDOM_BYTES_MAX ? bytes : RANDOM_BYTES_MAX;
    while (done < bytes) {
        ssize_t n = getrandom(to + done, bytes - done, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return done > 0 ? (int64_t)done : -errno;
        done += (size_t)n;
    }
    return (int64_t)done;
}

static int64_t read_device(struct file *file, const struct iovec *pieces,
                           int count, uint64_t *position)
{
    unsigned device = file->node->device;
    int64_t done = 0;

    (void)position;
    if (device == NULL_DEVICE)
        return 0;
    for (int i = 0; i < count; i++) {
        size_t bytes = pieces[i].iov_len;
        int64_t n = (int64_t)bytes;

        if (device == RANDOM || device == URANDOM)
            n = fill_random(pieces[i].iov_base, bytes);
        else if (bytes > 0)
            memset(pieces[i].iov_base, 0, bytes);
        if (n < 0)
            return done > 0 ? done : n;
        done += n;
        if ((size_t)n < bytes || done >= RANDOM_BYTES_MAX)
            break;
    }
    return done;
}

static int64_t write_device(struct file *file, const struct iovec *pieces,
                            int count, uint64_t *position)
{
    int64_t done = 0;

    (void)position;
    if (file->node->device == FULL)
        return -ENOSPC;
    for (int i = 0; i < count; i++)
        done += (int64_t)pieces[i].iov_len;
    return done;
}

static int64_t size_of_device(struct file *file)
{
    (void)file;
    return 0;
}

const struct file_class special_device_class = {
    .name = "device",
    .read = read_device,
    .write = write_device,
    .size = size_of_device,
    .stat = open_stat,
    .close = open_close,
};
