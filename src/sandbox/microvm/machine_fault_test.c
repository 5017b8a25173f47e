/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_fault_test.c - every call of the kernel fails once, from opening a
 * machine to closing it, and nothing is left behind.  The linker puts our
 * functions in front of the real ones (--wrap).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/count_test.h"
#include "base/fault_test.h"
#include "sandbox/microvm/guest_test.h"

static unsigned long refused; /* this request, always */
static int refused_number, answer;

int __real_ioctl(int fd, unsigned long request, void *what);
int __wrap_ioctl(int fd, unsigned long request, void *what);

int __wrap_ioctl(int fd, unsigned long request, void *what)
{
    if (fails("ioctl"))
        return -1;
    if (refused != 0 && request == refused &&
        (refused_number == 0 || refused_number == (int)(uintptr_t)what)) {
        errno = fails_with;
        return answer;
    }
    return __real_ioctl(fd, request, what);
}

WRAP(void *, mmap64,
     (void *at, size_t bytes, int access, int flags, int fd, off_t off),
     (at, bytes, access, flags, fd, off), MAP_FAILED)
WRAP(int, open64, (const char *path, int flags, mode_t mode),
     (path, flags, mode), -1)
WRAP(int, mprotect, (void *at, size_t bytes, int access), (at, bytes, access),
     -1)
WRAP(int, timer_create,
     (clockid_t clock, struct sigevent *event, timer_t *timer),
     (clock, event, timer), -1)

static uint8_t *memory; /* the guest's: made once */

struct left {
    int fds, threads, maps, timers;
};

static int count_lines(const char *path, const char *with)
{
    int count = 0;
    char line[512];
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return 0; /* a kernel without it */
    while (fgets(line, sizeof(line), file) != NULL)
        count += strstr(line, with) != NULL;
    fclose(file);
    return count;
}

static struct left count_all(void)
{
    return (struct left){
        .fds = count_open_files(),
        .threads = count_names("/proc/self/task"),
        .maps = count_lines("/proc/self/maps", "kvm"),
        .timers = count_lines("/proc/self/timers", "ID:"),
    };
}

/* A whole life with one system call, until a step fails. */
static int live(struct machine *machine, struct gbx_error *err)
{
    struct memory_range slot = {
        .bytes = GUEST_BYTES, .host = memory, .writable = true};
    struct machine_state state;
    struct tables tables;
    struct run_exit exit;
    int rc;

    memcpy(memory + GUEST_TEXT, "\x0f\x05\x8a\x04\x25\0\0\0\0", 9);
    if ((rc = machine_open(machine, err)) < 0 ||
        (rc = machine_memory(machine, &slot, err)) < 0)
        return rc;
    assert_int_equal(
        tables_init(&tables, &machine->memory, GUEST_TABLES, 1 << 20), 0);
    if ((rc = boot_open(machine, &tables, 0, err)) < 0)
        return rc;
    assert_int_equal(tables_map(&tables, GUEST_CODE, GUEST_TEXT, 0x1000,
                                TABLES_READ | TABLES_EXEC | TABLES_USER),
                     0);
    machine_state_init(&state, GUEST_CODE, GUEST_STACK);
    err->what[0] = '.'; /* the next ones have no text */
    if ((rc = machine_load(machine, &state)) < 0)
        return rc;
    err->what[0] = '\0';
    if ((rc = run_enter(machine, clock_now_ns() + 50000000000u, err)) < 0)
        return rc;
    err->what[0] = '.';
    run(machine, &exit); /* a system call, and then a page fault */
    if (exit.kind == RUN_SYSCALL && (rc = machine_save(machine, &state)) == 0) {
        machine_set_fs(machine, GUEST_DATA);
        run(machine, &exit);
        rc = exit.kind == RUN_EXCEPTION ? 0 : GBX_EBROKEN;
    } else if (rc == 0) {
        rc = GBX_EBROKEN;
    }
    assert_true(exit.kind != RUN_BROKEN || exit.text[0] != '\0');
    run_leave(machine);
    if (rc == 0)
        rc = tables_unmap(&tables, GUEST_CODE, 0x1000);
    return rc;
}

/* With the nth call failing; returns whether there was an nth. */
static bool live_failing(int n)
{
    struct machine machine = MACHINE_NONE;
    struct left left = count_all(), after;
    struct gbx_error err = {0};
    int rc;

    begin_failing(n);
    rc = live(&machine, &err);
    fails_at = 0;
    if (failed && rc == 0)
        assert_int_equal(fails_with, EINTR); /* it was tried again */
    if (!failed)
        assert_int_equal(rc, 0);
    if (rc < 0 && err.what[0] == '\0')
        fail_msg("call %d failed without a word", n);
    machine_close(&machine);
    machine_close(&machine);
    /* Where it could not be made writable again, as it says. */
    __real_mprotect(memory, GUEST_BYTES, PROT_READ | PROT_WRITE);
    after = count_all();
    if (memcmp(&left, &after, sizeof(left)) != 0)
        fail_msg("call %d left something behind: %u %u %u %u", n,
                 after.fds - left.fds, after.threads - left.threads,
                 after.maps - left.maps, after.timers - left.timers);
    return failed != NULL;
}

static void each_call_may_fail(void **state)
{
    static const int reasons[] = {ENOMEM, EINTR, EACCES, EMFILE};
    int n;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        fails_with = reasons[i];
        for (n = 1; live_failing(n); n++)
            ;
        assert_in_range(n, 20, 60);
    }
}

static void expect_open(int want, const char *text)
{
    struct machine machine;
    struct gbx_error err = {0};

    assert_int_equal(machine_open(&machine, &err), want);
    if (want < 0 && strstr(err.what, text) == NULL)
        fail_msg("not \"%s\" but \"%s\"", text, err.what);
    assert_int_equal(machine.kvm_fd, want < 0 ? -1 : machine.kvm_fd);
    machine_close(&machine);
}

static void what_kvm_lacks_is_named(void **state)
{
    static const struct {
        int number, answer;
        const char *name;
    } cases[] = {
        {KVM_CAP_USER_MEMORY, 0, "KVM_CAP_USER_MEMORY"},
        {KVM_CAP_READONLY_MEM, 0, "KVM_CAP_READONLY_MEM"},
        {KVM_CAP_IMMEDIATE_EXIT, -1, "KVM_CAP_IMMEDIATE_EXIT"},
        {KVM_CAP_EXT_CPUID, 0, "KVM_CAP_EXT_CPUID"},
        {KVM_CAP_XSAVE, 0, "KVM_CAP_XSAVE"},
        {KVM_CAP_XCRS, 0, "KVM_CAP_XCRS"},
        {KVM_CAP_SYNC_REGS, 0, "KVM_CAP_SYNC_REGS"},
        {KVM_CAP_SYNC_REGS, KVM_SYNC_X86_REGS, "KVM_CAP_SYNC_REGS"},
        {KVM_CAP_SYNC_REGS, KVM_SYNC_X86_SREGS, "KVM_CAP_SYNC_REGS"},
    };

    (void)state;
    fails_with = EINVAL;
    refused = KVM_CHECK_EXTENSION;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        refused_number = cases[i].number;
        answer = cases[i].answer;
        expect_open(GBX_EUNSUPPORTED, cases[i].name);
    }
    refused_number = 0;
    refused = KVM_GET_API_VERSION;
    answer = 13;
    expect_open(GBX_EUNSUPPORTED, "13, not 12");
    refused = KVM_GET_VCPU_MMAP_SIZE;
    answer = 16;
    expect_open(GBX_EHOST, "size");
    refused = 0;
}

static void a_device_that_does_not_open_is_told_with_a_remedy(void **state)
{
    static const struct {
        int sys, want;
        const char *text;
    } cases[] = {
        {EACCES, GBX_EUNSUPPORTED, "group"},
        {EPERM, GBX_EUNSUPPORTED, ", mode 0"},
        {ENOENT, GBX_EUNSUPPORTED, "load kvm_intel"},
        {ENODEV, GBX_EUNSUPPORTED, "virtualization"},
        {EMFILE, GBX_EHOST, "raise ulimit -n"},
        {ENFILE, GBX_EHOST, "file-max"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        fails_with = cases[i].sys;
        begin_failing(1);
        expect_open(cases[i].want, cases[i].text);
        fails_at = 0;
    }
    expect_open(0, "");
}

/* A slot that KVM refuses is none of the machine's either. */
static void refused_memory_is_not_kept(void **state)
{
    struct machine machine;
    struct gbx_error err;
    struct memory_range slot = {
        .bytes = GUEST_BYTES, .host = memory, .writable = true};

    (void)state;
    assert_int_equal(machine_open(&machine, &err), 0);
    fails_with = ENOMEM;
    refused = KVM_SET_USER_MEMORY_REGION;
    answer = -1;
    assert_int_equal(machine_memory(&machine, &slot, &err), GBX_EHOST);
    refused = 0;
    assert_int_equal(machine.memory.count, 0);
    assert_null(memory_host(&machine.memory, 0, 1));
    assert_int_equal(machine_memory(&machine, &slot, &err), 0);
    assert_int_equal(machine_memory(&machine, &slot, &err), GBX_EARGUMENT);
    assert_ptr_equal(memory_host(&machine.memory, 5, 1), memory + 5);
    machine_close(&machine);
}

/* In a child, so that here the first machine is that of a test. */
static bool is_here(void)
{
    pid_t child = fork();
    int status = 1;

    if (child == 0)
        _exit(guest_is_here() ? 0 : 1);
    waitpid(child, &status, 0);
    return status == 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_may_fail),
        cmocka_unit_test(what_kvm_lacks_is_named),
        cmocka_unit_test(a_device_that_does_not_open_is_told_with_a_remedy),
        cmocka_unit_test(refused_memory_is_not_kept),
    };

    if (!is_here())
        return 77;
    memory = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
