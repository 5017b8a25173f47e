/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_test.c - each step of opening, listing, writing and removing fails in
 * turn: it is told, nothing is left open, and the store is as good as before.
 *
 * The linker puts the functions below before the C library's (--wrap).
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/count_test.h"
#include "base/fault_test.h"
#include "image/store/folder.h"
#include "image/store/kept.h"
#include "image/store/names.h"
#include "image/store/record.h"

WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL)
WRAP(void *, malloc, (size_t bytes), (bytes), NULL)
WRAP(char *, strdup, (const char *text), (text), NULL)
WRAP(int, openat64, (int dir, const char *path, int flags, mode_t mode),
     (dir, path, flags, mode), -1)
WRAP(int, fstat64, (int fd, struct stat *st), (fd, st), -1)
WRAP(int, flock, (int fd, int how), (fd, how), -1)
WRAP(int, renameat, (int one, const char *from, int other, const char *to),
     (one, from, other, to), -1)
WRAP(ssize_t, pread64, (int fd, void *to, size_t bytes, off_t off),
     (fd, to, bytes, off), -1)
WRAP(ssize_t, pwrite64, (int fd, const void *from, size_t bytes, off_t off),
     (fd, from, bytes, off), -1)

static char name[] = "docker.io/library/x:latest";

#define HEX                                                                    \
    "0123456789abcdef0123456789abcdef" /* 64 digits */                         \
    "0123456789abcdef0123456789abcdef"

#define MANIFEST "sha256:" HEX
#define CONFIG   "sha256:" HEX
#define NAME     "docker.io/library/x:latest"

static char folder[] = "/tmp/images-test-XXXXXX";
static struct record record = {.digest = MANIFEST,
                               .config = CONFIG,
                               .platform = "linux/amd64",
                               .root = STORE_ROOTS "/" HEX,
                               .name = name};

static void fill(struct gbx_images *images)
{
    static const char config[] =
        "{\"config\": {\"Env\": [\"A=1\"], \"Cmd\": [\"x\"]}}";
    char path[STORE_PATH_BYTES];
    int fd;

    store_blob(path, CONFIG);
    must(store_write(images, path, config, strlen(config)) == 0);
    if (mkdirat(images->fd, record.root, 0700) == 0) {
        fd = openat(images->fd, record.root, O_RDONLY | O_DIRECTORY);
        must(mkdirat(fd, "fs", 0700) == 0 && kept_begin(fd) == 0);
        close(fd);
    }
    must(record_write(&record, images, NULL) == 0);
    must(name_write(images, NAME, MANIFEST, NULL) == 0);
}

static struct gbx_images *open_images(void)
{
    struct gbx_images *images;

    must(gbx_images_open(&images, folder, NULL) == 0);
    return images;
}

static int setup(void **state)
{
    struct gbx_images *images;

    (void)state;
    must(mkdtemp(folder) != NULL);
    images = open_images();
    fill(images);
    gbx_images_close(images);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return folder_remove(AT_FDCWD, folder, NULL);
}

/* Returns a code; what it opens it closes. */
typedef int act_fn(struct gbx_images *images, struct gbx_error *err);

static int act_open(struct gbx_images *images, struct gbx_error *err)
{
    struct gbx_image *image;
    int rc = gbx_image_open(&image, images, "x", err);

    if (rc == 0)
        must(strcmp(gbx_image_run(image)->command[0], "x") == 0);
    gbx_image_close(image);
    return rc;
}

static int act_list(struct gbx_images *images, struct gbx_error *err)
{
    return gbx_images_list(images, NULL, NULL, err);
}

static bool is_recorded(const struct gbx_images *images)
{
    char path[STORE_PATH_BYTES];

    record_path(path, MANIFEST);
    return faccessat(images->fd, path, F_OK, 0) == 0 &&
           faccessat(images->fd, STORE_NAMES "/docker.io+library+x:latest",
                     F_OK, 0) == 0;
}

static void each_fails(act_fn *act)
{
    for (int n = 1; n < 1000; n++) {
        struct gbx_images *images = open_images();
        const int files = count_open_files();
        struct gbx_error err = {0};
        int rc;

        begin_failing(n);
        rc = act(images, &err);
        fails_at = 0;
        if (rc < 0 && (err.code != rc || err.what[0] == '\0'))
            fail_msg("step %d, %s: %d, and nothing is said", n, failed, rc);
        assert_int_equal(count_open_files(), files);
        /* Whole or not there at all: a failure takes nothing from it. */
        if (is_recorded(images))
            assert_int_equal(act_open(images, NULL), 0);
        fill(images); /* where it was removed */
        assert_int_equal(act(images, NULL), 0);
        fill(images);
        gbx_images_close(images);
        if (failed == NULL) {
            assert_int_equal(rc, 0);
            return;
        }
    }
    fail_msg("it never ends");
}

static int act_write(struct gbx_images *images, struct gbx_error *err)
{
    return name_write(images, NAME, MANIFEST, err);
}

static int act_remove(struct gbx_images *images, struct gbx_error *err)
{
    return gbx_image_remove(images, "x", NULL, err);
}

static int act_prune(struct gbx_images *images, struct gbx_error *err)
{
    return gbx_images_prune(images, true, NULL, NULL, NULL, err);
}

/* Nothing of it is to go. */
static int act_tidy(struct gbx_images *images, struct gbx_error *err)
{
    return gbx_images_prune(images, false, NULL, NULL, NULL, err);
}

static int act_store(struct gbx_images *images, struct gbx_error *err)
{
    struct gbx_images *more;
    int rc = gbx_images_open(&more, folder, err);

    (void)images;
    gbx_images_close(more);
    return rc;
}

static void each_step_of_each_act_fails(void **state)
{
    static act_fn *const acts[] = {act_store,  act_open,  act_list, act_write,
                                   act_remove, act_prune, act_tidy};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(acts); i++)
        each_fails(acts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_step_of_each_act_fails, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
