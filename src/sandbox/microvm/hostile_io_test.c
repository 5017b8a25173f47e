/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile_io_test.c - ports, model-specific registers, and memory that is none
 * or not to be written.
 */
#include "sandbox/microvm/hostile_test.h"

#define SIZED(code) code, sizeof(code) - 1

/* Each at a port in DX, and twelve in all: 1, 2, 4 bytes, alone and in rows. */
static const struct {
    const char *code;
    size_t bytes;
} forms[] = {
    {SIZED("\xee")},         {SIZED("\xec")},         /* out, in */
    {SIZED("\x66\xef")},     {SIZED("\x66\xed")},     /* word */
    {SIZED("\xef")},         {SIZED("\xed")},         /* double */
    {SIZED("\x6e")},         {SIZED("\x6c")},         /* outs, ins */
    {SIZED("\xf3\x66\x6f")}, {SIZED("\xf3\x66\x6d")}, /* rep, word */
    {SIZED("\xf3\x6f")},     {SIZED("\xf3\x6d")},     /* rep, double */
};

static void use_port(unsigned port, size_t form)
{
    struct kvm_regs *regs = guest_registers(&guest);

    regs->rip = GUEST_CODE + form * 16;
    regs->rdx = port;
    regs->rcx = 3;
    regs->rsi = regs->rdi = GUEST_DATA;
    if (guest_run(&guest) != RUN_EXCEPTION || guest.exit.vector != 13)
        fail_msg("port 0x%x, form %zu: exit %d %s", port, form,
                 (int)guest.exit.kind, guest.exit.text);
}

/* What covers the gate's or the bell's is in the next test. */
static void no_port_is_open_but_two(void **state)
{
    uint8_t code[16 * ARRAY_SIZE(forms)] = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
        memcpy(code + 16 * i, forms[i].code, forms[i].bytes);
    open_hostile(code, sizeof(code));
    for (unsigned port = 0; port < 0x10000; port++) {
        if (port == BOOT_PORT_BELL || port == BOOT_PORT_GATE)
            continue;
        for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
            if (port < 64 || port % ARRAY_SIZE(forms) == i)
                use_port(port, i);
    }
    close_hostile("port");
}

static void the_two_ports_are_good_for_one_thing(void **state)
{
    (void)state;
    for (unsigned port = BOOT_PORT_BELL; port <= BOOT_PORT_GATE; port++)
        for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
            bool rings = port == BOOT_PORT_BELL && (i == 0 || i == 6);
            struct kvm_regs *regs = open_attempt(forms[i].code, forms[i].bytes);

            regs->rdx = port;
            regs->rcx = 3;
            guest_run(&guest);
            if (rings)
                assert_int_equal(guest.exit.kind, RUN_BELL);
            else if (guest.exit.kind != RUN_BROKEN)
                assert_int_equal(guest.exit.kind, RUN_EXCEPTION);
            expect_known_exit("open port");
            close_hostile("open port");
        }
}

static void no_model_specific_register_is_to_be_had(void **state)
{
    static const uint32_t ranges[] = {
        0,          0x10,       0x1b,       0x48,       0x174,      0x1d9,
        0x277,      0x400,      0x480,      0x800,      0xda0,      0x40000000,
        0x4b564d00, 0xc0000080, 0xc0000100, 0xc0010000, 0xc0010110, 0xffffffff,
    };

    (void)state;
    open_hostile("\x0f\x32\x0f\x30", 4); /* rdmsr; wrmsr */
    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        for (uint32_t j = 0; j < 16; j++)
            for (unsigned write = 0; write < 2; write++) {
                struct kvm_regs *regs = guest_registers(&guest);

                *regs = (struct kvm_regs){.rip = GUEST_CODE + 2 * write,
                                          .rcx = ranges[i] + j,
                                          .rax = 0xffffffff,
                                          .rdx = 0xffffffff};
                assert_int_equal(guest_run(&guest), RUN_EXCEPTION);
                assert_int_equal(guest.exit.vector, 13);
                assert_int_equal(regs->rip, GUEST_CODE + 2 * write);
            }
    close_hostile("msr");
}

/* rax is the address; what is written is the address, too. */
static const struct {
    const char *name, *code;
    size_t bytes;
    bool reads;
} accesses[] = {
    {"read a byte", SIZED("\x8a\x18"), true},
    {"read a word", SIZED("\x48\x8b\x18"), true},
    {"read over two pages", SIZED("\x48\x8b\x98\xfd\x0f\0\0"), true},
    {"write a byte", SIZED("\x88\x00"), false},
    {"write a word", SIZED("\x48\x89\x00"), false},
    {"write over two pages", SIZED("\x48\x89\x80\xfd\x0f\0\0"), false},
    {"add to it", SIZED("\xf0\x48\x01\x00"), false},
    {"exchange", SIZED("\x48\x87\x18"), false},
    {"compare and exchange", SIZED("\xf0\x48\x0f\xc7\x08"), false},
    {"read 16 bytes", SIZED("\x0f\x10\x00"), true},
    {"write 16 bytes", SIZED("\x0f\x11\x00"), false},
    {"read 32 bytes", SIZED("\xc5\xfe\x6f\x00"), true},
    {"write 32 bytes", SIZED("\xc5\xfe\x7f\x00"), false},
    {"copy from it", SIZED("\x48\x89\xc6\x6a\x40\x59\xf3\xa4"), true},
    {"copy to it", SIZED("\x48\x89\xc7\x6a\x40\x59\xf3\xa4"), false},
    {"compare rows", SIZED("\x48\x89\xc7\x6a\x40\x59\xf3\xa6"), true},
    {"push to it", SIZED("\x48\x8d\xa0\x80\0\0\0\x50"), false},
    {"pop from it", SIZED("\x48\x89\xc4\x5b"), true},
    {"push from it", SIZED("\xff\x30"), true},
    {"call what it says", SIZED("\xff\x10"), true},
    {"save the processor's state", SIZED("\x0f\xae\x00"), false},
    {"load the processor's state", SIZED("\x0f\xae\x08"), true},
    {"clear a line", SIZED("\x0f\x01\xfc"), false},
    {"system call's stack there", SIZED("\x48\x89\xc4\x0f\x05"), true},
};

static void open_access(size_t i, uint64_t physical)
{
    open_attempt(accesses[i].code, accesses[i].bytes);
    /* Two, so that an access over the end of the first is one to a page. */
    assert_int_equal(tables_map(&guest.tables, 0x800000, physical, 2 * PAGE,
                                TABLES_READ | TABLES_WRITE | TABLES_USER),
                     0);
    memcpy(guest.bytes + GUEST_TEXT + accesses[i].bytes, "\x0f\x05", 2);
    read_kernel(&before);
    guest_registers(&guest)->rax = 0x800000;
}

static void memory_that_is_none_breaks_it(void **state)
{
    static const uint64_t holes[] = {
        GUEST_BYTES, 1ull << 30,          0xfec00000,
        0xfee00000,  0xfffbc000,          0xffffe000,
        1ull << 32,  (1ull << 38) - PAGE, MEMORY_END - 2 * PAGE,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(accesses); i++)
        for (size_t j = 0; j < ARRAY_SIZE(holes); j++) {
            open_access(i, holes[j]);
            guest_run(&guest);
            expect_known_exit(accesses[i].name);
            if (guest.exit.kind == RUN_SYSCALL)
                assert_true(i + 1 == ARRAY_SIZE(accesses));
            close_hostile(accesses[i].name);
        }
}

/* kvm_pvm tries again and again. */
static void a_descriptor_that_cannot_be_stored_ends_in_time(void **state)
{
    (void)state;
    open_attempt("\x0f\x01\x00\x0f\x05", 5); /* sgdt (%rax); syscall */
    assert_int_equal(tables_map(&guest.tables, 0x800000, 1ull << 30, PAGE,
                                TABLES_READ | TABLES_WRITE | TABLES_USER),
                     0);
    read_kernel(&before);
    guest_registers(&guest)->rax = 0x800000;
    run_deadline(&guest.machine, clock_now_ns() + 10000000);
    if (guest_run(&guest) != RUN_TIME)
        expect_known_exit("descriptor");
    assert_int_not_equal(guest.exit.kind, RUN_SYSCALL);
    close_hostile("descriptor");
}

static void code_where_no_memory_is_does_not_run(void **state)
{
    (void)state;
    open_attempt("\xff\xe0", 2); /* jmp *%rax */
    assert_int_equal(tables_map(&guest.tables, 0x800000, 1ull << 30, PAGE,
                                TABLES_READ | TABLES_EXEC | TABLES_USER),
                     0);
    read_kernel(&before);
    guest_registers(&guest)->rax = 0x800000;
    guest_run(&guest);
    expect_known_exit("code");
    assert_int_not_equal(guest.exit.kind, RUN_SYSCALL);
    close_hostile("code");
}

/* A slot that is read only, whatever the tables say. */
static void a_slot_that_is_read_only_stays_as_it_is(void **state)
{
    const uint64_t at = 1ull << 30;
    struct memory_range slot = {.at = at, .bytes = 2 * PAGE};
    struct gbx_error err;

    (void)state;
    slot.host =
        mmap(NULL, slot.bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(slot.host, MAP_FAILED);
    for (size_t i = 0; i < ARRAY_SIZE(accesses); i++) {
        open_access(i, at);
        assert_int_equal(machine_memory(&guest.machine, &slot, &err), 0);
        guest_run(&guest);
        expect_known_exit(accesses[i].name);
        if (guest.exit.kind == RUN_SYSCALL && !accesses[i].reads)
            fail_msg("%s: a page that is read only", accesses[i].name);
        for (size_t j = 0; j < slot.bytes; j++)
            assert_int_equal(slot.host[j], 0);
        close_hostile(accesses[i].name);
    }
    munmap(slot.host, slot.bytes);
}

/* Each page of the kernel, in each way, with each kind of access. */
static void the_kernels_pages_are_closed(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < ARRAY_SIZE(accesses); i++)
        for (uint64_t page = 0; page < BOOT_PAGES; page++) {
            bool gate = BOOT_AT + page * PAGE == BOOT_GATE_AT;

            open_attempt(accesses[i].code, accesses[i].bytes);
            memcpy(guest.bytes + GUEST_TEXT + accesses[i].bytes, "\x0f\x05", 2);
            guest_registers(&guest)->rax = BOOT_AT + page * PAGE;
            guest_run(&guest);
            if (!gate || !accesses[i].reads)
                assert_int_equal(guest.exit.kind, RUN_EXCEPTION);
            expect_known_exit(accesses[i].name);
            close_hostile(accesses[i].name);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_port_is_open_but_two),
        cmocka_unit_test(the_two_ports_are_good_for_one_thing),
        cmocka_unit_test(no_model_specific_register_is_to_be_had),
        cmocka_unit_test(memory_that_is_none_breaks_it),
        cmocka_unit_test(a_descriptor_that_cannot_be_stored_ends_in_time),
        cmocka_unit_test(code_where_no_memory_is_does_not_run),
        cmocka_unit_test(a_slot_that_is_read_only_stays_as_it_is),
        cmocka_unit_test(the_kernels_pages_are_closed),
    };

    return guest_tests(tests);
}
