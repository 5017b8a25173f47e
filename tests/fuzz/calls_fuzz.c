/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls_fuzz.c - a guest that makes any system calls in any order, with any
 * registers, memory, faults and turns of its tasks; without a processor.
 *
 *   input: steps of  kind (1 byte, high bits: check) | what it takes
 *
 * Arguments are drawn from what calls may like: descriptors, addresses in
 * scratch memory, answers of earlier calls, flags, limits and beyond.  It is
 * checked that
 *  - accounts, areas and page tables agree (check_kernel of linux_test.h);
 *  - nothing but the guest's frames and the region is mapped;
 *  - no call takes long;
 *  - in the end all frames are free, and the host has no descriptor more.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "base/count_test.h"
#include "sandbox/microvm/linux/linux_test.h"
#include "sandbox/microvm/linux/proc.h"

#define RESULTS  8u
#define STEPS    400
#define SLOW_NS  1500000000u /* of CPU time, with sanitizers */
#define START_NS 1000000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at, *end;
static uint64_t results[RESULTS];
static unsigned result_count;
static uint64_t clock_ns; /* 0: the real one */
static int host = -1;
static char folder[] = "/tmp/calls-fuzz-XXXXXX";

int clock_gettime(clockid_t clock, struct timespec *t)
{
    /* The fuzzer itself looks at the real time. */
    if (clock_ns == 0 || clock != CLOCK_MONOTONIC)
        return (int)syscall(SYS_clock_gettime, clock, t);
    t->tv_sec = (time_t)(clock_ns / 1000000000u);
    t->tv_nsec = (long)(clock_ns % 1000000000u);
    return 0;
}

static uint8_t next(void)
{
    return at < end ? *at++ : 0;
}

static uint64_t next_bytes(unsigned count)
{
    uint64_t value = 0;

    while (count-- > 0)
        value = value << 8 | next();
    return value;
}

static uint64_t flags(void)
{
    static const uint64_t some[] = {
        MAP_PRIVATE | MAP_ANONYMOUS,
        MAP_SHARED,
        MAP_PRIVATE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
        MAP_SHARED | MAP_FIXED,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
        PROT_READ | PROT_WRITE,
        PROT_READ | PROT_EXEC,
        (uint64_t)AT_FDCWD,
        O_CREAT | O_RDWR,
        O_RDWR,
        O_TMPFILE | O_RDWR,
        0x50f00,                        /* a thread */
        0x50f00 | 0x80000 | 0x100000,   /* TLS, its tid told */
        0x50f00 | 0x200000 | 0x1000000, /* and cleared */
        MREMAP_MAYMOVE,
        MREMAP_MAYMOVE | MREMAP_FIXED,
        MADV_DONTNEED,
        22,
        23,
        128 | 9, /* futexes */
        AT_EMPTY_PATH,
        AT_SYMLINK_NOFOLLOW,
        SA_RESTART | 0x04000000,
        SA_ONSTACK | 0x04000000,
        O_NONBLOCK,
        O_CLOEXEC,
        F_DUPFD,
        8, /* bytes of a set of signals */
        24,
        2048,
        INT64_MAX,
    };

    return some[next() % ARRAY_SIZE(some)];
}

static uint64_t argument(void)
{
    uint8_t kind = next();

    switch (kind % 18) {
    case 0:
    case 1:
        return next() % 12;
    case 2:
        return next();
    case 3:
    case 4:
        return SCRATCH + next() * 16u;
    case 5:
        return SCRATCH + next() % 65 * PAGE;
    case 6:
    case 7:
        return results[next() % RESULTS];
    case 8:
        return results[next() % RESULTS] +
               (uint64_t)((int64_t)(int8_t)next() * (int64_t)PAGE);
    case 9:
        return next() * PAGE;
    case 10:
        return 1ull << next() % 64;
    case 11:
        return (1ull << next() % 64) - 1;
    case 12:
        return (uint64_t)(int64_t)(int8_t)next();
    case 13:
        return next_bytes(2);
    case 14:
        return next_bytes(8);
    case 15:
        return TABLES_USER_END +
               (uint64_t)((int64_t)(int8_t)next() * (int64_t)PAGE);
    default:
        return flags();
    }
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool can_call(void)
{
    return kernel->current != NULL && kernel->current->status == TASK_READY &&
           !kernel->current->in_call;
}

static void make_call(void)
{
    struct kvm_regs *regs = &rig.regs;
    uint64_t began, number = next_bytes(2) % 512;

    if (!can_call())
        return;
    while (calls_find(number) == NULL || calls_find(number)->fn == NULL)
        number = (number + 1) % 512;
    regs->rax = number;
    regs->rdi = argument(), regs->rsi = argument(), regs->rdx = argument();
    regs->r10 = argument(), regs->r8 = argument(), regs->r9 = argument();
    if (number == SYS_exit_group || (number == SYS_exit && next() % 8 != 0))
        return;
    began = cpu_ns();
    kernel_call(kernel);
    must(cpu_ns() - began < SLOW_NS);
    while (kernel->current != NULL && kernel->current->in_call &&
           kernel->current->wait.goes_on)
        kernel_resume(kernel);
    if (kernel->current != NULL && !kernel->current->in_call)
        results[result_count++ % RESULTS] = regs->rax;
}

static void write_words(void)
{
    uint64_t to = SCRATCH + next() * 16u, word;

    for (unsigned count = next() % 8; count > 0; count--, to += sizeof(word)) {
        word = argument();
        user_write(&kernel->space, to, &word, sizeof(word));
    }
}

static void write_bytes(void)
{
    uint64_t to = SCRATCH + next() * 16u;

    for (unsigned count = next() % 64; count > 0; count--) {
        uint8_t byte = next();

        user_write(&kernel->space, to++, &byte, 1);
    }
}

static void write_path(void)
{
    static const char *const paths[] = {
        "/tmp/a",    "/tmp/b",       "a",
        "",          "..",           "/host/hello",
        "/host",     "/host/no",     "/proc/self/maps",
        "/tmp",      "/tmp/l",       "/proc/self/fd/3",
        "/",         "/dev/fd/",     "/proc/self/cmdline",
        "/dev/zero", "/dev/urandom", "/proc/self/fd/0",
    };
    const char *path = paths[next() % ARRAY_SIZE(paths)];

    user_write(&kernel->space, SCRATCH + next() % 8 * 256u, path,
               strlen(path) + 1);
}

static void fault(void)
{
    unsigned vector = next() % 4 == 0 ? next() % 40 : 14, error = next() % 32;
    uint64_t address = argument();

    if (can_call())
        kernel_fault(kernel, vector, error, address);
}

static void set_registers(void)
{
    if (!can_call())
        return;
    rig.regs.rsp = argument();
    rig.regs.rip = argument();
    if (next() % 2 == 0)
        for (size_t i = 0; i < 256; i++)
            rig.xsave.region[i] = (uint32_t)next_bytes(1) * 0x01010101u;
}

static void step(uint8_t kind)
{
    switch (kind % 16) {
    default:
        make_call();
        break;
    case 8:
        write_words();
        break;
    case 9:
        write_bytes();
        break;
    case 10:
        write_path();
        break;
    case 11:
        fault();
        break;
    case 12:
        clock_ns += next_bytes(1) << next() % 40;
        break;
    case 13:
        set_registers();
        break;
    case 14:
        kernel->fresh_slice = true;
        break;
    case 15:
        futex_wake_word(kernel, HALVES_AT + next() * 4u);
        break;
    }
    if (!kernel->ended &&
        (!can_call() || kernel->stirred || kernel->fresh_slice))
        turn(clock_ns);
    if ((kind & 0xe0) == 0xe0)
        check_kernel();
}

static void remove_folder(void)
{
    unlinkat(host, "hello", 0);
    rmdir(folder);
}

static void set_up(void)
{
    char bytes[10000];
    int fd;

    if (host >= 0)
        return;
    must(mkdtemp(folder) != NULL);
    host = open(folder, O_PATH | O_CLOEXEC);
    fd = openat(host, "hello", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    memset(bytes, 'h', sizeof(bytes));
    must(fd >= 0 && write(fd, bytes, sizeof(bytes)) == sizeof(bytes));
    close(fd);
    atexit(remove_folder);
}

static void silent(void *context, const char *line)
{
    (void)context;
    must(strlen(line) < 600);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int before;

    set_up();
    before = count_open_files();
    at = data, end = data + size;
    clock_ns = START_NS;
    memset(results, 0, sizeof(results));
    result_count = 0;
    open_kernel(NULL);
    strcpy(kernel->program, "/host/hello");
    must(proc_build(kernel) == 0);
    must(tree_make_device(kernel->tree, "/dev/zero", "zero") == 0);
    must(tree_make_device(kernel->tree, "/dev/urandom", "urandom") == 0);
    must(tree_mount(kernel->tree, "/host", host, next() % 2 == 0) == 0);
    give_halves();
    kernel->trace = next() % 4 == 0 ? silent : NULL;
    for (int i = 0; i < STEPS && at < end && !kernel->ended; i++)
        step(next());
    check_kernel();
    close_kernel();
    must(count_open_files() == before);
    clock_ns = 0;
    return 0;
}
