/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "sandbox/process/init/init.h"

void init_report(int fd, enum init_step step, uint32_t detail)
{
    struct report report = {
        .magic = REPORT_MAGIC,
        .step = step,
        .sys = errno,
        .detail = detail,
    };

    (void)!write(fd, &report, sizeof(report));
}

noreturn void init_fail(enum init_step step, uint32_t detail)
{
    init_report(INIT_FD_START, step, detail);
    _exit(127);
}

bool plan_is_whole(const struct plan *plan, size_t got)
{
    const size_t head = offsetof(struct plan, text);

    return got > head && plan->magic == PLAN_MAGIC &&
           plan->text_bytes == got - head &&
           plan->text[plan->text_bytes - 1] == '\0' &&
           plan->operation_count <= PLAN_OPERATIONS_MAX &&
           plan->rlimit_count <= PLAN_RLIMITS_MAX &&
           plan->arg_count < PLAN_ARGS_MAX && plan->env_count < PLAN_ARGS_MAX;
}
