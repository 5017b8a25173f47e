/* SPDX-License-Identifier: Apache-2.0 */
/* attr_test.c - whose files are, and who may do what with them. */
#include "sandbox/files/tree/tree_test.h"

static int access_to(const char *path, unsigned access)
{
    struct node *node = look(path, 0);
    int rc = node_access(node, access);

    node_put(node);
    return rc;
}

static int set_mode(const char *path, unsigned mode)
{
    struct node *node = look(path, 0);
    int rc = node_set_mode(node, mode);

    node_put(node);
    return rc;
}

static void bits_say_what_the_owner_may(void **state)
{
    static const struct {
        unsigned mode;
        int read, write, both, run;
    } cases[] = {
        {0644, 0, 0, 0, -EACCES},
        {0400, 0, -EACCES, -EACCES, -EACCES},
        {0200, -EACCES, 0, -EACCES, -EACCES},
        {0077, -EACCES, -EACCES, -EACCES, -EACCES},
        {0700, 0, 0, 0, 0},
    };
    static const char *const paths[] = {"/tmp/x", "/host/hello"};

    (void)state;
    make_text("/tmp/x", "x");
    for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
        const char *path = paths[i % 2];
        unsigned at = (unsigned)i / 2;

        assert_int_equal(set_mode(path, cases[at].mode), 0);
        assert_int_equal(stat_of(path).st_mode, S_IFREG | cases[at].mode);
        assert_int_equal(access_to(path, R_OK), cases[at].read);
        assert_int_equal(access_to(path, W_OK), cases[at].write);
        if (i % 2 == 0)
            assert_int_equal(access_to(path, X_OK), cases[at].run);
        assert_int_equal(access_to(path, F_OK), 0);
        assert_int_equal(access_to(path, 8), -EINVAL);
        assert_int_equal(try_open(path, O_RDONLY), cases[at].read);
        assert_int_equal(try_open(path, O_WRONLY), cases[at].write);
        assert_int_equal(try_open(path, O_RDWR), cases[at].both);
        assert_int_equal(try_open(path, O_PATH), 0);
    }
    /* The mode of a new file does not bind who makes it. */
    struct file *file;

    assert_int_equal(
        tree_open_file(t.tree, NULL, "/tmp/y", O_CREAT | O_RDWR, 0, &file), 0);
    assert_int_equal(write_text(file, "y"), 1);
    file_put(file);
    assert_int_equal(try_open("/tmp/y", O_RDONLY), -EACCES);
}

static void bits_of_a_directory_are_for_its_names(void **state)
{
    static const char *const dirs[] = {"/tmp/d", "/host/sub"};
    char path[64];

    (void)state;
    assert_int_equal(tree_make(t.tree, NULL, "/tmp/d", 0755), 0);
    make_text("/tmp/d/a", "a");
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        snprintf(path, sizeof(path), "%s/a", dirs[i]);
        assert_int_equal(set_mode(dirs[i], 0555), 0);
        assert_int_equal(try_open(path, O_RDONLY), 0);
        assert_int_equal(tree_remove(t.tree, NULL, path, false), -EACCES);
        assert_int_equal(tree_rename(t.tree, NULL, path, NULL, path, 0), 0);
        assert_int_equal(set_mode(dirs[i], 0666), 0);
        assert_int_equal(try_open(path, O_RDONLY), -EACCES);
        assert_int_equal(try_open(dirs[i], O_RDONLY), 0);
        assert_int_equal(set_mode(dirs[i], 0333), 0);
        assert_int_equal(try_open(dirs[i], O_RDONLY), -EACCES);
        assert_int_equal(tree_remove(t.tree, NULL, path, false), 0);
        path[strlen(path) - 1] = 'n';
        assert_int_equal(try_open(path, O_CREAT | O_RDWR), 0);
    }
}

static void what_is_sealed_stays_as_it_is(void **state)
{
    static const char *const paths[] = {"/etc/motd", "/etc", "/sealed/hello",
                                        "/sealed/sub", "/"};
    static const struct timespec times[2] = {{1, 1}, {1, 1}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct node *node = look(paths[i], 0);
        struct statfs st;

        assert_int_equal(node_access(node, R_OK), 0);
        assert_int_equal(node_access(node, W_OK), -EROFS);
        assert_int_equal(node_set_mode(node, 0777), -EROFS);
        assert_int_equal(node_set_owner(node, UID, GID), -EROFS);
        assert_int_equal(node_set_times(node, times), -EROFS);
        assert_int_equal(node_truncate(node, 0),
                         node_is_dir(node) ? -EISDIR : -EROFS);
        assert_int_equal(node_statfs(node, &st), 0);
        assert_int_equal(st.f_flags & 1, 1);
        node_put(node);
    }
    assert_int_equal(access_to("/dev/null", W_OK), 0);
    assert_int_equal(access_to("/proc/text", W_OK), -EACCES);
}

static void files_of_the_caller_belong_to_the_guest(void **state)
{
    struct stat st = stat_of("/host/hello");
    struct node *node;

    (void)state;
    assert_int_equal(st.st_uid, UID);
    assert_int_equal(st.st_gid, GID);
    assert_int_equal(st.st_nlink, 1);
    st = stat_of("/tmp");
    assert_int_equal(st.st_uid, UID);
    assert_int_equal(st.st_mode, S_IFDIR | 01777);
    if (geteuid() == 0) { /* only root can make somebody else's file */
        assert_int_equal(chown(host("host/hello"), 77, 78), 0);
        st = stat_of("/host/hello");
        assert_int_equal(st.st_uid, 65534);
        assert_int_equal(st.st_gid, 65534);
        node = look("/host/hello", 0);
        assert_int_equal(node_set_mode(node, 0777), -EPERM);
        assert_int_equal(node_access(node, W_OK), -EACCES);
        assert_int_equal(try_open("/host/hello", O_RDWR), -EACCES);
        assert_int_equal(try_open("/host/hello", O_RDONLY), 0);
        assert_int_equal(node_set_times(node, NULL), -EACCES);
        node_put(node);
    } else {
        assert_int_equal(try_open("/host/shut", O_RDONLY), -EACCES);
        assert_int_equal(access_to("/host/shut", R_OK), -EACCES);
    }
}

/* The same for somebody else. */
static void become(uint32_t uid, uint32_t gid)
{
    end_tree();
    as_uid = uid;
    as_gid = gid;
    assert_int_equal(make_tree(), 0);
    as_uid = UID;
    as_gid = GID;
    assert_int_equal(fill_tree(), 0);
}

static void zero_is_a_number_like_any_other(void **state)
{
    struct node *node;

    (void)state;
    become(0, 0);
    assert_int_equal(stat_of("/host/hello").st_uid, 0);
    assert_int_equal(try_open("/host/shut", O_RDONLY), -EACCES);
    assert_int_equal(try_open("/host/shut", O_RDWR), -EACCES);
    make_text("/tmp/x", "x");
    node = look("/tmp/x", 0);
    assert_int_equal(node_set_owner(node, 1, 1), -EPERM);
    assert_int_equal(node_set_mode(node, 0444), 0);
    assert_int_equal(node_access(node, W_OK), -EACCES);
    node_put(node);
}

/* Whatever the guest is called, it is nobody else. */
static void files_of_others_are_not_the_guests(void **state)
{
    static const uint32_t ids[][2] = {{UID, GID}, {0, 0},     {65534, 65534},
                                      {65534, 0}, {0, 65534}, {77, 78}};

    (void)state;
    if (geteuid() != 0)
        skip(); /* only root can make somebody else's file */
    assert_int_equal(chown(host("host/hello"), 77, 78), 0);
    assert_int_equal(chmod(host("host/hello"), 0660), 0);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        become(ids[i][0], ids[i][1]);
        assert_int_not_equal(stat_of("/host/hello").st_uid, ids[i][0]);
        assert_int_not_equal(stat_of("/host/hello").st_gid, ids[i][1]);
        assert_int_equal(try_open("/host/hello", O_RDONLY), -EACCES);
        assert_int_equal(access_to("/host/hello", R_OK), -EACCES);
    }
}

static void nobody_gives_files_away(void **state)
{
    static const struct {
        uint32_t uid, gid;
        int want;
    } cases[] = {
        {UID, GID, 0},           {UINT32_MAX, UINT32_MAX, 0},
        {UID, UINT32_MAX, 0},    {0, UINT32_MAX, -EPERM},
        {UINT32_MAX, 0, -EPERM}, {UID + 1, GID, -EPERM},
    };
    struct node *node;

    (void)state;
    make_text("/tmp/x", "x");
    node = look("/tmp/x", 0);
    assert_int_equal(node_set_mode(node, 06755), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(node_set_owner(node, cases[i].uid, cases[i].gid),
                         cases[i].want);
    assert_int_equal(stat_of("/tmp/x").st_mode, S_IFREG | 0755);
    node_put(node);
}

static void times_are_set_or_left(void **state)
{
    static const struct timespec one[2] = {{1, 2}, {3, 4}};
    static const struct timespec half[2] = {{0, UTIME_OMIT}, {5, 6}};
    static const struct timespec none[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    static const struct timespec bad[2] = {{0, 1000000000}, {0, 0}};
    static const char *const paths[] = {"/tmp/x", "/host/hello"};

    (void)state;
    make_text("/tmp/x", "x");
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct node *node = look(paths[i], 0);
        struct file *file;
        struct stat st;

        assert_int_equal(node_set_times(node, one), 0);
        assert_int_equal(node_set_times(node, half), 0);
        assert_int_equal(node_set_times(node, none), 0);
        assert_int_equal(node_set_times(node, bad), -EINVAL);
        assert_int_equal(node_stat(node, &st), 0);
        assert_int_equal(st.st_atim.tv_sec, 1);
        assert_int_equal(st.st_mtim.tv_sec, 5);
        assert_int_equal(st.st_mtim.tv_nsec, 6);
        file = open_it(paths[i], O_RDWR);
        text_of(file);
        assert_int_equal(file_stat(file, &st), 0);
        assert_true(st.st_atim.tv_sec > 5); /* it was older than the content */
        assert_int_equal(st.st_mtim.tv_sec, 5);
        write_text(file, "y");
        assert_int_equal(file_stat(file, &st), 0);
        assert_true(st.st_mtim.tv_sec > 5);
        assert_int_equal(node_set_times(node, one), 0);
        assert_int_equal(file_truncate(file, 0), 0);
        assert_int_equal(file_stat(file, &st), 0);
        assert_true(st.st_mtim.tv_sec > 5 && st.st_ctim.tv_sec > 5);
        file_put(file);
        node_put(node);
    }
}

static void a_file_has_one_number_and_nobody_else_has_it(void **state)
{
    static const char *const paths[] = {
        "/",           "/tmp",        "/tmp/x",        "/etc/motd",
        "/host",       "/host/hello", "/host/new",     "/host/sub",
        "/host/sub/a", "/sealed",     "/sealed/hello", "/dev/null"};
    struct stat st[ARRAY_SIZE(paths)];

    (void)state;
    make_text("/tmp/x", "x");
    make_text("/host/new", "x");
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        st[i] = stat_of(paths[i]);
        for (size_t j = 0; j < i; j++)
            assert_true(st[i].st_ino != st[j].st_ino ||
                        st[i].st_dev != st[j].st_dev);
    }
    assert_int_equal(st[4].st_dev, st[6].st_dev);
    assert_int_not_equal(st[4].st_dev, st[9].st_dev);
    assert_int_not_equal(st[4].st_dev, st[0].st_dev);
    assert_int_equal(st[1].st_dev, st[0].st_dev);
    assert_int_equal(set_mode("/host/sub", 0700), 0);
    assert_int_equal(stat_of("/host/sub").st_ino, st[7].st_ino);
    assert_int_equal(stat_of("/sealed/sub").st_mode & 07777, 0755);
}

static void links_tell_where_they_lead(void **state)
{
    static const char *const paths[][2] = {
        {"/etc/link", "motd"}, {"/host/in", "hello"}, {"/host/out", "/secret"}};
    char text[16];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct node *node = look(paths[i][0], TREE_NOFOLLOW);
        int64_t bytes = (int64_t)strlen(paths[i][1]);

        assert_int_equal(stat_of(paths[i][0]).st_size, bytes);
        assert_int_equal(node_read_link(node, text, sizeof(text)), bytes);
        assert_memory_equal(text, paths[i][1], (size_t)bytes);
        assert_int_equal(node_read_link(node, text, 2), 2);
        assert_int_equal(node_read_link(node, text, 0), -EINVAL);
        assert_int_equal(node_set_mode(node, 0), i == 0 ? -EROFS : -EOPNOTSUPP);
        node_put(node);
    }
    struct node *node = look("/etc/motd", 0);

    assert_int_equal(node_read_link(node, text, sizeof(text)), -EINVAL);
    node_put(node);
}

static void a_huge_file_costs_what_is_in_it(void **state)
{
    struct node *node;
    struct stat st;

    (void)state;
    make_text("/tmp/x", "x");
    node = look("/tmp/x", 0);
    assert_int_equal(node_truncate(node, INT64_MAX), 0);
    assert_int_equal(node_truncate(node, -1), -EINVAL);
    assert_int_equal(node_stat(node, &st), 0);
    assert_int_equal(st.st_size, INT64_MAX);
    assert_int_equal(st.st_blocks, 8);
    node_put(node);
    node = look("/host/hello", 0);
    assert_int_equal(truncate(host("host/hello"), 1ll << 40), 0);
    assert_int_equal(node_truncate(node, 1ll << 41), 0);
    assert_int_equal(node_stat(node, &st), 0);
    assert_int_equal(st.st_size, 1ll << 41);
    assert_int_equal(st.st_blocks, 8);
    node_put(node);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bits_say_what_the_owner_may),
        TEST(bits_of_a_directory_are_for_its_names),
        TEST(what_is_sealed_stays_as_it_is),
        TEST(files_of_the_caller_belong_to_the_guest),
        TEST(zero_is_a_number_like_any_other),
        TEST(files_of_others_are_not_the_guests),
        TEST(nobody_gives_files_away),
        TEST(times_are_set_or_left),
        TEST(a_file_has_one_number_and_nobody_else_has_it),
        TEST(links_tell_where_they_lead),
        TEST(a_huge_file_costs_what_is_in_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
