/* SPDX-License-Identifier: Apache-2.0 */
/* proc_test.c - the texts of /proc, and the lines of a trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "sandbox/microvm/linux/linux_test.h"
#include "sandbox/microvm/linux/proc.h"

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down_kernel)

static char text[65536];

static int set_up(void **state)
{
    (void)state;
    open_kernel(NULL);
    strcpy(kernel->program, "/tmp/program");
    assert_int_equal(proc_build(kernel), 0);
    return 0;
}

static const char *read_all(const char *path)
{
    struct iovec piece = {text, sizeof(text) - 1};
    struct file *file;
    int64_t bytes;

    assert_int_equal(
        tree_open_file(kernel->tree, NULL, path, O_RDONLY, 0, &file), 0);
    bytes = file_read(file, &piece, 1, NULL);
    assert_true(bytes >= 0);
    text[bytes] = '\0';
    file_put(file);
    return text;
}

static void maps_tell_of_each_area(void **state)
{
    int64_t file =
        call(SYS_open, text_at(0, "/tmp/program"), O_RDWR | O_CREAT, 0600);

    (void)state;
    assert_int_equal(call(SYS_brk, kernel->space.brk_start + 1),
                     kernel->space.brk_start + 1);
    assert_int_equal(
        call(SYS_mmap, 0x30000000, 2 * PAGE, PROT_READ, MAP_SHARED, file, PAGE),
        0x30000000);
    assert_string_equal(
        read_all("/proc/self/maps"),
        "10000000-10040000 rw-p 00000000 00:00 0\n"
        "20000000-20001000 rw-p 00000000 00:00 0  [heap]\n"
        "30000000-30002000 r--s 00001000 00:00 0  /tmp/program\n");
}

static void the_process_tells_of_itself(void **state)
{
    static const struct {
        const char *path, *has;
    } cases[] = {
        {"/proc/self/status", "Threads:\t1\n"},
        {"/proc/2/status", "Uid:\t1000\t1000\t1000\t1000\n"},
        {"/proc/self/stat", "2 () R 1 2 2 0 "},
        {"/proc/meminfo", "MemTotal:           16384 kB\n"},
        {"/proc/self/cmdline", ""},
        {"/proc/thread-self/comm", "\n"},
        {"/proc/mounts", "proc /proc"},
        {"/proc/cpuinfo", "processor\t: 0\n"},
        {"/proc/uptime", "."},
        {"/proc/stat", "cpu0 "},
        {"/sys/devices/system/cpu/online", "0\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_non_null(strstr(read_all(cases[i].path), cases[i].has));
}

/* With as many areas as there may be, too. */
static void maps_come_to_an_end(void **state)
{
    int64_t got, file = call(SYS_open, text_at(0, "/proc/self/maps"), 0, 0);

    (void)state;
    for (uint64_t at = 0x40000000; at < 0x40000000 + 40000 * PAGE;
         at += 2 * PAGE)
        call(SYS_mmap, at, PAGE, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    assert_int_equal(kernel->space.area_count, 20001);
    while ((got = call(SYS_read, file, SCRATCH, SCRATCH_SIZE)) > 0)
        ;
    assert_int_equal(got, 0);
}

/* ---- traces ---- */

static char line[4096];

static void note(void *context, const char *what)
{
    (void)context;
    snprintf(line, sizeof(line), "%s", what);
}

static void lines_are_as_strace_prints_them(void **state)
{
    kernel->trace = note;
    (void)state;
    call(SYS_openat, AT_FDCWD, text_at(1, "/tmp/no\n\"\x1b"), 0x80000, 0);
    assert_string_equal(line, "openat(AT_FDCWD, \"/tmp/no\\n\\\"\\x1b\", "
                              "0x80000, 0) = -1 ENOENT");
    call(SYS_write, 7, SCRATCH + PAGE, 4);
    assert_string_equal(line, "write(7, \"/tmp\", 4) = -1 EBADF");
    call(SYS_write, -1, 8, UINT64_MAX);
    assert_string_equal(line,
                        "write(-1, 0x8, 18446744073709551615) = -1 EBADF");
    call(SYS_kill, 2, SIGWINCH);
    assert_string_equal(line, "kill(2, SIGWINCH) = 0");
    call(57, 1, 2);
    assert_string_equal(line, "fork(0x1, 0x2, 0x0, 0x0, 0x0, 0x0) = -1 ENOSYS "
                              "(not supported: processes: a micro-VM has one)");
    call(777);
    assert_string_equal(line,
                        "syscall_777() = -1 ENOSYS (there is no such call "
                        "here)");
    call(SYS_socket, AF_INET, 1, 0);
    assert_string_equal(line, "socket(2, 1, 0) = -1 EACCES (not supported: the "
                              "network: there is none)");
    call(SYS_getpid);
    assert_string_equal(line, "getpid() = 2");
    call(SYS_pause);
    assert_string_equal(line, "pause() waits");
}

static void a_long_string_is_cut(void **state)
{
    char many[300];

    (void)state;
    kernel->trace = note;
    memset(many, '\x01', sizeof(many));
    poke(SCRATCH, many, sizeof(many));
    call(SYS_write, 7, SCRATCH, sizeof(many));
    assert_true(strlen(line) < 512);
    assert_non_null(strstr(line, "\\x01\"..., 300)"));
    call(SYS_rename, SCRATCH, SCRATCH); /* and does not fit, twice */
    assert_true(strlen(line) < 512);
}

static void a_signal_is_a_line_of_its_own(void **state)
{
    (void)state;
    call(SYS_kill, 2, SIGTERM);
    kernel->trace = note;
    assert_false(turn(1));
    assert_string_equal(line, "--- SIGTERM ---");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(maps_tell_of_each_area), TEST(the_process_tells_of_itself),
        TEST(maps_come_to_an_end),    TEST(lines_are_as_strace_prints_them),
        TEST(a_long_string_is_cut),   TEST(a_signal_is_a_line_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
