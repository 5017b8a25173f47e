/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template_file_test.h - for tests: templates of a backend of play that can be
 * kept in files, in a directory that is gone after each test.
 *
 *  file_setup(NULL);            template: taken after a call
 *  save();  load(how);          its file, and loaded: another one of it
 *  file_teardown(NULL);         nothing is left
 */
#ifndef SANDBOX_TEMPLATE_FILE_TEST_H
#define SANDBOX_TEMPLATE_FILE_TEST_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "sandbox/template_file.h"
#include "sandbox/template_test.h"

#define PAGE  4096u
#define PAGES 3u
#define NAME  "0123.template"

static char folder[64];
static int dir_fd = -1, pages_fd = -1, loaded_fd = -1;
static uint64_t loaded_off;
static struct bytes_out key, extra, got;
static struct template *loaded;
static int load_code; /* of the backend's; 0: it succeeds */

static inline int save_play(const struct snapshot *snapshot,
                            struct bytes_out *out, int *fd, uint64_t *bytes)
{
    bytes_put(out, &snapshot->guest, sizeof(snapshot->guest));
    *fd = pages_fd;
    *bytes = PAGES * PAGE;
    return out->failed ? GBX_EHOST : 0;
}

static inline int load_play(struct snapshot **snapshot, struct bytes_in *in,
                            int fd, uint64_t off, struct gbx_error *why)
{
    *snapshot = NULL;
    why->code = load_code;
    if (load_code != 0)
        return load_code;
    *snapshot = calloc(1, sizeof(**snapshot));
    if (*snapshot == NULL)
        return why->code = GBX_EHOST;
    (*snapshot)->references = 1;
    bytes_take(in, &(*snapshot)->guest, sizeof((*snapshot)->guest));
    snapshots++;
    loaded_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    loaded_off = off;
    return in->failed || loaded_fd < 0 ? GBX_EFORMAT : 0;
}

static inline void put_play(struct snapshot *snapshot)
{
    play_put(snapshot);
    if (loaded_fd >= 0)
        close(loaded_fd);
    loaded_fd = -1;
}

static const struct backend filed = {.name = "filed",
                                     .snapshot = play_snapshot,
                                     .clone = play_clone,
                                     .put = put_play,
                                     .save = save_play,
                                     .load = load_play,
                                     PLAY};

static inline int file_setup(void **state)
{
    static uint8_t page[PAGE];

    (void)state;
    files_before = count_open_files();
    load_code = snapshot_code = clone_code = wipe_code = 0;
    strcpy(folder, "/tmp/glovebox-template-XXXXXX");
    assert_non_null(mkdtemp(folder));
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pages_fd = memfd_create("pages", MFD_CLOEXEC);
    for (unsigned i = 0; i < PAGES; i++) {
        memset(page, (int)('a' + i), PAGE);
        assert_int_equal(fd_write_at(pages_fd, page, PAGE, i * PAGE), 0);
    }
    bytes_put_text(&key, "what it was made of");
    bytes_put_text(&extra, "what the caller adds");
    open_first(&filed);
    play_take();
    return 0;
}

static inline void drop_loaded(void)
{
    template_put(loaded);
    loaded = NULL;
    bytes_out_fini(&got);
}

static inline void remove_all(void)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    must(dir != NULL);
    while ((entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dir_fd, entry->d_name,
                     entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
    closedir(dir);
}

static inline int file_teardown(void **state)
{
    drop_loaded();
    bytes_out_fini(&key);
    bytes_out_fini(&extra);
    remove_all();
    rmdir(folder);
    close(dir_fd);
    close(pages_fd);
    dir_fd = pages_fd = -1;
    return play_teardown(state);
}

static inline int save(void)
{
    return template_save(template, dir_fd, NAME, &key, &extra, &err);
}

static inline int load(enum template_how how)
{
    drop_loaded();
    return template_load(&loaded, &got, &filed, dir_fd, NAME, &key, how, &err);
}

/* Of the directory, but for "." and "..". */
static inline int count_entries(void)
{
    return count_names(folder) - 2;
}

/* What was loaded is what was saved. */
static inline void expect_loaded(void)
{
    const struct region_image *is = &loaded->region, *was = &template->region;
    char text[2] = "";

    assert_int_equal(got.count, extra.count);
    assert_memory_equal(got.bytes, extra.bytes, extra.count);
    assert_int_equal(loaded->last_call, template->last_call);
    assert_int_equal(is->half_bytes, was->half_bytes);
    assert_int_equal(is->byte_count, was->byte_count);
    assert_int_equal(is->part_count, was->part_count);
    assert_memory_equal(is->bytes, was->bytes, was->byte_count);
    assert_memory_equal(is->arena_bytes, was->arena_bytes,
                        sizeof(was->arena_bytes));
    assert_int_equal(loaded->channel.ring_head, template->channel.ring_head);
    assert_int_equal(loaded_off % PAGE, 0);
    for (unsigned i = 0; i < PAGES; i++) {
        off_t last = (off_t)(loaded_off + (i + 1) * PAGE - 1);

        assert_int_equal(pread(loaded_fd, text, 2, last), 1 + (i + 1 < PAGES));
        assert_int_equal(text[0], 'a' + i);
    }
}

#endif
