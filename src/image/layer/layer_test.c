/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_test.c - hostile archives, and how layers lie over each other.
 *
 * Each test has a folder of its own; beside what is unpacked lies a secret,
 * which nothing may change or be a link to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/count_test.h"
#include "image/layer/notes.h"
#include "image/layer/tar_test.h"

#define SECRET "the secret"

/* Entries. */
#define ENTRY(name, type, target, data, mode)                                  \
    {                                                                          \
        name, type, target, data, mode, 0                                      \
    }
#define FILE_OF(name, text)    ENTRY(name, '0', NULL, text, 0)
#define FOLDER(name)           ENTRY(name, '5', NULL, NULL, 0)
#define LINK(name, target)     ENTRY(name, '2', target, NULL, 0)
#define HARD(name, target)     ENTRY(name, '1', target, NULL, 0)
#define KIND(name, type)       ENTRY(name, type, NULL, NULL, 0)
#define MODE(name, type, bits) ENTRY(name, type, NULL, NULL, bits)
#define END                    ENTRY(NULL, 0, NULL, NULL, 0)

static char folder[] = "/tmp/layer-test-XXXXXX";
static int dir_fd = -1;

static int setup(void **state)
{
    int fd;

    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    must(mkdtemp(folder) != NULL);
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = openat(dir_fd, "secret", O_WRONLY | O_CREAT, 0600);
    must(write(fd, SECRET, strlen(SECRET)) == (ssize_t)strlen(SECRET));
    close(fd);
    return dir_fd < 0;
}

static int teardown(void **state)
{
    (void)state;
    close(dir_fd);
    return folder_remove(AT_FDCWD, folder, NULL);
}

/* Of a file below the test's folder; "" where there is none. */
static const char *text_of(const char *path)
{
    static char text[256];
    int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

static void expect_secret(void)
{
    struct stat st;

    assert_string_equal(text_of("secret"), SECRET);
    assert_int_equal(fstatat(dir_fd, "secret", &st, 0), 0);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
}

static int unpack_entries(const char *name, const struct tar_entry *entries,
                          struct gbx_error *err)
{
    static struct tar tar;

    tar.count = 0;
    for (size_t i = 0; entries[i].name != NULL; i++)
        tar_add(&tar, &entries[i]);
    return tar_unpack(dir_fd, name, tar.bytes, tar.count + 2 * TAR_BLOCK,
                      &LAYER_LIMITS, err);
}

static bool is_there(const char *path)
{
    return faccessat(dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* why: what the error says; NULL: fine.  there: what is there then. */
static const struct {
    struct tar_entry entries[6];
    const char *why, *there;
} tricks[] = {
    {{FILE_OF("../secret", "x")}, "\"..\"", NULL},
    {{FILE_OF("a/../../../secret", "x")}, "\"..\"", NULL},
    {{FOLDER("..")}, "\"..\"", NULL},
    {{FILE_OF("/../secret", "x")}, "\"..\"", NULL},
    {{FILE_OF("/secret", "x")}, NULL, "l/fs/secret"},
    {{FOLDER("//a//./b/")}, NULL, "l/fs/a/b"},
    /* a link, then through it */
    {{LINK("out", "../.."), FILE_OF("out/secret", "x")}, NULL, "l/fs/secret"},
    {{LINK("out", "/"), FILE_OF("out/secret", "x")}, NULL, "l/fs/secret"},
    {{LINK("a", "b"), LINK("b", "a"), FILE_OF("a/x", "x")}, "circles", NULL},
    {{LINK("a", "nowhere"), FILE_OF("a/x", "x")}, "no folder", NULL},
    {{FILE_OF("f", "x"), FILE_OF("f/x", "x")}, "no folder", NULL},
    {{LINK("s", "../../secret"), FILE_OF("s", "x")}, NULL, "l/fs/s"},
    {{LINK("s", "../../secret"), HARD("h", "s"), FILE_OF("h", "x")},
     NULL,
     "l/fs/h"},
    /* hard links to what is outside */
    {{HARD("h", "../../secret")}, "\"..\"", NULL},
    {{HARD("h", "/../secret")}, "\"..\"", NULL},
    {{LINK("out", "../.."), HARD("h", "out/secret")}, NULL, NULL},
    {{FOLDER("d"), HARD("h", "d")}, "hard link to a folder", NULL},
    {{HARD("h", ".")}, "hard link to a folder", NULL},
    {{HARD("h", "h")}, NULL, NULL},
    {{FILE_OF("f", "x"), HARD("f", "f")}, NULL, "l/fs/f"},
    /* what is no file */
    {{KIND("dev", '3'), KIND("pipe", '6'), KIND("block", '4'),
      FILE_OF("x", NULL)},
     NULL,
     "l/fs/x"},
    {{FILE_OF(".", "x")}, "no folder", NULL},
    {{LINK("", "x")}, "no folder", NULL},
    /* twice */
    {{FOLDER("d"), FILE_OF("d/x", NULL), FILE_OF("d", "x")}, NULL, "l/fs/d"},
    {{FILE_OF("d", NULL), FOLDER("d"), FILE_OF("d/x", NULL)}, NULL, "l/fs/d/x"},
    {{FILE_OF("d/x", NULL), LINK("d", ".."), FILE_OF("d/x", NULL)},
     NULL,
     "l/fs/x"},
    {{FILE_OF("f", "one"), FILE_OF("f", "x")}, NULL, "l/fs/f"},
    {{FILE_OF("d/e/x", NULL), FILE_OF("d", NULL), FILE_OF("d/e/x", NULL)},
     "no folder",
     NULL},
    {{LINK("l", "d"), FOLDER("d"), FOLDER("l")}, NULL, "l/fs/l"},
    /* whiteouts */
    {{FILE_OF(".wh.", NULL)}, "hides what is no file", NULL},
    {{FILE_OF(".wh..", NULL)}, "hides what is no file", NULL},
    {{FILE_OF(".wh...", NULL)}, "hides what is no file", NULL},
    {{FILE_OF("a/.wh...", NULL)}, "hides what is no file", NULL},
    {{FILE_OF("../.wh.secret", NULL)}, "\"..\"", NULL},
    {{FILE_OF(".wh.a/x", "x")}, "lies in a whiteout", NULL},
    {{FILE_OF("b/.wh.a/x", "x")}, "lies in a whiteout", NULL},
    {{FOLDER(".wh..wh.plnk"), FILE_OF("x", NULL)}, NULL, "l/fs/x"},
    /* names */
    {{FILE_OF("new\nline", NULL)}, NULL, "l/fs/new\nline"},
    {{FILE_OF("\xff\xfe", NULL)}, NULL, "l/fs/\xff\xfe"},
    {{FILE_OF("-rf", NULL)}, NULL, "l/fs/-rf"},
    {{FILE_OF("...", NULL)}, NULL, "l/fs/..."},
    {{KIND("f", '9')}, NULL, "l/fs/f"},
};

static void tricks_lead_nowhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(tricks); i++) {
        const struct tar_entry *first = &tricks[i].entries[0];
        const int files = count_open_files();
        struct gbx_error err = {0};
        int rc = unpack_entries("l", tricks[i].entries, &err);

        expect_secret();
        if (tricks[i].why == NULL && rc < 0)
            fail_msg("case %zu, %s: %s", i, first->name, err.what);
        if (tricks[i].why != NULL &&
            (rc != GBX_EFORMAT || strstr(err.what, tricks[i].why) == NULL))
            fail_msg("case %zu, %s: %d %s", i, first->name, rc, err.what);
        if (tricks[i].there != NULL && !is_there(tricks[i].there))
            fail_msg("case %zu: no %s", i, tricks[i].there);
        assert_int_equal(count_open_files(), files);
        assert_int_equal(folder_remove(dir_fd, "l", NULL), 0);
        assert_int_equal(count_names(folder), 3);
    }
}

static void modes_let_us_read_and_remove_and_nobody_become_root(void **state)
{
    static const struct {
        struct tar_entry entry;
        mode_t want;
    } cases[] = {
        {MODE("f", '0', 04755), S_IFREG | 0755},
        {MODE("f", '0', 06111), S_IFREG | 0511},
        {MODE("f", '0', 0200), S_IFREG | 0600},
        {MODE("f", '0', 0666), S_IFREG | 0666},
        {MODE("f", '5', 0111), S_IFDIR | 0711},
        {MODE("f", '5', 01777), S_IFDIR | 0777},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct tar_entry entries[] = {cases[i].entry, END};
        struct gbx_error err = {0};
        struct notes notes;
        struct stat st;
        int fd;

        assert_int_equal(unpack_entries("l", entries, &err), 0);
        assert_int_equal(fstatat(dir_fd, "l/fs/f", &st, 0), 0);
        assert_int_equal(st.st_mode, cases[i].want);
        assert_int_equal(st.st_mtim.tv_sec, 1000000000);
        fd = openat(dir_fd, "l", O_RDONLY | O_DIRECTORY);
        assert_int_equal(notes_read(&notes, fd), 0);
        assert_int_equal(notes.count, cases[i].entry.mode != 0666);
        if (notes.count > 0)
            assert_int_equal(notes.all[0].mode, cases[i].entry.mode);
        notes_fini(&notes);
        close(fd);
        assert_int_equal(folder_remove(dir_fd, "l", NULL), 0);
    }
}

static void limits_are_named(void **state)
{
    static uint8_t zeros[1 << 20];
    struct layer_limits limits = LAYER_LIMITS;
    const struct tar_entry entries[] = {FILE_OF("a", "12345678"),
                                        FILE_OF("b", NULL)};
    static struct tar tar;
    struct gbx_error err = {0};

    (void)state;
    tar.count = 0;
    tar_add(&tar, &entries[0]);
    tar_add(&tar, &entries[1]);
    limits.entries_max = 1;
    assert_int_equal(
        tar_unpack(dir_fd, "l1", tar.bytes, tar.count + 1024, &limits, &err),
        GBX_ELIMIT);
    assert_non_null(strstr(err.what, "more than 1 files"));
    limits = LAYER_LIMITS;
    limits.bytes_max = 1024;
    assert_int_equal(
        tar_unpack(dir_fd, "l2", zeros, sizeof(zeros), &limits, &err),
        GBX_ELIMIT);
    assert_non_null(strstr(err.what, "--max-size"));
}

static void merge_it(const char *name)
{
    struct gbx_error err = {0};
    int root, layer, rc;

    mkdirat(dir_fd, "root", 0755);
    root = openat(dir_fd, "root", O_RDONLY | O_DIRECTORY);
    layer = openat(dir_fd, name, O_RDONLY | O_DIRECTORY);
    rc = layer_merge(root, layer, &err);
    if (rc < 0)
        fail_msg("%s: %s", name, err.what);
    close(root);
    close(layer);
}

static void put_layers(const struct tar_entry *low,
                       const struct tar_entry *high)
{
    struct gbx_error err = {0};

    if (unpack_entries("low", low, &err) < 0 ||
        unpack_entries("high", high, &err) < 0)
        fail_msg("%s", err.what);
    merge_it("low");
    merge_it("high");
    expect_secret();
}

static const struct {
    struct tar_entry low[5], high[5];
    const char *gone, *path, *text; /* of path */
} stacks[] = {
    {{FILE_OF("a", "low"), FILE_OF("b", "low")},
     {FILE_OF(".wh.a", NULL)},
     "root/a",
     "root/b",
     "low"},
    {{FILE_OF("d/x", "low"), FILE_OF("d/e/y", "low")},
     {FILE_OF("d/.wh..wh..opq", NULL), FILE_OF("d/z", "high")},
     "root/d/x",
     "root/d/z",
     "high"},
    {{FILE_OF("d/x", "low")},
     {FILE_OF(".wh.d", NULL), FILE_OF("d/y", "high")},
     "root/d/x",
     "root/d/y",
     "high"},
    /* what a layer has itself is not hidden by it */
    {{FILE_OF("a", "low")},
     {FILE_OF("a", "high"), FILE_OF(".wh.a", NULL)},
     "root/.wh.a",
     "root/a",
     "high"},
    {{FILE_OF("d/x", "low")},
     {FILE_OF("d", "high")},
     "root/d/x",
     "root/d",
     "high"},
    {{FILE_OF("d", "low")},
     {FOLDER("d"), FILE_OF("d/x", "high")},
     "root/y",
     "root/d/x",
     "high"},
    /* a folder on the way goes through a link; a named one replaces it */
    {{FOLDER("usr/lib"), LINK("lib", "usr/lib")},
     {FILE_OF("lib/x", "high")},
     "root/x",
     "root/usr/lib/x",
     "high"},
    {{FOLDER("usr/lib"), LINK("lib", "usr/lib")},
     {FOLDER("lib"), FILE_OF("lib/x", "high")},
     "root/usr/lib/x",
     "root/lib/x",
     "high"},
    {{LINK("out", "../.."), FILE_OF("x", "low")},
     {FILE_OF("out/secret", "high")},
     "root/y",
     "root/secret",
     "high"},
    {{LINK("out", "/../.."), FILE_OF("secret", "low")},
     {FILE_OF("out/.wh.secret", NULL), FILE_OF("x", "high")},
     "root/secret",
     "root/x",
     "high"},
    {{LINK("out", "../../")},
     {FILE_OF("out/.wh..wh..opq", NULL), FILE_OF("x", "high")},
     "root/y",
     "root/x",
     "high"},
    /* a hard link to what is below */
    {{FILE_OF("a", "low")}, {HARD("b", "a")}, "root/y", "root/b", "low"},
    {{LINK("s", "../secret")},
     {FILE_OF(".wh.nothing", NULL), FILE_OF("none/.wh.x", NULL),
      FILE_OF("f", "f")},
     "root/none",
     "root/f",
     "f"},
};

static void a_layer_hides_and_replaces_what_is_below(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
        put_layers(stacks[i].low, stacks[i].high);
        if (is_there(stacks[i].gone))
            fail_msg("case %zu: %s is there", i, stacks[i].gone);
        if (strcmp(text_of(stacks[i].path), stacks[i].text) != 0)
            fail_msg("case %zu: %s has \"%s\"", i, stacks[i].path,
                     text_of(stacks[i].path));
        assert_int_equal(folder_remove(dir_fd, "low", NULL), 0);
        assert_int_equal(folder_remove(dir_fd, "high", NULL), 0);
        assert_int_equal(folder_remove(dir_fd, "root", NULL), 0);
    }
}

static void a_hard_link_to_what_is_nowhere_is_an_error(void **state)
{
    static const struct tar_entry entries[] = {HARD("b", "a"), END};
    struct gbx_error err = {0};
    int root, layer;

    (void)state;
    assert_int_equal(unpack_entries("l", entries, &err), 0);
    mkdirat(dir_fd, "root", 0755);
    root = openat(dir_fd, "root", O_RDONLY | O_DIRECTORY);
    layer = openat(dir_fd, "l", O_RDONLY | O_DIRECTORY);
    assert_int_equal(layer_is_root(layer, &err), 0);
    assert_true(layer_merge(root, layer, &err) < 0);
    assert_non_null(strstr(err.what, "\"b\""));
    close(root);
    close(layer);
}

static void files_are_shared_with_the_layer(void **state)
{
    static const struct tar_entry entries[] = {FILE_OF("d/a", "low"), {0}};
    struct gbx_error err = {0};
    struct stat one, other;
    uint64_t freed = 0;

    (void)state;
    assert_int_equal(unpack_entries("l", entries, &err), 0);
    merge_it("l");
    assert_int_equal(fstatat(dir_fd, "l/fs/d/a", &one, 0), 0);
    assert_int_equal(fstatat(dir_fd, "root/d/a", &other, 0), 0);
    assert_int_equal(one.st_ino, other.st_ino);
    assert_int_equal(folder_remove(dir_fd, "root/d/a", &freed), 0);
    assert_int_equal(freed, 0);
    assert_int_equal(folder_remove(dir_fd, "l/fs/d/a", &freed), 0);
    assert_int_equal(freed, one.st_blocks * 512);
}

static void a_long_name_of_an_entry_is_no_way_around(void **state)
{
    static struct tar tar;
    char name[400], path[420];
    struct gbx_error err = {0};

    (void)state;
    /* GNU's long name, then the entry with what fits. */
    memset(name, 'n', sizeof(name));
    name[200] = '/';
    name[399] = '\0';
    tar.count = 0;
    tar_add(&tar,
            &(struct tar_entry)ENTRY("././@LongLink", 'L', NULL, name, 0));
    tar_add(&tar, &(struct tar_entry)FILE_OF("n", "x"));
    assert_int_equal(tar_unpack(dir_fd, "l", tar.bytes, tar.count + 1024,
                                &LAYER_LIMITS, &err),
                     0);
    snprintf(path, sizeof(path), "l/fs/%s", name);
    assert_true(is_there(path));
    name[200] = 'n';
    tar.count = 0;
    tar_add(&tar,
            &(struct tar_entry)ENTRY("././@LongLink", 'L', NULL, name, 0));
    tar_add(&tar, &(struct tar_entry)FILE_OF("n", "x"));
    assert_int_equal(tar_unpack(dir_fd, "m", tar.bytes, tar.count + 1024,
                                &LAYER_LIMITS, &err),
                     GBX_EFORMAT);
    assert_non_null(strstr(err.what, "too long a name"));
}

static void bytes_that_are_no_layer_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
        int want;
    } cases[] = {
        {"", 0, 0},
        {"x", 1, GBX_EFORMAT},
        {"\x1f\x8b\x08\0\0\0\0\0\0\3garbage", 17, GBX_EFORMAT},
        {"\x28\xb5\x2f\xfdgarbage", 11, GBX_EFORMAT},
        {"not a tar at all, and more than that", 36, GBX_EFORMAT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct gbx_error err = {0};
        int rc = tar_unpack(dir_fd, "l", cases[i].bytes, cases[i].count,
                            &LAYER_LIMITS, &err);

        if (rc != cases[i].want)
            fail_msg("case %zu: %d %s", i, rc, err.what);
        assert_int_equal(folder_remove(dir_fd, "l", NULL), 0);
    }
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(tricks_lead_nowhere),
        IN_A_FOLDER(modes_let_us_read_and_remove_and_nobody_become_root),
        IN_A_FOLDER(limits_are_named),
        IN_A_FOLDER(a_layer_hides_and_replaces_what_is_below),
        IN_A_FOLDER(a_hard_link_to_what_is_nowhere_is_an_error),
        IN_A_FOLDER(files_are_shared_with_the_layer),
        IN_A_FOLDER(a_long_name_of_an_entry_is_no_way_around),
        IN_A_FOLDER(bytes_that_are_no_layer_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
