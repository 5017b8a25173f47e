/* SPDX-License-Identifier: Apache-2.0 */
/*
 * free.c - what nobody uses is removed, by one who has the store alone.
 *
 * Names and records go first, then what no record that is left speaks of.  A
 * folder goes in two steps: a rename into drafts, and then bit by bit; so who
 * is ended in the middle leaves a draft, and no half of a layer.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/store/find.h"
#include "image/store/folder.h"
#include "image/store/list.h"
#include "image/store/names.h"

/* Who is using what, by name: digits of digests. */
struct marks {
    char (*all)[DIGEST_BYTES]; /* owned */
    size_t count, room;
    bool failed;
};

static void mark(struct marks *marks, const char *text)
{
    if (marks->count == marks->room) {
        const size_t room = marks->room * 2 + 64;
        void *more = reallocarray(marks->all, room, sizeof(*marks->all));

        if (more == NULL) {
            marks->failed = true;
            return;
        }
        marks->all = more;
        marks->room = room;
    }
    snprintf(marks->all[marks->count++], DIGEST_BYTES, "%s", text);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool is_marked(const struct marks *marks, const char *text)
{
    return marks->count > 0 && bsearch(text, marks->all, marks->count,
                                       sizeof(*marks->all), by_text) != NULL;
}

static void remove_whole(const struct gbx_images *images, const char *path,
                         uint64_t *freed)
{
    static atomic_uint number;
    char draft[STORE_PATH_BYTES];

    snprintf(draft, sizeof(draft), STORE_DRAFTS "/%d-%u.gone", getpid(),
             atomic_fetch_add(&number, 1));
    folder_remove(images->fd, draft, NULL);
    if (renameat(images->fd, path, images->fd, draft) == 0)
        folder_remove(images->fd, draft, freed);
}

/* All in a folder of the store that is neither marked nor held. */
static void sweep(const struct gbx_images *images, const char *folder,
                  const struct marks *marks, uint64_t *freed)
{
    int fd = openat(images->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    char path[NAME_MAX + STORE_PATH_BYTES];

    if (dir == NULL) {
        close_fd(&fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        int held;

        if (entry->d_name[0] == '.' || is_marked(marks, entry->d_name))
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        held = find_hold(images, path, true);
        if (held >= 0 || held == -ENOTDIR)
            remove_whole(images, path, freed);
        close_fd(&held);
    }
    closedir(dir);
}

static void mark_record(struct marks marks[3], const struct record *record)
{
    mark(&marks[0], digest_hex(record->digest));
    mark(&marks[0], digest_hex(record->config));
    for (uint32_t i = 0; i < record->layer_count; i++) {
        mark(&marks[0], digest_hex(record->layers[i].digest));
        mark(&marks[1], digest_hex(record->layers[i].diff));
    }
    if (strncmp(record->root, STORE_ROOTS, strlen(STORE_ROOTS)) == 0)
        mark(&marks[2], record->root + strlen(STORE_ROOTS "/"));
}

/* Whoever calls has the store alone, so no lock of a layer is anybody's. */
static void sweep_locks(const struct gbx_images *images)
{
    int fd =
        openat(images->fd, STORE_LOCKS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (dir == NULL) {
        close_fd(&fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "store") != 0)
            unlinkat(fd, entry->d_name, 0);
    closedir(dir);
}

static int sweep_all(const struct gbx_images *images, uint64_t *freed,
                     struct gbx_error *err)
{
    static const char *const folders[] = {STORE_BLOBS, STORE_LAYERS,
                                          STORE_ROOTS};
    struct marks marks[3] = {0};
    struct records records;
    bool failed = false;
    int rc = records_read(&records, images, err);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < records.count; i++)
        mark_record(marks, &records.all[i]);
    for (int i = 0; i < 3; i++)
        failed = failed || marks[i].failed;
    for (int i = 0; i < 3 && !failed; i++) {
        if (marks[i].count > 0)
            qsort(marks[i].all, marks[i].count, sizeof(*marks[i].all), by_text);
        sweep(images, folders[i], &marks[i], freed);
    }
    for (int i = 0; i < 3; i++)
        free(marks[i].all);
    records_fini(&records);
    store_sweep_drafts(images, freed);
    sweep_locks(images);
    return failed ? fail(err, GBX_EHOST, "no memory to prune images") : 0;
}

static bool is_held(const struct gbx_images *images,
                    const struct record *record)
{
    int fd = find_hold(images, record->root, true);
    const bool held = fd == -EAGAIN;

    close_fd(&fd);
    return held;
}

static void forget(const struct gbx_images *images, const struct names *names,
                   const struct record *record, uint64_t *freed)
{
    char path[STORE_PATH_BYTES];

    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->all[i].digest, record->digest) == 0)
            name_remove(images, names->all[i].name, freed, NULL);
    record_path(path, record->digest);
    folder_remove(images->fd, path, freed);
}

/* A name that is not the only one goes alone. */
static int forget_name(const struct gbx_images *images, const char *text,
                       const struct reference *reference,
                       const struct record *record, uint64_t *freed,
                       struct gbx_error *err)
{
    char name[REFERENCE_NAME_BYTES];
    struct names names;
    size_t others = 0;
    int rc = names_read(&names, images, err);

    reference_name(reference, name);
    for (size_t i = 0; i < names.count; i++)
        others += strcmp(names.all[i].digest, record->digest) == 0 &&
                  strcmp(names.all[i].name, name) != 0;
    if (rc == 0 && others > 0 && reference->kind != REFERENCE_DIGEST)
        rc = name_remove(images, name, freed, err);
    else if (rc == 0 && is_held(images, record))
        rc = fail(err, GBX_EAGAIN, "image %.100s is in use", text);
    else if (rc == 0)
        forget(images, &names, record, freed);
    names_fini(&names);
    return rc;
}

static int remove_it(const struct gbx_images *images, const char *text,
                     uint64_t *bytes, struct gbx_error *err)
{
    struct reference reference;
    struct record record;
    int rc = reference_parse(&reference, text, err);

    if (rc < 0)
        return rc;
    if (reference.path[0] != '\0') /* what lay there may be gone by now */
        find_settle(&reference, text, NULL);
    if (reference.kind == REFERENCE_FOLDER)
        return fail(err, GBX_EFILE, "%.120s is no image of the store", text);
    rc = find_record(&record, images, &reference, err);
    if (rc == 0)
        rc = forget_name(images, text, &reference, &record, bytes, err);
    record_fini(&record);
    return rc < 0 ? rc : sweep_all(images, bytes, err);
}

int gbx_image_remove(struct gbx_images *images, const char *reference,
                     uint64_t *bytes, struct gbx_error *err)
{
    auto_fd int lock = store_lock_alone(images, err);
    uint64_t ignored;

    bytes = bytes != NULL ? bytes : &ignored;
    *bytes = 0;
    return lock < 0 ? lock : remove_it(images, reference, bytes, err);
}

int gbx_images_prune(struct gbx_images *images, bool all, gbx_image_fn fn,
                     void *context, uint64_t *bytes, struct gbx_error *err)
{
    auto_fd int lock = store_lock_alone(images, err);
    struct records records = {0};
    struct names names = {0};
    uint64_t ignored;
    int rc;

    bytes = bytes != NULL ? bytes : &ignored;
    *bytes = 0;
    if (lock < 0)
        return lock;
    rc = records_read(&records, images, err);
    if (rc == 0)
        rc = names_read(&names, images, err);
    for (size_t i = 0; rc == 0 && i < records.count; i++) {
        const struct record *record = &records.all[i];

        if ((!all && names_mean(&names, record->digest)) ||
            is_held(images, record))
            continue;
        forget(images, &names, record, bytes);
        list_tell(record, NULL, fn, context);
    }
    names_fini(&names);
    records_fini(&records);
    return rc < 0 ? rc : sweep_all(images, bytes, err);
}
