/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest does to its processor and its addresses.  In a micro-VM the
 * processor is a whole one; the guest finds there what it finds on Linux.
 *
 * There is no test of device memory (MMIO): a guest reaches only physical
 * addresses that its page tables name, those lie in memory that is not mapped
 * for it, and the personality maps nothing but frames and the region.  The host
 * half, which KVM lets nobody write, is never mapped writable: `games` tries.
 */
#include <stdio.h>
#include <string.h>

#include "sandbox/microvm/boot.h"
#include "tests/isolation/box.h"

static struct box box;

static void ends(const char *kind, const char *argument, int want,
                 const char *text)
{
    int rc = box_try(&box, kind, argument);

    if (rc != want || strstr(box.err.what, text) == NULL)
        fail_msg("%s %s: %d, %s\n%s", kind, argument, rc, box.err.what,
                 box.text);
}

static void no_port_can_be_used(void **state)
{
    char but[32] = "";

    (void)state;
    if (is_microvm())
        snprintf(but, sizeof(but), "%d+%d", BOOT_PORT_BELL, 2);
    ends("ports", but, GBX_EEXIT, "status 0");
    assert_string_equal(box.text, "");
}

/* They leave the guest, and tell that they were not meant to. */
static void the_ports_of_the_own_kernel_are_no_way_out(void **state)
{
    char port[32];

    (void)state;
    only_microvm("its kernel leaves by ports");
    snprintf(port, sizeof(port), "%d", BOOT_PORT_BELL);
    ends("port", port, GBX_EEXIT, "status 0");
    snprintf(port, sizeof(port), "%d", BOOT_PORT_GATE);
    ends("port", port, GBX_EBROKEN, "port of the gate");
    for (int vector = 0; vector < BOOT_VECTORS; vector++) {
        snprintf(port, sizeof(port), "%d", BOOT_PORT_EXCEPTION + vector);
        ends("port", port, GBX_ESIGNAL, "signal 11");
    }
}

/* It is at most a system call, with whatever lies in the registers. */
static void a_jump_to_the_gate_is_the_guests_own_end(void **state)
{
    int rc;

    (void)state;
    rc = box_try(&box, "jump_to_gate", "");
    if (rc != GBX_ESIGNAL && !(is_microvm() && rc == GBX_EBROKEN))
        fail_msg("%d, %s", rc, box.err.what);
}

static void instructions_of_kernels_are_signals(void **state)
{
    /* An interrupt that is none is one or the other where KVM emulates it. */
    static const char others[] =
        "rsm: 4\nud2: 4\nmonitor: 4\nint 0x20: 4\nint 0x0e: 4\nint3: 5\n"
        "div: 8\nnot canonical: 7\n";
    char *rest = box.text, *line;
    int count = 0;

    (void)state;
    ends("privileged", "", GBX_EEXIT, "status 0");
    while ((line = strsep(&rest, "\n")) != NULL && line[0] != '\0') {
        bool as_usual = strstr(line, ": 11") != NULL;

        count++;
        if (!as_usual && strstr(others, line) == NULL)
            fail_msg("%s", line);
    }
    assert_in_range(count, 40, 60);
}

static void what_is_not_the_guests_stays_so(void **state)
{
    (void)state;
    ends("games", "", GBX_EEXIT, "status 0");
    assert_string_equal(box.text, "still here\n");
}

static void who_saws_off_the_branch_falls(void **state)
{
    static const char *const branches[] = {"stack", "code", "none", "all"};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        ends("saw", branches[i], GBX_ESIGNAL, "signal 11");
}

static void behind_the_end_of_the_region_is_nothing(void **state)
{
    (void)state;
    ends("beyond", "", GBX_ESIGNAL, "signal 7");
    assert_string_equal(box.text, "");
}

static void threads_may_race_for_their_addresses(void **state)
{
    (void)state;
    ends("race", "", GBX_EEXIT, "status 0");
    assert_string_equal(box.text, "still here\n");
}

/* A process leaves a signal's number; a micro-VM, the place. */
static void a_fault_is_told_with_its_place(void **state)
{
    static const struct {
        const char *kind, *text;
    } faults[] = {
        {"null", "read of address 0x0, a NULL pointer, at 0x"},
        {"null", " (null_pointer+0x"},
        {"null", " in /.glovebox/gbx-test-guest)"},
        {"overflow", "below its stack: too deep a recursion, at 0x"},
        {"overflow", " (deeper+0x"},
        {"halt", "exception 13 at 0x"},
        {"halt", " (halt+0x"},
        {"unsupported", "the last thing it asked for in vain: io_uring"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        ends(faults[i].kind, "", GBX_ESIGNAL,
             is_microvm() ? faults[i].text : "signal ");
}

static void a_fault_that_was_handled_is_not_told(void **state)
{
    (void)state;
    ends("handled", "", GBX_ESIGNAL, "signal 15 (Terminated)");
    assert_null(strstr(box.err.what, "address"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_port_can_be_used),
        cmocka_unit_test(the_ports_of_the_own_kernel_are_no_way_out),
        cmocka_unit_test(a_jump_to_the_gate_is_the_guests_own_end),
        cmocka_unit_test(instructions_of_kernels_are_signals),
        cmocka_unit_test(what_is_not_the_guests_stays_so),
        cmocka_unit_test(who_saws_off_the_branch_falls),
        cmocka_unit_test(behind_the_end_of_the_region_is_nothing),
        cmocka_unit_test(threads_may_race_for_their_addresses),
        cmocka_unit_test(a_fault_is_told_with_its_place),
        cmocka_unit_test(a_fault_that_was_handled_is_not_told),
    };

    return cmocka_run_group_tests(tests, box_possible, NULL);
}
