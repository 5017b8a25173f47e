/* SPDX-License-Identifier: Apache-2.0 */
/* tree_test.c - what paths lead to, and what opening them does. */
#include "sandbox/files/tree/tree_test.h"

static void paths_lead_where_linux_would(void **state)
{
    static const struct {
        const char *path;
        unsigned flags;
        int want;
    } cases[] = {
        {"/", 0, 0},
        {"//", 0, 0},
        {"/..", 0, 0},
        {"/../../host/.", 0, 0},
        {"", 0, -ENOENT},
        {"", TREE_EMPTY, 0},
        {"/etc/motd", 0, 0},
        {"etc/motd", 0, 0},
        {"/etc//./motd", 0, 0},
        {"/etc/motd/", 0, -ENOTDIR},
        {"/etc/motd/.", 0, -ENOTDIR},
        {"/etc/motd/x", 0, -ENOTDIR},
        {"/etc/link", 0, 0},
        {"/etc/link", TREE_NOFOLLOW, 0},
        {"/etc/link/", TREE_NOFOLLOW, -ENOTDIR},
        {"/etc/nothing", 0, -ENOENT},
        {"/etc/nothing/x", 0, -ENOENT},
        {"/host/hello", 0, 0},
        {"/host/hello/", 0, -ENOTDIR},
        {"/host/hello/..", 0, -ENOTDIR},
        {"/host/sub/a", 0, 0},
        {"/host/subdir/a", 0, 0},
        {"/host/subdir/", TREE_NOFOLLOW, 0},
        {"/host/subdir/../hello", 0, 0},
        {"/host/nothing", 0, -ENOENT},
        {"/host/sub/nothing/../a", 0, -ENOENT},
        {"/host/in", 0, 0},
        {"/host/pipe", 0, 0},
        {"/host/shut", 0, 0},
        /* The guest's tree, not the host's, is where links lead. */
        {"/host/out", 0, -ENOENT},
        {"/host/up", 0, -ENOENT},
        {"/host/abs", 0, -ENOENT},
        {"/host/out", TREE_NOFOLLOW, 0},
        {"/host/../secret", 0, -ENOENT},
        {"/host/sub/../../secret", 0, -ENOENT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int rc = try_look(cases[i].path, cases[i].flags);

        if (rc != cases[i].want)
            print_error("%s: %d\n", cases[i].path, rc);
        assert_int_equal(rc, cases[i].want);
    }
}

static void names_and_paths_have_a_length(void **state)
{
    char path[PAGE + 1];

    (void)state;
    memset(path, 'x', sizeof(path));
    path[255] = '\0';
    assert_int_equal(try_look(path, 0), -ENOENT);
    path[255] = 'x';
    path[256] = '\0';
    assert_int_equal(try_look(path, 0), -ENAMETOOLONG);
    assert_int_equal(tree_make(t.tree, NULL, path, 0755), -ENAMETOOLONG);
    memset(path, '/', PAGE - 1);
    path[PAGE - 1] = '\0';
    assert_int_equal(try_look(path, 0), 0);
    path[PAGE - 1] = '/';
    path[PAGE] = '\0';
    assert_int_equal(try_look(path, 0), -ENAMETOOLONG);
}

static void opening_has_linux_errors(void **state)
{
    static const struct {
        const char *path;
        unsigned flags;
        int want;
    } cases[] = {
        {"/etc/motd", O_RDONLY, 0},
        {"/etc/motd", O_WRONLY, -EROFS},
        {"/etc/motd", O_RDONLY | O_TRUNC, -EROFS},
        {"/etc/motd", O_RDONLY | O_CREAT, 0},
        {"/etc/motd", O_RDONLY | O_CREAT | O_EXCL, -EEXIST},
        {"/etc/link", O_RDONLY | O_CREAT | O_EXCL, -EEXIST},
        {"/etc/link", O_RDONLY | O_NOFOLLOW, -ELOOP},
        {"/etc/link", O_RDONLY | O_NOFOLLOW | O_DIRECTORY, -ENOTDIR},
        {"/etc/link", O_PATH | O_NOFOLLOW, 0},
        {"/etc/link", O_PATH | O_NOFOLLOW | O_DIRECTORY, -ENOTDIR},
        {"/etc/motd", O_RDONLY | O_DIRECTORY, -ENOTDIR},
        {"/etc/new", O_WRONLY | O_CREAT, -EROFS},
        {"/etc", O_RDONLY, 0},
        {"/etc/", O_RDONLY | O_DIRECTORY, 0},
        {"/etc", O_RDWR, -EISDIR},
        {"/etc", O_RDONLY | O_TRUNC, -EISDIR},
        {"/etc", O_RDONLY | O_CREAT, -EISDIR},
        {"/etc/.", O_RDONLY | O_CREAT, -EISDIR},
        {"/etc/motd/", O_RDONLY, -ENOTDIR},
        {"/etc/motd/", O_RDONLY | O_CREAT, -EISDIR},
        {"/tmp/x/", O_WRONLY | O_CREAT, -EISDIR},
        {"/tmp/x", O_WRONLY | O_CREAT | O_DIRECTORY, -EINVAL},
        {"/tmp/none/x", O_WRONLY | O_CREAT, -ENOENT},
        {"/tmp", O_RDWR | O_TMPFILE, 0},
        {"/tmp", O_RDONLY | O_TMPFILE, -EINVAL},
        {"/tmp/none", O_RDWR | O_TMPFILE, -ENOENT},
        {"/etc/motd", O_RDWR | O_TMPFILE, -ENOTDIR},
        {"/etc", O_RDWR | O_TMPFILE, -EROFS},
        {"/host/hello", O_RDONLY, 0},
        {"/host/pipe", O_RDONLY, -ENXIO},
        {"/host/pipe", O_PATH, 0},
        {"/sealed/hello", O_RDONLY, 0},
        {"/sealed/hello", O_RDWR, -EROFS},
        {"/sealed/new", O_WRONLY | O_CREAT, -EROFS},
        {"/proc/text", O_RDONLY, 0},
        {"/proc/text", O_WRONLY, -EACCES},
        {"/dev/null", O_RDWR, 0},
        {"/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int rc = try_open(cases[i].path, cases[i].flags);

        if (rc != cases[i].want)
            print_error("%s %o: %d\n", cases[i].path, cases[i].flags, rc);
        assert_int_equal(rc, cases[i].want);
    }
}

static void a_link_may_be_forty_links_away(void **state)
{
    char name[32], target[32] = "/etc/motd";

    (void)state;
    for (unsigned i = 1; i <= 41; i++) {
        snprintf(name, sizeof(name), "/tmp/%u", i);
        assert_int_equal(tree_symlink(t.tree, target, NULL, name), 0);
        assert_int_equal(try_look(name, 0), i <= 40 ? 0 : -ELOOP);
        snprintf(target, sizeof(target), "%u", i);
    }
    assert_int_equal(tree_symlink(t.tree, "loop", NULL, "/tmp/loop"), 0);
    assert_int_equal(try_look("/tmp/loop", 0), -ELOOP);
    assert_int_equal(try_open("/tmp/loop", O_CREAT | O_RDWR), -ELOOP);
    assert_int_equal(tree_symlink(t.tree, "made", NULL, "/tmp/dangles"), 0);
    assert_int_equal(try_open("/tmp/dangles", O_RDWR), -ENOENT);
    assert_int_equal(try_open("/tmp/dangles", O_CREAT | O_EXCL | O_RDWR),
                     -EEXIST);
    assert_int_equal(try_open("/tmp/dangles", O_CREAT | O_RDWR), 0);
    assert_int_equal(try_look("/tmp/made", TREE_NOFOLLOW), 0);
}

static void a_host_file_is_copied_before_it_is_written(void **state)
{
    struct file *early = open_it("/host/hello", O_RDONLY), *late;
    struct stat before = stat_of("/host/hello"), st;

    (void)state;
    assert_true(file_host_fd(early) >= 0);
    assert_string_equal(text_of(early), "hello, host\n");
    late = open_it("/host/in", O_RDWR | O_APPEND);
    assert_int_equal(file_host_fd(late), -1);
    assert_int_equal(write_text(late, "and guest\n"), 10);
    assert_string_equal(text_of(early), "hello, host\nand guest\n");
    assert_int_equal(file_host_fd(early), -1);
    assert_int_equal(file_stat(early, &st), 0);
    assert_int_equal(st.st_size, 22);
    assert_int_equal(st.st_ino, before.st_ino);
    assert_int_equal(st.st_dev, before.st_dev);
    assert_int_equal(stat_of("/host/hello").st_size, 22);
    file_put(early);
    file_put(late);
    assert_string_equal(text_at("/host/hello"), "hello, host\nand guest\n");
    assert_string_equal(text_at("/sealed/hello"), "hello, host\n");
    file_put(open_it("/host/hello", O_WRONLY | O_TRUNC));
    assert_string_equal(text_at("/host/hello"), "");
}

static void a_file_is_what_was_written(void **state)
{
    struct file *file = open_it("/tmp/file", O_CREAT | O_RDWR);
    uint64_t at = 5000;
    char text[16] = "";
    struct iovec pieces[] = {{text, 3}, {text + 3, 0}, {text + 3, 2}};

    (void)state;
    assert_int_equal(write_text(file, "start"), 5);
    assert_int_equal(file->position, 5);
    assert_int_equal(file_seek(file, 0, SEEK_CUR), 5);
    pieces[0] = (struct iovec){(void *)(uintptr_t) "abc", 3};
    pieces[2] = (struct iovec){(void *)(uintptr_t) "de", 2};
    assert_int_equal(file_write(file, pieces, 3, &at), 5);
    assert_int_equal(at, 5005);
    assert_int_equal(file->position, 5);
    assert_int_equal(file_seek(file, 0, SEEK_END), 5005);
    assert_int_equal(file_seek(file, -6, SEEK_END), 4999);
    assert_int_equal(file_seek(file, -6000, SEEK_END), -EINVAL);
    pieces[0] = (struct iovec){text, 3};
    pieces[2] = (struct iovec){text + 3, 9};
    assert_int_equal(file_read(file, pieces, 3, NULL), 6);
    assert_memory_equal(text, "\0abcde", 6);
    assert_int_equal(file_read(file, pieces, 3, NULL), 0);
    assert_int_equal(file_truncate(file, 3), 0);
    assert_string_equal(text_of(file), "sta");
    assert_int_equal(file_truncate(file, 6), 0);
    assert_int_equal(read_at(file, text, 16, 0), 6);
    assert_memory_equal(text, "sta\0\0\0", 6);
    assert_int_equal(file_truncate(file, -1), -EINVAL);
    file_put(file);
}

static void a_descriptor_does_what_it_was_opened_for(void **state)
{
    struct file *reads = open_it("/tmp/x", O_CREAT | O_RDONLY);
    struct file *writes = open_it("/tmp/x", O_WRONLY);
    struct file *path = open_it("/tmp/x", O_PATH);
    struct file *dir = open_it("/tmp", O_RDONLY);
    struct iovec piece = {(void *)(uintptr_t) "x", 1};
    struct stat st;

    (void)state;
    assert_int_equal(file_write(reads, &piece, 1, NULL), -EBADF);
    assert_int_equal(file_read(writes, &piece, 1, NULL), -EBADF);
    assert_int_equal(file_truncate(reads, 0), -EINVAL);
    assert_int_equal(file_read(path, &piece, 1, NULL), -EBADF);
    assert_int_equal(file_write(path, &piece, 1, NULL), -EBADF);
    assert_int_equal(file_seek(path, 0, SEEK_SET), -EBADF);
    assert_int_equal(file_stat(path, &st), 0);
    assert_int_equal(file_list(path, NULL, NULL), -EBADF);
    assert_int_equal(file_list(reads, NULL, NULL), -ENOTDIR);
    assert_int_equal(file_read(dir, &piece, 1, NULL), -EISDIR);
    file_put(reads);
    file_put(writes);
    file_put(path);
    file_put(dir);
}

static void a_nameless_file_lives_until_it_is_closed(void **state)
{
    struct file *file = open_it("/tmp", O_RDWR | O_TMPFILE), *memfd;
    struct file *shy = open_it("/tmp", O_RDWR | O_TMPFILE | O_EXCL);
    struct stat st;

    (void)state;
    assert_int_equal(file_stat(file, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    assert_int_equal(write_text(file, "found"), 5);
    assert_int_equal(
        tree_link(t.tree, shy->node, "", TREE_EMPTY, NULL, "/tmp/named"),
        -ENOENT);
    assert_int_equal(
        tree_link(t.tree, file->node, "", TREE_EMPTY, NULL, "/tmp/named"), 0);
    assert_string_equal(text_at("/tmp/named"), "found");
    assert_int_equal(tree_open_nameless(t.tree, O_RDWR, &memfd), 0);
    assert_int_equal(write_text(memfd, "more"), 4);
    assert_string_equal(text_of(memfd), "more");
    file_put(memfd);
    file_put(shy);
    file_put(file);
}

static void a_text_is_made_when_it_is_read_from_its_start(void **state)
{
    struct file *file = open_it("/proc/text", O_RDONLY);
    char text[16];

    (void)state;
    assert_int_equal(text_reads, 0);
    assert_string_equal(text_of(file), "text 1\n");
    assert_int_equal(read_at(file, text, 3, 5), 2);
    assert_int_equal(text_reads, 1);
    assert_string_equal(text_of(file), "text 2\n");
    assert_int_equal(file_seek(file, 0, SEEK_END), -EINVAL);
    assert_int_equal(stat_of("/proc/text").st_size, 0);
    file_put(file);
}

static void devices_are_as_on_linux(void **state)
{
    static const struct {
        const char *path;
        int64_t read, write;
        unsigned minor;
    } cases[] = {
        {"/dev/null", 0, 8, 3},       {"/dev/zero", 8, 8, 5},
        {"/dev/full", 8, -ENOSPC, 7}, {"/dev/random", 8, 8, 8},
        {"/dev/urandom", 8, 8, 9},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file *file = open_it(cases[i].path, O_RDWR);
        struct stat st = stat_of(cases[i].path);
        char bytes[8] = "\1\1\1\1\1\1\1";

        assert_int_equal(read_at(file, bytes, 8, 0), cases[i].read);
        assert_int_equal(write_text(file, "12345678"), cases[i].write);
        assert_int_equal(file_seek(file, 7, SEEK_SET), 7);
        if (cases[i].minor == 5)
            assert_memory_equal(bytes, "\0\0\0\0\0\0\0\0", 8);
        assert_int_equal(st.st_rdev, 0x100 + cases[i].minor);
        assert_true(S_ISCHR(st.st_mode));
        file_put(file);
    }
}

static void a_host_that_changes_is_followed_but_never_left(void **state)
{
    struct file *file = open_it("/host/sub/a", O_RDONLY);
    struct node *sub = look("/host/sub", 0);
    struct node *hello = look("/host/hello", 0), *found;
    struct stat st;

    (void)state;
    /* Gone, and another one: who has it open still has it. */
    assert_int_equal(unlink(host("host/sub/a")), 0);
    assert_int_equal(try_look("/host/sub/a", 0), -ENOENT);
    assert_string_equal(text_of(file), "a");
    host_write("host/sub/a", "new");
    assert_string_equal(text_at("/host/sub/a"), "new");
    assert_string_equal(text_of(file), "a");
    /* A directory becomes a link out of the tree. */
    assert_int_equal(rename(host("host/sub"), host("away")), 0);
    assert_int_equal(symlink(t.tmp, host("host/sub")), 0);
    assert_int_equal(tree_look(t.tree, sub, "secret", 0, &found), -ENOENT);
    assert_int_equal(try_open("/host/sub/secret", O_RDONLY), -ENOENT);
    /* A file becomes a link, a pipe, a directory. */
    assert_int_equal(unlink(host("host/hello")), 0);
    assert_int_equal(symlink("../secret", host("host/hello")), 0);
    assert_int_equal(node_stat(hello, &st), -ENOENT);
    assert_int_equal(tree_open_node(hello, O_RDONLY, &file), -ENOENT);
    assert_int_equal(tree_open_node(hello, O_RDWR, &file), -ENOENT);
    assert_int_equal(unlink(host("host/hello")), 0);
    assert_int_equal(mkfifo(host("host/hello"), 0644), 0);
    assert_int_equal(tree_open_node(hello, O_RDONLY, &file), -ENOENT);
    assert_int_equal(unlink(host("host/hello")), 0);
    assert_int_equal(mkdir(host("host/hello"), 0755), 0);
    assert_int_equal(tree_open_node(hello, O_RDONLY, &file), -ENOENT);
    assert_int_equal(try_open("/host/hello", O_RDONLY | O_DIRECTORY), 0);
    node_put(hello);
    node_put(sub);
    file_put(file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int long_text(void *context, struct text *text)
{
    static char bytes[6 << 20];

    (void)context;
    memset(bytes, 'x', sizeof(bytes));
    return text_add_bytes(text, bytes, sizeof(bytes));
}

/* They lie in the host's memory. */
/* Of those that / shows, one is this. */
static void the_hosts_processes_are_not_in_it(void **state)
{
    const int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct node *node;
    struct file *file;
    char path[64];

    (void)state;
    assert_int_equal(tree_mount(t.tree, "/all", fd, MOUNT_SEALED), 0);
    close(fd);
    assert_int_equal(tree_look(t.tree, NULL, "/all/usr", 0, &node), 0);
    node_put(node);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), i ? "/all/proc/%d/mem" : "/all/proc",
                 getpid());
        assert_int_equal(tree_look(t.tree, NULL, path, 0, &node), -ENOENT);
        assert_int_equal(tree_open_file(t.tree, NULL, path, O_RDONLY, 0, &file),
                         -ENOENT);
    }
}

static void texts_have_a_limit_all_together(void **state)
{
    struct file *files[3];
    char byte;
    struct iovec piece = {&byte, 1};

    (void)state;
    assert_int_equal(tree_make_text(t.tree, "/proc/long", long_text, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            tree_open_file(t.tree, NULL, "/proc/long", O_RDONLY, 0, &files[i]),
            0);
        assert_int_equal(file_read(files[i], &piece, 1, NULL),
                         i < 2 ? 1 : -ENOMEM);
    }
    file_put(files[0]);
    assert_int_equal(file_read(files[2], &piece, 1, NULL), 1);
    file_put(files[1]);
    file_put(files[2]);
}

static void files_of_the_host_have_a_limit(void **state)
{
    struct file *files[FILES], *more;

    (void)state;
    for (size_t i = 0; i < FILES; i++)
        assert_int_equal(
            tree_open_file(t.tree, NULL, "/host/hello", O_RDONLY, 0, &files[i]),
            0);
    assert_int_equal(
        tree_open_file(t.tree, NULL, "/host/hello", O_RDONLY, 0, &more),
        -ENFILE);
    assert_int_equal(
        tree_open_file(t.tree, NULL, "/tmp/own", O_CREAT | O_RDWR, 0600, &more),
        0);
    file_put(more);
    for (size_t i = 0; i < FILES; i++)
        file_put(files[i]);
    assert_int_equal(
        tree_open_file(t.tree, NULL, "/host/hello", O_RDONLY, 0, &more), 0);
    file_put(more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(paths_lead_where_linux_would),
        TEST(names_and_paths_have_a_length),
        TEST(opening_has_linux_errors),
        TEST(a_link_may_be_forty_links_away),
        TEST(a_host_file_is_copied_before_it_is_written),
        TEST(a_file_is_what_was_written),
        TEST(a_descriptor_does_what_it_was_opened_for),
        TEST(a_nameless_file_lives_until_it_is_closed),
        TEST(a_text_is_made_when_it_is_read_from_its_start),
        TEST(devices_are_as_on_linux),
        TEST(a_host_that_changes_is_followed_but_never_left),
        TEST(the_hosts_processes_are_not_in_it),
        TEST(texts_have_a_limit_all_together),
        TEST(files_of_the_host_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
