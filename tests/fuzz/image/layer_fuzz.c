/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_fuzz.c - hostile layers: unpacked, and put over each other.
 *
 * The input is either an archive as it is, or acts: each three bytes make an
 * entry, of a kind, with a name, and with a target.  What must hold: beside
 * the folder nothing is made or changed, the secret has no second name, all
 * that was made can be removed, and no descriptor is left.
 */
#include "base/count_test.h"
#include "image/layer/tar_test.h"

#define SECRET "the secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/layer-fuzz-XXXXXX";
static int dir_fd = -1;

static const char *const names[] = {
    "a",        "b",          "a/b",        "a/b/c",          "../secret",
    "a/../..",  ".wh.a",      "a/.wh.b",    ".wh..wh..opq",   "/secret",
    "b/secret", "a/secret",   "b/.wh.a",    "a/.wh..wh..opq", ".",
    "",         "a/b/secret", ".wh.secret",
};
static const char *const targets[] = {
    "a",      "b",         "a/b",          "..",
    "../..",  "/",         "../../secret", "a/c",
    "secret", "../secret", "../../../..",  ".",
    "a/b/c"};

static void clean_up(void)
{
    folder_remove(AT_FDCWD, folder, NULL);
}

static void set_up(void)
{
    int fd;

    must(mkdtemp(folder) != NULL);
    atexit(clean_up);
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = openat(dir_fd, "secret", O_WRONLY | O_CREAT, 0600);
    must(write(fd, SECRET, strlen(SECRET)) == (ssize_t)strlen(SECRET));
    close(fd);
}

static void check_secret(int count)
{
    char text[sizeof(SECRET)] = "";
    int fd = openat(dir_fd, "secret", O_RDONLY | O_CLOEXEC);
    struct stat st;

    must(fd >= 0 && fstat(fd, &st) == 0);
    must(st.st_nlink == 1 && st.st_mode == (S_IFREG | 0600));
    must(read(fd, text, sizeof(text)) == (ssize_t)strlen(SECRET));
    must(memcmp(text, SECRET, strlen(SECRET)) == 0);
    close(fd);
    must(count_names(folder) == 3 + count);
}

/* Of acts; half of them is each layer's. */
static void build(struct tar *tar, const uint8_t *data, size_t size)
{
    static const char kinds[] = "0123456";

    tar->count = 0;
    for (size_t i = 0; i + 2 < size && i < 3 * 60; i += 3) {
        const struct tar_entry entry = {
            .name = names[data[i + 1] % ARRAY_SIZE(names)],
            .type = kinds[data[i] % (sizeof(kinds) - 1)],
            .target = targets[data[i + 2] % ARRAY_SIZE(targets)],
            .data = data[i] % (sizeof(kinds) - 1) == 0 ? "x" : NULL,
            .mode = data[i] & 0100 ? 04777 : 0};

        tar_add(tar, &entry);
    }
    tar->count += 2 * TAR_BLOCK;
}

static void merge(const char *name)
{
    int root = openat(dir_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int layer = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct gbx_error err = {0};

    must(root >= 0 && layer >= 0);
    must(layer_merge(root, layer, &err) == 0 || err.what[0] != '\0');
    close(root);
    close(layer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tar tars[2];
    struct layer_limits limits = LAYER_LIMITS;
    struct gbx_error err = {0};
    const bool raw = size > 0 && data[0] == 0xff;
    const size_t half = size / 6 * 3;
    int files;

    if (dir_fd < 0)
        set_up();
    limits.bytes_max = 4 << 20;
    limits.entries_max = 1000;
    files = count_open_files();
    must(mkdirat(dir_fd, "root", 0755) == 0);
    if (raw) {
        if (tar_unpack(dir_fd, "low", data + 1, size - 1, &limits, &err) == 0)
            merge("low");
        must(mkdirat(dir_fd, "high", 0755) == 0);
    } else {
        build(&tars[0], data, half);
        build(&tars[1], data + half, size - half);
        if (tar_unpack(dir_fd, "low", tars[0].bytes, tars[0].count, &limits,
                       &err) == 0)
            merge("low");
        if (tar_unpack(dir_fd, "high", tars[1].bytes, tars[1].count, &limits,
                       &err) == 0)
            merge("high");
    }
    check_secret(3);
    must(folder_remove(dir_fd, "low", NULL) == 0);
    must(folder_remove(dir_fd, "high", NULL) == 0);
    must(folder_remove(dir_fd, "root", NULL) == 0);
    check_secret(0);
    must(count_open_files() == files);
    return 0;
}
