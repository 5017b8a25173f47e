/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_test.c - each allocation fails once: what was asked is not done, not
 * half done either, and can be done when it is asked again.
 *
 * The linker puts the functions below before the C library's (--wrap).
 */
#include "sandbox/files/tree/tree_test.h"

static long until_failure = -1; /* -1: never */
static long alive;

void *__real_malloc(size_t bytes);
void __real_free(void *old);
void *__real_heap_make(struct heap *heap, const struct heap_type *type,
                       size_t bytes);
void *__real_heap_resize(struct heap *heap, const struct heap_type *type,
                         void *old, size_t bytes);
char *__real_heap_text(struct heap *heap, const char *text);
void __real_heap_free(void *old);
void *__wrap_malloc(size_t bytes);
void __wrap_free(void *old);
void *__wrap_heap_make(struct heap *heap, const struct heap_type *type,
                       size_t bytes);
void *__wrap_heap_resize(struct heap *heap, const struct heap_type *type,
                         void *old, size_t bytes);
char *__wrap_heap_text(struct heap *heap, const char *text);
void __wrap_heap_free(void *old);

static bool fails(void)
{
    return until_failure >= 0 && until_failure-- == 0;
}

void *__wrap_malloc(size_t bytes)
{
    void *new = fails() ? NULL : __real_malloc(bytes);

    alive += new != NULL;
    return new;
}

void __wrap_free(void *old)
{
    alive -= old != NULL;
    __real_free(old);
}

void *__wrap_heap_make(struct heap *heap, const struct heap_type *type,
                       size_t bytes)
{
    void *new = fails() ? NULL : __real_heap_make(heap, type, bytes);

    alive += new != NULL;
    return new;
}

void *__wrap_heap_resize(struct heap *heap, const struct heap_type *type,
                         void *old, size_t bytes)
{
    void *new = fails() ? NULL : __real_heap_resize(heap, type, old, bytes);

    alive += new != NULL &&old == NULL;
    return new;
}

char *__wrap_heap_text(struct heap *heap, const char *text)
{
    char *new = fails() ? NULL : __real_heap_text(heap, text);

    alive += new != NULL;
    return new;
}

void __wrap_heap_free(void *old)
{
    alive -= old != NULL;
    __real_heap_free(old);
}

static int mount_it(void)
{
    int fd = open(host("host"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    int rc = tree_mount(t.tree, "/a/host", fd, false);

    close(fd);
    return rc;
}

static int mount_file(void)
{
    int fd = open(host("secret"), O_PATH | O_CLOEXEC);
    int rc = tree_mount(t.tree, "/a/file", fd, true);

    close(fd);
    return rc;
}

static int set_up_dir(void)
{
    return tree_make_dir(t.tree, "/b/c/tmp", 0777);
}

static int set_up_link(void)
{
    return tree_make_link(t.tree, "/b/tmp", "c/tmp");
}

static int set_up_file(void)
{
    return tree_make_file(t.tree, "/b/file", "file", 4, 0644);
}

static int set_up_text(void)
{
    return tree_make_text(t.tree, "/b/text", tree_text, &text_reads);
}

static int set_up_device(void)
{
    return tree_make_device(t.tree, "/b/null", "null");
}

static int make_dir(void)
{
    return tree_make(t.tree, NULL, "/b/tmp/dir", 0755);
}

static int make_link(void)
{
    return tree_symlink(t.tree, "dir", NULL, "/b/tmp/link");
}

static int make_file(void)
{
    return try_open("/b/tmp/link/file", O_CREAT | O_EXCL | O_RDWR);
}

static int make_nameless(void)
{
    struct file *file = NULL;
    int rc = tree_open_nameless(t.tree, O_RDWR, &file);

    file_put(file);
    return rc;
}

static int write_file(void)
{
    struct file *file = NULL;
    int rc = tree_open_file(t.tree, NULL, "/b/tmp/dir/file", O_RDWR, 0, &file);
    char bytes[3 * PAGE] = "";
    struct iovec piece = {bytes, sizeof(bytes)};

    if (rc == 0)
        rc = (int)file_write(file, &piece, 1, NULL);
    file_put(file);
    if (rc > 0)
        assert_int_equal(rc, sizeof(bytes));
    return rc < 0 ? rc : 0;
}

static int link_file(void)
{
    return tree_link(t.tree, NULL, "/b/tmp/dir/file", 0, NULL, "/b/tmp/two");
}

static int read_host(void)
{
    return try_open("/a/host/subdir/a", O_RDONLY);
}

static int read_mounted(void)
{
    return try_open("/a/file", O_RDONLY);
}

static int read_text(void)
{
    struct file *file = NULL;
    int rc = tree_open_file(t.tree, NULL, "/b/text", O_RDONLY, 0, &file);
    char text[16];

    if (rc == 0)
        rc = (int)read_at(file, text, sizeof(text), 0);
    file_put(file);
    return rc < 0 ? rc : 0;
}

static int copy_up(void)
{
    return try_open("/a/host/hello", O_RDWR);
}

static int chmod_host(void)
{
    struct node *node = NULL;
    int rc = tree_look(t.tree, NULL, "/a/host/sub/b", 0, &node);

    if (rc == 0)
        rc = node_set_mode(node, 0600);
    node_put(node);
    return rc;
}

static int link_host(void)
{
    return tree_link(t.tree, NULL, "/a/host/in", TREE_NOFOLLOW, NULL,
                     "/a/host/sub/in");
}

static int remove_host(void)
{
    return tree_remove(t.tree, NULL, "/a/host/sub/c", false);
}

static int rename_host(void)
{
    return tree_rename(t.tree, NULL, "/a/host/sub", NULL, "/a/host/empty", 0);
}

static int exchange_host(void)
{
    return tree_rename(t.tree, NULL, "/a/host/empty/a", NULL, "/a/host/hello",
                       RENAME_EXCHANGE);
}

static int remove_dir_host(void)
{
    static const char *const names[] = {"a", "b", "in"};
    char path[64];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        int rc;

        snprintf(path, sizeof(path), "/a/host/empty/%s", names[i]);
        rc = tree_remove(t.tree, NULL, path, false);
        if (rc < 0 && rc != -ENOENT)
            return rc;
    }
    return tree_remove(t.tree, NULL, "/a/host/empty", true);
}

static int nothing(void *context, const struct file_entry *entry)
{
    (void)context;
    (void)entry;
    return 0;
}

static int list_host(void)
{
    struct file *file = NULL;
    int rc = tree_open_file(t.tree, NULL, "/a/host", O_RDONLY, 0, &file);

    if (rc == 0)
        rc = file_list(file, nothing, NULL);
    if (rc == 0) /* what fails behind the first entries, comes next time */
        rc = file_list(file, nothing, NULL);
    file_put(file);
    return rc;
}

static int (*const acts[])(void) = {
    make_tree,    mount_it,      mount_file,    set_up_dir,      set_up_link,
    set_up_file,  set_up_text,   set_up_device, make_dir,        make_link,
    make_file,    make_nameless, write_file,    link_file,       read_host,
    read_mounted, read_text,     copy_up,       chmod_host,      link_host,
    remove_host,  rename_host,   exchange_host, remove_dir_host, list_host};

static void act_all(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
        bool was = until_failure >= 0;
        int rc = acts[i]();

        if (was && until_failure < 0 && rc != 0) {
            assert_true(rc == -ENOMEM || rc == -ENOSPC);
            rc = acts[i]();
        }
        if (rc != 0)
            print_error("act %zu: %s\n", i, strerror(-rc));
        assert_int_equal(rc, 0);
    }
}

static void what_failed_can_be_done_again(void **state)
{
    long n = 0, before = alive;
    uint64_t physical, count;

    (void)state;
    host_tree();
    make_frames();
    /* What it needs at its first use is not the tree's. */
    assert_int_equal(frames_take(&t.frames, 1, &physical, &count), 0);
    frames_give(&t.frames, physical, count);
    t.fds = count_open_files();
    before = alive;
    do {
        until_failure = n++;
        act_all();
        end_tree();
        assert_int_equal(alive, before);
    } while (until_failure < 0);
    assert_true(n > 50);
    until_failure = -1;
    tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_failed_can_be_done_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
