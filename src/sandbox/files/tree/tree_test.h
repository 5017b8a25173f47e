/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_test.h - a tree over a host directory, for the tests of this folder.
 *
 *   TMP/secret                        outside
 *   TMP/host -> /host (open), /sealed (sealed)
 *       hello      "hello, host\n"       sub/{a,b,c}   empty/
 *       in -> hello    out -> /secret    up -> ../secret    abs -> TMP/secret
 *       subdir -> sub  pipe (FIFO)       shut (mode 0)
 */
#ifndef SANDBOX_FILES_TREE_TREE_TEST_H
#define SANDBOX_FILES_TREE_TREE_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/count_test.h"
#include "sandbox/files/tree/tree.h"

#define PAGE   4096u
#define UID    1234u
#define GID    2345u
#define FRAMES 2048u
#define NODES  400u
#define FILES  20u /* of the host */
#define DISK   (1024u * PAGE)

static struct fixture {
    char tmp[64];
    uint8_t *memory;
    struct heap *heap;
    struct frames frames;
    struct handles handles;
    struct tree *tree;
    int fds;
} t;

/* A path of the host, below TMP. */
static inline const char *host(const char *name)
{
    static char paths[4][256];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", t.tmp, name);
    return path;
}

static inline void host_write(const char *name, const char *text)
{
    int fd = open(host(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static inline void host_tree(void)
{
    snprintf(t.tmp, sizeof(t.tmp), "/tmp/tree-test-XXXXXX");
    assert_non_null(mkdtemp(t.tmp));
    assert_int_equal(mkdir(host("host"), 0755), 0);
    assert_int_equal(mkdir(host("host/sub"), 0755), 0);
    assert_int_equal(mkdir(host("host/empty"), 0755), 0);
    host_write("secret", "secret");
    host_write("host/hello", "hello, host\n");
    host_write("host/sub/a", "a");
    host_write("host/sub/b", "b");
    host_write("host/sub/c", "c");
    host_write("host/shut", "shut");
    assert_int_equal(chmod(host("host/shut"), 0), 0);
    assert_int_equal(symlink("hello", host("host/in")), 0);
    assert_int_equal(symlink("/secret", host("host/out")), 0);
    assert_int_equal(symlink("../secret", host("host/up")), 0);
    assert_int_equal(symlink(host("secret"), host("host/abs")), 0);
    assert_int_equal(symlink("sub", host("host/subdir")), 0);
    assert_int_equal(mkfifo(host("host/pipe"), 0644), 0);
}

static inline int tree_text(void *context, struct text *text)
{
    unsigned *reads = context;

    return text_add(text, "text %u\n", ++*reads);
}

static unsigned text_reads;
static uint32_t as_uid = UID, as_gid = GID; /* whom the tree is for */

static inline int fill_tree(void)
{
    static const char *const devices[] = {"null", "zero", "full", "random",
                                          "urandom"};
    int rc, fd = open(host("host"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    char path[32];

    if (fd < 0)
        return -errno;
    rc = tree_mount(t.tree, "/host", fd, false);
    if (rc == 0)
        rc = tree_mount(t.tree, "/sealed", fd, true);
    close(fd);
    for (size_t i = 0; i < ARRAY_SIZE(devices) && rc == 0; i++) {
        snprintf(path, sizeof(path), "/dev/%s", devices[i]);
        rc = tree_make_device(t.tree, path, devices[i]);
    }
    if (rc == 0)
        rc = tree_make_text(t.tree, "/proc/text", tree_text, &text_reads);
    if (rc == 0)
        rc = tree_make_file(t.tree, "/etc/motd", "motd\n", 5, 0644);
    if (rc == 0)
        rc = tree_make_link(t.tree, "/etc/link", "motd");
    if (rc == 0)
        rc = tree_seal(t.tree, "/");
    if (rc == 0)
        rc = tree_make_dir(t.tree, "/tmp", 01777);
    return rc;
}

static inline void make_frames(void)
{
    t.memory = mmap(NULL, FRAMES * PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(t.memory, MAP_FAILED);
    t.heap = heap_open();
    assert_non_null(t.heap);
    frames_init(&t.frames, t.heap, t.memory, 1 << 20, FRAMES * PAGE);
}

static inline int make_tree(void)
{
    struct tree_config config = {.frames = &t.frames,
                                 .handles = &t.handles,
                                 .disk_bytes = DISK,
                                 .nodes_max = NODES,
                                 .files_max = FILES,
                                 .uid = as_uid,
                                 .gid = as_gid};

    text_reads = 0;
    return tree_open(&t.tree, &config);
}

static inline int set_up(void **state)
{
    (void)state;
    t.fds = count_open_files();
    host_tree();
    make_frames();
    assert_int_equal(make_tree(), 0);
    assert_int_equal(fill_tree(), 0);
    return 0;
}

/* Nothing of the tree is left: no frame, no descriptor. */
static inline void end_tree(void)
{
    tree_close(t.tree);
    t.tree = NULL;
    assert_int_equal(t.frames.free, FRAMES);
    for (uint32_t i = 0; i < t.handles.room; i++)
        assert_null(t.handles.all[i]);
    assert_int_equal(count_open_files(), t.fds);
}

static inline int remove_one(const char *path, const struct stat *st, int type,
                             struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline int tear_down(void **state)
{
    (void)state;
    if (t.tree != NULL)
        end_tree();
    frames_fini(&t.frames);
    handles_fini(&t.handles);
    assert_int_equal(t.heap->count, 0);
    heap_close(t.heap);
    munmap(t.memory, FRAMES * PAGE);
    assert_int_equal(nftw(t.tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    return 0;
}

static inline struct file *open_it(const char *path, unsigned flags)
{
    struct file *file = NULL;
    int rc = tree_open_file(t.tree, NULL, path, flags, 0644, &file);

    if (rc != 0)
        print_error("open %s: %s\n", path, strerror(-rc));
    assert_int_equal(rc, 0);
    return file;
}

static inline int try_open(const char *path, unsigned flags)
{
    struct file *file = NULL;
    int rc = tree_open_file(t.tree, NULL, path, flags, 0644, &file);

    assert_int_equal(rc == 0, file != NULL);
    file_put(file);
    return rc;
}

static inline int64_t write_text(struct file *file, const char *text)
{
    struct iovec piece = {(void *)(uintptr_t)text, strlen(text)};

    return file_write(file, &piece, 1, NULL);
}

static inline void make_text(const char *path, const char *text)
{
    struct file *file = open_it(path, O_CREAT | O_WRONLY | O_TRUNC);

    assert_int_equal(write_text(file, text), strlen(text));
    file_put(file);
}

static inline int64_t read_at(struct file *file, char *to, size_t bytes,
                              uint64_t at)
{
    struct iovec piece = {to, bytes};

    return file_read(file, &piece, 1, &at);
}

static inline const char *text_of(struct file *file)
{
    static char text[512];
    int64_t n = read_at(file, text, sizeof(text) - 1, 0);

    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

static inline const char *text_at(const char *path)
{
    struct file *file = open_it(path, O_RDONLY);
    const char *text = text_of(file);

    file_put(file);
    return text;
}

static inline struct node *look(const char *path, unsigned flags)
{
    struct node *node = NULL;
    int rc = tree_look(t.tree, NULL, path, flags, &node);

    if (rc != 0)
        print_error("look %s: %s\n", path, strerror(-rc));
    assert_int_equal(rc, 0);
    return node;
}

static inline int try_look(const char *path, unsigned flags)
{
    struct node *node = NULL;
    int rc = tree_look(t.tree, NULL, path, flags, &node);

    node_put(node);
    return rc;
}

static inline struct stat stat_of(const char *path)
{
    struct node *node = look(path, TREE_NOFOLLOW);
    struct stat st;

    assert_int_equal(node_stat(node, &st), 0);
    node_put(node);
    return st;
}

#endif
