/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile_test.c - guests that try: whatever they do, it is an exit that the
 * host knows, and what ring 3 must not change is as it was.
 */
#include "sandbox/microvm/hostile_test.h"

struct attempt {
    const char *name, *code;
    size_t bytes;
};

/* A `syscall` follows each. */
#define TRY(name, code)                                                        \
    {                                                                          \
        name, code "\x0f\x05", sizeof(code "\x0f\x05") - 1                     \
    }

/* Each is an exception, and what follows is not reached. */
static const struct attempt forbidden[] = {
    TRY("rdmsr", "\x0f\x32"),
    TRY("wrmsr", "\x0f\x30"),
    TRY("mov %cr0, %rax", "\x0f\x20\xc0"),
    TRY("mov %cr2, %rax", "\x0f\x20\xd0"),
    TRY("mov %cr3, %rax", "\x0f\x20\xd8"),
    TRY("mov %cr4, %rax", "\x0f\x20\xe0"),
    TRY("mov %cr8, %rax", "\x44\x0f\x20\xc0"),
    TRY("mov %rax, %cr0", "\x0f\x22\xc0"),
    TRY("mov %rax, %cr2", "\x0f\x22\xd0"),
    TRY("mov %rax, %cr3", "\x0f\x22\xd8"),
    TRY("mov %rax, %cr4", "\x0f\x22\xe0"),
    TRY("mov %rax, %cr8", "\x44\x0f\x22\xc0"),
    TRY("mov %dr0, %rax", "\x0f\x21\xc0"),
    TRY("mov %dr6, %rax", "\x0f\x21\xf0"),
    TRY("mov %dr7, %rax", "\x0f\x21\xf8"),
    TRY("mov %rax, %dr0", "\x0f\x23\xc0"),
    TRY("mov %rax, %dr7", "\x0f\x23\xf8"),
    TRY("lgdt", "\x0f\x01\x10"),
    TRY("lidt", "\x0f\x01\x18"),
    TRY("lldt", "\x0f\x00\xd0"),
    TRY("ltr", "\x0f\x00\xd8"),
    TRY("lmsw", "\x0f\x01\xf0"),
    TRY("clts", "\x0f\x06"),
    TRY("invlpg", "\x0f\x01\x38"),
    TRY("invpcid", "\x66\x0f\x38\x82\x00"),
    TRY("invd", "\x0f\x08"),
    TRY("wbinvd", "\x0f\x09"),
    TRY("hlt", "\xf4"),
    TRY("cli", "\xfa"),
    TRY("sti", "\xfb"),
    TRY("swapgs", "\x0f\x01\xf8"),
    TRY("sysretq", "\x48\x0f\x07"),
    TRY("sysretl", "\x0f\x07"),
    TRY("sysexit", "\x0f\x35"),
    TRY("xsetbv", "\x31\xc9\x31\xd2\xb8\x07\x00\x00\x00\x0f\x01\xd1"),
    TRY("monitor", "\x0f\x01\xc8"),
    TRY("mwait", "\x0f\x01\xc9"),
    TRY("clac", "\x0f\x01\xca"),
    TRY("stac", "\x0f\x01\xcb"),
    TRY("rsm", "\x0f\xaa"),
    TRY("vmxon", "\xf3\x0f\xc7\x30"),
    TRY("vmlaunch", "\x0f\x01\xc2"),
    TRY("vmresume", "\x0f\x01\xc3"),
    TRY("vmxoff", "\x0f\x01\xc4"),
    TRY("vmrun", "\x0f\x01\xd8"),
    TRY("vmload", "\x0f\x01\xda"),
    TRY("vmsave", "\x0f\x01\xdb"),
    TRY("stgi", "\x0f\x01\xdc"),
    TRY("clgi", "\x0f\x01\xdd"),
    TRY("skinit", "\x0f\x01\xde"),
    TRY("invlpga", "\x0f\x01\xdf"),
    TRY("encls", "\x0f\x01\xcf"),
    TRY("xsaves", "\x0f\xc7\x2f"),
    TRY("ud0", "\x0f\xff\xc0"),
    TRY("ud1", "\x0f\xb9\xc0"),
    TRY("ud2", "\x0f\x0b"),
    TRY("into", "\xce"),
    TRY("les", "\xc4\x00"),
    TRY("pusha", "\x60"),
    TRY("lcall", "\x9a\x00\x00\x00\x00\x10\x00"),
    TRY("in (%dx), %al", "\xec"),
    TRY("in (%dx), %eax", "\xed"),
    TRY("in $0x60, %al", "\xe4\x60"),
    TRY("out %al, (%dx)", "\xee"),
    TRY("out %eax, (%dx)", "\xef"),
    TRY("rep insb", "\xf3\x6c"),
    TRY("rep outsb", "\xf3\x6e"),
    TRY("sysenter", "\x0f\x34"),
    TRY("div by zero", "\x31\xd2\x31\xc9\xf7\xf1"),
    TRY("icebp", "\xf1"),
    TRY("int3", "\xcc"),
    TRY("int $3", "\xcd\x03"),
    TRY("int $4", "\xcd\x04"),
    TRY("int $0x80", "\xcd\x80"),
    TRY("int $14", "\xcd\x0e"),
    TRY("int $2", "\xcd\x02"),
    TRY("int $18", "\xcd\x12"),
    TRY("int $32", "\xcd\x20"),
    TRY("int $255", "\xcd\xff"),
    TRY("lock nop", "\xf0\x90"),
    TRY("16 bytes",
        "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90"),
    TRY("popf of IOPL and VM, cli", "\x9c\x81\x0c\x24\x00\x30\x02\x00\x9d\xfa"),
    TRY("null to ss", "\x31\xc0\x8e\xd0"),
    TRY("null of ring 3 to ss", "\xb8\x03\x00\x00\x00\x8e\xd0"),
    TRY("the kernel's data to ss", "\xb8\x18\x00\x00\x00\x8e\xd0"),
    TRY("int3 behind mov to ss", "\xb8\x2b\x00\x00\x00\x8e\xd0\xcc"),
    TRY("jump to no address",
        "\x48\xb8\x00\x00\x00\x00\x00\x00\x00\x80\xff\xe0"),
    TRY("return to no address",
        "\x48\xb8\x00\x00\x00\x00\x00\x80\x00\x00\x50\xc3"),
    TRY("jump behind the gate", "\x48\xc7\xc0\x02\x30\x00\x80\xff\xe0"),
    TRY("iretq to 32 bits",
        "\x6a\x2b\x54\x9c\x6a\x23\x68\x10\x00\x40\x00\x48\xcf"),
    TRY("iretq to ring 0",
        "\x6a\x18\x54\x9c\x6a\x10\x68\x10\x00\x40\x00\x48\xcf"),
    TRY("lretq to 32 bits", "\x6a\x23\x68\x07\x00\x40\x00\x48\xcb"),
    TRY("lretq to the task state", "\x6a\x40\x68\x09\x00\x40\x00\x48\xcb"),
    TRY("trap flag", "\x9c\x81\x0c\x24\x00\x01\x00\x00\x9d\x90\x90"),
};

/* Where these are allowed, they do nothing that matters. */
static const struct attempt harmless[] = {
    TRY("alignment check", "\x9c\x81\x0c\x24\x00\x00\x04\x00\x9d\x8b\x40\x01"),
    TRY("sgdt", "\x0f\x01\x07"),
    TRY("sidt", "\x0f\x01\x0f"),
    TRY("sldt", "\x0f\x00\xc0"),
    TRY("str", "\x0f\x00\xc8"),
    TRY("smsw", "\x0f\x01\xe0"),
    TRY("verr", "\x0f\x00\xe0"),
    TRY("lar", "\x0f\x02\xc0"),
    TRY("rdpmc", "\x31\xc9\x0f\x33"),
    TRY("rdtscp", "\x0f\x01\xf9"),
    TRY("rdpid", "\xf3\x0f\xc7\xf8"),
    TRY("cpuid", "\x0f\xa2"),
    TRY("xgetbv", "\x31\xc9\x0f\x01\xd0"),
    TRY("vmcall", "\x0f\x01\xc1"),
    TRY("vmmcall", "\x0f\x01\xd9"),
    TRY("vmfunc", "\x0f\x01\xd4"),
    TRY("enclu", "\x0f\x01\xd7"),
    TRY("monitorx", "\x31\xc9\x31\xd2\x0f\x01\xfa"),
    TRY("mwaitx", "\x31\xc9\x31\xd2\x31\xc0\x0f\x01\xfb"),
    TRY("umonitor", "\xf3\x0f\xae\xf0"),
    TRY("umwait", "\xf2\x0f\xae\xf1"),
    TRY("tpause", "\x66\x0f\xae\xf1"),
    TRY("rdfsbase", "\xf3\x48\x0f\xae\xc0"),
    TRY("wrgsbase", "\xf3\x48\x0f\xae\xd8"),
    TRY("wrpkru", "\x31\xc0\x31\xc9\x31\xd2\x0f\x01\xef"),
    TRY("rdpkru", "\x31\xc9\x0f\x01\xee"),
    TRY("clzero", "\x0f\x01\xfc"),
    TRY("clflush", "\x0f\xae\x38"),
    TRY("cldemote", "\x0f\x1c\x00"),
    TRY("xbegin", "\xc7\xf8\x00\x00\x00\x00"),
    TRY("xend", "\x0f\x01\xd5"),
    TRY("senduipi", "\xf3\x0f\xc7\xf0"),
    TRY("clui", "\xf3\x0f\x01\xee"),
    TRY("serialize", "\x0f\x01\xe8"),
    TRY("ldtilecfg", "\xc4\xe2\x78\x49\x00"),
    TRY("data to ss", "\xb8\x2b\x00\x00\x00\x8e\xd0"),
    TRY("iretq to ring 3",
        "\x6a\x2b\x54\x9c\x6a\x33\x68\x0d\x00\x40\x00\x48\xcf"),
    TRY("lretq to ring 3", "\x6a\x33\x68\x09\x00\x40\x00\x48\xcb"),
    TRY("nested task", "\x9c\x81\x0c\x24\x00\x40\x00\x00\x9d"),
};

static void ring_3_is_refused_what_is_the_kernels(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
        const struct attempt *try = &forbidden[i];

        open_attempt(try->code, try->bytes);
        if (guest_run(&guest) != RUN_EXCEPTION)
            fail_msg("%s: exit %d %s", try->name, (int)guest.exit.kind,
                     guest.exit.text);
        expect_known_exit(try->name);
        close_hostile(try->name);
    }
}

static void what_is_allowed_does_no_harm(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
        open_attempt(harmless[i].code, harmless[i].bytes);
        guest_run(&guest);
        expect_known_exit(harmless[i].name);
        close_hostile(harmless[i].name);
    }
}

/* (kvm_pvm makes 13 and 14 of some, behind the instruction.) */
static void an_interrupt_that_is_raised_is_an_exception(void **state)
{
    char name[32];

    (void)state;
    open_attempt("", 0);
    for (unsigned vector = 0; vector < 256; vector++) {
        guest.bytes[GUEST_TEXT] = 0xcd; /* int $vector */
        guest.bytes[GUEST_TEXT + 1] = (uint8_t)vector;
        snprintf(name, sizeof(name), "int $%u", vector);
        guest_registers(&guest)->rip = GUEST_CODE;
        assert_int_equal(guest_run(&guest), RUN_EXCEPTION);
        expect_known_exit(name);
        assert_int_equal(guest_registers(&guest)->rsp, GUEST_STACK);
        if (vector == 3 || vector == 4)
            assert_int_equal(guest.exit.vector, vector);
    }
    close_hostile("int");
}

static const uint64_t odd[] = {
    0,
    1,
    GUEST_DATA + 1,
    TABLES_USER_END - 1,
    TABLES_USER_END,
    1ull << 47,
    1ull << 48,
    1ull << 63,
    TABLES_KERNEL - 1,
    TABLES_KERNEL,
    BOOT_AT,
    BOOT_STUBS_AT,
    BOOT_IRETQ_AT,
    BOOT_GATE_AT,
    BOOT_FRAME_AT,
    BOOT_AT + BOOT_BYTES,
    UINT64_MAX - 7,
    UINT64_MAX,
};

/* Every way in, with a stack that is none: it is never used. */
static void the_guests_stack_may_be_anywhere(void **state)
{
    static const struct {
        enum run_kind kind;
        char code[8];
    } ways[] = {
        {RUN_SYSCALL, "\x0f\x05\xeb\xfc"},
        {RUN_BELL, "\xe6\x10\xeb\xfc"},
        {RUN_EXCEPTION, "\xcc\xeb\xfd"},
        {RUN_EXCEPTION, "\x0f\x0b"},           /* ud2 */
        {RUN_EXCEPTION, "\x8a\x04\x25\0\0\0"}, /* mov 0, %al */
        {RUN_EXCEPTION, "\x50"},               /* push %rax */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
        for (size_t j = 0; j < ARRAY_SIZE(ways); j++) {
            open_attempt(ways[j].code, sizeof(ways[j].code));
            guest_registers(&guest)->rsp = odd[i];
            for (int k = 0; k < 3; k++) {
                if (guest_run(&guest) != ways[j].kind &&
                    guest.exit.kind != RUN_EXCEPTION)
                    fail_msg("way %zu, stack %zu: %s", j, i, guest.exit.text);
                if (guest_registers(&guest)->rsp != odd[i])
                    assert_int_equal(ways[j].code[0], 0x50);
                /* By iretq, too. */
                guest_registers(&guest)->rcx ^= k == 1;
            }
            close_hostile("stack");
        }
}

static void a_jump_leads_into_no_kernel(void **state)
{
    static const uint64_t gate = BOOT_GATE_AT;
    struct kvm_regs *regs;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(odd) + PAGE; i++) {
        uint64_t to = i < ARRAY_SIZE(odd) ? odd[i] : gate + i - ARRAY_SIZE(odd);

        if (to > gate + 64 && to < gate + PAGE - 64)
            continue;
        regs = open_attempt("\xff\xe0", 2); /* jmp *%rax */
        regs->rax = to;
        regs->rcx = odd[i % ARRAY_SIZE(odd)];
        regs->r11 = UINT64_MAX;
        guest_run(&guest);
        expect_known_exit("jump");
        if (to == gate) {
            assert_int_equal(guest.exit.kind, RUN_SYSCALL);
            guest_run(&guest);
            expect_known_exit("jump and on");
        }
        close_hostile("jump");
    }
}

/* At the end of all that is mapped: where it goes on is no address, or none
 * that a program may have. */
static void the_last_system_call_has_no_way_back(void **state)
{
    const uint64_t last = TABLES_USER_END - PAGE;

    (void)state;
    open_attempt("\x0f\x05", 2);
    memcpy(guest.bytes + GUEST_FREE + PAGE - 2, "\x0f\x05", 2);
    assert_int_equal(tables_map(&guest.tables, last, GUEST_FREE, PAGE,
                                TABLES_READ | TABLES_EXEC | TABLES_USER),
                     0);
    read_kernel(&before);
    guest_registers(&guest)->rip = TABLES_USER_END - 2;
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(guest_registers(&guest)->rip, TABLES_USER_END);
    assert_int_equal(guest_run(&guest), RUN_BROKEN);
    close_hostile("last");
}

/* Whatever the flags were: interrupts stay on, ports and `cli` closed. */
static void no_flag_opens_anything(void **state)
{
    /* push %rax; popfq; nop; syscall; cli */
    static const char code[] = "\x50\x9d\x90\x0f\x05\xfa\x0f\x05";

    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        struct kvm_regs *regs = open_attempt(code, sizeof(code));
        enum run_kind kind;

        regs->rax = 1ull << bit;
        for (int i = 0; (kind = guest_run(&guest)) == RUN_EXCEPTION && i < 9;
             i++) {
            if (regs->rip == GUEST_CODE + 5) /* cli */
                break;
            assert_int_equal(guest.exit.vector, 1);
            assert_int_equal(regs->rflags & 0x3200, 0x200);
        }
        if (kind == RUN_SYSCALL && regs->rip == GUEST_CODE + 5) {
            regs->rflags |= 1ull << bit;
            regs->r11 = regs->rflags;
            kind = guest_run(&guest);
        }
        if (kind != RUN_EXCEPTION || regs->rip != GUEST_CODE + 5)
            fail_msg("flag %u: exit %d at 0x%llx", bit, (int)kind,
                     (unsigned long long)regs->rip);
        assert_int_equal(regs->rflags & 0x3200, 0x200);
        close_hostile("flag");
    }
}

/* mov to each of ds, es, ss, fs, gs; and far returns, in rings 0 and 3. */
static void no_selector_opens_anything(void **state)
{
    static const char codes[][4] = {
        "\x8e\xd8\x0f\x05",
        "\x8e\xc0\x0f\x05",
        "\x8e\xd0\x0f\x05",
        "\x8e\xe0\x0f\x05",
        "\x8e\xe8\x0f\x05",
        "\x50\x53\x48\xcb", /* push %rax; push %rbx; lretq */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        open_attempt(codes[i], 4);
        for (unsigned selector = 0; selector < 0x104; selector++) {
            struct kvm_regs *regs = guest_registers(&guest);

            *regs = (struct kvm_regs){.rip = GUEST_CODE, .rsp = GUEST_STACK};
            regs->rax = selector < 0x100 ? selector : ~selector;
            regs->rbx = GUEST_CODE + PAGE;
            if (i == 5) { /* pop order: address, selector */
                memcpy(guest.bytes + GUEST_STACK_AT + 0x4000 - 16, &regs->rbx,
                       8);
                memcpy(guest.bytes + GUEST_STACK_AT + 0x4000 - 8, &regs->rax,
                       8);
            }
            guest_run(&guest);
            expect_known_exit("selector");
            assert_int_not_equal(guest.exit.kind, RUN_BROKEN);
            if (guest.exit.kind == RUN_EXCEPTION && guest.exit.vector == 13)
                assert_in_range(regs->rip, GUEST_CODE, GUEST_CODE + 3);
        }
        close_hostile("selector");
    }
}

/* What ends none of itself.  System calls, bells and faults are answered. */
static const struct attempt endless[] = {
    TRY("jmp", "\xeb\xfe"),
    TRY("pause", "\xf3\x90\xeb\xfc"),
    TRY("cpuid", "\x0f\xa2\xeb\xfc"),
    TRY("rdtsc", "\x0f\x31\xeb\xfc"),
    TRY("syscall", "\x0f\x05\xeb\xfc"),
    TRY("bell", "\xe6\x10\xeb\xfc"),
    TRY("rep outsb to the bell",
        "\xba\x10\x00\x00\x00\xb9\x00\x01\x00\x00\x48\x89\xde\xf3\x6e"
        "\xeb\xef"),
    TRY("int3", "\xcc\xeb\xfd"),
    TRY("ud2", "\x0f\x0b"),
    TRY("hlt", "\xf4"),
    TRY("page fault", "\x8a\x04\x25\x00\x00\x00\x00"),
    TRY("jump to nothing", "\x31\xc0\xff\xe0"),
    TRY("trap flag", "\x9c\x81\x0c\x24\x00\x01\x00\x00\x9d\xeb\xf5"),
    TRY("trap flag, syscall",
        "\x9c\x81\x0c\x24\x00\x01\x00\x00\x9d\x0f\x05\xeb\xfc"),
    TRY("trap flag, bell",
        "\x9c\x81\x0c\x24\x00\x01\x00\x00\x9d\xe6\x10\xeb\xfc"),
    TRY("rep movsb",
        "\xb9\x00\x10\x00\x00\x48\x89\xde\x48\x89\xdf\xf3\xa4\xeb\xf1"),
    TRY("locked, over two lines", "\xf0\xff\x43\x3e\xeb\xfa"),
    TRY("clflush", "\x0f\xae\x3b\xeb\xfb"),
    TRY("fsin", "\xd9\xee\xd9\xfe\xdd\xd8\xeb\xf8"),
    TRY("vmcall", "\x0f\x01\xc1\xeb\xfb"),
    TRY("vmmcall", "\x0f\x01\xd9\xeb\xfb"),
    TRY("mwaitx",
        "\x48\x89\xd8\x31\xc9\x31\xd2\x0f\x01\xfa\x31\xc0\x0f\x01\xfb\xeb"
        "\xef"),
    TRY("umwait", "\xf3\x0f\xae\xf3\x31\xc9\xf2\x0f\xae\xf1\xeb\xf4"),
    TRY("jump to the gate",
        "\x48\x8d\x0d\x00\x00\x00\x00\x48\xc7\xc0\x00\x30\x00\x80\xff\xe0"),
    TRY("null to ss", "\x31\xc0\x8e\xd0"),
};

static void nothing_is_endless(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(endless); i++) {
        open_attempt(endless[i].code, endless[i].bytes);
        run_deadline(&guest.machine, clock_now_ns() + 3000000);
        while (guest_run(&guest) != RUN_TIME)
            if (guest.exit.kind == RUN_BROKEN)
                fail_msg("%s: %s", endless[i].name, guest.exit.text);
        close_hostile(endless[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_3_is_refused_what_is_the_kernels),
        cmocka_unit_test(what_is_allowed_does_no_harm),
        cmocka_unit_test(an_interrupt_that_is_raised_is_an_exception),
        cmocka_unit_test(the_guests_stack_may_be_anywhere),
        cmocka_unit_test(a_jump_leads_into_no_kernel),
        cmocka_unit_test(the_last_system_call_has_no_way_back),
        cmocka_unit_test(no_flag_opens_anything),
        cmocka_unit_test(no_selector_opens_anything),
        cmocka_unit_test(nothing_is_endless),
    };

    return guest_tests(tests);
}
