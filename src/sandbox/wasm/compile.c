/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "sandbox/wasm/artefact.h"
#include "sandbox/wasm/compile.h"

#define COMPILE_NS 600000000000ull
#define SHOW_MS    250

/* On a processor of 2024, for a module with a region. */
#define LIKELY_NS          100000000ull
#define LIKELY_NS_PER_BYTE 60000ull
#define SAID_BYTES         400u

/* As glovebox-wasmc exits. */
#define EXIT_MODULE   1
#define EXIT_COMPILER 69

/* A folder that only the compiler and we know. */
struct folder {
    char path[4096];
    int fd;
};

static void name_it(char name[64], const uint8_t *module, size_t bytes)
{
    XXH128_hash_t hash = XXH3_128bits(module, bytes);

    snprintf(name, 64, "%016llx%016llx-%u.gbx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64, WASM_ARTEFACT_VERSION);
}

int compile_find(const uint8_t *module, size_t bytes,
                 const struct compile_how *how)
{
    char name[64];
    int fd;

    if (how->cache_fd < 0)
        return -1;
    name_it(name, module, bytes);
    fd = openat(how->cache_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0)
        futimens(fd, NULL); /* used now: the oldest go first */
    return fd;
}

int compile_write(int to, int from)
{
    struct stat st;

    if (fstat(from, &st) < 0)
        return -1;
    for (off_t off = 0; off < st.st_size;) {
        ssize_t n = sendfile(to, from, &off, (size_t)(st.st_size - off));

        if (n <= 0 && errno != EINTR)
            return -1;
    }
    return 0;
}

int compile_copy(int fd)
{
    auto_fd int memory = memfd_create("glovebox-module", MFD_CLOEXEC);

    if (memory < 0 || compile_write(memory, fd) < 0)
        return -1;
    return steal_fd(&memory);
}

/* Whole or not at all: it is written under another name first. */
static void keep(const uint8_t *module, size_t bytes, int fd, int cache_fd)
{
    char name[64], draft[96];
    auto_fd int to = -1;

    if (cache_fd < 0)
        return;
    name_it(name, module, bytes);
    snprintf(draft, sizeof(draft), ".%s.%d", name, getpid());
    to = openat(cache_fd, draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return;
    if (compile_write(to, fd) < 0 ||
        renameat(cache_fd, draft, cache_fd, name) < 0)
        unlinkat(cache_fd, draft, 0);
}

static int make_folder(struct folder *folder, struct gbx_error *err)
{
    const char *base = secure_getenv("TMPDIR");

    if (base == NULL || base[0] != '/')
        base = "/tmp";
    folder->fd = -1;
    if ((size_t)snprintf(folder->path, sizeof(folder->path),
                         "%s/glovebox-XXXXXX", base) >= sizeof(folder->path) ||
        mkdtemp(folder->path) == NULL) {
        folder->path[0] = '\0';
        return fail(err, GBX_EHOST, "a folder to compile in, below %s: %s",
                    base, strerrordesc_np(errno));
    }
    folder->fd = open(folder->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return folder->fd < 0 ? fail(err, GBX_EHOST, "%s", folder->path) : 0;
}

static void remove_folder(struct folder *folder)
{
    static const char *const names[] = {"module.wasm", "plain.wasm", "plain.c",
                                        "plain.h",     "wasm-rt.h",  "source.c",
                                        "said",        "module.gbx"};

    for (size_t i = 0; folder->fd >= 0 && i < sizeof(names) / sizeof(*names);
         i++)
        unlinkat(folder->fd, names[i], 0);
    close_fd(&folder->fd);
    if (folder->path[0] != '\0')
        rmdir(folder->path);
}

static int put_module(const struct folder *folder, const uint8_t *module,
                      size_t bytes, struct gbx_error *err)
{
    auto_fd int fd = openat(folder->fd, "module.wasm",
                            O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    for (size_t done = 0; fd >= 0 && done < bytes;) {
        ssize_t n = write(fd, module + done, bytes - done);

        if (n < 0 && errno != EINTR)
            return fail(err, GBX_EHOST, "%s/module.wasm", folder->path);
        done += n > 0 ? (size_t)n : 0;
    }
    return fd < 0 ? fail(err, GBX_EHOST, "%s/module.wasm", folder->path) : 0;
}

/* Nothing of this process's is the compiler's, but a pipe for complaints. */
static int spawn(pid_t *child, const char *program, char *folder,
                 int complaints)
{
    static char name[] = "glovebox-wasmc";
    static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
    char *const envp[] = {path, NULL};
    char *const argv[] = {name, folder, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    int rc;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    rc = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, 0, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, complaints, 2);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(&files, 3);
    if (rc == 0)
        rc = posix_spawn(child, program, &files, &how, argv, envp);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    return rc;
}

/* How far it is, who wants to know. */
struct progress {
    const struct compile_how *how;
    const char *path;
    uint64_t begin_ns, likely_ns;
};

static void show(const struct progress *progress, unsigned permille)
{
    const struct compile_how *how = progress->how;

    if (how->progress != NULL)
        how->progress(how->progress_context, progress->path, permille);
}

static void show_likely(const struct progress *progress)
{
    uint64_t took_ns = clock_now_ns() - progress->begin_ns;
    uint64_t permille = took_ns / (progress->likely_ns / 1000);

    show(progress, permille < 999 ? (unsigned)permille : 999);
}

/* Until the compiler has ended.  Returns 0 or GBX_ETIME. */
static int hear(int fd, char said[SAID_BYTES], const struct progress *progress)
{
    const uint64_t until_ns = progress->begin_ns + COMPILE_NS;
    size_t count = 0;
    char rest[256];

    said[0] = '\0';
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        bool fits = count < SAID_BYTES - 1;
        ssize_t n;

        if (poll(&p, 1, SHOW_MS) == 0) {
            if (clock_is_past(until_ns))
                return GBX_ETIME;
            show_likely(progress);
            continue;
        }
        n = read(fd, fits ? said + count : rest,
                 fits ? SAID_BYTES - 1 - count : sizeof(rest));
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return 0;
        if (fits && n > 0)
            count += (size_t)n;
        said[count] = '\0';
    }
}

/* One line. */
static void trim(char *said)
{
    said[strcspn(said, "\n")] = '\0';
}

static int judge(int status, const char *said, struct gbx_error *err)
{
    if (!WIFEXITED(status))
        return fail(err, GBX_EHOST, "the compiler of modules was killed");
    switch (WEXITSTATUS(status)) {
    case 0:
        return 0;
    case EXIT_MODULE:
        return fail(err, GBX_ELOAD, "%s", said);
    case EXIT_COMPILER:
        return fail(err, GBX_EUNSUPPORTED,
                    "%s; or compile it elsewhere: glovebox build x.wasm "
                    "-o x.gbx",
                    said);
    default:
        return fail(err, GBX_EHOST, "the compiler of modules failed: %s", said);
    }
}

static int run(struct folder *folder, const struct progress *progress,
               struct gbx_error *err)
{
    auto_fd int in = -1, out = -1;
    char program[4096], said[SAID_BYTES];
    pid_t child = 0;
    int pipe_fds[2], status = 0, rc;

    snprintf(program, sizeof(program), "%s/glovebox-wasmc",
             progress->how->libexec_dir);
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return fail(err, GBX_EHOST, "a pipe");
    in = pipe_fds[0];
    out = pipe_fds[1];
    errno = spawn(&child, program, folder->path, out);
    if (errno != 0)
        return fail(err, GBX_EFILE, "%s; is Glovebox installed?", program);
    close_fd(&out);
    rc = hear(in, said, progress);
    if (rc < 0)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) /* the embedder was faster */
            break;
    if (rc < 0)
        return fail(err, rc, "it took longer than %llu s to compile",
                    COMPILE_NS / 1000000000u);
    trim(said);
    return judge(status, said, err);
}

int compile(const char *path, const uint8_t *module, size_t bytes,
            const struct compile_how *how, struct gbx_error *err)
{
    const struct progress progress = {how, path, clock_now_ns(),
                                      LIKELY_NS + bytes * LIKELY_NS_PER_BYTE};
    struct folder folder;
    auto_fd int fd = -1;
    int rc = make_folder(&folder, err);

    if (rc == 0)
        rc = put_module(&folder, module, bytes, err);
    if (rc == 0)
        rc = run(&folder, &progress, err);
    if (rc == 0) {
        fd = openat(folder.fd, "module.gbx", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            rc = fail(err, GBX_EHOST, "the compiler made no artefact");
    }
    remove_folder(&folder);
    show(&progress, 1000);
    if (rc < 0)
        return rc;
    keep(module, bytes, fd, how->cache_fd);
    return steal_fd(&fd);
}
