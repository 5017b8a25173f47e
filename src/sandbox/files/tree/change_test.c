/* SPDX-License-Identifier: Apache-2.0 */
/* change_test.c - names come, go and move, as on Linux. */
#include "sandbox/files/tree/tree_test.h"

static int make(const char *path)
{
    return tree_make(t.tree, NULL, path, 0755);
}

static int take(const char *path, bool is_dir)
{
    return tree_remove(t.tree, NULL, path, is_dir);
}

static int move(const char *from, const char *to)
{
    return tree_rename(t.tree, NULL, from, NULL, to, 0);
}

static int symlink_at(const char *target, const char *path)
{
    return tree_symlink(t.tree, target, NULL, path);
}

static int link_at(const char *from, const char *to)
{
    return tree_link(t.tree, NULL, from, TREE_NOFOLLOW, NULL, to);
}

static int exchange(const char *from, const char *to)
{
    return tree_rename(t.tree, NULL, from, NULL, to, RENAME_EXCHANGE);
}

static int move_new(const char *from, const char *to)
{
    return tree_rename(t.tree, NULL, from, NULL, to, RENAME_NOREPLACE);
}

static int unlink_at(const char *path, const char *unused)
{
    (void)unused;
    return take(path, false);
}

static int rmdir_at(const char *path, const char *unused)
{
    (void)unused;
    return take(path, true);
}

static int mkdir_at(const char *path, const char *unused)
{
    (void)unused;
    return make(path);
}

/* Each on /tmp/{file, dir/inner, empty, link -> dir, dangles}. */
static const struct {
    int (*fn)(const char *, const char *);
    const char *a, *b;
    int want;
} cases[] = {
    {mkdir_at, "/tmp/file", "", -EEXIST},
    {mkdir_at, "/tmp/file/", "", -EEXIST},
    {mkdir_at, "/tmp/link/", "", -EEXIST},
    {mkdir_at, "/tmp/dangles/", "", -EEXIST},
    {mkdir_at, "/tmp/.", "", -EEXIST},
    {mkdir_at, "/", "", -EEXIST},
    {mkdir_at, "/tmp/none/x", "", -ENOENT},
    {mkdir_at, "/tmp/file/x", "", -ENOTDIR},
    {mkdir_at, "/etc/motd", "", -EEXIST},
    {mkdir_at, "/etc/new", "", -EROFS},
    {mkdir_at, "/sealed/new", "", -EROFS},
    {mkdir_at, "/new", "", -EROFS},
    {mkdir_at, "", "", -ENOENT},
    {unlink_at, "/tmp/none", "", -ENOENT},
    {unlink_at, "/tmp/dir", "", -EISDIR},
    {unlink_at, "/tmp/dir/", "", -EISDIR},
    {unlink_at, "/tmp/file/", "", -ENOTDIR},
    {unlink_at, "/tmp/link/", "", -ENOTDIR},
    {unlink_at, "/tmp/.", "", -EISDIR},
    {unlink_at, "/", "", -EISDIR},
    {unlink_at, "/etc/motd", "", -EROFS},
    {unlink_at, "/etc/none", "", -EROFS},
    {unlink_at, "/dev/null", "", -EROFS},
    {rmdir_at, "/tmp/file", "", -ENOTDIR},
    {rmdir_at, "/tmp/link", "", -ENOTDIR},
    {rmdir_at, "/tmp/dir", "", -ENOTEMPTY},
    {rmdir_at, "/tmp/dir/.", "", -EINVAL},
    {rmdir_at, "/tmp/dir/..", "", -ENOTEMPTY},
    {rmdir_at, "/tmp", "", -EROFS},
    {rmdir_at, "/", "", -EBUSY},
    {rmdir_at, "/host/sub", "", -ENOTEMPTY},
    {symlink_at, "", "/tmp/new", -ENOENT},
    {symlink_at, "x", "/tmp/file", -EEXIST},
    {symlink_at, "x", "/tmp/dangles", -EEXIST},
    {symlink_at, "x", "/tmp/new/", -ENOENT},
    {link_at, "/tmp/dir", "/tmp/new", -EPERM},
    {link_at, "/tmp/none", "/tmp/new", -ENOENT},
    {link_at, "/tmp/file", "/tmp/dangles", -EEXIST},
    {link_at, "/tmp/file", "/tmp/new/", -ENOENT},
    {link_at, "/tmp/file", "/host/new", -EXDEV},
    {link_at, "/host/hello", "/sealed/new", -EXDEV},
    {link_at, "/proc/text", "/tmp/new", -EXDEV},
    {link_at, "/etc/motd", "/tmp/new", -EXDEV},
    {link_at, "/etc/motd", "/etc/new", -EROFS},
    {move, "/tmp/none", "/tmp/new", -ENOENT},
    {move, "/tmp/file", "/tmp/dir", -EISDIR},
    {move, "/tmp/dir", "/tmp/file", -ENOTDIR},
    {move, "/tmp/empty", "/tmp/dir", -ENOTEMPTY},
    {move, "/tmp/dir", "/tmp/dir/inner/x", -EINVAL},
    {move, "/tmp/dir", "/tmp/dir/x", -EINVAL},
    {move, "/tmp/dir/inner", "/tmp/dir", -ENOTEMPTY},
    {move, "/tmp/file/", "/tmp/new", -ENOTDIR},
    {move, "/tmp/file", "/tmp/new/", -ENOTDIR},
    {move, "/tmp/link/", "/tmp/new", -ENOTDIR},
    {move, "/tmp/.", "/tmp/new", -EBUSY},
    {move, "/tmp/dir", "/tmp/dir/..", -EBUSY},
    {move, "/tmp/file", "/host/new", -EXDEV},
    {move, "/host/hello", "/sealed/new", -EXDEV},
    {move, "/etc/motd", "/tmp/new", -EROFS},
    {move, "/tmp/file", "/etc/new", -EROFS},
    {move, "/sealed/hello", "/sealed/new", -EROFS},
    {move_new, "/tmp/file", "/tmp/dangles", -EEXIST},
    {move_new, "/tmp/file", "/tmp/.", -EEXIST},
    {exchange, "/tmp/file", "/tmp/none", -ENOENT},
    {exchange, "/tmp/dir", "/tmp/dir/inner", -EINVAL},
    {exchange, "/tmp/dir/inner", "/tmp/dir", -EINVAL},
    /* And these do it. */
    {move, "/tmp/file", "/tmp/file", 0},
    {move, "/tmp/dir/", "/tmp/new/", 0},
    {move, "/tmp/link", "/tmp/file", 0},
    {move, "/tmp/new", "/tmp/empty", 0},
    {mkdir_at, "/tmp/again/", "", 0},
    {exchange, "/tmp/empty", "/tmp/file", 0},
    {rmdir_at, "/tmp/file/inner/", "", 0},
    {rmdir_at, "/tmp/file", "", 0},
    {unlink_at, "/tmp/empty", "", 0},
};

static void changes_have_linux_errors(void **state)
{
    (void)state;
    make_text("/tmp/file", "file");
    assert_int_equal(make("/tmp/dir"), 0);
    assert_int_equal(make("/tmp/dir/inner"), 0);
    assert_int_equal(make("/tmp/empty"), 0);
    assert_int_equal(symlink_at("dir", "/tmp/link"), 0);
    assert_int_equal(symlink_at("none", "/tmp/dangles"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int rc = cases[i].fn(cases[i].a, cases[i].b);

        if (rc != cases[i].want)
            print_error("%s %s: %d\n", cases[i].a, cases[i].b, rc);
        assert_int_equal(rc, cases[i].want);
    }
}

static void a_removed_file_lives_as_long_as_it_is_open(void **state)
{
    static const char *const paths[] = {"/tmp/file", "/host/hello"};

    (void)state;
    make_text("/tmp/file", "hello, host\n");
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct file *file = open_it(paths[i], O_RDONLY);
        char path[PAGE];
        struct stat st;

        assert_int_equal(node_path(file->node, path, sizeof(path)),
                         strlen(paths[i]) + 1);
        assert_string_equal(path, paths[i]);
        assert_int_equal(take(paths[i], false), 0);
        assert_int_equal(try_look(paths[i], 0), -ENOENT);
        assert_string_equal(text_of(file), "hello, host\n");
        assert_int_equal(file_stat(file, &st), 0);
        assert_int_equal(st.st_nlink, 0);
        assert_int_equal(st.st_size, 12);
        assert_int_equal(node_path(file->node, path, sizeof(path)), -ENOENT);
        assert_int_equal(
            tree_link(t.tree, file->node, "", TREE_EMPTY, NULL, "/tmp/back"),
            i == 0 ? -ENOENT : -EXDEV);
        file_put(file);
    }
    assert_int_equal(access(host("host/hello"), F_OK), 0);
    assert_int_equal(try_open("/host/hello", O_RDONLY), -ENOENT);
    make_text("/host/hello", "new");
    assert_string_equal(text_at("/host/hello"), "new");
    assert_string_equal(text_at("/sealed/hello"), "hello, host\n");
    assert_int_equal(take("/host/hello", false), 0);
    assert_int_equal(try_look("/host/hello", 0), -ENOENT);
}

static void a_removed_directory_has_nothing_but_its_parent(void **state)
{
    struct node *dir, *up, *found;
    struct file *file;

    (void)state;
    assert_int_equal(make("/tmp/a"), 0);
    assert_int_equal(make("/tmp/a/b"), 0);
    dir = look("/tmp/a/b", 0);
    assert_int_equal(take("/tmp/a/b", true), 0);
    assert_int_equal(take("/tmp/a", true), 0);
    assert_int_equal(tree_make(t.tree, dir, "x", 0755), -ENOENT);
    assert_int_equal(tree_look(t.tree, dir, "x", 0, &found), -ENOENT);
    assert_int_equal(
        tree_open_file(t.tree, dir, "x", O_CREAT | O_RDWR, 0644, &file),
        -ENOENT);
    assert_int_equal(tree_look(t.tree, dir, "../..", 0, &up), 0);
    found = look("/tmp", 0);
    assert_ptr_equal(found, up);
    assert_int_equal(node_access(up, W_OK), 0);
    node_put(found);
    node_put(up);
    node_put(dir);
}

static void a_host_directory_is_removed_and_made_anew(void **state)
{
    struct node *sub = look("/host/sub", 0), *found;

    (void)state;
    assert_int_equal(take("/host/sub/a", false), 0);
    assert_int_equal(take("/host/sub/b", false), 0);
    assert_int_equal(take("/host/sub", true), -ENOTEMPTY);
    assert_int_equal(move("/host/sub/c", "/host/moved"), 0);
    assert_int_equal(take("/host/sub", true), 0);
    assert_int_equal(try_look("/host/sub", 0), -ENOENT);
    assert_int_equal(tree_look(t.tree, sub, "a", 0, &found), -ENOENT);
    assert_string_equal(text_at("/host/moved"), "c");
    assert_int_equal(make("/host/sub"), 0);
    assert_int_equal(try_look("/host/sub/a", 0), -ENOENT);
    make_text("/host/sub/a", "mine");
    assert_string_equal(text_at("/host/sub/a"), "mine");
    assert_string_equal(text_at("/sealed/sub/a"), "a");
    assert_int_equal(take("/host/sub/a", false), 0);
    assert_int_equal(take("/host/sub", true), 0);
    assert_int_equal(try_look("/host/sub", 0), -ENOENT);
    node_put(sub);
}

static void a_host_directory_moves_with_all_that_is_in_it(void **state)
{
    struct file *file = open_it("/host/sub/a", O_RDONLY);
    char path[64];

    (void)state;
    make_text("/host/sub/b", "changed");
    assert_int_equal(make("/host/deep"), 0);
    assert_int_equal(move("/host/sub", "/host/deep/er"), 0);
    assert_int_equal(try_look("/host/sub", 0), -ENOENT);
    assert_string_equal(text_at("/host/deep/er/a"), "a");
    assert_string_equal(text_at("/host/deep/er/b"), "changed");
    assert_string_equal(text_at("/host/deep/er/c"), "c");
    assert_true(node_path(file->node, path, sizeof(path)) > 0);
    assert_string_equal(path, "/host/deep/er/a");
    assert_int_equal(exchange("/host/deep/er", "/host/empty"), 0);
    assert_string_equal(text_at("/host/empty/a"), "a");
    assert_int_equal(try_look("/host/deep/er/a", 0), -ENOENT);
    assert_int_equal(move("/host/empty/a", "/host/hello"), 0);
    assert_string_equal(text_at("/host/hello"), "a");
    assert_int_equal(move("/host/empty", "/host/empty/x"), -EINVAL);
    file_put(file);
}

static void links_share_a_node(void **state)
{
    static const char *const pairs[][2] = {{"/tmp/one", "/tmp/two"},
                                           {"/host/hello", "/host/two"},
                                           {"/host/in", "/host/three"}};

    (void)state;
    make_text("/tmp/one", "one");
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct stat a, b;

        assert_int_equal(link_at(pairs[i][0], pairs[i][1]), 0);
        a = stat_of(pairs[i][0]);
        b = stat_of(pairs[i][1]);
        assert_int_equal(a.st_ino, b.st_ino);
        assert_int_equal(a.st_dev, b.st_dev);
        assert_int_equal(a.st_nlink, 2);
        assert_int_equal(move(pairs[i][0], pairs[i][1]), 0); /* nothing */
        assert_int_equal(take(pairs[i][0], false), 0);
        assert_int_equal(stat_of(pairs[i][1]).st_nlink, 1);
    }
    make_text("/host/two", "both");
    assert_string_equal(text_at("/host/two"), "both");
}

static void directories_are_newer_when_entries_change(void **state)
{
    static const struct timespec old[2] = {{1, 2}, {3, 4}};
    static const char *const dirs[] = {"/tmp", "/host"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        struct node *dir = look(dirs[i], 0);
        struct stat st;
        char path[64];

        assert_int_equal(node_set_times(dir, old), 0);
        assert_int_equal(stat_of(dirs[i]).st_mtim.tv_sec, 3);
        snprintf(path, sizeof(path), "%s/new", dirs[i]);
        assert_int_equal(make(path), 0);
        st = stat_of(dirs[i]);
        assert_true(st.st_mtim.tv_sec > 3 && st.st_ctim.tv_sec > 3);
        assert_int_equal(st.st_atim.tv_sec, 1);
        assert_int_equal(node_set_times(dir, old), 0);
        assert_int_equal(take(path, true), 0);
        assert_true(stat_of(dirs[i]).st_mtim.tv_sec > 3);
        node_put(dir);
    }
    assert_int_equal(stat_of("/tmp").st_nlink, 2);
    assert_int_equal(make("/tmp/x"), 0);
    assert_int_equal(stat_of("/tmp").st_nlink, 3);
    assert_int_equal(move("/tmp/x", "/tmp/y"), 0);
    assert_int_equal(stat_of("/tmp").st_nlink, 3);
}

/* As deep, as many, as long as there is room; then all of it goes. */
static void depth_and_number_end_in_enospc(void **state)
{
    struct node *at = look("/tmp", 0), *below;
    unsigned depth = 0;
    char path[PAGE];
    struct stat st;
    int rc;

    (void)state;
    while ((rc = tree_make(t.tree, at, "d", 0755)) == 0) {
        assert_int_equal(tree_look(t.tree, at, "d", 0, &below), 0);
        node_put(at);
        at = below;
        depth++;
    }
    assert_int_equal(rc, -ENOSPC);
    assert_int_equal(depth, NODES);
    assert_int_equal(node_path(at, path, sizeof(path)), 4 + 2 * depth + 1);
    assert_int_equal(node_path(at, path, 100), -ERANGE);
    assert_int_equal(try_open("/tmp/file", O_CREAT | O_RDWR), -ENOSPC);
    assert_int_equal(symlink_at("x", "/tmp/link"), -ENOSPC);
    assert_int_equal(take("/host/hello", false), -ENOSPC);
    assert_int_equal(try_open("/host/hello", O_RDWR), -ENOSPC);
    assert_string_equal(text_at("/host/hello"), "hello, host\n");
    assert_int_equal(move("/tmp/d", "/tmp/d/d/d/d/x"), -EINVAL);
    for (; depth > 0; depth--) {
        assert_int_equal(tree_look(t.tree, at, "..", 0, &below), 0);
        assert_int_equal(tree_remove(t.tree, below, "d", true), 0);
        node_put(at);
        at = below;
    }
    node_put(at);
    assert_int_equal(try_open("/tmp/file", O_CREAT | O_RDWR), 0);
    for (unsigned i = 0; i + 1 < NODES; i++) {
        snprintf(path, sizeof(path), "/tmp/link%u", i);
        assert_int_equal(link_at("/tmp/file", path), 0);
    }
    assert_int_equal(link_at("/tmp/file", "/tmp/more"), -ENOSPC);
    st = stat_of("/tmp/file");
    assert_int_equal(st.st_nlink, NODES);
}

static void content_ends_in_enospc_and_comes_back(void **state)
{
    struct file *file = open_it("/tmp/file", O_CREAT | O_RDWR);
    static char bytes[2 * DISK];
    struct iovec piece = {bytes, sizeof(bytes)};
    struct statfs fs;
    int64_t n = file_write(file, &piece, 1, NULL);

    (void)state;
    assert_in_range(n, DISK / 10 * 9, DISK);
    assert_int_equal(file_write(file, &piece, 1, NULL), -ENOSPC);
    assert_int_equal(node_statfs(file->node, &fs), 0);
    assert_int_equal(fs.f_bfree, 0);
    assert_int_equal(fs.f_type, 0x01021994);
    assert_int_equal(try_open("/host/hello", O_RDWR), -ENOSPC);
    assert_string_equal(text_at("/host/hello"), "hello, host\n");
    assert_int_equal(take("/tmp/file", false), 0);
    assert_int_equal(try_open("/host/hello", O_RDWR), -ENOSPC);
    file_put(file);
    assert_int_equal(try_open("/host/hello", O_RDWR), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changes_have_linux_errors),
        TEST(a_removed_file_lives_as_long_as_it_is_open),
        TEST(a_removed_directory_has_nothing_but_its_parent),
        TEST(a_host_directory_is_removed_and_made_anew),
        TEST(a_host_directory_moves_with_all_that_is_in_it),
        TEST(links_share_a_node),
        TEST(directories_are_newer_when_entries_change),
        TEST(depth_and_number_end_in_enospc),
        TEST(content_ends_in_enospc_and_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
