/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.c - system calls as lines for people, the way strace prints them.
 *
 *     openat(AT_FDCWD, "/etc/localtime", 0x80000, 0) = 3
 *     read(3, 0x7ffff7c01000, 4096) = 114
 *     fork(0x0, 0x0, 0x0, 0x0, 0x0, 0x0) = -1 ENOSYS (not supported: ...)
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

#define LINE_BYTES 512
#define TEXT_BYTES 64 /* of a string or buffer that are shown */

struct line {
    char text[LINE_BYTES];
    size_t count;
};

static void add(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(struct line *line, const char *format, ...)
{
    size_t room = sizeof(line->text) - line->count;
    va_list list;
    int bytes;

    va_start(list, format);
    bytes = vsnprintf(line->text + line->count, room, format, list);
    va_end(list);
    if (bytes > 0)
        line->count += (size_t)bytes < room ? (size_t)bytes : room - 1;
}

/* Bytes of the guest's, none of which may move a cursor. */
static void add_quoted(struct line *line, const char *bytes, size_t count,
                       bool cut)
{
    add(line, "\"");
    for (size_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c == '\n')
            add(line, "\\n");
        else if (c == '"' || c == '\\')
            add(line, "\\%c", c);
        else if (c < ' ' || c >= 127)
            add(line, "\\x%02x", c);
        else
            add(line, "%c", c);
    }
    add(line, "\"%s", cut ? "..." : "");
}

static void add_string(struct kernel *kernel, struct line *line,
                       uint64_t address)
{
    char text[TEXT_BYTES + 1];
    int64_t length =
        user_string(&kernel->space, text, sizeof(text) - 1, address);

    if (length == -EFAULT)
        add(line, "0x%" PRIx64, address);
    else
        add_quoted(line, text, length < 0 ? TEXT_BYTES : (size_t)length,
                   length < 0);
}

static void add_buffer(struct kernel *kernel, struct line *line,
                       uint64_t address, uint64_t bytes)
{
    char text[TEXT_BYTES];
    size_t shown = bytes < sizeof(text) ? (size_t)bytes : sizeof(text);

    if (user_read(&kernel->space, text, address, shown) < 0)
        add(line, "0x%" PRIx64, address);
    else
        add_quoted(line, text, shown, shown < bytes);
}

static void add_argument(struct kernel *kernel, struct line *line, char format,
                         const uint64_t *value)
{
    switch (format) {
    case 's':
        return add_string(kernel, line, *value);
    case 'b':
        return add_buffer(kernel, line, value[0], value[1]);
    case 't':
        if ((int)*value == AT_FDCWD)
            return add(line, "AT_FDCWD");
        return add(line, "%d", (int)*value);
    case 'S':
        if (sigabbrev_np((int)*value) != NULL)
            return add(line, "SIG%s", sigabbrev_np((int)*value));
        return add(line, "%d", (int)*value);
    case 'f':
    case 'd':
        return add(line, "%d", (int)*value);
    case 'u':
        return add(line, "%" PRIu64, *value);
    case 'o':
        return add(line, "%#o", (unsigned)*value);
    case 'p':
        if (*value == 0)
            return add(line, "NULL");
        return add(line, "0x%" PRIx64, *value);
    default:
        return add(line, "0x%" PRIx64, *value);
    }
}

static void add_answer(struct line *line, const struct call_entry *entry,
                       int64_t answer, const char *lacks)
{
    if (answer == KERNEL_WAIT)
        add(line, " waits");
    else if (answer == KERNEL_KEEP)
        add(line, " = ?");
    else if (answer < 0 && answer > -4096)
        add(line, " = -1 %s", strerrorname_np((int)-answer));
    else if (answer > 0xffff)
        add(line, " = 0x%" PRIx64, (uint64_t)answer);
    else
        add(line, " = %" PRId64, answer);
    if (entry == NULL)
        add(line, " (there is no such call here)");
    else if (entry->fn == NULL || lacks != NULL)
        add(line, " (not supported: %s)",
            entry->fn == NULL ? entry->why : lacks);
}

void trace_call(struct kernel *kernel, const uint64_t call[7], int64_t answer)
{
    const struct call_entry *entry = calls_find(call[0]);
    struct line line = {.count = 0};

    if (kernel->task_count > 1 && kernel->current != NULL)
        add(&line, "[%d] ", kernel->current->tid);
    if (entry == NULL)
        add(&line, "syscall_%" PRIu64 "(", call[0]);
    else
        add(&line, "%s(", entry->name);
    for (size_t i = 0; entry != NULL && entry->format[i] != '\0'; i++) {
        add(&line, "%s", i > 0 ? ", " : "");
        add_argument(kernel, &line, entry->format[i], &call[1 + i]);
    }
    add(&line, ")");
    add_answer(&line, entry, answer, kernel->lacks);
    kernel->trace(kernel->trace_context, line.text);
}

void trace_signal(struct kernel *kernel, int number)
{
    struct line line = {.count = 0};

    if (kernel->trace == NULL)
        return;
    add(&line, "--- SIG%s ---",
        sigabbrev_np(number) != NULL ? sigabbrev_np(number) : "RT");
    kernel->trace(kernel->trace_context, line.text);
}
