/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasi_test.h - a module's system over plain memory, for the tests of this
 * folder and for the fuzzer's.
 *
 *   TMP/secret                         outside
 *   TMP/root -> /                      beneath it also /tmp and /dev
 *       hello    "hello, host\n"       sub/{a,b}    work/inner    empty/
 *       in -> hello    out -> /hello   up -> ../secret   abs -> TMP/secret
 *   TMP/script/main.wasm -> /script
 *
 * The memory ends where no page is.
 */
#ifndef SANDBOX_WASM_WASI_WASI_TEST_H
#define SANDBOX_WASM_WASI_WASI_TEST_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/count_test.h"
#include "sandbox/wasm/wasi/wasi.h"

#define PAGE 4096u
#ifndef MEMORY_BYTES
#define MEMORY_BYTES (16u << 20)
#endif
#define FILES_MAX  16u
#define DISK_BYTES (1u << 20)

/* Of $errno in typenames.witx. */
enum {
    OK = 0,
    AGAIN = 6,
    BADF = 8,
    EXIST = 20,
    FAULT = 21,
    FBIG = 22,
    INVAL = 28,
    IO = 29,
    ISDIR = 31,
    LOOP = 32,
    MFILE = 33,
    NAMETOOLONG = 37,
    NODEV = 43,
    NOENT = 44,
    NOSPC = 51,
    NOTDIR = 54,
    NOTEMPTY = 55,
    NOTSOCK = 57,
    NOTSUP = 58,
    PIPED = 64,
    ROFS = 69,
    SEEKS = 70,
    XDEV = 75,
    NOTCAPABLE = 76,
};

/* Where calls put their results, and tests their arguments. */
enum { RESULT = 64, VECTOR = 1024, NAME = 8192, OTHER = 16384, DATA = 65536 };

#define RIGHT(bit) (1ull << (bit))
#define READ       (RIGHT(1) | RIGHT(2) | RIGHT(14))
#define WRITE      (RIGHT(6) | RIGHT(8) | RIGHT(22))

static struct {
    char tmp[64];
    uint8_t *bytes; /* with a guard behind */
    struct wasi_memory memory;
    struct wasi *wasi;
    struct wasi_config config;
    char root[96], script[96];
    char said[512];
    size_t said_bytes;
    int output_code, wait_code; /* negative: what they return */
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

    must(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static inline void make_host(void)
{
    static const char *const dirs[] = {"root",      "root/sub", "root/empty",
                                       "root/work", "root/tmp", "script"};

    snprintf(t.tmp, sizeof(t.tmp), "/tmp/wasi-test-XXXXXX");
    must(mkdtemp(t.tmp) != NULL && chmod(t.tmp, 0755) == 0);
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        must(mkdir(host(dirs[i]), 0755) == 0);
    host_write("secret", "the secret");
    host_write("root/hello", "hello, host\n");
    host_write("root/sub/a", "a");
    host_write("root/sub/b", "b");
    host_write("root/work/inner", "inner");
    host_write("script/main.wasm", "wasm");
    must(symlink("hello", host("root/in")) == 0);
    must(symlink("/hello", host("root/out")) == 0);
    must(symlink("../secret", host("root/up")) == 0);
    must(symlink(host("secret"), host("root/abs")) == 0);
    must(symlink("../hello", host("root/work/outside")) == 0);
}

static inline int remove_one(const char *path, const struct stat *st, int type,
                             struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline int say(void *context, int stream, const void *text, size_t bytes)
{
    (void)context;
    if (t.output_code < 0)
        return t.output_code;
    if (t.said_bytes + bytes + 2 < sizeof(t.said))
        t.said_bytes += (size_t)snprintf(
            t.said + t.said_bytes, sizeof(t.said) - t.said_bytes, "%d%.*s",
            stream, (int)bytes, (const char *)text);
    return 0;
}

static inline int wait_here(void *context, struct pollfd *fds, unsigned count,
                            uint64_t until_ns)
{
    uint64_t now = clock_now_ns();
    struct timespec left = clock_timespec(until_ns > now ? until_ns - now : 0);

    (void)context;
    must(count <= 3 && fds != NULL);
    if (t.wait_code < 0)
        return t.wait_code;
    return ppoll(fds, count, until_ns != 0 ? &left : NULL, NULL);
}

static inline void make_memory(void)
{
    t.bytes = mmap(NULL, MEMORY_BYTES + PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(t.bytes != MAP_FAILED);
    must(mprotect(t.bytes + MEMORY_BYTES, PAGE, PROT_NONE) == 0);
    t.memory = (struct wasi_memory){t.bytes, MEMORY_BYTES};
}

static const char *const test_argv[] = {"program", "", "two", NULL};
static const char *const test_envp[] = {"A=1", NULL};

static inline void make_config(void)
{
    snprintf(t.root, sizeof(t.root), "%s/root", t.tmp);
    snprintf(t.script, sizeof(t.script), "%s/script", t.tmp);
    t.config = (struct wasi_config){.argv = test_argv,
                                    .envp = test_envp,
                                    .output = say,
                                    .folder = t.script,
                                    .root = t.root,
                                    .working_dir = "/work",
                                    .disk_bytes = DISK_BYTES,
                                    .files_max = FILES_MAX,
                                    .wait = wait_here};
    t.said_bytes = 0;
    t.said[0] = '\0';
    t.output_code = t.wait_code = 0;
}

static inline void open_wasi(void)
{
    must(wasi_open(&t.wasi, &t.config, NULL) == 0);
}

/* With other settings: change t.config, then this. */
static inline void open_again(void)
{
    wasi_close(t.wasi);
    open_wasi();
}

static inline int set_up(void **state)
{
    (void)state;
    make_memory();
    t.fds = count_open_files();
    make_host();
    make_config();
    open_wasi();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    wasi_close(t.wasi);
    t.wasi = NULL;
    must(count_open_files() == t.fds);
    must(nftw(t.tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    munmap(t.bytes, MEMORY_BYTES + PAGE);
    return 0;
}

#define ARGUMENTS_MAX 9u

/* An i32 has anything in its upper half. */
static inline uint32_t call_it(const char *name, const uint64_t *given,
                               size_t count)
{
    const struct wasi_function *function = wasi_find(name);
    uint64_t arguments[ARGUMENTS_MAX] = {0};

    must(function != NULL && strlen(function->parameters) == count);
    for (size_t i = 0; i < count; i++)
        arguments[i] = function->parameters[i] == 'I'
                           ? given[i]
                           : (given[i] & UINT32_MAX) | 0xdeadull << 32;
    return function->call(t.wasi, &t.memory, arguments);
}

#define CALL(name, ...)                                                        \
    call_it(#name, (const uint64_t[]){__VA_ARGS__},                            \
            sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static inline uint32_t u32_at(uint64_t at)
{
    uint32_t value;

    must(at + sizeof(value) <= MEMORY_BYTES);
    memcpy(&value, t.bytes + at, sizeof(value));
    return value;
}

static inline uint64_t u64_at(uint64_t at)
{
    uint64_t value;

    must(at + sizeof(value) <= MEMORY_BYTES);
    memcpy(&value, t.bytes + at, sizeof(value));
    return value;
}

static inline void put_u32(uint64_t at, uint32_t value)
{
    must(at + sizeof(value) <= MEMORY_BYTES);
    memcpy(t.bytes + at, &value, sizeof(value));
}

static inline void put_u64(uint64_t at, uint64_t value)
{
    must(at + sizeof(value) <= MEMORY_BYTES);
    memcpy(t.bytes + at, &value, sizeof(value));
}

static inline uint32_t put_text(uint64_t at, const char *text)
{
    size_t bytes = strlen(text);

    must(at + bytes <= MEMORY_BYTES);
    memcpy(t.bytes + at, text, bytes);
    return (uint32_t)bytes;
}

/* One piece of memory, as a vector. */
static inline void put_piece(uint32_t at, uint32_t bytes)
{
    put_u32(VECTOR, at);
    put_u32(VECTOR + 4, bytes);
}

static inline uint32_t try_open(uint32_t dir, const char *path, uint32_t oflags,
                                uint64_t rights)
{
    uint32_t bytes = put_text(NAME, path);

    return CALL(path_open, dir, 1, NAME, bytes, oflags, rights, 0, 0, RESULT);
}

/* At the position, or where the file is: -1.  The errno is returned as -errno.
 */
static inline int64_t write_text(uint32_t fd, const char *text, int64_t at)
{
    uint32_t bytes = put_text(DATA, text), rc;

    put_piece(DATA, bytes);
    rc = at < 0 ? CALL(fd_write, fd, VECTOR, 1, RESULT)
                : CALL(fd_pwrite, fd, VECTOR, 1, (uint64_t)at, RESULT);
    return rc == OK ? (int64_t)u32_at(RESULT) : -(int64_t)rc;
}

static inline int64_t read_some(uint32_t fd, uint32_t bytes, int64_t at)
{
    uint32_t rc;

    memset(t.bytes + DATA, 0, 256);
    put_piece(DATA, bytes);
    rc = at < 0 ? CALL(fd_read, fd, VECTOR, 1, RESULT)
                : CALL(fd_pread, fd, VECTOR, 1, (uint64_t)at, RESULT);
    return rc == OK ? (int64_t)u32_at(RESULT) : -(int64_t)rc;
}

#endif
