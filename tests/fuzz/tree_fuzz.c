/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_fuzz.c - a guest that does what the fuzzer likes to its files.
 *
 * The input is a row of acts: a byte says which, the bytes behind it on which
 * paths.  The host's directory is made once; beside it lies a secret, to which
 * its links lead.  What must hold: nothing outside is read, nothing of the host
 * is changed, each name that is listed is there, once, and when all is closed
 * no frame and no descriptor is left.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/files/tree/node.h"

#define PAGE   4096u
#define FRAMES 96u
#define HELD   6u
#define SECRET "the secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char tmp[] = "/tmp/tree-fuzz-XXXXXX";
static struct heap *heap;
static struct frames frames;
static struct handles handles;
static struct tree *tree;
static int host = -1;
static struct stat secret, before[4];
static const char *const watched[] = {".", "sub", "hello", "sub/deep"};

static struct node *nodes[HELD]; /* NULL is the root */
static struct file *files[HELD];
static const uint8_t *at, *end;

static uint8_t next(void)
{
    return at < end ? *at++ : 0;
}

/* ---- once ---- */

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static void clean_up(void)
{
    nftw(tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put_file(int dir, const char *name, const char *text)
{
    auto_fd int fd = openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

    must(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void set_up(void)
{
    auto_fd int dir = -1;
    uint8_t *memory;
    char path[64];

    must(mkdtemp(tmp) != NULL);
    atexit(clean_up);
    dir = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put_file(dir, "secret", SECRET);
    must(fstatat(dir, "secret", &secret, 0) == 0);
    must(mkdirat(dir, "host", 0755) == 0);
    host = openat(dir, "host", O_PATH | O_DIRECTORY | O_CLOEXEC);
    must(mkdirat(host, "sub", 0755) == 0 && mkdirat(host, "empty", 0755) == 0);
    must(mkdirat(host, "sub/deep", 0755) == 0);
    put_file(host, "hello", "hello");
    put_file(host, "sub/a", "a");
    put_file(host, "sub/deep/b", "b");
    snprintf(path, sizeof(path), "%s/secret", tmp);
    must(symlinkat(path, host, "abs") == 0);
    must(symlinkat("../secret", host, "up") == 0);
    must(symlinkat("..", host, "sub/out") == 0);
    must(symlinkat("sub/deep", host, "in") == 0);
    must(symlinkat("../../..", host, "sub/deep/c") == 0);
    must(mkfifoat(host, "pipe", 0644) == 0);
    for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
        must(fstatat(host, watched[i], &before[i], 0) == 0);
    memory = mmap(NULL, FRAMES * PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED);
    heap = heap_open();
    must(heap != NULL);
    frames_init(&frames, heap, memory, 0, FRAMES * PAGE);
}

static int say(void *context, struct text *text)
{
    (void)context;
    return text_add(text, "%d\n", 1);
}

static void open_tree(void)
{
    struct tree_config config = {.frames = &frames,
                                 .handles = &handles,
                                 .disk_bytes = 64 * PAGE,
                                 .nodes_max = 40,
                                 .uid = 1,
                                 .gid = 1};

    must(tree_open(&tree, &config) == 0);
    must(tree_mount(tree, "/", host, false) == 0);
    must(tree_mount(tree, "/s", host, true) == 0);
    must(tree_make_device(tree, "/d/zero", "zero") == 0);
    must(tree_make_text(tree, "/d/text", say, NULL) == 0);
    must(tree_make_dir(tree, "/m", 01777) == 0);
}

/* ---- what the fuzzer chooses ---- */

static const char *a_path(char *path)
{
    static const char *const names[] = {
        "a",     "b",    "c",    "sub", "deep", "hello", "in",    "out",
        "empty", "pipe", "abs",  "up",  "s",    "d",     "m",     "zero",
        "text",  ".",    "..",   "/",   "",     "x",     "y",     "secret",
        "a/..",  "sub/", "in/b", "m/x", "m/y",  "s/sub", "sub/a", "host"};
    unsigned parts = next() % 6u;
    size_t bytes = 0;

    path[0] = '\0';
    if (parts == 5 && next() % 8 == 0) { /* long */
        bytes = next() * 20u % (PAGE + 200u);
        memset(path, 'x', bytes);
        path[bytes] = '\0';
        return path;
    }
    for (unsigned i = 0; i <= parts; i++) {
        uint8_t choice = next();
        const char *slash = i > 0 || choice > 127 ? "/" : "";

        bytes += (size_t)sprintf(path + bytes, "%s%s", slash,
                                 names[choice % ARRAY_SIZE(names)]);
    }
    return path;
}

static struct node *a_node(void)
{
    return nodes[next() % HELD];
}

static struct file **a_file(void)
{
    return &files[next() % HELD];
}

static uint64_t a_place(void)
{
    static const uint64_t places[] = {
        0, 1, PAGE - 1, PAGE, 5 * PAGE, 1ull << 32, INT64_MAX - PAGE, INT64_MAX,
    };

    return places[next() % ARRAY_SIZE(places)] + next() % 3u;
}

/* Any error of Linux, or none. */
static int check(int64_t rc)
{
    must(rc >= -200);
    must(rc != -ENOSYS && rc != -EFAULT && rc != -EINTR && rc != -EMFILE);
    must(tree->quota.used <= tree->quota.limit);
    must(tree->node_count <= tree->nodes_max);
    must(tree->entry_count <= tree->nodes_max);
    return rc < 0 ? -1 : 0;
}

/* ---- acts ---- */

static void hold(struct node *node)
{
    struct node **where = &nodes[next() % HELD];
    char path[PAGE];
    int64_t n = node_path(node, path, sizeof(path));

    must(n == -ENOENT || n == -ERANGE || (n > 1 && path[0] == '/'));
    must(n < 0 || path[n - 1] == '\0');
    node_put(*where);
    *where = node;
}

static void look(const char *path)
{
    struct node *node, *from = a_node();
    struct stat st;

    if (check(tree_look(tree, from, path, next() % 4u, &node)) < 0)
        return;
    if (check(node_stat(node, &st)) == 0)
        must(st.st_dev != tree->root->dev || st.st_ino != secret.st_ino);
    if (node_is_dir(node))
        hold(node);
    else
        node_put(node);
}

static void open_file(const char *path)
{
    static const unsigned flags[] = {O_RDONLY,    O_RDWR,    O_CREAT,
                                     O_EXCL,      O_TRUNC,   O_APPEND,
                                     O_PATH,      O_TMPFILE, O_NOFOLLOW,
                                     O_DIRECTORY, O_WRONLY,  O_CREAT | O_RDWR};
    struct file **file = a_file(), *new;
    struct node *from = a_node();
    unsigned how = flags[next() % ARRAY_SIZE(flags)];
    struct stat st;

    how |= flags[next() % ARRAY_SIZE(flags)];
    if (check(tree_open_file(tree, from, path, how, next() * 2u, &new)) < 0)
        return;
    file_put(*file);
    *file = new;
    if (file_host_fd(new) >= 0) {
        must(fstat(file_host_fd(new), &st) == 0 && S_ISREG(st.st_mode));
        must(st.st_ino != secret.st_ino);
    }
    check(file_stat(new, &st));
}

static void read_write(void)
{
    static char bytes[5 * PAGE + 8];
    struct file *file = *a_file();
    uint64_t place = a_place();
    struct iovec pieces[2] = {{bytes, next() * 41u % (4 * PAGE)},
                              {bytes + 4 * PAGE, next()}};
    int64_t n;

    if (file == NULL)
        return;
    n = file_read(file, pieces, 2, next() % 2 == 0 ? NULL : &place);
    if (check(n) == 0 && n >= (int64_t)strlen(SECRET))
        must(memcmp(bytes, SECRET, strlen(SECRET)) != 0);
    memset(bytes, 'w', sizeof(bytes));
    check(file_write(file, pieces, 2, next() % 2 == 0 ? NULL : &place));
    check(file_seek(file, (int64_t)a_place(), next() % 6));
}

static void map(void)
{
    struct file *file = *a_file();
    uint64_t physical;

    if (file == NULL || file->class->page == NULL)
        return;
    file->class->mapped(file, 1);
    if (check(file->class->page(file, a_place() / PAGE, &physical)) == 0)
        memset(frames_host(&frames, physical), 'm', PAGE);
    check(file_truncate(file, (int64_t)a_place()));
    if (check(file->class->page(file, a_place() / PAGE, &physical)) == 0)
        memset(frames_host(&frames, physical), 'm', PAGE);
    file->class->mapped(file, -1);
}

struct listing {
    struct node *dir;
    unsigned count;
    char names[128][NODE_NAME_MAX + 1];
    uint64_t inos[128];
};

static int note(void *context, const struct file_entry *entry)
{
    struct listing *listing = context;

    must(listing->count < ARRAY_SIZE(listing->names));
    for (unsigned i = 0; i < listing->count; i++)
        must(strcmp(listing->names[i], entry->name) != 0);
    strcpy(listing->names[listing->count], entry->name);
    listing->inos[listing->count++] = entry->ino;
    return 0;
}

static void list(void)
{
    static struct listing listing;
    struct file *file = *a_file();

    if (file == NULL || file->class != &list_class)
        return;
    listing.count = 0;
    must(file_seek(file, 0, SEEK_SET) == 0);
    if (check(file_list(file, note, &listing)) < 0)
        return;
    for (unsigned i = 0; i < listing.count; i++) {
        struct node *node;
        struct stat st;
        int rc =
            tree_look(tree, file->node, listing.names[i], TREE_NOFOLLOW, &node);

        must(rc == 0 || rc == -EACCES || (tree->is_beneath && rc == -EREMOTE));
        if (rc < 0)
            continue;
        must(node_stat(node, &st) == 0 && st.st_ino == listing.inos[i]);
        node_put(node);
    }
    check(file_seek(file, (int64_t)((uint64_t)next() << 60), SEEK_SET));
    listing.count = 0;
    check(file_list(file, note, &listing));
}

static void change_attributes(const char *path)
{
    struct node *node, *from = a_node();
    struct timespec times[2] = {{next(), next()}, {next(), UTIME_NOW}};
    struct statfs fs;

    if (check(tree_look(tree, from, path, next() % 4u, &node)) < 0)
        return;
    check(node_set_mode(node, next() * 16u | 0500u));
    check(node_set_owner(node, next() % 3u, next() % 3u));
    check(node_set_times(node, next() % 2 == 0 ? NULL : times));
    check(node_access(node, next() % 9u));
    check(node_statfs(node, &fs));
    if (next() % 2 == 0)
        check(node_truncate(node, (int64_t)a_place()));
    node_put(node);
}

static void act(void)
{
    char path[2 * PAGE], other[2 * PAGE];
    struct node *from, *to;
    uint8_t what = next() % 12;

    a_path(path);
    switch (what) {
    case 0:
        check(tree_make(tree, a_node(), path, next() * 2u | 0700u));
        return;
    case 1:
        check(tree_remove(tree, a_node(), path, next() % 2 == 0));
        return;
    case 2:
    case 3:
        from = a_node(), to = a_node(), a_path(other);
        check(tree_rename(tree, from, path, to, other, next() % 4u));
        return;
    case 4:
        from = a_node(), to = a_node(), a_path(other);
        check(tree_link(tree, from, path, next() % 4u, to, other));
        return;
    case 5:
        check(tree_symlink(tree, a_path(other), a_node(), path));
        return;
    case 6:
        look(path);
        return;
    case 7:
        open_file(path);
        return;
    case 8:
        read_write();
        return;
    case 9:
        list();
        return;
    case 10:
        map();
        return;
    default:
        change_attributes(path);
    }
}

static void check_host(void)
{
    struct stat st;

    for (size_t i = 0; i < ARRAY_SIZE(watched); i++) {
        must(fstatat(host, watched[i], &st, 0) == 0);
        must(st.st_mode == before[i].st_mode);
        must(st.st_size == before[i].st_size);
        must(memcmp(&st.st_mtim, &before[i].st_mtim, sizeof(st.st_mtim)) == 0);
        must(memcmp(&st.st_ctim, &before[i].st_ctim, sizeof(st.st_ctim)) == 0);
    }
}

/* The lowest descriptor that is free. */
static int lowest(void)
{
    auto_fd int fd = dup(host);

    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int free_fd;

    if (host < 0)
        set_up();
    free_fd = lowest();
    open_tree();
    at = data;
    end = data + size;
    tree->is_beneath = next() % 4 == 0;
    while (at < end)
        act();
    for (unsigned i = 0; i < HELD; i++) {
        file_put(files[i]);
        node_put(nodes[i]);
        files[i] = NULL;
        nodes[i] = NULL;
    }
    tree_close(tree);
    must(frames.free == FRAMES);
    must(lowest() == free_fd);
    check_host();
    return 0;
}
