/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_test.c - the filter's two parts answer as the whole does.
 *
 * The kernel runs a filter on a struct seccomp_data, and takes the strictest
 * answer of several (seccomp(2)); so does this file, for each call, with all
 * values that any of the filters compares with.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include <linux/audit.h>
#include <linux/seccomp.h>

#include "base/check.h"
#include "sandbox/process/filter/filter.h"

#define CALLS      520         /* more than there are */
#define X32        0x40000000u /* the other ABI's calls */
#define VALUES_MAX 2048

static const struct filter *const all[] = {
    &process_filter, &process_filter_outer, &process_filter_inner};

static uint32_t values[VALUES_MAX];
static size_t value_count;

static uint32_t load(const struct seccomp_data *data, uint32_t at)
{
    uint32_t word;

    must(at <= sizeof(*data) - sizeof(word));
    memcpy(&word, (const char *)data + at, sizeof(word));
    return word;
}

static bool holds(const struct sock_filter *step, uint32_t a)
{
    switch (BPF_OP(step->code)) {
    case BPF_JEQ:
        return a == step->k;
    case BPF_JGT:
        return a > step->k;
    case BPF_JGE:
        return a >= step->k;
    case BPF_JSET:
        return (a & step->k) != 0;
    }
    fail_msg("a jump of code %#x", step->code);
    return false;
}

static uint32_t run(const struct filter *filter,
                    const struct seccomp_data *data)
{
    uint32_t a = 0;

    for (size_t i = 0; i < filter->count; i++) {
        const struct sock_filter *step = &filter->code[i];

        switch (step->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            a = load(data, step->k);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= step->k;
            break;
        case BPF_JMP | BPF_JA:
            i += step->k;
            break;
        case BPF_RET | BPF_K:
            return step->k;
        default:
            i += holds(step, a) ? step->jt : step->jf;
        }
    }
    fail_msg("a filter without an end");
    return 0;
}

/* Actions are ordered as signed numbers; of two alike the newer one counts. */
static uint32_t run_parts(const struct seccomp_data *data)
{
    const uint32_t inner = run(&process_filter_inner, data),
                   outer = run(&process_filter_outer, data);

    return (int32_t)(outer & SECCOMP_RET_ACTION_FULL) <
                   (int32_t)(inner & SECCOMP_RET_ACTION_FULL)
               ? outer
               : inner;
}

static void add_value(uint32_t value)
{
    for (size_t i = 0; i < value_count; i++)
        if (values[i] == value)
            return;
    must(value_count < VALUES_MAX);
    values[value_count++] = value;
}

static int collect(void **state)
{
    (void)state;
    add_value(0);
    for (int bit = 0; bit < 32; bit++)
        add_value(1u << bit);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        for (size_t k = 0; k < all[i]->count; k++)
            if (BPF_CLASS(all[i]->code[k].code) == BPF_JMP)
                for (uint32_t near = 0; near < 3; near++)
                    add_value(all[i]->code[k].k + near - 1);
    return 0;
}

static void compare(const struct seccomp_data *data)
{
    const uint32_t whole = run(&process_filter, data), parts = run_parts(data);

    if (whole != parts)
        fail_msg("call %d (%#llx, %#llx, ..): %#x, in parts %#x", data->nr,
                 (unsigned long long)data->args[0],
                 (unsigned long long)data->args[1], whole, parts);
}

static void compare_arguments(int call)
{
    struct seccomp_data data = {.nr = call, .arch = AUDIT_ARCH_X86_64};

    for (int i = 0; i < 6; i++) {
        memset(data.args, 0, sizeof(data.args));
        for (size_t k = 0; k < value_count; k++) {
            data.args[i] = values[k];
            compare(&data);
            data.args[i] |= UINT64_C(0xabcd1234) << 32;
            compare(&data);
        }
    }
}

static void the_parts_answer_as_the_whole(void **state)
{
    (void)state;
    for (int call = 0; call < CALLS; call++) {
        compare_arguments(call);
        compare_arguments((int)(X32 | (unsigned)call));
    }
    compare_arguments(-1);
}

/* The only call of which two arguments count. */
static void also_where_two_arguments_count(void **state)
{
    struct seccomp_data data = {.nr = SYS_socketpair,
                                .arch = AUDIT_ARCH_X86_64};

    (void)state;
    for (size_t i = 0; i < value_count; i++)
        for (size_t k = 0; k < value_count; k++) {
            data.args[0] = values[i];
            data.args[1] = values[k];
            compare(&data);
        }
}

static void another_machine_s_calls_are_deadly(void **state)
{
    static const uint32_t machines[] = {AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, 0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
        for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
            const struct seccomp_data data = {.nr = SYS_read,
                                              .arch = machines[i]};

            assert_int_equal(run(all[k], &data), SECCOMP_RET_KILL_PROCESS);
        }
}

static void one_may_seal_oneself_under_the_outer_part(void **state)
{
    static const int calls[] = {SYS_capset,  SYS_clone3,
                                SYS_unshare, SYS_move_mount,
                                SYS_seccomp, SYS_landlock_restrict_self};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        const struct seccomp_data data = {.nr = calls[i],
                                          .arch = AUDIT_ARCH_X86_64};

        assert_int_equal(run(&process_filter_outer, &data), SECCOMP_RET_ALLOW);
        assert_int_equal(run_parts(&data) & SECCOMP_RET_ACTION_FULL,
                         SECCOMP_RET_ERRNO);
    }
}

static void who_holds_a_terminal_may_not_open_it_to_others(void **state)
{
    static const int free_calls[] = {SYS_read, SYS_write, SYS_chmod,
                                     SYS_fchmodat, SYS_seccomp};
    struct seccomp_data data = {.nr = SYS_fchmod, .arch = AUDIT_ARCH_X86_64};

    (void)state;
    assert_int_equal(run(&process_filter, &data), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&process_filter_streams, &data),
                     SECCOMP_RET_ERRNO | EPERM);
    for (size_t i = 0; i < ARRAY_SIZE(free_calls); i++) {
        data.nr = free_calls[i];
        assert_int_equal(run(&process_filter_streams, &data),
                         SECCOMP_RET_ALLOW);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_holds_a_terminal_may_not_open_it_to_others),
        cmocka_unit_test(the_parts_answer_as_the_whole),
        cmocka_unit_test(also_where_two_arguments_count),
        cmocka_unit_test(another_machine_s_calls_are_deadly),
        cmocka_unit_test(one_may_seal_oneself_under_the_outer_part),
    };

    return cmocka_run_group_tests(tests, collect, NULL);
}
