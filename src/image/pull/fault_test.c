/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_test.c - each thing that a pull asks of the host fails in turn: it is
 * told, or made good; what was in the store before is as it was, and the next
 * pull works.
 *
 * The image has two layers with all kinds of entries; the first is also that of
 * an image which is there already.  The linker puts the functions below before
 * the C library's (--wrap).
 */
#include <archive.h>
#include <dirent.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/file.h>

#include <cmocka.h>

#include "base/count_test.h"
#include "base/fault_test.h"
#include "image/layer/tar_test.h"
#include "image/pull/bring.h"
#include "image/pull/report.h"
#include "image/store/record.h"

WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL)
WRAP(void *, malloc, (size_t bytes), (bytes), NULL)
WRAP(void *, realloc, (void *old, size_t bytes), (old, bytes), NULL)
WRAP(void *, reallocarray, (void *old, size_t count, size_t bytes),
     (old, count, bytes), NULL)
WRAP(char *, strdup, (const char *text), (text), NULL)
WRAP(char *, realpath, (const char *path, char *to), (path, to), NULL)
WRAP(int, open64, (const char *path, int flags, mode_t mode),
     (path, flags, mode), -1)
WRAP(int, openat64, (int dir, const char *path, int flags, mode_t mode),
     (dir, path, flags, mode), -1)
WRAP(int, fcntl64, (int fd, int what, int value), (fd, what, value), -1)
WRAP(int, fstat64, (int fd, struct stat *st), (fd, st), -1)
WRAP(int, fstatat64, (int dir, const char *path, struct stat *st, int flags),
     (dir, path, st, flags), -1)
WRAP(int, faccessat, (int dir, const char *path, int mode, int flags),
     (dir, path, mode, flags), -1)
WRAP(int, flock, (int fd, int how), (fd, how), -1)
WRAP(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode),
     -1)
WRAP(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags),
     -1)
WRAP(int, renameat, (int one, const char *from, int other, const char *to),
     (one, from, other, to), -1)
WRAP(int, linkat,
     (int one, const char *from, int other, const char *to, int flags),
     (one, from, other, to, flags), -1)
WRAP(int, symlinkat, (const char *target, int dir, const char *path),
     (target, dir, path), -1)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), -1)
WRAP(int, fchmodat, (int dir, const char *path, mode_t mode, int flags),
     (dir, path, mode, flags), -1)
WRAP(int, futimens, (int fd, const struct timespec times[2]), (fd, times), -1)
WRAP(int, utimensat,
     (int dir, const char *path, const struct timespec times[2], int flags),
     (dir, path, times, flags), -1)
WRAP(int, ftruncate64, (int fd, off_t bytes), (fd, bytes), -1)
WRAP(ssize_t, read, (int fd, void *to, size_t bytes), (fd, to, bytes), -1)
WRAP(ssize_t, pread64, (int fd, void *to, size_t bytes, off_t off),
     (fd, to, bytes, off), -1)
WRAP(ssize_t, pwrite64, (int fd, const void *from, size_t bytes, off_t off),
     (fd, from, bytes, off), -1)
WRAP(DIR *, fdopendir, (int fd), (fd), NULL)
WRAP(struct dirent *, readdir64, (DIR * dir), (dir), NULL)
WRAP(long, syscall,
     (long number, long a, long b, long c, long d, long e, long f),
     (number, a, b, c, d, e, f), -1)
WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *how, void *(*fn)(void *),
      void *context),
     (thread, how, fn, context), EAGAIN)
WRAP(struct archive *, archive_read_new, (void), (), NULL)
WRAP(EVP_MD_CTX *, EVP_MD_CTX_new, (void), (), NULL)

/* Who waits for the disk is not waited for: there is none here. */
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
    return fails("fork") ? -1 : getpid();
}

/* ---- what the program would print ---- */

static char damage[512];

void report_progress(enum gbx_image_phase phase, uint64_t bytes, uint64_t all)
{
    (void)phase;
    (void)bytes;
    (void)all;
}

void report_damage(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(damage, sizeof(damage), format, ap);
    va_end(ap);
}

void report_error(const struct gbx_error *err)
{
    (void)err;
}

/* ---- images ---- */

#define ENTRY(name, type, target, data, mode)                                  \
    {                                                                          \
        name, type, target, data, mode, 0                                      \
    }

static const struct tar_entry below[] = {
    ENTRY("etc", '5', NULL, NULL, 0755),
    ENTRY("etc/motd", '0', NULL, "one", 0644),
    ENTRY("etc/old", '0', NULL, "old", 0666),
    ENTRY("usr/lib/x", '0', NULL, "library", 0644),
    ENTRY("lib", '2', "usr/lib", NULL, 0),
    ENTRY("a/b/c", '0', NULL, "deep", 0600),
    ENTRY("same", '1', "a/b/c", NULL, 0),
};
static const struct tar_entry above[] = {
    ENTRY("etc/motd", '0', NULL, "two", 0644),
    ENTRY("etc/.wh.old", '0', NULL, NULL, 0),
    ENTRY("a/.wh..wh..opq", '0', NULL, NULL, 0),
    ENTRY("lib/y", '0', NULL, "more", 04755),
    ENTRY("far", '1', "usr/lib/x", NULL, 0),
    ENTRY("null", '3', NULL, NULL, 0666),
};

static char folder[40];
static char layout[64], store[64], first[80], second[80];

static void write_file(const char *path, const void *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    must(fd >= 0 && write(fd, bytes, count) == (ssize_t)count);
    close(fd);
}

static void add_blob(const void *bytes, size_t count, char digest[DIGEST_BYTES])
{
    char path[STORE_PATH_BYTES], where[256];

    must(hash_bytes(bytes, count, digest));
    store_blob(path, digest);
    snprintf(where, sizeof(where), "%s/%s", layout, path);
    write_file(where, bytes, count);
}

struct blob {
    char digest[DIGEST_BYTES];
    size_t bytes;
};

static struct blob add_layer(const struct tar_entry *entries, size_t count)
{
    static struct tar tar;
    struct blob blob;

    tar.count = 0;
    for (size_t i = 0; i < count; i++)
        tar_add(&tar, &entries[i]);
    blob.bytes = tar.count + 2 * TAR_BLOCK;
    memset(tar.bytes + tar.count, 0, 2 * TAR_BLOCK);
    add_blob(tar.bytes, blob.bytes, blob.digest);
    return blob;
}

struct text {
    char bytes[2048];
    size_t count;
};

static void add(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    const size_t room = sizeof(text->bytes) - text->count;
    va_list ap;
    int bytes;

    va_start(ap, format);
    bytes = vsnprintf(text->bytes + text->count, room, format, ap);
    va_end(ap);
    must(bytes >= 0 && (size_t)bytes < room);
    text->count += (size_t)bytes;
}

static struct blob add_image(const struct blob *layers, size_t count)
{
    struct text config = {.count = 0}, manifest = {.count = 0};
    struct blob blob;

    add(&config, "{\"os\": \"linux\", \"architecture\": \"amd64\", "
                 "\"rootfs\": {\"type\": \"layers\", \"diff_ids\": [");
    for (size_t i = 0; i < count; i++)
        add(&config, "%s\"%s\"", i > 0 ? ", " : "", layers[i].digest);
    add(&config, "]}}");
    add_blob(config.bytes, config.count, blob.digest);
    add(&manifest,
        "{\"schemaVersion\": 2, \"config\": {\"mediaType\": "
        "\"application/vnd.oci.image.config.v1+json\", \"digest\": "
        "\"%s\", \"size\": %zu}, \"layers\": [",
        blob.digest, config.count);
    for (size_t i = 0; i < count; i++)
        add(&manifest,
            "%s{\"mediaType\": \"application/vnd.oci.image.layer.v1.tar\", "
            "\"digest\": \"%s\", \"size\": %zu}",
            i > 0 ? ", " : "", layers[i].digest, layers[i].bytes);
    add(&manifest, "]}");
    blob.bytes = manifest.count;
    add_blob(manifest.bytes, manifest.count, blob.digest);
    return blob;
}

static void write_layout(void)
{
    const struct blob layers[] = {add_layer(below, ARRAY_SIZE(below)),
                                  add_layer(above, ARRAY_SIZE(above))};
    const struct blob one = add_image(layers, 1), two = add_image(layers, 2);
    char index[1024], path[128];
    int bytes = snprintf(index, sizeof(index),
                         "{\"schemaVersion\": 2, \"manifests\": ["
                         "{\"digest\": \"%s\", \"size\": %zu, \"annotations\": "
                         "{\"org.opencontainers.image.ref.name\": \"one\"}}, "
                         "{\"digest\": \"%s\", \"size\": %zu, \"annotations\": "
                         "{\"org.opencontainers.image.ref.name\": \"two\"}}]}",
                         one.digest, one.bytes, two.digest, two.bytes);

    snprintf(path, sizeof(path), "%s/index.json", layout);
    write_file(path, index, (size_t)bytes);
}

static int setup(void **state)
{
    char path[128];

    (void)state;
    /* Some thousand images are made and removed: in memory, if there is. */
    snprintf(folder, sizeof(folder), "%s/pull-test-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    must(mkdtemp(folder) != NULL);
    snprintf(layout, sizeof(layout), "%s/layout", folder);
    snprintf(store, sizeof(store), "%s/store", folder);
    snprintf(first, sizeof(first), "oci:%s:one", layout);
    snprintf(second, sizeof(second), "oci:%s:two", layout);
    must(mkdir(layout, 0700) == 0);
    snprintf(path, sizeof(path), "%s/blobs", layout);
    must(mkdir(path, 0700) == 0);
    snprintf(path, sizeof(path), "%s/blobs/sha256", layout);
    must(mkdir(path, 0700) == 0);
    write_layout();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return folder_remove(AT_FDCWD, folder, NULL);
}

/* ---- a pull ---- */

static int pull(const char *reference, struct gbx_error *err)
{
    const struct pull_options options = {.limits = LAYER_LIMITS,
                                         .silence_ns = 1000000000};
    struct gbx_images *images;
    int rc = gbx_images_open(&images, store, err);

    if (rc == 0)
        rc = bring(images, reference, &options, err);
    gbx_images_close(images);
    return rc;
}

static void expect_pulled(const char *reference)
{
    struct gbx_error err = {0};

    if (pull(reference, &err) < 0)
        fail_msg("after %s failed, %s: %s", failed, reference, err.what);
}

/* Nothing was lost on the way, nor is there what should not be. */
static void expect_root(int root, const char *path, const char *text)
{
    int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
    char is[64] = "";

    if (fd >= 0) {
        must(read(fd, is, sizeof(is) - 1) >= 0);
        close(fd);
    }
    if (text == NULL ? fd >= 0 : fd < 0 || strcmp(is, text) != 0)
        fail_msg("after %s failed, %s is \"%s\"", failed, path, is);
}

static void expect_image(const char *reference, bool is_second)
{
    const struct {
        const char *path, *one, *two;
    } files[] = {
        {"etc/motd", "one", "two"},
        {"etc/old", "old", NULL},
        {"usr/lib/x", "library", "library"},
        {"lib/x", "library", "library"},
        {"a/b/c", "deep", NULL},
        {"same", "deep", "deep"},
        {"usr/lib/y", NULL, "more"},
        {"far", NULL, "library"},
    };
    struct gbx_images *images;
    struct gbx_image *image;
    struct gbx_error err = {0};
    int root;

    must(gbx_images_open(&images, store, NULL) == 0);
    if (gbx_image_open(&image, images, reference, &err) < 0)
        fail_msg("after %s failed: %s", failed, err.what);
    root = open(gbx_image_root(image), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(root >= 0);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        expect_root(root, files[i].path,
                    is_second ? files[i].two : files[i].one);
    close(root);
    gbx_image_close(image);
    gbx_images_close(images);
}

static void expect_whole(void)
{
    struct gbx_images *images;
    struct gbx_error err = {0};
    int rc;

    must(gbx_images_open(&images, store, NULL) == 0);
    rc = verify(images, &err);
    gbx_images_close(images);
    if (rc != 0)
        fail_msg("after %s failed, verify: %s", failed,
                 rc < 0 ? err.what : damage);
}

/* Returns false when there was no nth. */
static bool fail_once(const char *reference, int n)
{
    const int files = count_open_files();
    struct gbx_error err = {0};
    int rc;

    folder_remove(AT_FDCWD, store, NULL);
    failed = NULL;
    expect_pulled(first);
    begin_failing(n);
    rc = pull(reference, &err);
    fails_at = 0;
    assert_int_equal(count_open_files(), files);
    if (rc < 0 && (err.code != rc || err.what[0] == '\0'))
        fail_msg("step %d, %s: %d, and nothing is said", n, failed, rc);
    expect_image(first, false);
    if (rc == 0)
        expect_image(reference, reference == second);
    expect_whole();
    expect_pulled(second);
    expect_image(second, true);
    expect_image(first, false);
    return failed != NULL;
}

static void each_fails(const char *reference, int least)
{
    static const int codes[] = {ENOMEM, EIO, EMFILE};

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        int n = 1;

        fails_with = codes[i];
        while (fail_once(reference, n))
            n++;
        assert_true(n > least);
    }
}

static int verify_it(struct gbx_error *err)
{
    struct gbx_images *images;
    int rc = gbx_images_open(&images, store, err);

    if (rc == 0)
        rc = verify(images, err);
    gbx_images_close(images);
    return rc;
}

/* What this host lacks is no damage of the store's. */
static void nor_does_one_that_verifies_find_what_is_not(void **state)
{
    int n = 0, rc;

    (void)state;
    folder_remove(AT_FDCWD, store, NULL);
    expect_pulled(first);
    expect_pulled(second);
    fails_with = ENOMEM;
    do {
        const int files = count_open_files();
        struct gbx_error err = {0};

        begin_failing(++n);
        rc = verify_it(&err);
        fails_at = 0;
        assert_int_equal(count_open_files(), files);
        if (rc > 0 || (rc < 0 && err.what[0] == '\0'))
            fail_msg("step %d, %s: %d, %s", n, failed, rc, damage);
        expect_image(first, false);
        expect_image(second, true);
    } while (failed != NULL);
    assert_int_equal(rc, 0);
    assert_true(n > 100);
    expect_whole();
}

static void each_step_of_a_pull_fails(void **state)
{
    (void)state;
    each_fails(second, 200);
}

static void and_of_one_of_what_is_there(void **state)
{
    (void)state;
    each_fails(first, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_of_a_pull_fails),
        cmocka_unit_test(and_of_one_of_what_is_there),
        cmocka_unit_test(nor_does_one_that_verifies_find_what_is_not),
    };

    umask(077);
    return cmocka_run_group_tests_name("a pull", tests, setup, teardown);
}
