/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.c - a guest of two loops.
 *
 *  guest-physical, and the same virtual:
 *  0        4 KiB  8 KiB  12 KiB       128 KiB       132 KiB   1 MiB ... 32 MiB
 *  | level 4 | 3    | 2    | 16 of 1 ... | task state | code .. | pages |
 *
 * It stays in ring 3, which runs natively on both kinds of KVM.  An `out` there
 * is allowed by the bitmap of the task state, the one way that both honour.
 * There is no interrupt table: it makes no mistake, or ends the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "base/fd.h"
#include "measure.h"
#include "microvm/raw.h"

#define PAGE       4096ul
#define TABLES_AT  RAW_TABLES_AT
#define TASK_AT    0x20000ul
#define CODE_AT    0x21000ul
#define TOUCH_AT   (CODE_AT + 0x10)
#define PAGES_AT   0x100000ul
#define PORT       0x10
#define CPUID_MAX  256
#define ENTRY_BITS 0x67u /* present, writable, for ring 3, accessed, dirty */

#define TASK_BITMAP 0x68u /* in the task state: where it ends, too */
#define TASK_BYTES  (TASK_BITMAP + 4)

static const uint8_t leave[] = {
    0xe6, PORT, /* again: out %al, $PORT */
    0xeb, 0xfc, /*        jmp again      */
};

static const uint8_t touch[] = {
    0x88, 0x07,                               /* next: mov %al, (%rdi)   */
    0x48, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, /* add $4096, %rdi         */
    0xff, 0xc9,                               /* dec %ecx                */
    0x75, 0xf3,                               /* jnz next                */
    0xeb, 0xe1,                               /* jmp again               */
};

static bool fail(char why[RAW_WHY_BYTES], const char *what)
{
    snprintf(why, RAW_WHY_BYTES, "%s: %s", what, strerrordesc_np(errno));
    return false;
}

static bool open_vm(struct raw *raw, struct raw_times *times,
                    char why[RAW_WHY_BYTES])
{
    uint64_t from_ns;

    raw->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (raw->kvm_fd < 0)
        return fail(why, "/dev/kvm");
    from_ns = measure_now_ns();
    raw->vm_fd = ioctl(raw->kvm_fd, KVM_CREATE_VM, 0);
    times->vm_ns = measure_now_ns() - from_ns;
    return raw->vm_fd >= 0 || fail(why, "KVM_CREATE_VM");
}

static bool open_cpu(struct raw *raw, struct raw_times *times,
                     char why[RAW_WHY_BYTES])
{
    static union {
        struct kvm_cpuid2 head;
        uint8_t room[sizeof(struct kvm_cpuid2) +
                     CPUID_MAX * sizeof(struct kvm_cpuid_entry2)];
    } cpuid;
    uint64_t from_ns;
    void *cpu;

    if (cpuid.head.nent == 0) {
        cpuid.head.nent = CPUID_MAX;
        if (ioctl(raw->kvm_fd, KVM_GET_SUPPORTED_CPUID, &cpuid) < 0)
            return fail(why, "KVM_GET_SUPPORTED_CPUID");
    }
    from_ns = measure_now_ns();
    raw->cpu_fd = ioctl(raw->vm_fd, KVM_CREATE_VCPU, 0);
    raw->cpu_bytes = (size_t)ioctl(raw->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (raw->cpu_fd < 0 || ioctl(raw->cpu_fd, KVM_SET_CPUID2, &cpuid) < 0)
        return fail(why, "KVM_CREATE_VCPU");
    cpu = mmap(NULL, raw->cpu_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
               raw->cpu_fd, 0);
    times->cpu_ns = measure_now_ns() - from_ns;
    if (cpu == MAP_FAILED)
        return fail(why, "map a processor");
    raw->cpu = cpu;
    return true;
}

static void put(struct raw *raw, uint64_t at, const void *bytes, size_t count)
{
    memcpy(raw->memory + at, bytes, count);
}

static void put_tables(struct raw *raw)
{
    uint64_t tables = RAW_SLOT_BYTES / PAGE / 512, entry;

    for (uint64_t level = 0; level < 2; level++) {
        entry = (level + 1) * PAGE | ENTRY_BITS;
        put(raw, level * PAGE, &entry, sizeof(entry));
    }
    for (uint64_t i = 0; i < tables; i++) {
        entry = (TABLES_AT + i * PAGE) | ENTRY_BITS;
        put(raw, 2 * PAGE + i * sizeof(entry), &entry, sizeof(entry));
    }
    for (uint64_t i = 0; i < RAW_SLOT_BYTES / PAGE; i++) {
        entry = i * PAGE | ENTRY_BITS;
        put(raw, TABLES_AT + i * sizeof(entry), &entry, sizeof(entry));
    }
}

static bool open_memory(struct raw *raw, struct raw_times *times,
                        char why[RAW_WHY_BYTES])
{
    struct kvm_userspace_memory_region slot = {.memory_size = RAW_SLOT_BYTES};
    const uint16_t bitmap = TASK_BITMAP;
    uint64_t from_ns;
    void *memory = mmap(NULL, RAW_SLOT_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return fail(why, "map memory");
    raw->memory = memory;
    put_tables(raw);
    put(raw, TASK_AT + 0x66, &bitmap, sizeof(bitmap)); /* 0: it may */
    put(raw, CODE_AT, leave, sizeof(leave));
    put(raw, TOUCH_AT, touch, sizeof(touch));
    slot.userspace_addr = (uintptr_t)memory;
    from_ns = measure_now_ns();
    if (ioctl(raw->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
        return fail(why, "KVM_SET_USER_MEMORY_REGION");
    times->slot_ns = measure_now_ns() - from_ns;
    return true;
}

static struct kvm_segment flat(uint16_t selector, uint8_t type, bool code)
{
    return (struct kvm_segment){.limit = UINT32_MAX,
                                .selector = selector,
                                .type = type,
                                .present = 1,
                                .dpl = 3,
                                .db = !code,
                                .s = 1,
                                .l = code,
                                .g = 1};
}

/* 64-bit mode, ring 3, at the first loop. */
static bool set_registers(struct raw *raw, char why[RAW_WHY_BYTES])
{
    struct kvm_regs regs = {.rip = CODE_AT, .rflags = 0x202};
    struct kvm_sregs sregs;

    if (ioctl(raw->cpu_fd, KVM_GET_SREGS, &sregs) < 0)
        return fail(why, "KVM_GET_SREGS");
    sregs.cr0 = 0x80050033; /* PG AM WP NE ET MP PE */
    sregs.cr3 = 0;
    sregs.cr4 = 0x620;  /* OSXMMEXCPT OSFXSR PAE */
    sregs.efer = 0xd01; /* NXE LMA LME SCE */
    sregs.cs = flat(0x33, 0xb, true);
    sregs.ss = sregs.ds = sregs.es = sregs.fs = sregs.gs =
        flat(0x2b, 0x3, false);
    sregs.tr = (struct kvm_segment){.base = TASK_AT,
                                    .limit = TASK_BYTES - 1,
                                    .selector = 0x40,
                                    .type = 11,
                                    .present = 1};
    if (ioctl(raw->cpu_fd, KVM_SET_SREGS, &sregs) < 0 ||
        ioctl(raw->cpu_fd, KVM_SET_REGS, &regs) < 0)
        return fail(why, "KVM_SET_SREGS");
    return raw_exit(raw) || fail(why, "KVM_RUN");
}

bool raw_open(struct raw *raw, struct raw_times *times, char why[RAW_WHY_BYTES])
{
    *raw = (struct raw){.kvm_fd = -1, .vm_fd = -1, .cpu_fd = -1};
    if (open_vm(raw, times, why) && open_cpu(raw, times, why) &&
        open_memory(raw, times, why) && set_registers(raw, why))
        return true;
    raw_close(raw);
    return false;
}

void raw_close(struct raw *raw)
{
    if (raw->cpu != NULL)
        munmap(raw->cpu, raw->cpu_bytes);
    close_fd(&raw->cpu_fd);
    close_fd(&raw->vm_fd);
    close_fd(&raw->kvm_fd);
    if (raw->memory != NULL)
        munmap(raw->memory, RAW_SLOT_BYTES);
    *raw = (struct raw){.kvm_fd = -1, .vm_fd = -1, .cpu_fd = -1};
}

void raw_registers(struct raw *raw, bool wanted)
{
    raw->cpu->kvm_valid_regs = wanted ? KVM_SYNC_X86_REGS : 0;
}

bool raw_exit(struct raw *raw)
{
    struct kvm_run *cpu = raw->cpu;

    if (cpu->kvm_valid_regs != 0 && cpu->exit_reason == KVM_EXIT_IO) {
        cpu->s.regs.regs.rip = CODE_AT;
        cpu->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    }
    while (ioctl(raw->cpu_fd, KVM_RUN, 0) < 0)
        if (errno != EINTR)
            return false;
    return cpu->exit_reason == KVM_EXIT_IO && cpu->io.port == PORT;
}

bool raw_touch(struct raw *raw, uint64_t first, uint64_t count)
{
    struct kvm_regs regs = {.rip = TOUCH_AT,
                            .rdi = PAGES_AT + first * PAGE,
                            .rcx = count,
                            .rflags = 0x202};

    return ioctl(raw->cpu_fd, KVM_SET_REGS, &regs) == 0 && raw_exit(raw);
}

uint8_t *raw_page(struct raw *raw, uint64_t number)
{
    return raw->memory + PAGES_AT + number * PAGE;
}

void raw_fill(struct raw *raw, uint64_t first, uint64_t count)
{
    memset(raw_page(raw, first), 1, count * PAGE);
}

void raw_sample_exits(struct samples *samples, size_t count)
{
    char why[RAW_WHY_BYTES];
    struct raw_times times;
    struct raw raw;

    if (!raw_open(&raw, &times, why))
        return;
    for (size_t i = 0; i < count; i++) {
        uint64_t from_ns = measure_now_ns();

        if (raw_exit(&raw))
            samples_add(samples, measure_now_ns() - from_ns);
    }
    raw_close(&raw);
}
