/* SPDX-License-Identifier: Apache-2.0 */
/*
 * futex.c - waiting for a word of memory.
 *
 * A word is known by a key (user_word), so two mappings of a shared page are
 * one word; whether a program calls its futexes private is no matter.  The
 * guest stands still while the host compares and puts a task to wait, so
 * nothing can come in between; but for words of the region, which the host
 * writes: whoever rings calls futex_wake_word after it has written.
 */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/kernel.h"
#include "sandbox/microvm/linux/space/user.h"

#define ROBUST_MAX 2048u /* entries that are followed, as Linux */

static bool waits_for(const struct task *task, uint64_t key, uint32_t bits)
{
    return task->wait.futex == key && !task->wait.woken &&
           (task->wait.bits & bits) != 0;
}

/* Tasks that wait for the word, first come first served. */
static struct task *next_waiter(const struct kernel *kernel, uint64_t key,
                                uint32_t bits)
{
    struct task *best = NULL;

    for (uint32_t i = 0; i < kernel->tasks_max; i++) {
        struct task *task = kernel->tasks[i];

        if (task == NULL || !waits_for(task, key, bits))
            continue;
        if (best == NULL || task->wait.order < best->wait.order)
            best = task;
    }
    return best;
}

static int wake_one(struct kernel *kernel, struct task *task, uint64_t key,
                    uint32_t bits)
{
    if (!waits_for(task, key, bits))
        return 0;
    task->wait.woken = true;
    task->status = TASK_READY;
    kernel->stirred = true;
    return 1;
}

int futex_wake(struct kernel *kernel, uint64_t key, int count, uint32_t bits)
{
    struct task *task;
    int woken = 0;

    /* Where all are woken, it does not matter who comes first. */
    for (uint32_t i = 0;
         count >= (int)kernel->task_count && i < kernel->tasks_max; i++)
        if (kernel->tasks[i] != NULL)
            woken += wake_one(kernel, kernel->tasks[i], key, bits);
    while (woken < count && (task = next_waiter(kernel, key, bits)) != NULL)
        woken += wake_one(kernel, task, key, bits);
    return woken;
}

void futex_wake_word(struct kernel *kernel, uint64_t physical)
{
    futex_wake(kernel, physical, INT32_MAX, UINT32_MAX);
}

static uint32_t load(const void *host)
{
    return __atomic_load_n((const uint32_t *)host, __ATOMIC_SEQ_CST);
}

static int64_t futex_wait(struct kernel *kernel, uint64_t address,
                          uint32_t expected, uint32_t bits, uint64_t until_ns)
{
    struct task *task = kernel->current;
    uint64_t key;
    void *host;
    int rc;

    if (task->again && task->wait.woken)
        return 0;
    if (task_is_late(task))
        return -ETIMEDOUT;
    if (task->again && task->wait.futex != 0) { /* it may have been requeued */
        task->status = TASK_WAITING;
        return KERNEL_WAIT;
    }
    if (bits == 0)
        return -EINVAL;
    rc = user_word(&kernel->space, address, TABLES_READ, &key, &host);
    if (rc < 0)
        return rc;
    if (load(host) != expected)
        return -EAGAIN;
    task->wait.futex = key;
    task->wait.bits = bits;
    return task_wait(kernel, task, until_ns);
}

/* Wake some, and let others wait for another word. */
static int64_t requeue(struct kernel *kernel, const uint64_t a[6], bool compare)
{
    uint64_t key, other;
    struct task *task;
    int woken, moved, rc;
    void *host;

    if ((int)a[2] < 0 || (int)a[3] < 0)
        return -EINVAL;
    rc = user_word(&kernel->space, a[0], TABLES_READ, &key, &host);
    if (rc == 0 && compare && load(host) != (uint32_t)a[5])
        return -EAGAIN;
    if (rc == 0)
        rc = user_word(&kernel->space, a[4], TABLES_READ, &other, &host);
    if (rc < 0)
        return rc;
    woken = futex_wake(kernel, key, (int)a[2], UINT32_MAX);
    for (moved = 0; key != other && moved < (int)a[3]; moved++) {
        task = next_waiter(kernel, key, UINT32_MAX);
        if (task == NULL)
            break;
        task->wait.futex = other;
    }
    return woken + moved;
}

/* FUTEX_WAKE_OP's little program on the second word. */
static int operate(uint32_t *word, uint32_t code, bool *also)
{
    int32_t old = (int32_t)*word, argument = (int32_t)(code << 8) >> 20;
    int32_t with = (int32_t)(code << 20) >> 20;
    uint32_t value = (uint32_t)argument;

    if ((code >> 28 & FUTEX_OP_OPARG_SHIFT) != 0)
        value = 1u << (argument & 31);
    switch (code >> 28 & 7) {
    case FUTEX_OP_SET:
        *word = value;
        break;
    case FUTEX_OP_ADD:
        *word += value;
        break;
    case FUTEX_OP_OR:
        *word |= value;
        break;
    case FUTEX_OP_ANDN:
        *word &= ~value;
        break;
    case FUTEX_OP_XOR:
        *word ^= value;
        break;
    default:
        return -ENOSYS;
    }
    switch (code >> 24 & 15) {
    case FUTEX_OP_CMP_EQ:
        *also = old == with;
        return 0;
    case FUTEX_OP_CMP_NE:
        *also = old != with;
        return 0;
    case FUTEX_OP_CMP_LT:
        *also = old < with;
        return 0;
    case FUTEX_OP_CMP_LE:
        *also = old <= with;
        return 0;
    case FUTEX_OP_CMP_GT:
        *also = old > with;
        return 0;
    case FUTEX_OP_CMP_GE:
        *also = old >= with;
        return 0;
    }
    return -ENOSYS;
}

static int64_t wake_op(struct kernel *kernel, const uint64_t a[6])
{
    uint64_t first, second;
    bool also = false;
    uint32_t word;
    int woken, rc;
    void *host;

    if ((rc = user_word(&kernel->space, a[0], TABLES_READ, &first, &host)) <
            0 ||
        (rc = user_word(&kernel->space, a[4], TABLES_WRITE, &second, &host)) <
            0)
        return rc;
    word = load(host);
    if ((rc = operate(&word, (uint32_t)a[5], &also)) < 0)
        return rc;
    __atomic_store_n((uint32_t *)host, word, __ATOMIC_SEQ_CST);
    woken = futex_wake(kernel, first, (int)a[2], UINT32_MAX);
    if (also)
        woken += futex_wake(kernel, second, (int)a[3], UINT32_MAX);
    return woken;
}

/* The end of the wait: an absolute time, or for FUTEX_WAIT a relative one. */
static int read_until(struct kernel *kernel, uint64_t address, int operation,
                      bool realtime, uint64_t *until_ns)
{
    uint64_t at, now;
    int rc;

    *until_ns = 0;
    if (address == 0)
        return 0;
    if (kernel->current->again && kernel->current->wait.has_until) {
        *until_ns = kernel->current->wait.until_ns;
        return 0;
    }
    if ((rc = calls_read_time(kernel, address, &at)) < 0)
        return rc;
    if (operation == FUTEX_WAIT) {
        *until_ns = task_until(kernel, at);
        return 0;
    }
    now = waker_now_ns(&kernel->waker,
                       realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC);
    *until_ns = task_until(kernel, at > now ? at - now : 0);
    return 0;
}

int64_t call_futex(struct kernel *kernel, const uint64_t a[6])
{
    int operation = (int)a[1] & FUTEX_CMD_MASK, rc;
    bool realtime = (a[1] & FUTEX_CLOCK_REALTIME) != 0;
    uint64_t until_ns, key;
    uint32_t bits;
    void *host;

    switch (operation) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        bits = operation == FUTEX_WAIT ? UINT32_MAX : (uint32_t)a[5];
        rc = read_until(kernel, a[3], operation, realtime, &until_ns);
        if (rc < 0)
            return rc;
        return futex_wait(kernel, a[0], (uint32_t)a[2], bits, until_ns);
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
        bits = operation == FUTEX_WAKE ? UINT32_MAX : (uint32_t)a[5];
        if (bits == 0)
            return -EINVAL;
        rc = user_word(&kernel->space, a[0], TABLES_READ, &key, &host);
        return rc < 0 ? rc : futex_wake(kernel, key, (int)a[2], bits);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        return requeue(kernel, a, operation == FUTEX_CMP_REQUEUE);
    case FUTEX_WAKE_OP:
        return wake_op(kernel, a);
    default:
        kernel_note_unsupported(kernel, "futex with priority inheritance");
        return -ENOSYS;
    }
}

static void bury(struct kernel *kernel, const struct task *task, uint64_t word)
{
    uint64_t key;
    uint32_t value;
    void *host;

    if (user_word(&kernel->space, word, TABLES_WRITE, &key, &host) < 0)
        return;
    value = load(host);
    if ((value & FUTEX_TID_MASK) != (uint32_t)task->tid)
        return;
    __atomic_store_n((uint32_t *)host,
                     (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED,
                     __ATOMIC_SEQ_CST);
    if ((value & FUTEX_WAITERS) != 0)
        futex_wake(kernel, key, 1, UINT32_MAX);
}

void futex_end(struct kernel *kernel, struct task *task)
{
    struct {
        uint64_t next, off, pending;
    } head;
    uint64_t at, next;

    if (task->robust_list == 0 ||
        user_read(&kernel->space, &head, task->robust_list, sizeof(head)) < 0)
        return;
    at = head.next;
    for (uint32_t i = 0; i < ROBUST_MAX && at != task->robust_list; i++) {
        /* The lowest bit tells a kind of futex that we do not have. */
        if (user_read(&kernel->space, &next, at & ~1ull, sizeof(next)) < 0)
            return;
        bury(kernel, task, (at & ~1ull) + head.off);
        at = next;
    }
    if (head.pending != 0)
        bury(kernel, task, (head.pending & ~1ull) + head.off);
}
