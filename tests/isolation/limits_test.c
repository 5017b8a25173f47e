/* SPDX-License-Identifier: Apache-2.0 */
/* Each limit holds, and has its own error. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/process/process.h"
#include "tests/isolation/box.h"

static struct box box;

static void memory_ends_at_its_limit(void **state)
{
    int mib, sys;

    (void)state;
    assert_int_equal(box_try(&box, "memory", ""), GBX_EEXIT);
    assert_int_equal(sscanf(box.text, "%d %d", &mib, &sys), 2);
    assert_in_range(mib, 32, 64);
    assert_int_equal(sys, ENOMEM);
}

static void too_little_memory_is_refused_by_name(void **state)
{
    (void)state;
    box_begin(&box, "memory", "");
    box.bundle.limits.memory_bytes = 1;
    assert_int_equal(box_open(&box), GBX_EMEMORY);
    assert_non_null(strstr(box.err.what, "memory limit of 1 byte"));
    box_close(&box);
}

/* The least that is accepted starts a guest, if a small one. */
static void little_memory_is_enough_to_start(void **state)
{
    (void)state;
    box_begin(&box, "end", "x4");
    box.bundle.limits.memory_bytes = 4 << 20;
    assert_int_equal(box_open(&box), 0);
    assert_int_equal(box_end(&box), GBX_EEXIT);
    box_close(&box);
}

/* Opens a box; returns whether it has a cgroup to be limited by. */
static bool open_with_cgroup(const char *kind, uint64_t cpu_ns)
{
    box_begin(&box, kind, "");
    box.bundle.limits.cpu_ns = cpu_ns;
    assert_int_equal(box_open(&box), 0);
    return !is_microvm() && ((struct process *)box.self)->cell.has_cgroup;
}

static void processes_together_end_at_the_cgroups_limit(void **state)
{
    (void)state;
    only_process("a micro-VM has one process");
    if (!open_with_cgroup("crowd", 0)) {
        box_close(&box);
        print_message("no cgroup controller can be written here\n");
        skip();
    }
    assert_int_equal(box_end(&box), GBX_EMEMORY);
    box_backend->explain(box.self, &box.err);
    assert_non_null(strstr(box.err.what, "memory limit of 65536 KiB"));
    box_close(&box);
}

static void cpu_time_ends_at_its_limit(void **state)
{
    static const char *const kinds[] = {"spin", "spin_stubbornly",
                                        "spin_in_calls"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        open_with_cgroup(kinds[i], 1000000000);
        assert_int_equal(box_end(&box), GBX_ECPU);
        box_backend->explain(box.self, &box.err);
        assert_non_null(strstr(box.err.what, "1000 ms"));
        box_close(&box);
    }
}

/* Without the cgroup's count, by the rlimit alone. */
static void cpu_time_ends_at_its_limit_without_a_cgroup(void **state)
{
    (void)state;
    only_process("a micro-VM needs no cgroup");
    open_with_cgroup("spin_stubbornly", 1000000000);
    ((struct process *)box.self)->cell.has_cgroup = false;
    assert_int_equal(box_end(&box), GBX_ECPU);
    ((struct process *)box.self)->cell.has_cgroup = true;
    box_close(&box);
}

/* The root of a hierarchy is nobody's to divide: be somewhere below it. */
static bool enter_cpu_group(const char *path)
{
    char tasks[128];
    int fd;

    if (mkdir(path, 0755) < 0)
        return false;
    snprintf(tasks, sizeof(tasks), "%s/tasks", path);
    fd = open(tasks, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, "0", 1) == 1 && close(fd) == 0;
}

static void cpu_time_of_all_processes_counts(void **state)
{
    char path[64];
    int status;
    pid_t pid;

    (void)state;
    only_process("a micro-VM has one process");
    snprintf(path, sizeof(path), "/sys/fs/cgroup/cpuacct/test-%d", getpid());
    if ((pid = fork()) == 0) {
        if (!enter_cpu_group(path))
            _exit(77);
        open_with_cgroup("spin_together", 1000000000);
        status = box_end(&box) == GBX_ECPU ? 0 : 1;
        box_close(&box);
        _exit(status);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    rmdir(path);
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void processes_end_at_their_limit(void **state)
{
    char want[32];

    (void)state;
    assert_int_equal(box_try(&box, "fork_bomb", ""), GBX_EEXIT);
    snprintf(want, sizeof(want), "%d %d\n", is_microvm() ? 0 : 31,
             is_microvm() ? ENOSYS : EAGAIN);
    assert_string_equal(box.text, want);
}

/* It may also run out of memory: what the kernel keeps of all those that could
 * not be born counts as well. */
static void a_bomb_that_never_stops_is_stopped(void **state)
{
    int rc;

    (void)state;
    box_begin(&box, "wild_bomb", "");
    assert_int_equal(box_open(&box), 0);
    rc = box_run(&box, 1000000000);
    assert_true(rc == GBX_ETIME || rc == GBX_EMEMORY);
    if (!is_microvm())
        assert_in_range(count_strays(), 1, 31 + box_processes());
    box_close(&box);
    assert_int_equal(count_strays(), 0);
}

static void files_end_at_their_limit(void **state)
{
    char want[32];

    (void)state;
    assert_int_equal(box_try(&box, "open_files", ""), GBX_EEXIT);
    snprintf(want, sizeof(want), "%d %d\n", 64 - 6, EMFILE);
    assert_string_equal(box.text, want);
}

static void too_few_files_are_refused_by_name(void **state)
{
    (void)state;
    box_begin(&box, "end", "x0");
    box.bundle.limits.files = 3;
    assert_int_equal(box_open(&box), GBX_EFILES);
    box_close(&box);
}

static void the_disk_ends_at_its_limit(void **state)
{
    unsigned long long bytes;
    int sys;

    (void)state;
    assert_int_equal(box_try(&box, "fill_disk", ""), GBX_EEXIT);
    assert_int_equal(sscanf(box.text, "%llu %d", &bytes, &sys), 2);
    assert_in_range(bytes, 7 << 20, 8 << 20);
    assert_int_equal(sys, ENOSPC);
}

static void a_flood_of_output_comes_through_whole(void **state)
{
    (void)state;
    assert_int_equal(box_try(&box, "flood", ""), GBX_EEXIT);
    assert_int_equal(box.printed_bytes, 1ull << 30);
}

static void a_flood_of_output_can_be_ended(void **state)
{
    (void)state;
    box_begin(&box, "flood", "");
    box.output_code = GBX_EOUTPUT;
    assert_int_equal(box_open(&box), 0);
    assert_int_equal(box_end(&box), GBX_EOUTPUT);
    assert_in_range(box.printed_bytes, 1, OUTPUT_BYTES);
    box_close(&box);
}

/* Nobody reads: the guest waits, and the host is not filled. */
static void a_flood_that_nobody_reads_waits(void **state)
{
    (void)state;
    box_begin(&box, "flood", "");
    assert_int_equal(box_open(&box), 0);
    box_close(&box);
    assert_int_equal(count_strays(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_ends_at_its_limit),
        cmocka_unit_test(too_little_memory_is_refused_by_name),
        cmocka_unit_test(little_memory_is_enough_to_start),
        cmocka_unit_test(processes_together_end_at_the_cgroups_limit),
        cmocka_unit_test(cpu_time_ends_at_its_limit),
        cmocka_unit_test(cpu_time_ends_at_its_limit_without_a_cgroup),
        cmocka_unit_test(cpu_time_of_all_processes_counts),
        cmocka_unit_test(processes_end_at_their_limit),
        cmocka_unit_test(a_bomb_that_never_stops_is_stopped),
        cmocka_unit_test(files_end_at_their_limit),
        cmocka_unit_test(too_few_files_are_refused_by_name),
        cmocka_unit_test(the_disk_ends_at_its_limit),
        cmocka_unit_test(a_flood_of_output_comes_through_whole),
        cmocka_unit_test(a_flood_of_output_can_be_ended),
        cmocka_unit_test(a_flood_that_nobody_reads_waits),
    };

    return cmocka_run_group_tests(tests, box_possible, NULL);
}
