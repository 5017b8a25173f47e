/* SPDX-License-Identifier: Apache-2.0 */
/* system.c - a program that tries its system (WASI): one thing for each name in
 * its arguments, and what came of it on a line. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void say(const char *what, int rc)
{
    printf("%s: %s\n", what, rc < 0 ? strerror(errno) : "ok");
}

static void try_open(const char *path, int flags)
{
    int fd = open(path, flags, 0644);

    printf("open %s: %s\n", path, fd < 0 ? strerror(errno) : "ok");
    if (fd >= 0)
        close(fd);
}

static void files(void)
{
    char text[16] = "";
    struct stat st;
    int fd = open("/tmp/one", O_RDWR | O_CREAT | O_EXCL, 0600);

    say("create", fd);
    say("write", write(fd, "abcdef", 6) == 6 ? 0 : -1);
    say("seek", lseek(fd, 2, SEEK_SET) == 2 ? 0 : -1);
    say("read", read(fd, text, 3) == 3 && strcmp(text, "cde") == 0 ? 0 : -1);
    say("pread", pread(fd, text, 2, 0) == 2 && text[0] == 'a' ? 0 : -1);
    say("pwrite", pwrite(fd, "XY", 2, 8) == 2 ? 0 : -1);
    say("stat", fstat(fd, &st));
    printf("%lld bytes\n", (long long)st.st_size);
    say("truncate", ftruncate(fd, 3));
    close(fd);
    say("mkdir", mkdir("/tmp/dir", 0700));
    say("rename", rename("/tmp/one", "/tmp/dir/two"));
    say("link", link("/tmp/dir/two", "/tmp/three"));
    say("symlink", symlink("dir/two", "/tmp/four"));
    say("stat", stat("/tmp/four", &st));
    printf("%lld bytes, %d links\n", (long long)st.st_size, (int)st.st_nlink);
    printf("%d characters of a link\n",
           (int)readlink("/tmp/four", text, sizeof(text)));
    say("rmdir", rmdir("/tmp/dir"));
    say("unlink", unlink("/tmp/dir/two"));
    say("rmdir", rmdir("/tmp/dir"));
    say("unlink", unlink("/tmp/four"));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(void)
{
    char *names[64];
    struct dirent *entry;
    int count = 0;
    DIR *dir;

    mkdir("/tmp/many", 0700);
    for (int i = 0; i < 40; i++) {
        char name[32];

        snprintf(name, sizeof(name), "/tmp/many/%02d-a-longer-name", i);
        close(open(name, O_WRONLY | O_CREAT, 0600));
    }
    dir = opendir("/tmp/many");
    while ((entry = readdir(dir)) != NULL && count < 64)
        if (entry->d_name[0] != '.')
            names[count++] = strdup(entry->d_name);
    closedir(dir);
    qsort(names, (size_t)count, sizeof(*names), by_name);
    printf("%d: %s to %s\n", count, names[0], names[count - 1]);
}

static void escape(void)
{
    try_open("/etc/shadow", O_RDONLY);
    try_open("/usr/bin/new", O_WRONLY | O_CREAT);
    try_open("../../etc/passwd", O_RDONLY);
    say("absolute link", symlink("/etc/passwd", "/tmp/absolute"));
    say("link out", symlink("../../../../../etc/passwd", "/tmp/out"));
    try_open("/tmp/out", O_RDONLY);
    try_open("/script/system.wasm", O_RDONLY);
    try_open("/script/system.wasm", O_WRONLY);
}

static void clocks(void)
{
    struct timespec before, after, nap = {.tv_nsec = 20000000};

    clock_gettime(CLOCK_MONOTONIC, &before);
    say("sleep", nanosleep(&nap, NULL));
    clock_gettime(CLOCK_MONOTONIC, &after);
    printf("slept: %s\n", (after.tv_sec - before.tv_sec) * 1000000000LL +
                                      after.tv_nsec - before.tv_nsec >=
                                  20000000
                              ? "ok"
                              : "too short");
    printf("now: %s\n", time(NULL) > 1700000000 ? "ok" : "long ago");
}

static void echo(void)
{
    char line[256];

    while (fgets(line, sizeof(line), stdin) != NULL)
        printf("> %s", line);
}

static void take_memory(void)
{
    size_t mebibytes = 0;

    for (volatile char *some; (some = malloc(1 << 20)) != NULL; mebibytes++)
        some[0] = 1;
    printf("%s\n", mebibytes > 10 ? "some memory" : "hardly any");
    fflush(stdout);
    abort();
}

static const struct {
    const char *name;
    void (*run)(void);
} tries[] = {
    {"files", files},   {"list", list}, {"escape", escape},
    {"clocks", clocks}, {"echo", echo}, {"memory", take_memory},
};

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        for (size_t j = 0; j < sizeof(tries) / sizeof(tries[0]); j++)
            if (strcmp(argv[i], tries[j].name) == 0)
                tries[j].run();
        if (strcmp(argv[i], "environ") == 0)
            for (char **e = environ; *e != NULL; e++)
                puts(*e);
        if (strcmp(argv[i], "spin") == 0)
            for (volatile int spin = 1; spin;)
                ;
        if (strcmp(argv[i], "sleep") == 0)
            sleep(1000);
        if (strcmp(argv[i], "fail") == 0)
            return fputs("it failed\n", stderr), 42;
    }
    return 0;
}
