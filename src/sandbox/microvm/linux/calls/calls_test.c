/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls_test.c - every call of the table, with every pointer wild; and answers
 * that programs look at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <cmocka.h>

#include "sandbox/microvm/linux/linux_test.h"

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down_kernel)
#define NUMBERS 512u

enum { HALF_0, HALF_1, READER, WRITER, FILE_FD, SOCKET_A, SOCKET_B, EPOLL };

static int set_up(void **state)
{
    (void)state;
    open_kernel(NULL);
    give_halves();
    assert_int_equal(call(SYS_pipe2, SCRATCH, O_NONBLOCK), 0);
    assert_int_equal(
        call(SYS_open, text_at(0, "/tmp/file"), O_RDWR | O_CREAT, 0600),
        FILE_FD);
    assert_int_equal(
        call(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, SCRATCH),
        0);
    assert_int_equal(call(SYS_epoll_create1, 0), EPOLL);
    return 0;
}

/* Addresses at which nothing is, or not all of it. */
static const uint64_t wild[] = {
    1,
    0xfff,
    SPACE_LOW,
    SCRATCH - 1,
    SCRATCH + SCRATCH_SIZE - 1,
    TABLES_USER_END - 1,
    TABLES_USER_END,
    0x7fffffffffffull,
    0x800000000000ull,
    0xffff7fffffffffffull,
    TABLES_KERNEL,
    TABLES_KERNEL + FRAMES_AT,
    UINT64_MAX - 4095,
    UINT64_MAX - 7,
    UINT64_MAX,
};

static bool is_pointer(char format)
{
    return format == 'p' || format == 's' || format == 'b';
}

/* What makes a call get as far as its pointers. */
static uint64_t usual(uint64_t number, char format, unsigned i)
{
    if (is_pointer(format))
        return SCRATCH + PAGE + i * 512;
    if (format == 't')
        return (uint64_t)AT_FDCWD;
    if (format == 'f')
        return number == SYS_recvfrom || number == SYS_recvmsg ||
                       number == SYS_sendto || number == SYS_sendmsg ||
                       number == SYS_getsockopt || number == SYS_setsockopt ||
                       number == SYS_getsockname
                   ? (i == 0 ? SOCKET_A : 8)
               : number == SYS_epoll_ctl ? (i == 0 ? EPOLL : READER)
                                         : FILE_FD;
    return format == 'u' || format == 'd' ? 8 : 1;
}

/* Its own bytes are in the guest's memory, so they may be changed. */
static void a_wild_pointer_harms_nobody(void **state)
{
    unsigned tried = 0;

    (void)state;
    for (uint64_t number = 0; number < NUMBERS; number++) {
        const struct call_entry *entry = calls_find(number);

        if (entry == NULL || entry->fn == NULL || number == SYS_rt_sigreturn)
            continue;
        for (unsigned i = 0; entry->format[i] != '\0'; i++)
            for (size_t w = 0; is_pointer(entry->format[i]) && w < 15; w++) {
                uint64_t a[6] = {0};
                int64_t rc;

                for (unsigned k = 0; entry->format[k] != '\0'; k++)
                    a[k] = usual(number, entry->format[k], k);
                a[i] = wild[w];
                rc = call_six(number, a);
                assert_false(kernel->ended);
                if (rc == KERNEL_WAIT) { /* for what it did get */
                    kernel->current->in_call = kernel->current->again = false;
                    kernel->current->wait = (struct task_wait){0};
                    kernel->current->status = TASK_READY;
                    kernel->current->has_saved_mask = false;
                    kernel->current->mask = 0;
                }
                kernel->current->clear_tid = kernel->current->robust_list = 0;
                check_kernel();
                tried++;
            }
    }
    assert_in_range(tried, 1500, 10000);
}

/* Of these, a wild pointer is always -EFAULT. */
static const struct {
    uint64_t number, a[6];
    unsigned pointer;
} must_use[] = {
    {SYS_read, {FILE_FD, 0, 8}, 1},
    {SYS_write, {FILE_FD, 0, 8}, 1},
    {SYS_open, {0, O_RDONLY}, 0},
    {SYS_stat, {0, SCRATCH}, 0},
    {SYS_fstat, {FILE_FD, 0}, 1},
    {SYS_poll, {0, 1, 0}, 0},
    {SYS_rt_sigaction, {SIGUSR1, 0, 0, 8}, 1},
    {SYS_rt_sigaction, {SIGUSR1, 0, 0, 8}, 2},
    {SYS_rt_sigprocmask, {SIG_BLOCK, 0, 0, 8}, 1},
    {SYS_rt_sigprocmask, {SIG_BLOCK, 0, 0, 8}, 2},
    {SYS_pread64, {FILE_FD, 0, 8, 0}, 1},
    {SYS_readv, {FILE_FD, 0, 1}, 1},
    {SYS_writev, {WRITER, 0, 1}, 1},
    {SYS_pipe, {0}, 0},
    {SYS_select, {1, 0, 0, 0, 0}, 1},
    {SYS_select, {0, 0, 0, 0, 0}, 4},
    {SYS_nanosleep, {0, 0}, 0},
    {SYS_sendto, {SOCKET_A, 0, 8, 0, 0, 0}, 1},
    {SYS_sendmsg, {SOCKET_A, 0, 0}, 1},
    {SYS_recvmsg, {SOCKET_A, 0, 0}, 1},
    {SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, 0}, 3},
    {SYS_uname, {0}, 0},
    {SYS_getcwd, {0, 4096}, 0},
    {SYS_chdir, {0}, 0},
    {SYS_mkdir, {0, 0755}, 0},
    {SYS_getrlimit, {7, 0}, 1},
    {SYS_getrusage, {0, 0}, 1},
    {SYS_sysinfo, {0}, 0},
    {SYS_getresuid, {0, SCRATCH, SCRATCH}, 0},
    {CALL_FUTEX, {0, 0, 0, 0}, 0},
    {SYS_clock_gettime, {0, 0}, 1},
    {SYS_epoll_ctl, {EPOLL, 1, READER, 0}, 3},
    {SYS_getrandom, {0, 8, 0}, 0},
    {SYS_memfd_create, {0, 0}, 0},
    {SYS_prlimit64, {0, 7, 0, 0}, 3},
    {SYS_statx, {(uint64_t)AT_FDCWD, 0, 0, 0, SCRATCH}, 1},
    {SYS_arch_prctl, {0x1003, 0}, 1},
};

static void a_wild_pointer_is_efault_where_it_must_be_used(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(must_use); i++)
        for (size_t w = 0; w < ARRAY_SIZE(wild); w++) {
            uint64_t a[6];

            memcpy(a, must_use[i].a, sizeof(a));
            a[must_use[i].pointer] = wild[w];
            if (must_use[i].number == CALL_FUTEX)
                a[0] &= ~3ull;
            if (wild[w] == SCRATCH + SCRATCH_SIZE - 1)
                continue; /* some need no more than a byte */
            if (call_six(must_use[i].number, a) != -EFAULT)
                fail_msg("call %u, pointer %zx", (unsigned)must_use[i].number,
                         (size_t)wild[w]);
        }
}

static void numbers_without_a_call_are_enosys(void **state)
{
    static const uint64_t numbers[] = {
        335, 400, 423, 511, 512, 1u << 30, UINT32_MAX, UINT64_MAX, 1ull << 63};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        assert_int_equal(call(numbers[i]), -ENOSYS);
        assert_non_null(kernel->unsupported);
    }
}

static void what_is_refused_says_so_by_name(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < NUMBERS; number++) {
        const struct call_entry *entry = calls_find(number);

        if (entry == NULL || entry->fn != NULL)
            continue;
        kernel->unsupported = NULL;
        assert_int_equal(call(number), -entry->refusal);
        if (entry->is_missed)
            assert_string_equal(kernel->unsupported, entry->why);
        else
            assert_null(kernel->unsupported);
    }
}

static void descriptors_that_are_none_are_ebadf(void **state)
{
    static const uint64_t numbers[] = {
        SYS_read,       SYS_write,           SYS_close,     SYS_fstat,
        SYS_lseek,      SYS_ioctl,           SYS_dup,       SYS_fcntl,
        SYS_flock,      SYS_fsync,           SYS_fchdir,    SYS_ftruncate,
        SYS_getdents64, SYS_readv,           SYS_writev,    SYS_pread64,
        SYS_epoll_wait, SYS_timerfd_settime, SYS_fallocate, SYS_recvfrom,
        SYS_sendmsg,    SYS_shutdown,        SYS_fchmod,    SYS_fstatfs,
    };
    static const uint64_t fds[] = {20,
                                   32,
                                   33,
                                   INT32_MAX,
                                   UINT32_MAX,
                                   UINT64_MAX,
                                   (uint64_t)INT64_MIN + 30};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        for (size_t k = 0; k < ARRAY_SIZE(fds); k++)
            assert_int_equal(call(numbers[i], fds[k], SCRATCH, 8, SCRATCH),
                             -EBADF);
}

static void the_parent_can_be_asked_of_and_not_changed(void **state)
{
    static const uint64_t pids[] = {0, KERNEL_PID, KERNEL_PID - 1, 77};
    static const int can_ask[] = {0, 0, 0, -ESRCH};
    static const int can_set[] = {0, 0, -EPERM, -ESRCH};

    (void)state;
    assert_int_equal(call(SYS_getppid), KERNEL_PID - 1);
    for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
        assert_int_equal(call(SYS_sched_getscheduler, pids[i]), can_ask[i]);
        assert_int_equal(call(SYS_sched_setscheduler, pids[i], SCHED_OTHER),
                         can_set[i]);
    }
}

/* ---- buffers ---- */

static void poke_vector(unsigned i, uint64_t base, uint64_t bytes)
{
    const uint64_t pair[2] = {base, bytes};

    poke(SCRATCH + i * sizeof(pair), pair, sizeof(pair));
}

static void a_list_of_buffers_is_one_message(void **state)
{
    (void)state;
    assert_int_equal(
        call(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, SCRATCH + 4096), 0);
    poke_vector(0, SCRATCH + PAGE, 3);
    poke_vector(1, 0, 0);
    poke_vector(2, SCRATCH + 2 * PAGE - 2, 4);
    assert_int_equal(call(SYS_writev, 8, SCRATCH, 3), 7);
    assert_int_equal(call(SYS_readv, 9, SCRATCH, 3), 7);
    assert_int_equal(call(SYS_writev, 8, SCRATCH, 3), 7);
    assert_int_equal(call(SYS_read, 9, SCRATCH, 100), 7);
}

static void lists_of_buffers_are_checked(void **state)
{
    (void)state;
    poke_vector(0, SCRATCH + PAGE, 8);
    poke_vector(1, SCRATCH + PAGE, 1ull << 63);
    assert_int_equal(call(SYS_writev, FILE_FD, SCRATCH, 2), -EINVAL);
    assert_int_equal(call(SYS_writev, FILE_FD, SCRATCH, 1025), -EINVAL);
    assert_int_equal(call(SYS_writev, FILE_FD, SCRATCH, UINT64_MAX), -EINVAL);
    assert_int_equal(call(SYS_writev, FILE_FD, 0, 0), 0);
    poke_vector(1, 8, 8); /* the first is written */
    assert_int_equal(call(SYS_writev, FILE_FD, SCRATCH, 2), 8);
    assert_int_equal(call(SYS_pwritev, READER, SCRATCH, 1, 0), -ESPIPE);
    assert_int_equal(call(SYS_pwritev, FILE_FD, SCRATCH, 1, -1), -EINVAL);
    poke_vector(0, SCRATCH, INT64_MAX);
    poke_vector(1, SCRATCH, INT64_MAX);
    assert_int_equal(call(SYS_preadv, FILE_FD, SCRATCH, 2, 8), 0);
}

/* As many as may be, each of a page's end and the next one's begin. */
static void the_longest_list_of_scattered_buffers_has_room(void **state)
{
    uint64_t list = (uint64_t)map_some(8 * PAGE);

    (void)state;
    for (uint64_t i = 0; i < 1024; i++) {
        const uint64_t pair[2] = {SCRATCH + (i % 63 + 1) * PAGE - 1, 2};

        poke(list + i * 16, pair, sizeof(pair));
    }
    assert_int_equal(call(SYS_pwritev, FILE_FD, list, 1024, 0), 2048);
    assert_int_equal(call(SYS_preadv, FILE_FD, list, 1024, 0), 2048);
    assert_int_equal(call(SYS_writev, SOCKET_A, list, 1024), 2048);
}

static void what_a_socket_has_no_room_for_is_written_when_it_has(void **state)
{
    uint64_t at = (uint64_t)map_some(300000), got = 0;
    struct task *first = kernel->current, *other = make_thread();

    (void)state;
    assert_int_equal(call(SYS_sendto, SOCKET_A, at, 300000, MSG_DONTWAIT, 0, 0),
                     65536);
    assert_int_equal(call(SYS_fcntl, SOCKET_A, F_SETFL, O_RDWR), 0);
    assert_int_equal(call(SYS_sendto, SOCKET_A, at, 300000, 0, 0, 0),
                     KERNEL_WAIT);
    while (first->in_call) {
        int64_t rc;

        run_task(other);
        rc = call(SYS_recvfrom, SOCKET_B, at, 65536, 0, 0, 0);
        assert_true(rc > 0);
        got += (uint64_t)rc;
        run_task(first);
        kernel_resume(kernel);
    }
    assert_int_equal(rig.regs.rax, 300000);
    assert_true(got >= 300000);
}

static void what_is_wanted_whole_comes_whole(void **state)
{
    struct task *first = kernel->current, *other = make_thread();
    char text[6];

    (void)state;
    assert_int_equal(call(SYS_fcntl, SOCKET_A, F_SETFL, O_RDWR), 0);
    poke(SCRATCH, "abcdef", 6);
    assert_int_equal(call(SYS_write, SOCKET_B, SCRATCH, 3), 3);
    assert_int_equal(
        call(SYS_recvfrom, SOCKET_A, SCRATCH + PAGE, 6, MSG_WAITALL, 0, 0),
        KERNEL_WAIT);
    run_task(other);
    assert_int_equal(call(SYS_write, SOCKET_B, SCRATCH + 3, 3), 3);
    run_task(first);
    kernel_resume(kernel);
    assert_int_equal(rig.regs.rax, 6);
    peek(SCRATCH + PAGE, text, 6);
    assert_memory_equal(text, "abcdef", 6);
    assert_int_equal(call(SYS_write, SOCKET_B, SCRATCH, 3), 3);
    assert_int_equal(call(SYS_close, SOCKET_B), 0);
    assert_int_equal(
        call(SYS_recvfrom, SOCKET_A, SCRATCH, 6, MSG_WAITALL, 0, 0), 3);
}

static void a_message_to_nobody_is_told(void **state)
{
    (void)state;
    assert_int_equal(call(SYS_close, SOCKET_B), 0);
    assert_int_equal(call(SYS_sendto, SOCKET_A, SCRATCH, 8, MSG_NOSIGNAL, 0, 0),
                     -EPIPE);
    assert_int_equal(kernel->current->pending, 0);
    assert_int_equal(call(SYS_sendto, SOCKET_A, SCRATCH, 8, 0, 0, 0), -EPIPE);
    assert_int_equal(kernel->current->pending, signal_bit(SIGPIPE));
    assert_int_equal(call(SYS_sendto, FILE_FD, SCRATCH, 8, 0, 0, 0), -ENOTSOCK);
}

/* ---- descriptors ---- */

static void all_descriptors_are_closed_at_once(void **state)
{
    int64_t last = 0;

    (void)state;
    while ((last = call(SYS_dup, FILE_FD)) >= 0)
        ;
    assert_int_equal(last, -EMFILE);
    assert_true(kernel->met_file_limit);
    assert_int_equal(call(SYS_close_range, 5, 3, 0), -EINVAL);
    assert_int_equal(call(SYS_close_range, 8, UINT32_MAX, 4), 0);
    assert_int_equal(call(SYS_fcntl, 31, F_GETFD), FD_CLOEXEC);
    assert_int_equal(call(SYS_close_range, 5, UINT32_MAX, 0), 0);
    assert_int_equal(call(SYS_fcntl, 31, F_GETFD), -EBADF);
    assert_int_equal(call(SYS_read, FILE_FD, SCRATCH, 1), 0);
    assert_int_equal(call(SYS_dup2, FILE_FD, 32), -EBADF);
    assert_int_equal(call(SYS_dup3, FILE_FD, FILE_FD, 0), -EINVAL);
    assert_int_equal(call(SYS_dup2, FILE_FD, FILE_FD), FILE_FD);
    assert_int_equal(call(SYS_fcntl, FILE_FD, F_DUPFD, 32), -EINVAL);
    assert_int_equal(call(SYS_fcntl, FILE_FD, F_DUPFD, 30), 30);
}

static void a_wait_for_many_sees_what_is_not_to_be_waited_for(void **state)
{
    const uint64_t set[2] = {1u << WRITER | 1u << READER, 0};
    uint64_t found;
    int64_t path;
    struct pollfd look;

    (void)state;
    poke(SCRATCH, set, sizeof(set));
    assert_int_equal(call(SYS_select, 1u << 20, 0, SCRATCH, 0, 0), 1);
    peek(SCRATCH, &found, sizeof(found));
    assert_int_equal(found, 1u << WRITER);
    assert_int_equal(call(SYS_select, -1, 0, 0, 0, SCRATCH), -EINVAL);
    path = call(SYS_open, text_at(1, "/tmp"), O_PATH, 0);
    look = (struct pollfd){(int)path, POLLIN, 0};
    poke(SCRATCH, &look, sizeof(look));
    assert_int_equal(call(SYS_poll, SCRATCH, 1, -1), 1);
    peek(SCRATCH, &look, sizeof(look));
    assert_int_equal(look.revents, POLLNVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wild_pointer_harms_nobody),
        TEST(a_wild_pointer_is_efault_where_it_must_be_used),
        TEST(numbers_without_a_call_are_enosys),
        TEST(what_is_refused_says_so_by_name),
        TEST(descriptors_that_are_none_are_ebadf),
        TEST(the_parent_can_be_asked_of_and_not_changed),
        TEST(a_list_of_buffers_is_one_message),
        TEST(lists_of_buffers_are_checked),
        TEST(the_longest_list_of_scattered_buffers_has_room),
        TEST(what_a_socket_has_no_room_for_is_written_when_it_has),
        TEST(what_is_wanted_whole_comes_whole),
        TEST(a_message_to_nobody_is_told),
        TEST(all_descriptors_are_closed_at_once),
        TEST(a_wait_for_many_sees_what_is_not_to_be_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
