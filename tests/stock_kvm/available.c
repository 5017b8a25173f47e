/* SPDX-License-Identifier: Apache-2.0 */
/*
 * available.c - preloaded into the tests that run in QEMU's emulated machine.
 *
 * In ring 3 an `out` asks the bitmap in the task's segment (TSS).  A segment
 * that is loaded is "busy" (type 11), on each processor that there is, and
 * Intel's refuse to enter a guest where it is not.  QEMU's emulation looks at
 * the bitmap only if the type is "available" (9), since its own `ltr` leaves it
 * so; with SVM's way of loading it, each `out` of ring 3 is a fault.  So here,
 * and nowhere else, what the tests tell KVM is changed on its way: 11 to 9.
 * KVM itself shows 11 again.
 */
#include <stdarg.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kvm.h>

#define FDS       1024
#define BUSY      11
#define AVAILABLE 9

/* By descriptor.  Entries of closed ones are never looked at. */
static struct {
    struct kvm_run *run;
    int is_new; /* a processor that has not been mapped yet */
} cpus[FDS];

static void make_available(struct kvm_sregs *sregs)
{
    if (sregs->tr.type == BUSY)
        sregs->tr.type = AVAILABLE;
}

static void look_into_run(int fd)
{
    struct kvm_run *run = fd < FDS ? cpus[fd].run : NULL;

    if (run != NULL && (run->kvm_dirty_regs & KVM_SYNC_X86_SREGS) != 0)
        make_available(&run->s.regs.sregs);
}

int ioctl(int fd, unsigned long request, ...)
{
    struct kvm_sregs sregs;
    va_list list;
    void *what;
    int rc;

    va_start(list, request);
    what = va_arg(list, void *);
    va_end(list);
    if (request == KVM_RUN && fd >= 0)
        look_into_run(fd);
    if (request == KVM_SET_SREGS) {
        sregs = *(const struct kvm_sregs *)what;
        make_available(&sregs);
        what = &sregs;
    }
    rc = (int)syscall(SYS_ioctl, fd, request, what);
    if (request == KVM_CREATE_VCPU && rc >= 0 && rc < FDS) {
        cpus[rc].is_new = 1;
        cpus[rc].run = NULL;
    }
    return rc;
}

void *mmap64(void *at, size_t bytes, int access, int flags, int fd, off_t off)
{
    void *map = (void *)syscall(SYS_mmap, at, bytes, access, flags, fd, off);

    if (map != MAP_FAILED && fd >= 0 && fd < FDS && cpus[fd].is_new) {
        cpus[fd].run = map;
        cpus[fd].is_new = 0;
    }
    return map;
}
