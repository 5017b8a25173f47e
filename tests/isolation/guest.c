/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.c - a hostile guest program of many kinds: argv[1] says which.  It
 * tries what it should not be able to do, prints what it could, one line each,
 * and exits.  Static, so that it needs nothing of the root.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/futex.h>

#include "glovebox/abi/region.h"
#include "guest/lib/guest.h"
#include "tests/isolation/guest.h"

const char *guest_argument;

static void ring(void)
{
    uint64_t one = 1;

    (void)!write(GBX_FD_BELL, &one, sizeof(one));
}

static void list(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
            printf("%s/%s\n", strcmp(path, "/") == 0 ? "" : path,
                   entry->d_name);
    closedir(dir);
}

/* All but what is in /usr and the like. */
static int look(void)
{
    list("/");
    list("/etc");
    list("/dev");
    list("/tmp");
    list("/script");
    return 0;
}

/* Print what can be read of what is named. */
static int read_paths(void)
{
    char copy[4096], byte;

    snprintf(copy, sizeof(copy), "%s", guest_argument);
    for (char *path = strtok(copy, ":"); path; path = strtok(NULL, ":")) {
        int fd = open(path, O_RDONLY);

        if (fd >= 0 && read(fd, &byte, 1) == 1)
            printf("%s\n", path);
        close(fd);
    }
    return 0;
}

static int print_paths(void)
{
    char copy[4096], block[4096];
    ssize_t got;

    snprintf(copy, sizeof(copy), "%s", guest_argument);
    for (char *path = strtok(copy, ":"); path; path = strtok(NULL, ":")) {
        int fd = open(path, O_RDONLY);

        while (fd >= 0 && (got = read(fd, block, sizeof(block))) > 0)
            fwrite(block, 1, (size_t)got, stdout);
        close(fd);
    }
    return 0;
}

/* Print where a file can be made or an existing one be opened for writing. */
static int write_paths(void)
{
    static const char *const dirs[] = {
        "/",    "/usr",       "/usr/bin",   "/etc",    "/etc/alternatives",
        "/dev", "/usr/local", "/.glovebox", "/script", "/tmp",
        "/lib", "/bin",       "/dev/shm",
    };
    static const char *const files[] = {
        "/usr/bin/env",
        "/etc/passwd",
        "/etc/ld.so.cache",
        "/dev/null",
        "/.glovebox/gbx-test-guest",
        "/script/input.txt",
        "/script/fifo",
    };
    char path[64];

    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        snprintf(path, sizeof(path), "%s/made", dirs[i]);
        int fd = open(path, O_CREAT | O_WRONLY, 0600);

        if (fd >= 0)
            printf("%s\n", dirs[i]);
        close(fd);
        unlink(path);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        int fd = open(files[i], O_WRONLY | O_NONBLOCK);

        if (fd >= 0)
            printf("%s\n", files[i]);
        if (chmod(files[i], 0777) == 0)
            printf("chmod %s\n", files[i]);
        close(fd);
    }
    return 0;
}

/* Print what of what is named could be written to, or made. */
static int change_paths(void)
{
    char copy[4096];

    snprintf(copy, sizeof(copy), "%s", guest_argument);
    for (char *path = strtok(copy, ":"); path; path = strtok(NULL, ":")) {
        int fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_NONBLOCK, 0600);

        if (fd >= 0 && write(fd, "x", 1) == 1)
            printf("%s\n", path);
        close(fd);
    }
    return 0;
}

/* Write to two files in turn until there is no room; print how many KiB, and
 * how it ended. */
static int fill_paths(void)
{
    static char block[65536];
    const char *second = strchr(guest_argument, ':') + 1;
    char first[PATH_MAX];
    int fds[2], kib = 0;

    snprintf(first, sizeof(first), "%.*s", (int)(second - guest_argument - 1),
             guest_argument);
    fds[0] = open(first, O_CREAT | O_WRONLY, 0600);
    fds[1] = open(second, O_CREAT | O_WRONLY, 0600);
    for (int i = 0; write(fds[i % 2], block, sizeof(block)) > 0; i++)
        kib += 64;
    printf("%d %d\n", kib, errno);
    return 0;
}

/* Print what an ordinary program needs and could not have. */
static int ordinary(void)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        printf("socketpair %d\n", errno);
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
             -1, 0) == MAP_FAILED)
        printf("mmap %d\n", errno);
    if (fcntl(1, F_DUPFD_CLOEXEC, 20) != 20)
        printf("fcntl %d\n", errno);
    if (isatty(1) || errno != ENOTTY)
        printf("isatty %d\n", errno);
    if (open("/dev/null", O_WRONLY | O_TRUNC) < 0)
        printf("null %d\n", errno);
    if (open("/dev/shm/sem", O_CREAT | O_RDWR, 0600) < 0)
        printf("shm %d\n", errno);
    if (mkdir("/tmp/a", 0700) || mkdir("/tmp/b", 0700) ||
        close(open("/tmp/a/f", O_CREAT | O_WRONLY, 0600)) ||
        rename("/tmp/a/f", "/tmp/b/f"))
        printf("rename %d\n", errno);
    return 0;
}

/* The same of what needs another process. */
static int children(void)
{
    int status = 0;
    pid_t pid;

    if ((pid = fork()) == 0)
        _exit(7);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 7)
        printf("fork %d\n", errno);
    if ((pid = vfork()) == 0) {
        execl("/usr/bin/env", "env", "true", NULL);
        _exit(8);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 0)
        printf("vfork %d\n", errno);
    return 0;
}

static int who(void)
{
    struct rlimit core;
    char host[64];
    gid_t groups[8];
    struct __user_cap_header_struct head = {.version =
                                                _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[2] = {0};
    int caps = 0, fds = 0;

    syscall(SYS_capget, &head, held);
    for (int i = 0; i < 2; i++)
        caps += __builtin_popcount(held[i].effective | held[i].permitted |
                                   held[i].inheritable);
    for (int i = 0; i < 64; i++)
        caps += prctl(PR_CAPBSET_READ, i) == 1;
    for (int i = 0; i < 4096; i++)
        fds += fcntl(i, F_GETFD) >= 0;
    getrlimit(RLIMIT_CORE, &core);
    gethostname(host, sizeof(host));
    printf("uid %u gid %u groups %d pid %d ppid %d host %s\n", getuid(),
           getgid(), getgroups(8, groups), getpid(), getppid(), host);
    printf("caps %d nnp %d seccomp %d fds %d core %llu\n", caps,
           prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
           (int)prctl(PR_GET_SECCOMP, 0, 0, 0, 0), fds,
           (unsigned long long)core.rlim_cur);
    return 0;
}

/* Signals as a new program expects them; nothing left to read on stdin. */
static int born(void)
{
    struct sigaction action;
    sigset_t mask;
    char byte;
    int odd = 0;

    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int i = 1; i < 32; i++) {
        sigaction(i, NULL, &action);
        odd += action.sa_handler != SIG_DFL || sigismember(&mask, i);
    }
    printf("odd signals %d, stdin %zd, argument %s, VARIABLE %s\n", odd,
           read(0, &byte, 1), guest_argument, getenv("VARIABLE"));
    return 0;
}

/* Print the processes that can be seen, and those that can be killed. */
static int others(void)
{
    for (pid_t pid = 1; pid < 65536; pid++)
        if (pid != getpid() && kill(pid, 0) == 0)
            printf("%d\n", pid);
    kill(1, SIGKILL);
    kill(1, SIGTERM);
    usleep(50000);
    printf("still here\n");
    return 0;
}

static int end(void)
{
    int number = atoi(guest_argument + 1);

    if (guest_argument[0] == 's')
        kill(getpid(), number);
    printf("last words\n");
    fflush(stdout);
    _exit(number);
}

static int close_all(void)
{
    close_range(0, ~0u, 0);
    pause();
    return 0;
}

/* Leaves a child that outlives it. */
static int orphan(void)
{
    if (fork() == 0) {
        setsid();
        pause();
    }
    return 3;
}

/* The bell is the guest's, to do with as it likes. */
static int spoil_bell(void)
{
    uint64_t much = UINT64_MAX - 1, count;

    for (int i = 0; i < 200000; i++) {
        fcntl(GBX_FD_BELL, F_SETFL, O_NONBLOCK);
        ring();
        (void)!read(GBX_FD_BELL, &count, sizeof(count));
        fcntl(GBX_FD_BELL, F_SETFL, 0);
    }
    (void)!write(GBX_FD_BELL, &much, sizeof(much));
    pause();
    return 0;
}

/* Memory far apart that is new, and zero; some of it goes again at once. */
static void scatter(unsigned blocks)
{
    const size_t bytes = 16 * 4096, apart = 4u << 20;

    for (unsigned i = 0; i < blocks; i++) {
        char *want = (char *)0x100000000000 + i * apart;
        char *at =
            mmap(want, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

        if (at != want)
            _exit(3);
        for (size_t off = 0; off < bytes; off += 4096) {
            if (at[off + i] != 0)
                _exit(4);
            at[off + i] = 1;
        }
        if (i % 5 == 0)
            munmap(at, bytes / 2);
        if (i % 5 == 1)
            mprotect(at, bytes, PROT_READ);
    }
}

/* Ring for each ring, and scatter memory once before it. */
static int scatter_once(void)
{
    const struct gbx_half_head *host =
        mmap(NULL, 4096, PROT_READ, MAP_SHARED, GBX_FD_HOST_HALF, 0);
    uint32_t seen, turn = 0;

    if (host == MAP_FAILED)
        return 1;
    seen = host->bell;
    ring();
    for (;;) {
        while (host->bell == seen)
            syscall(SYS_futex, &host->bell, FUTEX_WAIT, seen, NULL, NULL, 0);
        seen = host->bell;
        if (++turn == 2) /* the first one comes before the template */
            scatter((unsigned)atoi(guest_argument));
        ring();
    }
}

/* Ring for each ring, as long as it takes; tells what was in the region. */
static int echo(void)
{
    struct gbx_half_head *host, *guest;
    uint32_t seen;

    host = mmap(NULL, 4096, PROT_READ, MAP_SHARED, GBX_FD_HOST_HALF, 0);
    guest = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
                 GBX_FD_GUEST_HALF, 0);
    if (host == MAP_FAILED || guest == MAP_FAILED)
        return 1;
    printf("copied_bytes %llu\n", (unsigned long long)guest->copied_bytes);
    fflush(stdout);
    guest->copied_bytes = 77;
    seen = host->bell;
    ring();
    for (;;) {
        while (host->bell == seen)
            syscall(SYS_futex, &host->bell, FUTEX_WAIT, seen, NULL, NULL, 0);
        seen = host->bell;
        ring();
    }
}

/* Has the kernel write wherever its half exists, until that is everywhere. */
static int reach(void)
{
    struct gbx_half_head *head =
        mmap(NULL, 4096, PROT_READ, MAP_SHARED, GBX_FD_GUEST_HALF, 0);
    uint64_t bytes = head == MAP_FAILED ? 0 : head->half_bytes;
    char *half = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                      GBX_FD_GUEST_HALF, 0);

    if (half == MAP_FAILED)
        return 1;
    ring();
    for (uint64_t at = GBX_ARENA_OFF; at < bytes;)
        if (syscall(SYS_clock_gettime, 0, half + at) == 0)
            at += 1 << 20;
        else if (errno != EFAULT)
            return 2;
    return 6;
}

/* What is read-only stays so. */
static int host_half(void)
{
    if (mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, GBX_FD_HOST_HALF, 0) !=
        MAP_FAILED)
        printf("mapped\n");
    if (write(GBX_FD_HOST_HALF, "x", 1) == 1)
        printf("written\n");
    if (open("/proc/self/fd/3", O_RDWR) >= 0 || open("/dev/fd/3", O_RDWR) >= 0)
        printf("opened anew\n");
    return 0;
}

static _Noreturn int hang(void)
{
    for (;;)
        pause();
}

static const struct guest_kind kinds[] = {
    {"look", look},
    {"read", read_paths},
    {"print", print_paths},
    {"write", write_paths},
    {"change", change_paths},
    {"fill", fill_paths},
    {"ordinary", ordinary},
    {"children", children},
    {"who", who},
    {"born", born},
    {"others", others},
    {"end", end},
    {"close_all", close_all},
    {"orphan", orphan},
    {"spoil_bell", spoil_bell},
    {"echo", echo},
    {"scatter", scatter_once},
    {"reach", reach},
    {"host_half", host_half},
    {"hang", hang},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    static const struct guest_kind *const all[] = {
        kinds,         guest_calls,    guest_limits,
        guest_machine, guest_siblings, guest_threads};

    if (gbx_guest_is_template())
        gbx_guest_multiply();
    guest_argument = argc > 2 ? argv[2] : "";
    for (size_t i = 0; argc > 1 && i < sizeof(all) / sizeof(all[0]); i++)
        for (const struct guest_kind *kind = all[i]; kind->name != NULL; kind++)
            if (strcmp(kind->name, argv[1]) == 0)
                return kind->run();
    return 99;
}
