/* SPDX-License-Identifier: Apache-2.0 */
/* descriptors.c - the numbers by which a guest knows its open files. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/check.h"
#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

#define FLAGS_SETTABLE (O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME)

struct file *kernel_file(const struct kernel *kernel, uint64_t number)
{
    uint32_t index = (uint32_t)number;

    return index < kernel->files_max ? kernel->descriptors[index].file : NULL;
}

static void set(struct kernel *kernel, uint32_t number, struct file *file,
                bool close_on_exec)
{
    kernel->descriptors[number] =
        (struct descriptor){.file = file, .close_on_exec = close_on_exec};
    file->numbers++;
}

int kernel_install(struct kernel *kernel, struct file *file, uint32_t first,
                   bool close_on_exec)
{
    for (uint32_t i = first; i < kernel->files_max; i++)
        if (kernel->descriptors[i].file == NULL) {
            set(kernel, i, file, close_on_exec);
            return (int)i;
        }
    kernel->met_file_limit = true;
    file_put(file);
    return -EMFILE;
}

/*
 * Sets to wait for know files by their descriptors: when the last one of a file
 * goes, they forget it, though a mapping may keep it.  So do tasks that wait: a
 * call that waits has no reference.
 */
int kernel_close_file(struct kernel *kernel, uint64_t number)
{
    struct file *file = kernel_file(kernel, number);

    if (file == NULL)
        return -EBADF;
    kernel->descriptors[(uint32_t)number].file = NULL;
    must(file->numbers > 0);
    if (--file->numbers == 0) {
        event_forget(kernel->sets, file);
        task_forget(kernel, file);
    }
    file_put(file);
    return 0;
}

int calls_install_pair(struct kernel *kernel, struct file *ends[2],
                       bool close_on_exec, uint64_t address)
{
    int numbers[2], rc;

    numbers[0] = kernel_install(kernel, ends[0], 0, close_on_exec);
    if (numbers[0] < 0) {
        file_put(ends[1]);
        return numbers[0];
    }
    numbers[1] = kernel_install(kernel, ends[1], 0, close_on_exec);
    rc = numbers[1] < 0
             ? numbers[1]
             : user_write(&kernel->space, address, numbers, sizeof(numbers));
    if (rc < 0) {
        kernel_close_file(kernel, (uint64_t)numbers[0]);
        if (numbers[1] >= 0)
            kernel_close_file(kernel, (uint64_t)numbers[1]);
    }
    return rc;
}

int64_t call_close(struct kernel *kernel, const uint64_t a[6])
{
    return kernel_close_file(kernel, a[0]);
}

int64_t call_close_range(struct kernel *kernel, const uint64_t a[6])
{
    uint32_t first = (uint32_t)a[0], last = (uint32_t)a[1];

    if (first > last || (a[2] & ~6ull) != 0)
        return -EINVAL;
    for (uint64_t i = first; i <= last && i < kernel->files_max; i++) {
        if ((a[2] & 4) != 0) /* CLOSE_RANGE_CLOEXEC */
            kernel->descriptors[i].close_on_exec = true;
        else
            kernel_close_file(kernel, i);
    }
    return 0;
}

static int64_t duplicate(struct kernel *kernel, uint64_t number, uint64_t first,
                         bool close_on_exec)
{
    struct file *file = kernel_file(kernel, number);

    if (file == NULL)
        return -EBADF;
    if (first >= kernel->files_max)
        return -EINVAL;
    return kernel_install(kernel, file_get(file), (uint32_t)first,
                          close_on_exec);
}

int64_t call_dup(struct kernel *kernel, const uint64_t a[6])
{
    return duplicate(kernel, a[0], 0, false);
}

static int64_t replace(struct kernel *kernel, uint64_t from, uint64_t to,
                       bool close_on_exec)
{
    struct file *file = kernel_file(kernel, from);

    if (file == NULL || (uint32_t)to >= kernel->files_max)
        return -EBADF;
    file_get(file);
    kernel_close_file(kernel, to);
    set(kernel, (uint32_t)to, file, close_on_exec);
    return (int64_t)(uint32_t)to;
}

int64_t call_dup2(struct kernel *kernel, const uint64_t a[6])
{
    if ((uint32_t)a[0] == (uint32_t)a[1])
        return kernel_file(kernel, a[0]) == NULL ? -EBADF
                                                 : (int64_t)(uint32_t)a[1];
    return replace(kernel, a[0], a[1], false);
}

int64_t call_dup3(struct kernel *kernel, const uint64_t a[6])
{
    if ((uint32_t)a[0] == (uint32_t)a[1] || (a[2] & ~(uint64_t)O_CLOEXEC) != 0)
        return -EINVAL;
    return replace(kernel, a[0], a[1], a[2] != 0);
}

/* Nobody else locks: a lock is there as soon as it is asked for. */
static int64_t lock(struct kernel *kernel, int command, uint64_t address)
{
    struct flock flock;
    int rc = user_read(&kernel->space, &flock, address, sizeof(flock));

    if (rc < 0 || (command != F_GETLK && command != F_OFD_GETLK))
        return rc;
    flock.l_type = F_UNLCK;
    return user_write(&kernel->space, address, &flock, sizeof(flock));
}

int64_t call_fcntl(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file = kernel_file(kernel, a[0]);
    struct descriptor *descriptor;

    if (file == NULL)
        return -EBADF;
    descriptor = &kernel->descriptors[(uint32_t)a[0]];
    switch ((int)a[1]) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return duplicate(kernel, a[0], a[2], (int)a[1] == F_DUPFD_CLOEXEC);
    case F_GETFD:
        return descriptor->close_on_exec ? FD_CLOEXEC : 0;
    case F_SETFD:
        descriptor->close_on_exec = (a[2] & FD_CLOEXEC) != 0;
        return 0;
    case F_GETFL:
        return (int64_t)(file->flags & ~(unsigned)O_CLOEXEC);
    case F_SETFL:
        file->flags = (file->flags & ~(unsigned)FLAGS_SETTABLE) |
                      ((unsigned)a[2] & FLAGS_SETTABLE);
        return 0;
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return lock(kernel, (int)a[1], a[2]);
    case F_GETPIPE_SZ:
        return EVENT_PIPE_BYTES;
    case F_SETPIPE_SZ:
        return (uint32_t)a[2] <= EVENT_PIPE_BYTES ? (int)EVENT_PIPE_BYTES
                                                  : -EPERM;
    case F_GETOWN:
    case F_SETOWN:
        return 0;
    case F_GET_SEALS:
    case F_ADD_SEALS:
        return -EINVAL;
    default:
        return -EINVAL;
    }
}

int64_t call_flock(struct kernel *kernel, const uint64_t a[6])
{
    return kernel_file(kernel, a[0]) == NULL ? -EBADF : 0;
}

int64_t call_ioctl(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file = kernel_file(kernel, a[0]);
    int64_t bytes;
    int value;

    if (file == NULL)
        return -EBADF;
    switch ((uint32_t)a[1]) {
    case FIOCLEX:
    case FIONCLEX:
        kernel->descriptors[(uint32_t)a[0]].close_on_exec =
            (uint32_t)a[1] == FIOCLEX;
        return 0;
    case FIONBIO:
        if (user_read(&kernel->space, &value, a[2], sizeof(value)) < 0)
            return -EFAULT;
        file->flags = value != 0 ? file->flags | O_NONBLOCK
                                 : file->flags & ~(unsigned)O_NONBLOCK;
        return 0;
    case FIONREAD:
        bytes = event_readable_bytes(file);
        if (bytes < 0 && file->class->size != NULL) {
            int64_t at = file_seek(file, 0, SEEK_CUR);

            bytes = file->class->size(file);
            bytes -= bytes < at ? bytes : at;
        }
        if (bytes < 0)
            return bytes;
        value = bytes > INT32_MAX ? INT32_MAX : (int)bytes;
        return user_write(&kernel->space, a[2], &value, sizeof(value));
    default: /* terminals, mostly: there is none */
        return -ENOTTY;
    }
}
