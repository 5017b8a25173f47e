/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - the calls on a guest's addresses, decoded. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/region_file.h"
#include "sandbox/microvm/linux/space/user.h"

#define MASK       (SPACE_PAGE_BYTES - 1ull)
#define INCORE_MAX (4ull << 30) /* of addresses, in one call */

#define POPULATE_BYTES (16ull << 20) /* before somebody else may go on */

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

static int access_of(uint64_t protection, unsigned *access)
{
    if ((protection & ~(uint64_t)(PROT_READ | PROT_WRITE | PROT_EXEC |
                                  PROT_GROWSDOWN | PROT_GROWSUP)) != 0)
        return -EINVAL;
    *access = 0;
    if ((protection & PROT_WRITE) != 0)
        *access = TABLES_READ | TABLES_WRITE;
    if ((protection & PROT_READ) != 0)
        *access |= TABLES_READ;
    if ((protection & PROT_EXEC) != 0)
        *access |= TABLES_READ | TABLES_EXEC;
    return 0;
}

/* Which kind of area, and may it be so? */
static int decode_file(struct kernel *kernel, const uint64_t a[6],
                       struct space_request *request)
{
    bool shared = (a[3] & MAP_PRIVATE) == 0;
    struct file *file = kernel_file(kernel, a[4]);
    unsigned mode;

    if (file == NULL)
        return -EBADF;
    mode = file->flags & O_ACCMODE;
    if (mode == O_WRONLY || (file->flags & O_PATH) != 0)
        return -EACCES;
    if (shared && (request->access & TABLES_WRITE) != 0 && mode != O_RDWR)
        return -EACCES;
    request->file = file;
    request->off = a[5];
    request->may_write = !shared || mode == O_RDWR;
    if (region_file_is(file)) {
        if (!shared)
            return -EINVAL;
        request->kind = AREA_PHYSICAL;
        return region_file_place(file, a[5], request->bytes, &request->off);
    }
    if (shared && file->class->page != NULL && file_host_fd(file) < 0)
        request->kind = AREA_SHARED;
    else if (file->class->size == NULL || file->class->size(file) < 0 ||
             (shared && mode == O_RDWR))
        return -ENODEV;
    else
        request->kind = AREA_FILE;
    return 0;
}

int64_t call_mmap(struct kernel *kernel, const uint64_t a[6])
{
    struct space_request request = {
        .address = a[0],
        .bytes = (a[1] + MASK) & ~MASK,
        .kind = AREA_ANONYMOUS,
        .fixed = (a[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0,
        .replace = (a[3] & MAP_FIXED_NOREPLACE) == 0,
        .populate = (a[3] & MAP_POPULATE) != 0,
        .may_write = true,
    };
    int rc;

    if (a[1] == 0 || (a[3] & MAP_TYPE) == 0 || (a[3] & MAP_TYPE) > 3)
        return -EINVAL;
    if (request.bytes < a[1])
        return -ENOMEM;
    if (request.fixed && (a[0] & MASK) != 0)
        return -EINVAL;
    if (request.fixed && a[0] < SPACE_LOW)
        return -EPERM;
    if ((rc = access_of(a[2], &request.access)) < 0)
        return rc;
    if ((a[3] & MAP_ANONYMOUS) == 0) {
        if ((a[5] & MASK) != 0)
            return -EINVAL;
        if (a[5] > INT64_MAX || request.bytes > INT64_MAX - a[5])
            return -EOVERFLOW;
        if ((rc = decode_file(kernel, a, &request)) < 0)
            return rc;
    }
    return space_map(&kernel->space, &request);
}

int64_t call_mprotect(struct kernel *kernel, const uint64_t a[6])
{
    unsigned access;
    int rc = access_of(a[2], &access);

    if (rc < 0)
        return rc;
    if ((a[0] & MASK) != 0)
        return -EINVAL;
    if (((a[1] + MASK) & ~MASK) < a[1])
        return -ENOMEM;
    return space_protect(&kernel->space, a[0], (a[1] + MASK) & ~MASK, access);
}

int64_t call_munmap(struct kernel *kernel, const uint64_t a[6])
{
    return space_unmap(&kernel->space, a[0], (a[1] + MASK) & ~MASK);
}

int64_t call_mremap(struct kernel *kernel, const uint64_t a[6])
{
    bool may_move = (a[3] & MREMAP_MAYMOVE) != 0;
    bool fixed = (a[3] & MREMAP_FIXED) != 0;

    if ((a[3] & ~(uint64_t)(MREMAP_MAYMOVE | MREMAP_FIXED)) != 0 ||
        a[1] > TABLES_USER_END || a[2] > TABLES_USER_END)
        return -EINVAL;
    return space_remap(&kernel->space, a[0], (a[1] + MASK) & ~MASK,
                       (a[2] + MASK) & ~MASK, may_move, fixed, a[4]);
}

int64_t call_brk(struct kernel *kernel, const uint64_t a[6])
{
    return (int64_t)space_brk(&kernel->space, a[0]);
}

/* Every page of the range, made or not, lies in an area? */
static bool is_mapped(struct space *space, uint64_t address, uint64_t bytes)
{
    if (address > TABLES_USER_END || bytes > TABLES_USER_END - address)
        return false;
    for (uint64_t at = address; at < address + bytes;) {
        const struct area *area = space_find(space, at);

        if (area == NULL || area->start > at)
            return false;
        at = area->end;
    }
    return true;
}

static int64_t populate(struct kernel *kernel, uint64_t address, uint64_t bytes,
                        unsigned access)
{
    uint64_t from = kernel->current->wait.done;

    for (uint64_t done = from; done < bytes; done += SPACE_PAGE_BYTES) {
        int rc;

        if (done - from == POPULATE_BYTES)
            return task_go_on(kernel, done);
        rc = space_fault(&kernel->space, address + done, access);
        if (rc < 0)
            return rc == -EACCES ? -EINVAL : rc == -ENOMEM ? rc : -EFAULT;
    }
    return 0;
}

static int64_t advise(struct kernel *kernel, const uint64_t a[6],
                      uint64_t bytes)
{
    switch ((int)a[2]) {
    case MADV_DONTNEED:
    case MADV_FREE: /* at once is allowed */
        return space_discard(&kernel->space, a[0], bytes);
    case MADV_POPULATE_READ:
        return populate(kernel, a[0], bytes, TABLES_READ);
    case MADV_POPULATE_WRITE:
        return populate(kernel, a[0], bytes, TABLES_READ | TABLES_WRITE);
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
    case MADV_COLD:
    case MADV_PAGEOUT:
        return 0;
    default:
        return -EINVAL;
    }
}

/* Also where there are holes: what is mapped is told. */
int64_t call_madvise(struct kernel *kernel, const uint64_t a[6])
{
    uint64_t bytes = (a[1] + MASK) & ~MASK;
    bool is_whole;
    int64_t rc;

    if ((a[0] & MASK) != 0 || bytes < a[1] || a[0] + bytes < a[0])
        return -EINVAL;
    is_whole = is_mapped(&kernel->space, a[0], bytes);
    if (!is_whole && (int)a[2] >= MADV_POPULATE_READ)
        return -ENOMEM;
    rc = advise(kernel, a, bytes);
    return rc == 0 && !is_whole ? -ENOMEM : rc;
}

int64_t call_msync(struct kernel *kernel, const uint64_t a[6])
{
    uint64_t bytes = (a[1] + MASK) & ~MASK;

    if ((a[0] & MASK) != 0 || a[0] + bytes < a[0])
        return -EINVAL;
    return is_mapped(&kernel->space, a[0], bytes) ? 0 : -ENOMEM;
}

int64_t call_mincore(struct kernel *kernel, const uint64_t a[6])
{
    const struct tables *tables = &kernel->space.tables;
    uint64_t bytes = (a[1] + MASK) & ~MASK, end = a[0] + bytes;
    uint8_t here[512];

    if ((a[0] & MASK) != 0)
        return -EINVAL;
    if (bytes < a[1] || bytes > INCORE_MAX ||
        !is_mapped(&kernel->space, a[0], bytes))
        return -ENOMEM;
    for (uint64_t at = a[0], to = a[2]; at < end; to += sizeof(here)) {
        uint64_t stop = at + sizeof(here) * SPACE_PAGE_BYTES, from = at;

        stop = stop < end ? stop : end;
        memset(here, 0, sizeof(here));
        for (; (at = tables_next(tables, at, stop)) < stop;
             at += SPACE_PAGE_BYTES)
            here[(at - from) / SPACE_PAGE_BYTES] = 1;
        if (user_write(&kernel->space, to, here,
                       (stop - from) / SPACE_PAGE_BYTES) < 0)
            return -EFAULT;
    }
    return 0;
}

/* No page ever leaves memory for a disk that we know of. */
int64_t call_mlock(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel, (void)a;
    return 0;
}

int64_t call_munlock(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel, (void)a;
    return 0;
}

int64_t call_mlockall(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel, (void)a;
    return 0;
}

int64_t call_munlockall(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel, (void)a;
    return 0;
}
