/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/proc.h"
#include "sandbox/microvm/linux/space/space.h"

#define PATHS_MAX 1024u /* in one text; each may be of PATH_MAX steps */

#define KIB(pages) ((pages) * (SPACE_PAGE_BYTES / 1024ull))

static int maps(void *context, struct text *text)
{
    const struct kernel *kernel = context;
    const struct space *space = &kernel->space;
    struct node *last = NULL;
    char path[PATH_MAX] = "";
    uint32_t paths = 0;
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < space->area_count; i++) {
        const struct area *area = &space->areas[i];
        struct node *node = area->file != NULL ? area->file->node : NULL;
        const char *name = area->name != NULL ? area->name : "";

        if (node != NULL && node != last) {
            last = node;
            if (paths++ >= PATHS_MAX ||
                node_path(node, path, sizeof(path)) <= 0)
                path[0] = '\0';
        }
        if (node != NULL && path[0] != '\0')
            name = path;
        rc = text_add(
            text,
            "%" PRIx64 "-%" PRIx64 " %c%c%c%c %08" PRIx64 " 00:00 0%s%s\n",
            area->start, area->end, (area->access & TABLES_READ) ? 'r' : '-',
            (area->access & TABLES_WRITE) ? 'w' : '-',
            (area->access & TABLES_EXEC) ? 'x' : '-',
            area->kind >= AREA_SHARED ? 's' : 'p',
            area->file != NULL ? area->off : 0, *name != '\0' ? "  " : "",
            name);
    }
    return rc;
}

static int cmdline(void *context, struct text *text)
{
    const struct kernel *kernel = context;

    return text_add_bytes(text, kernel->arguments, kernel->argument_bytes);
}

static int environ_text(void *context, struct text *text)
{
    const struct kernel *kernel = context;

    return text_add_bytes(text, kernel->environment, kernel->environment_bytes);
}

static const char *name_of(const struct kernel *kernel)
{
    return kernel->current != NULL ? kernel->current->name : "guest";
}

static int comm(void *context, struct text *text)
{
    return text_add(text, "%s\n", name_of(context));
}

static int status(void *context, struct text *text)
{
    const struct kernel *kernel = context;
    uint64_t used = KIB(kernel->space.charged + kernel->space.file_pages);

    return text_add(text,
                    "Name:\t%s\nUmask:\t%04o\nState:\tR (running)\n"
                    "Tgid:\t%d\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n"
                    "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n"
                    "VmPeak:\t%8" PRIu64 " kB\nVmSize:\t%8" PRIu64 " kB\n"
                    "VmHWM:\t%8" PRIu64 " kB\nVmRSS:\t%8" PRIu64 " kB\n"
                    "Threads:\t%u\nCpus_allowed:\t1\nCpus_allowed_list:\t0\n",
                    name_of(kernel), kernel->umask, kernel->pid, kernel->pid,
                    KERNEL_PID - 1, kernel->uid, kernel->uid, kernel->uid,
                    kernel->uid, kernel->gid, kernel->gid, kernel->gid,
                    kernel->gid, used, used, used, used, kernel->task_count);
}

static int stat_text(void *context, struct text *text)
{
    const struct kernel *kernel = context;
    uint64_t pages = kernel->space.charged + kernel->space.file_pages;

    return text_add(text,
                    "%d (%s) R %d %d %d 0 -1 0 0 0 0 0 %" PRIu64
                    " 0 0 0 20 0 %u 0 0 %" PRIu64 " %" PRIu64
                    " 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 "
                    "0 0 0 0 0 0 0 0 0 0\n",
                    kernel->pid, name_of(kernel), KERNEL_PID - 1, KERNEL_PID,
                    KERNEL_PID, kernel->ran_ns / 10000000u, kernel->task_count,
                    pages * SPACE_PAGE_BYTES, pages);
}

static int statm(void *context, struct text *text)
{
    const struct kernel *kernel = context;
    uint64_t pages = kernel->space.charged + kernel->space.file_pages;

    return text_add(text, "%" PRIu64 " %" PRIu64 " 0 0 0 %" PRIu64 " 0\n",
                    pages, pages, kernel->space.charged);
}

static int mounts(void *context, struct text *text)
{
    (void)context;
    return text_add(text, "glovebox / glovebox rw 0 0\nproc /proc proc ro 0 0\n"
                          "tmpfs /tmp tmpfs rw 0 0\n");
}

static int meminfo(void *context, struct text *text)
{
    const struct space *space = &((const struct kernel *)context)->space;
    uint64_t all = KIB(space->charged_max);
    uint64_t left = KIB(space->charged_max - space->charged);

    return text_add(text,
                    "MemTotal: %15" PRIu64 " kB\nMemFree: %16" PRIu64
                    " kB\nMemAvailable: %11" PRIu64
                    " kB\nBuffers:               0 kB\n"
                    "Cached:                0 kB\nSwapTotal:             0 kB\n"
                    "SwapFree:              0 kB\nCommitLimit: %12" PRIu64
                    " kB\nCommitted_AS: %11" PRIu64
                    " kB\nHugePages_Total:       0\nHugepagesize:       2048 "
                    "kB\n",
                    all, left, left, all, all - left);
}

static int cpuinfo(void *context, struct text *text)
{
    (void)context;
    return text_add(text, "processor\t: 0\nvendor_id\t: unknown\n"
                          "model name\t: Glovebox virtual CPU\n"
                          "cpu cores\t: 1\nsiblings\t: 1\n\n");
}

static int cpu_stat(void *context, struct text *text)
{
    const struct kernel *kernel = context;
    uint64_t ticks = kernel->ran_ns / 10000000u;

    return text_add(text,
                    "cpu  %" PRIu64 " 0 0 0 0 0 0 0 0 0\ncpu0 %" PRIu64
                    " 0 0 0 0 0 0 0 0 0\nctxt 0\nbtime %" PRIu64
                    "\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n",
                    ticks, ticks,
                    waker_now_ns(&kernel->waker, CLOCK_REALTIME) / 1000000000u);
}

static int uptime(void *context, struct text *text)
{
    const struct kernel *kernel = context;
    uint64_t ms = (clock_now_ns() - kernel->started_ns) / 1000000u;

    return text_add(text, "%" PRIu64 ".%02u 0.00\n", ms / 1000u,
                    (unsigned)(ms % 1000u / 10u));
}

/* Texts that never change. */
static const struct {
    const char *path, *text;
} constants[] = {
    {"/proc/version", "Linux version 6.1.0-glovebox\n"},
    {"/proc/loadavg", "0.00 0.00 0.00 1/1 2\n"},
    {"/proc/filesystems", "nodev\tproc\nnodev\ttmpfs\n"},
    {"/proc/self/oom_score_adj", "0\n"},
    {"/proc/self/cgroup", "0::/\n"},
    {"/proc/sys/kernel/osrelease", "6.1.0-glovebox\n"},
    {"/proc/sys/kernel/ostype", "Linux\n"},
    {"/proc/sys/kernel/hostname", "glovebox\n"},
    {"/proc/sys/kernel/pid_max", "32768\n"},
    {"/proc/sys/kernel/threads-max", "1024\n"},
    {"/proc/sys/kernel/cap_last_cap", "40\n"},
    {"/proc/sys/kernel/random/boot_id",
     "00000000-0000-4000-8000-000000000000\n"},
    {"/proc/sys/vm/overcommit_memory", "2\n"},
    {"/proc/sys/vm/max_map_count", "65530\n"},
    {"/proc/sys/fs/pipe-max-size", "65536\n"},
    {"/sys/devices/system/cpu/online", "0\n"},
    {"/sys/devices/system/cpu/possible", "0\n"},
    {"/sys/devices/system/cpu/present", "0\n"},
    {"/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n"},
};

static const struct {
    const char *path;
    tree_text_fn *fn;
} texts[] = {
    {"/proc/self/maps", maps},        {"/proc/self/cmdline", cmdline},
    {"/proc/self/comm", comm},        {"/proc/self/environ", environ_text},
    {"/proc/self/status", status},    {"/proc/self/stat", stat_text},
    {"/proc/self/statm", statm},      {"/proc/self/mounts", mounts},
    {"/proc/self/mountinfo", mounts}, {"/proc/meminfo", meminfo},
    {"/proc/cpuinfo", cpuinfo},       {"/proc/stat", cpu_stat},
    {"/proc/uptime", uptime},
};

int proc_add_pid(struct kernel *kernel)
{
    char number[32];

    snprintf(number, sizeof(number), "/proc/%d", kernel->pid);
    return tree_make_link(kernel->tree, number, "self");
}

int proc_build(struct kernel *kernel)
{
    struct tree *tree = kernel->tree;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(texts); i++)
        rc = tree_make_text(tree, texts[i].path, texts[i].fn, kernel);
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(constants); i++)
        rc = tree_make_file(tree, constants[i].path, constants[i].text,
                            strlen(constants[i].text), 0444);
    if (rc < 0 || (rc = proc_add_pid(kernel)) < 0 ||
        (rc = tree_make_link(tree, "/proc/thread-self", "self")) < 0 ||
        (rc = tree_make_link(tree, "/proc/mounts", "self/mounts")) < 0 ||
        (rc = tree_make_link(tree, "/proc/self/exe", kernel->program)) < 0 ||
        (rc = tree_make_link(tree, "/dev/fd", "/proc/self/fd")) < 0 ||
        (rc = tree_make_link(tree, "/dev/stdin", "/proc/self/fd/0")) < 0 ||
        (rc = tree_make_link(tree, "/dev/stdout", "/proc/self/fd/1")) < 0)
        return rc;
    return tree_make_link(tree, "/dev/stderr", "/proc/self/fd/2");
}
