/* SPDX-License-Identifier: Apache-2.0 */
/* load_test.c - programs become tasks, or are refused with a reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <elf.h>
#include <sched.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "sandbox/microvm/linux/linux_test.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* One page of text, and one of data with zeros behind it. */
struct program {
    Elf64_Ehdr head;
    Elf64_Phdr segments[3];
    char interp[64];
    char rest[8192];
};

static struct program good;
static char folder[] = "/tmp/load-test-XXXXXX";
static int host = -1;

static void make_good(uint16_t type, uint64_t base)
{
    memset(&good, 0, sizeof(good));
    memcpy(good.head.e_ident, ELFMAG, SELFMAG);
    good.head.e_ident[EI_CLASS] = ELFCLASS64;
    good.head.e_ident[EI_DATA] = ELFDATA2LSB;
    good.head.e_ident[EI_VERSION] = EV_CURRENT;
    good.head.e_type = type;
    good.head.e_machine = EM_X86_64;
    good.head.e_version = EV_CURRENT;
    good.head.e_entry = base + 0x100;
    good.head.e_phoff = offsetof(struct program, segments);
    good.head.e_ehsize = sizeof(good.head);
    good.head.e_phentsize = sizeof(good.segments[0]);
    good.head.e_phnum = 2;
    good.segments[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                                    .p_flags = PF_R | PF_X,
                                    .p_vaddr = base,
                                    .p_filesz = 4096,
                                    .p_memsz = 4096,
                                    .p_align = 4096};
    good.segments[1] = (Elf64_Phdr){.p_type = PT_LOAD,
                                    .p_flags = PF_R | PF_W,
                                    .p_offset = 4096,
                                    .p_vaddr = base + 8192,
                                    .p_filesz = 100,
                                    .p_memsz = 10000,
                                    .p_align = 4096};
    memset((char *)&good + 4096, 'd', 4096);
}

static void put(const char *name, const void *bytes, size_t count, mode_t mode)
{
    int fd = openat(host, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, mode);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, count), count);
    close(fd);
}

static int load(const char *path, struct gbx_error *err)
{
    const char *const argv[] = {path, "two", NULL};
    const char *const envp[] = {"A=b", NULL};
    const struct kernel_program program = {
        .path = path, .argv = argv, .envp = envp};

    *err = (struct gbx_error){0};
    return kernel_exec(kernel, &program, err);
}

static int set_up(void **state)
{
    struct kernel_config config = make_config();
    struct gbx_error err;

    (void)state;
    if (host < 0) {
        assert_non_null(mkdtemp(folder));
        host = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    assert_int_equal(kernel_open(&kernel, &config, &err), 0);
    assert_int_equal(tree_mount(kernel->tree, "/h", host, true), 0);
    make_good(ET_EXEC, 0x400000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    check_kernel();
    close_kernel();
    unlinkat(host, "p", 0);
    unlinkat(host, "ld", 0);
    return 0;
}

static void check_started(uint64_t entry)
{
    uint64_t argc, first;
    char text[8];

    assert_non_null(kernel->current);
    assert_int_equal(rig.regs.rip, entry);
    assert_int_equal(rig.regs.rsp % 16, 0);
    peek(rig.regs.rsp, &argc, 8);
    peek(rig.regs.rsp + 8, &first, 8);
    peek(first, text, 5);
    assert_int_equal(argc, 2);
    assert_memory_equal(text, "/h/p", 5);
    assert_true(kernel->space.brk_start > kernel->image_base);
    check_kernel();
}

static void a_static_program_lies_where_it_says(void **state)
{
    struct gbx_error err;
    char byte = 1;

    (void)state;
    put("p", &good, sizeof(good), 0755);
    assert_int_equal(load("/h/p", &err), 0);
    check_started(0x400100);
    assert_string_equal(kernel->current->name, "p");
    peek(0x402000 + 99, &byte, 1);
    assert_int_equal(byte, 'd');
    peek(0x402000 + 100, &byte, 1); /* zeros, though the file goes on */
    assert_int_equal(byte, 0);
    assert_int_equal(user_write(&kernel->space, 0x400000, "x", 1), -EFAULT);
    poke(0x402000 + 9999, "x", 1);
    assert_int_equal(kernel->space.brk_start, 0x405000);
}

static void one_that_may_lie_anywhere_lies_elsewhere_each_time(void **state)
{
    struct gbx_error err;
    uint64_t base;

    (void)state;
    make_good(ET_DYN, 0);
    put("p", &good, sizeof(good), 0755);
    assert_int_equal(load("/h/p", &err), 0);
    base = kernel->image_base;
    assert_true(base >= 0x550000000000ull);
    check_started(base + 0x100);
}

static void a_dynamic_one_starts_in_its_interpreter(void **state)
{
    struct gbx_error err;

    (void)state;
    good.head.e_phnum = 3;
    strcpy(good.interp, "/h/ld");
    good.segments[2] =
        (Elf64_Phdr){.p_type = PT_INTERP,
                     .p_offset = offsetof(struct program, interp),
                     .p_filesz = 6,
                     .p_memsz = 6};
    put("p", &good, sizeof(good), 0755);
    assert_int_equal(load("/h/p", &err), GBX_EFILE);
    assert_non_null(strstr(err.what, "/h/ld"));
    assert_non_null(strstr(err.what, "is its root complete"));
    close_kernel();
    assert_int_equal(set_up(NULL), 0);
    make_good(ET_DYN, 0);
    put("ld", &good, sizeof(good), 0755);
    assert_int_equal(load("/h/p", &err), 0);
    check_started(rig.regs.rip);
    assert_in_range(rig.regs.rip, 0x7f0000000000ull, TABLES_USER_END);
}

static void what_is_no_program_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *path, *reason;
    } cases[] = {
        {"/h/none", "No such file"},
        {"/h", "Permission denied"},
        {"/h/p", "/h/p: "},
    };
    struct gbx_error err;

    (void)state;
    put("p", "#!/bin/sh\n", 10, 0755);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_true(load(cases[i].path, &err) < 0);
        assert_non_null(strstr(err.what, cases[i].reason));
        close_kernel();
        assert_int_equal(set_up(NULL), 0);
    }
    put("p", &good, sizeof(good), 0644); /* nobody may run it */
    fchmodat(host, "p", 0644, 0);
    assert_true(load("/h/p", &err) < 0);
    assert_non_null(strstr(err.what, "Permission denied"));
}

/* Each byte of the heads, spoilt: loaded or refused, never worse. */
static void spoilt_heads_are_refused_or_run(void **state)
{
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    struct gbx_error err;

    (void)state;
    for (size_t i = 0; i < offsetof(struct program, interp); i += 3)
        for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
            make_good(ET_EXEC, 0x400000);
            ((uint8_t *)&good)[i] = values[v];
            put("p", &good, sizeof(good), 0755);
            if (load("/h/p", &err) < 0)
                assert_true(err.what[0] != '\0');
            else
                assert_non_null(kernel->current);
            check_kernel();
            close_kernel();
            assert_int_equal(set_up(NULL), 0);
        }
}

static void too_little_memory_is_said(void **state)
{
    struct gbx_error err;

    (void)state;
    good.segments[1].p_memsz = 64 << 20;
    put("p", &good, sizeof(good), 0755);
    assert_int_equal(load("/h/p", &err), GBX_EMEMORY);
    assert_non_null(strstr(err.what, "too small to load it"));
}

static void a_processor_that_refuses_is_said(void **state)
{
    struct gbx_error err;

    (void)state;
    put("p", &good, sizeof(good), 0755);
    rig.refuses = true;
    assert_int_equal(load("/h/p", &err), GBX_EHOST);
    rig.refuses = false;
}

static int remove_folder(void **state)
{
    (void)state;
    close(host);
    rmdir(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_static_program_lies_where_it_says),
        TEST(one_that_may_lie_anywhere_lies_elsewhere_each_time),
        TEST(a_dynamic_one_starts_in_its_interpreter),
        TEST(what_is_no_program_is_refused_with_a_reason),
        TEST(spoilt_heads_are_refused_or_run),
        TEST(too_little_memory_is_said),
        TEST(a_processor_that_refuses_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, remove_folder);
}
