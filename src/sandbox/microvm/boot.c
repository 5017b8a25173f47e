/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c - a kernel of 32 stubs and a gate.
 *
 * The gate.  With hardware virtualization `syscall` enters ring 0, and
 * `sysretq` leaves it.  Where ring 0 is emulated (kvm_pvm) it jumps to LSTAR
 * and stays in ring 3.  So the gate lies on a page that ring 3 may execute
 * (CR4.SMEP is off, so that ring 0 may, too), and the bitmap in the TSS lets
 * ring 3 use two ports: the gate's and the bell's.  (IOPL 3 would open all, and
 * kvm_pvm ignores it.)
 *
 * Exceptions use a stack of the interrupt stack table, never the current one:
 * one that happens in ring 0 must not push onto what the guest left in RSP.
 *
 * What a guest could reach from ring 3: the gate (which is what syscall does).
 * No descriptor lets it call into ring 0, no vector but 3 and 4 may be raised
 * by `int n`, sysenter and 32-bit syscall have no target, and all but the gate
 * is closed to ring 3.
 */
#include <string.h>
#include <sys/ioctl.h>

#include <linux/kvm.h>

#include "base/check.h"
#include "base/error.h"
#include "sandbox/microvm/boot.h"

#define TSS_OFF      0x800 /* in the page of the descriptors */
#define TSS_BITMAP   0x68  /* in the TSS: a bit for each port, 0 lets it pass */
#define TSS_BYTES    (TSS_BITMAP + 4)
#define TSS_SELECTOR 0x40
#define GDT_BYTES    0x50

#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_CSTAR          0xc0000083
#define MSR_SYSCALL_MASK   0xc0000084
#define MSR_SYSENTER_CS    0x174
#define STAR_KERNEL        ((uint64_t)BOOT_KERNEL_CODE << 32)
#define STAR_USER          (0x23ull << 48) /* + 8 data, + 16 code */
#define SYSCALL_MASK_FLAGS 0x47700         /* AC NT IOPL DF IF TF */

#define CR0_BITS  0x80050033 /* PG AM WP NE ET MP PE */
#define CR4_BITS  0x40620    /* OSXSAVE OSXMMEXCPT OSFXSR PAE */
#define EFER_BITS 0xd01      /* NXE LMA LME SCE */

static const uint64_t descriptors[] = {
    [BOOT_KERNEL_CODE / 8] = 0x00af9b000000ffff,
    [BOOT_KERNEL_CODE / 8 + 1] = 0x00cf93000000ffff,
    [BOOT_USER_DATA / 8] = 0x00cff3000000ffff,
    [BOOT_USER_CODE / 8] = 0x00affb000000ffff,
};

/* A 64-bit TSS: RSP0 at 4, the stack table at 36, the bitmap's place at 102. */
static void write_descriptors(uint8_t *page)
{
    uint64_t stack = BOOT_AT + BOOT_BYTES, tss = BOOT_AT + TSS_OFF;
    uint64_t low = (TSS_BYTES - 1) | (tss & 0xffffff) << 16 | 0x8bull << 40 |
                   (tss >> 24 & 0xff) << 56;
    uint64_t high = tss >> 32;
    uint16_t bitmap = TSS_BITMAP;

    memcpy(page, descriptors, sizeof(descriptors));
    memcpy(page + TSS_SELECTOR, &low, sizeof(low));
    memcpy(page + TSS_SELECTOR + 8, &high, sizeof(high));
    memcpy(page + TSS_OFF + 4, &stack, sizeof(stack));
    memcpy(page + TSS_OFF + 36, &stack, sizeof(stack));
    memcpy(page + TSS_OFF + 102, &bitmap, sizeof(bitmap));
    memset(page + TSS_OFF + TSS_BITMAP, 0xff, TSS_BYTES - TSS_BITMAP);
    page[TSS_OFF + TSS_BITMAP + BOOT_PORT_BELL / 8] &=
        (uint8_t) ~(1u << BOOT_PORT_BELL % 8 | 1u << BOOT_PORT_GATE % 8);
}

/*
 *  127      96 95    64 63     48 47 46-45 44 43-40 39 35-32 31   16 15   0
 *  reserved    off high off mid   P  DPL   0  0xe      IST   selector off low
 */
static void write_vectors(uint8_t *page)
{
    for (unsigned vector = 0; vector < BOOT_VECTORS; vector++) {
        uint64_t stub = BOOT_STUBS_AT + vector * BOOT_STUB_BYTES;
        uint64_t ring = vector == 3 || vector == 4 ? 3 : 0;
        uint64_t entry[] = {(stub & 0xffff) | (uint64_t)BOOT_KERNEL_CODE << 16 |
                                1ull << 32 | 0x8eull << 40 | ring << 45 |
                                (stub >> 16 & 0xffff) << 48,
                            stub >> 32};

        memcpy(page + vector * sizeof(entry), entry, sizeof(entry));
    }
}

static void write_stubs(uint8_t *page)
{
    static const uint8_t iretq[] = {0x48, 0xcf};

    for (unsigned vector = 0; vector < BOOT_VECTORS; vector++) {
        uint8_t stub[BOOT_STUB_BYTES] = {
            0xe6, (uint8_t)(BOOT_PORT_EXCEPTION + vector), /* out %al, $port */
            0x0f, 0x0b};                                   /* ud2 */

        memcpy(page + vector * sizeof(stub), stub, sizeof(stub));
    }
    memcpy(page + (BOOT_IRETQ_AT - BOOT_STUBS_AT), iretq, sizeof(iretq));
}

static void write_gate(uint8_t *page)
{
    static const uint8_t gate[] = {0xe6, BOOT_PORT_GATE, /* out %al, $port */
                                   0x48, 0x0f, 0x07};    /* sysretq */

    memcpy(page, gate, sizeof(gate));
}

static int step_pages(struct machine *machine, struct tables *tables,
                      uint64_t physical, struct gbx_error *err)
{
    static const unsigned access[BOOT_PAGES] = {
        TABLES_READ | TABLES_WRITE, TABLES_READ, TABLES_READ | TABLES_EXEC,
        TABLES_READ | TABLES_EXEC | TABLES_USER, TABLES_READ | TABLES_WRITE};
    uint8_t *pages = memory_host(&machine->memory, physical, BOOT_BYTES);
    int rc;

    if (pages == NULL)
        return fail(err, GBX_EBOUNDS, "the kernel's pages have no memory");
    memset(pages, 0, BOOT_BYTES);
    write_descriptors(pages);
    write_vectors(pages + MEMORY_PAGE_BYTES);
    write_stubs(pages + 2 * MEMORY_PAGE_BYTES);
    write_gate(pages + 3 * MEMORY_PAGE_BYTES);
    for (unsigned i = 0; i < BOOT_PAGES; i++) {
        uint64_t off = i * MEMORY_PAGE_BYTES;

        rc = tables_map(tables, BOOT_AT + off, physical + off,
                        MEMORY_PAGE_BYTES, access[i]);
        if (rc < 0)
            return fail(err, rc, "the kernel's pages cannot be mapped");
    }
    return 0;
}

static struct kvm_segment segment(unsigned selector, unsigned type, unsigned l)
{
    return (struct kvm_segment){
        .selector = (uint16_t)selector,
        .limit = 0xffffffff,
        .type = (uint8_t)type,
        .present = 1,
        .dpl = selector & 3,
        .s = 1,
        .l = (uint8_t)l,
        .db = !l,
        .g = 1,
    };
}

static int step_sregs(struct machine *machine, const struct tables *tables,
                      struct gbx_error *err)
{
    struct kvm_sregs sregs;

    if (ioctl(machine->cpu_fd, KVM_GET_SREGS, &sregs) < 0)
        return fail(err, GBX_EHOST, "KVM does not tell registers");
    sregs.cr0 = CR0_BITS;
    sregs.cr3 = tables->root;
    sregs.cr4 = CR4_BITS;
    sregs.efer = EFER_BITS;
    sregs.cs = segment(BOOT_USER_CODE, 0xb, 1);
    sregs.ss = segment(BOOT_USER_DATA, 0x3, 0);
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss;
    sregs.tr = (struct kvm_segment){.base = BOOT_AT + TSS_OFF,
                                    .limit = TSS_BYTES - 1,
                                    .selector = TSS_SELECTOR,
                                    .type = 11,
                                    .present = 1};
    sregs.ldt = (struct kvm_segment){.unusable = 1};
    sregs.gdt.base = BOOT_AT;
    sregs.gdt.limit = GDT_BYTES - 1;
    sregs.idt.base = BOOT_AT + MEMORY_PAGE_BYTES;
    sregs.idt.limit = BOOT_VECTORS * 16 - 1;
    if (ioctl(machine->cpu_fd, KVM_SET_SREGS, &sregs) < 0)
        return fail(err, GBX_EHOST, "KVM refuses 64-bit mode");
    machine->boot_sregs = sregs;
    return 0;
}

static int step_msrs(struct machine *machine, struct gbx_error *err)
{
    static const struct kvm_msr_entry entries[] = {
        {.index = MSR_STAR, .data = STAR_KERNEL | STAR_USER},
        {.index = MSR_LSTAR, .data = BOOT_GATE_AT},
        {.index = MSR_CSTAR, .data = 0},
        {.index = MSR_SYSCALL_MASK, .data = SYSCALL_MASK_FLAGS},
        {.index = MSR_SYSENTER_CS, .data = 0},
    };
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entries[ARRAY_SIZE(entries)];
    } msrs = {.head.nmsrs = ARRAY_SIZE(entries)};
    int set;

    memcpy(msrs.entries, entries, sizeof(entries));
    set = ioctl(machine->cpu_fd, KVM_SET_MSRS, &msrs);
    if (set < 0)
        return fail(err, GBX_EHOST, "KVM refuses model-specific registers");
    if (set != ARRAY_SIZE(entries))
        return fail(err, GBX_EUNSUPPORTED, "KVM lacks MSR 0x%x",
                    entries[set].index);
    return 0;
}

static int step_xcr0(struct machine *machine, struct gbx_error *err)
{
    struct kvm_xcrs xcrs = {.nr_xcrs = 1};

    xcrs.xcrs[0].value = machine->xcr0;
    if (ioctl(machine->cpu_fd, KVM_SET_XCRS, &xcrs) < 0)
        return fail(err, GBX_EHOST, "KVM refuses XCR0 = 0x%llx",
                    (unsigned long long)machine->xcr0);
    return 0;
}

int boot_attach(struct machine *machine, const struct tables *tables,
                uint64_t physical, struct gbx_error *err)
{
    uint8_t *pages = memory_host(&machine->memory, physical, BOOT_BYTES);
    int rc;

    if (pages == NULL)
        return fail(err, GBX_EBOUNDS, "the kernel's pages have no memory");
    machine->frame = pages + BOOT_BYTES - sizeof(struct boot_frame);
    if ((rc = step_sregs(machine, tables, err)) < 0 ||
        (rc = step_msrs(machine, err)) < 0 ||
        (rc = step_xcr0(machine, err)) < 0)
        return rc;
    return 0;
}

int boot_open(struct machine *machine, struct tables *tables, uint64_t physical,
              struct gbx_error *err)
{
    int rc = step_pages(machine, tables, physical, err);

    return rc < 0 ? rc : boot_attach(machine, tables, physical, err);
}
