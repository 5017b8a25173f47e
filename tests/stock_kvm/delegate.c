/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delegate.c - delegate PROGRAM [ARGUMENT...]: as a service manager starts a
 * service that may have cgroups of its own (v2): in a leaf, beside which it may
 * make others, and the folder above marked as delegated.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ROOT "/sys/fs/cgroup"
#define OURS ROOT "/service"
#define LEAF OURS "/leaf"

static void fail(const char *what)
{
    fprintf(stderr, "delegate: %s: %s\n", what, strerror(errno));
    exit(125);
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        fail(path);
    close(fd);
}

static void make(const char *path)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        fail(path);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 125;
    put(ROOT "/cgroup.subtree_control", "+memory +pids");
    make(OURS);
    make(LEAF);
    put(LEAF "/cgroup.procs", "0");
    if (setxattr(OURS, "trusted.delegate", "1", 1, 0) < 0)
        fail("mark " OURS);
    execv(argv[1], argv + 1);
    fail(argv[1]);
}
