/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_test.c - a personality with something of each kind in it is frozen,
 * spoiled, and thawed: in place, and as another one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <dirent.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <cmocka.h>

#include "sandbox/microvm/linux/linux_test.h"
#include "sandbox/microvm/linux/snapshot.h"

#define TEXT  SCRATCH
#define ROOM  (SCRATCH + 8 * PAGE)
#define WORD  (SCRATCH + 40 * PAGE)
#define LARGE (3 * 1024 * 1024)

/* Called before a sanitizer has set itself up, so that must not look. */
#ifdef __clang__
#define BARE __attribute__((disable_sanitizer_instrumentation))
#else
#define BARE __attribute__((no_sanitize("thread", "address")))
#endif

static int64_t ahead_s; /* the host's clocks, of what they are */

BARE __attribute__((visibility("default"))) int
clock_gettime(clockid_t clock, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, t);

    t->tv_sec += ahead_s;
    return rc;
}

static struct kernel_config config;
static struct kernel_snapshot snapshot;
static uint8_t *tables_copy, *frames_copy;

/* What was made: descriptors, addresses, tasks. */
static struct {
    int pipe[2], pair[2], counter, timer, set, file, dir, text, host;
    uint64_t mapped, shared;
    int sleeper, reader; /* tids */
} made;

static int open_it(const char *path, int flags)
{
    int64_t fd = call(SYS_openat, AT_FDCWD, text_at(0, path), flags, 0644);

    assert_true(fd >= 0);
    return (int)fd;
}

static void put(int fd, const char *text)
{
    assert_int_equal(call(SYS_write, fd, text_at(1, text), strlen(text)),
                     strlen(text));
}

static void assert_reads(int fd, const char *text)
{
    char bytes[64] = "";

    assert_int_equal(call(SYS_read, fd, ROOM, strlen(text)), strlen(text));
    peek(ROOM, bytes, strlen(text));
    assert_string_equal(bytes, text);
}

static int two_of(int64_t (*make)(void), int number)
{
    int ends[2];

    assert_int_equal(make(), 0);
    peek(ROOM, ends, sizeof(ends));
    return ends[number];
}

static int64_t make_pipe(void)
{
    return call(SYS_pipe2, ROOM, O_NONBLOCK);
}

static int64_t make_pair(void)
{
    return call(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, ROOM);
}

static void make_events(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77};
    struct itimerspec hour = {.it_value.tv_sec = 3600};

    made.pipe[0] = two_of(make_pipe, 0);
    made.pipe[1] = made.pipe[0] + 1;
    put(made.pipe[1], "in the pipe");
    made.pair[0] = two_of(make_pair, 0);
    made.pair[1] = made.pair[0] + 1;
    put(made.pair[0], "one");
    put(made.pair[0], "two");
    made.counter = (int)call(SYS_eventfd2, 41, 0);
    made.timer = (int)call(SYS_timerfd_create, CLOCK_MONOTONIC, 0);
    poke(ROOM, &hour, sizeof(hour));
    assert_int_equal(call(SYS_timerfd_settime, made.timer, 0, ROOM, 0), 0);
    made.set = (int)call(SYS_epoll_create1, 0);
    poke(ROOM, &event, sizeof(event));
    assert_int_equal(
        call(SYS_epoll_ctl, made.set, EPOLL_CTL_ADD, made.pair[1], ROOM), 0);
    assert_int_equal(
        call(SYS_epoll_ctl, made.set, EPOLL_CTL_ADD, made.timer, ROOM), 0);
}

static void make_files(void)
{
    int fd = open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC);

    must(tree_mount(kernel->tree, "/usr", fd, MOUNT_SEALED) == 0);
    close(fd);
    assert_int_equal(call(SYS_mkdir, text_at(0, "/tmp/dir"), 0755), 0);
    made.file = open_it("/tmp/dir/file", O_RDWR | O_CREAT);
    put(made.file, "content");
    assert_int_equal(call(SYS_lseek, made.file, 70 * PAGE, SEEK_SET),
                     70 * PAGE);
    put(made.file, "far behind");
    assert_int_equal(call(SYS_lseek, made.file, 3, SEEK_SET), 3);
    assert_int_equal(
        call(SYS_symlink, text_at(0, "file"), text_at(1, "/tmp/dir/link")), 0);
    open_it("/tmp/dir/other", O_RDWR | O_CREAT);
    made.dir = open_it("/tmp/dir", O_RDONLY | O_DIRECTORY);
    assert_int_equal(call(SYS_chdir, text_at(0, "/tmp/dir")), 0);
    assert_int_equal(call(SYS_umask, 027), 022);
    made.host = open_it("/usr/lib/os-release", O_RDONLY);
    assert_int_equal(call(SYS_lseek, made.host, 1, SEEK_SET), 1);
}

static void make_memory(void)
{
    made.mapped = (uint64_t)map_some(4 * PAGE);
    poke(made.mapped, "mapped", 7);
    made.shared = (uint64_t)call(SYS_mmap, 0, 71 * PAGE, PROT_READ | PROT_WRITE,
                                 MAP_SHARED, made.file, 0);
    poke(made.shared + 1, "0N", 2);
    assert_int_equal(call(SYS_brk, 0x20004000), 0x20004000);
}

static void make_tasks(void)
{
    struct task *first = kernel->current, *reader = make_thread(),
                *sleeper = make_thread();
    struct timespec hour = {.tv_sec = 3600};

    made.reader = reader->tid;
    made.sleeper = sleeper->tid;
    poke(ROOM, &hour, sizeof(hour));
    run_task(sleeper);
    rig.regs.rbx = 1234;
    assert_int_equal(call(CALL_FUTEX, WORD, 0 /* FUTEX_WAIT */, 0, ROOM, 0, 0),
                     KERNEL_WAIT);
    run_task(reader);
    assert_int_equal(call(SYS_read, made.pair[0], ROOM, 8), KERNEL_WAIT);
    run_task(first);
    assert_int_equal(call(SYS_alarm, 100), 0);
}

static void make_all(void)
{
    make_events();
    make_files();
    make_memory();
    make_tasks();
}

static struct task *task_of(int tid)
{
    for (uint32_t i = 0; i < kernel->tasks_max; i++)
        if (kernel->tasks[i] != NULL && kernel->tasks[i]->tid == tid)
            return kernel->tasks[i];
    return NULL;
}

static void check_files(void)
{
    char names[1024] = "";
    int64_t bytes = call(SYS_getdents64, made.dir, ROOM, sizeof(names));

    assert_reads(made.file, "tent"); /* where it stood */
    assert_true(bytes > 0);
    peek(ROOM, names, (size_t)bytes);
    assert_non_null(memmem(names, (size_t)bytes, "other", 6));
    assert_int_equal(call(SYS_readlink, text_at(0, "link"), ROOM, 16), 4);
    assert_int_equal(call(SYS_umask, 022), 027);
    assert_int_equal(call(SYS_lseek, made.host, 0, SEEK_CUR), 1);
    assert_true(call(SYS_read, made.host, ROOM, 8) == 8);
    assert_int_equal(call(SYS_openat, AT_FDCWD, text_at(0, "spoiled"), 0, 0),
                     -ENOENT);
    assert_int_equal(call(SYS_lseek, made.file, 70 * PAGE, SEEK_SET),
                     70 * PAGE);
    assert_reads(made.file, "far behind");
}

static void check_events(void)
{
    struct epoll_event event;
    uint64_t value;

    assert_int_equal(call(SYS_epoll_wait, made.set, ROOM, 4, 0), 1);
    peek(ROOM, &event, sizeof(event));
    assert_int_equal(event.data.u64, 77);
    assert_reads(made.pipe[0], "in the pipe");
    assert_reads(made.pair[1], "one");
    assert_reads(made.pair[1], "two");
    assert_int_equal(call(SYS_epoll_wait, made.set, ROOM, 4, 0), 0);
    assert_int_equal(call(SYS_read, made.counter, ROOM, 8), 8);
    peek(ROOM, &value, sizeof(value));
    assert_int_equal(value, 41);
}

static void check_memory(void)
{
    char text[8];

    peek(made.mapped, text, 7);
    assert_string_equal(text, "mapped");
    peek(made.shared, text, 4);
    assert_memory_equal(text, "c0Nt", 4);
    assert_int_equal(call(SYS_brk, 0), 0x20004000);
}

static void check_tasks(void)
{
    struct task *first = kernel->current;

    assert_int_equal(kernel->task_count, 3);
    assert_int_equal(task_of(made.sleeper)->state.regs.rbx, 1234);
    assert_int_equal(task_of(made.sleeper)->status, TASK_WAITING);
    assert_int_equal(call(CALL_FUTEX, WORD, 1 /* FUTEX_WAKE */, 9, 0, 0, 0), 1);
    assert_int_equal(task_of(made.sleeper)->status, TASK_READY);
    put(made.pair[1], "answer");
    assert_int_equal(task_of(made.reader)->status, TASK_READY);
    run_task(task_of(made.reader));
    kernel->fresh_slice = false;
    assert_true(kernel_resume(kernel));
    assert_int_equal(rig.regs.rax, 6);
    run_task(first);
    assert_in_range(call(SYS_alarm, 0), 95, 100);
}

/* Each changes what it looks at. */
static void check_all(void)
{
    check_memory();
    check_events();
    check_files();
    check_tasks();
    check_kernel();
}

static void spoil(void)
{
    int fd;

    check_all();
    for (int i = 3; i < 20; i++)
        call(SYS_close, i);
    assert_int_equal(call(SYS_unlink, text_at(0, "/tmp/dir/other")), 0);
    assert_int_equal(call(SYS_chdir, text_at(0, "/")), 0);
    fd = open_it("/tmp/spoiled", O_RDWR | O_CREAT);
    put(fd, "spoiled");
    for (int i = 0; i < 4; i++)
        open_it("/usr/lib", O_RDONLY | O_DIRECTORY);
    call(SYS_munmap, made.mapped, 2 * PAGE);
    call(SYS_brk, 0x20000000);
    map_some(1 << 20);
    task_drop(kernel, task_of(made.reader));
}

static int set_up(void **state)
{
    (void)state;
    ahead_s = 0;
    config = make_config();
    open_kernel(&config);
    make_all();
    tables_copy = malloc(TABLES_BYTES);
    frames_copy = malloc(rig.frames_bytes);
    must(tables_copy != NULL && frames_copy != NULL);
    must(kernel_freeze(&snapshot, kernel, NULL) == 0);
    memcpy(tables_copy, rig.tables, TABLES_BYTES);
    memcpy(frames_copy, rig.frames, rig.frames_bytes);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kernel_snapshot_fini(&snapshot);
    kernel_snapshot_fini(&snapshot);
    free(tables_copy);
    free(frames_copy);
    close_kernel();
    return 0;
}

static void thaw_by(__typeof__(kernel_thaw) *how)
{
    memcpy(rig.tables, tables_copy, TABLES_BYTES);
    memcpy(rig.frames, frames_copy, rig.frames_bytes);
    assert_int_equal(how(&kernel, &snapshot, &config, NULL), 0);
    assert_int_equal(kernel_load(kernel, NULL), 0);
}

#define thaw() thaw_by(kernel_thaw)

static void who_was_frozen_goes_on(void **state)
{
    (void)state;
    check_all();
}

static void what_was_spoiled_is_as_it_was(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        spoil(), thaw();
    check_all();
}

static void another_one_is_the_same(void **state)
{
    struct kernel *first = kernel;

    (void)state;
    spoil();
    kernel = NULL;
    thaw();
    assert_ptr_not_equal(kernel, first);
    kernel_close(first); /* it needs nothing of it */
    check_all();
}

static void descriptors_of_the_host_go_with_their_last_owner(void **state)
{
    struct handles mine = {0};
    int fd = handles_fd(&rig.handles, 0);

    (void)state;
    assert_int_equal(handles_share(&mine, &rig.handles), 0);
    kernel_close(kernel);
    kernel = NULL;
    handles_fini(&rig.handles);
    handles_fini(&mine);
    assert_int_not_equal(fcntl(fd, F_GETFD), -1); /* of the snapshot */
    handles_fini(&snapshot.handles);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* Ranges of this process where a pointer may lead. */
static bool is_of_host(uint64_t value)
{
    static struct {
        uint64_t from, to;
    } ranges[64];
    static size_t count;
    char line[512], name[256];
    FILE *maps;

    if (count == 0) {
        maps = fopen("/proc/self/maps", "re");
        while (maps != NULL && fgets(line, sizeof(line), maps) != NULL &&
               count < ARRAY_SIZE(ranges)) {
            name[0] = '\0';
            if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %255s",
                       &ranges[count].from, &ranges[count].to, name) >= 2 &&
                (strcmp(name, "[heap]") == 0 ||
                 strstr(name, "snapshot_test") != NULL))
                count++;
        }
        must(maps != NULL && count > 2);
        fclose(maps);
    }
    if (value - ((uintptr_t)kernel->heap & ~(HEAP_BYTES - 1)) < HEAP_BYTES)
        return true;
    for (size_t i = 0; i < count; i++)
        if (value - ranges[i].from < ranges[i].to - ranges[i].from)
            return true;
    return false;
}

static void no_address_of_the_host_is_kept(void **state)
{
    const uint64_t *words = snapshot.heap;

    (void)state;
    for (uint64_t i = 0; i < snapshot.heap_bytes / 8; i++)
        if (is_of_host(words[i]))
            fail_msg("0x%lx at place %lu of %lu", words[i], i * 8,
                     snapshot.heap_bytes);
}

static uint64_t seconds_of(int clock)
{
    struct timespec now;

    assert_int_equal(call(SYS_clock_gettime, clock, ROOM), 0);
    peek(ROOM, &now, sizeof(now));
    return (uint64_t)now.tv_sec;
}

static void the_clock_stands_still_while_it_is_frozen(void **state)
{
    uint64_t before = seconds_of(CLOCK_MONOTONIC);
    struct itimerspec left;

    (void)state;
    for (int i = 0; i < 2; i++) {
        ahead_s += 5000;
        thaw();
        assert_in_range(seconds_of(CLOCK_MONOTONIC), before - 1, before + 10);
        /* time() may be a tick behind. */
        assert_in_range(seconds_of(CLOCK_REALTIME), time(NULL) + ahead_s - 5,
                        time(NULL) + ahead_s + 1);
        assert_int_equal(call(SYS_timerfd_gettime, made.timer, ROOM), 0);
        peek(ROOM, &left, sizeof(left));
        assert_in_range(left.it_value.tv_sec, 3590, 3600);
        assert_in_range(kernel_due_ns(kernel),
                        clock_now_ns() + 90 * 1000000000ull,
                        clock_now_ns() + 100 * 1000000000ull);
    }
    check_all(); /* the alarm, too, is as far away as it was */
}

/* Of a host that was started since. */
static void nor_does_it_go_back(void **state)
{
    uint64_t before = seconds_of(CLOCK_MONOTONIC);

    (void)state;
    ahead_s = -(int64_t)(clock_now_ns() / 1000000000u) + 2;
    thaw();
    assert_in_range(seconds_of(CLOCK_MONOTONIC), before - 1, before + 10);
    check_all();
}

static void the_same_one_keeps_its_number_and_its_time(void **state)
{
    uint64_t before = seconds_of(CLOCK_MONOTONIC);
    int64_t pid = call(SYS_getpid);

    (void)state;
    ahead_s += 7;
    thaw_by(kernel_thaw_same);
    assert_int_equal(call(SYS_getpid), pid);
    assert_in_range(seconds_of(CLOCK_MONOTONIC), before + 6, before + 12);
}

static void no_memory_for_it_leaves_nothing(void **state)
{
    struct kernel *none = NULL;

    (void)state;
    snapshot.heap_bytes -= 16;
    assert_int_equal(kernel_thaw(&none, &snapshot, &config, NULL), GBX_EHOST);
    assert_null(none);
    snapshot.heap_bytes += 16;
    rig.refuses = true;
    assert_int_equal(kernel_thaw(&none, &snapshot, &config, NULL), 0);
    assert_int_equal(kernel_load(none, NULL), GBX_EHOST);
    rig.refuses = false;
    kernel_close(none);
    thaw();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_was_frozen_goes_on),
        TEST(what_was_spoiled_is_as_it_was),
        TEST(another_one_is_the_same),
        TEST(descriptors_of_the_host_go_with_their_last_owner),
        TEST(no_address_of_the_host_is_kept),
        TEST(the_clock_stands_still_while_it_is_frozen),
        TEST(nor_does_it_go_back),
        TEST(the_same_one_keeps_its_number_and_its_time),
        TEST(no_memory_for_it_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
