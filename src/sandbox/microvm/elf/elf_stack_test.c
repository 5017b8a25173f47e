/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack is compared with the one that the kernel made for this test, read
 * back as a program reads it, and at last used: a child of the test becomes
 * another program by plan and stack alone, without exec.
 */
#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/microvm/elf/elf.h"

#define TOP       ((1ull << 47) - ELF_PAGE)
#define STACK_TOP 0x7ff000000000ull

extern char **environ;

static struct gbx_error error;
static char **own_argv;
static _Alignas(16) char buffer[ELF_STACK_BYTES_MAX];

static const struct elf_image image = {.entry = 0x401010,
                                       .phdr = 0x400040,
                                       .phnum = 9,
                                       .segment_count = 1};
static const char *const some_argv[] = {"prog", "", "three", NULL};
static const char *const some_envp[] = {"PATH=/bin", "X=", NULL};

static const struct elf_stack_plan good = {
    .program = &image,
    .interp_base = 0x7f0000000000,
    .top = STACK_TOP,
    .name = "/bin/prog",
    .argv = some_argv,
    .envp = some_envp,
    .uid = 1000,
    .gid = 1001,
    .hwcap = 0x178bfbff,
    .hwcap2 = 2,
    .signal_stack_bytes_min = 3376,
    .random = "0123456789abcde",
};

/* What lies at an address of the image. */
static const char *at(uint64_t va)
{
    must(va < STACK_TOP && va >= STACK_TOP - sizeof(buffer));
    return buffer + sizeof(buffer) - (STACK_TOP - va);
}

static uint64_t word(uint64_t va)
{
    uint64_t value;

    memcpy(&value, at(va), sizeof(value));
    return value;
}

/* Entry `index` of the vector behind the second NULL; its value. */
static uint64_t aux(uint64_t sp, uint64_t type, int *index)
{
    uint64_t va = sp + 8 * (1 + word(sp) + 1);

    while (word(va) != 0)
        va += 8;
    va += 8;
    for (*index = 0; word(va) != AT_NULL; ++*index, va += 16)
        if (word(va) == type)
            return word(va + 8);
    assert_int_equal(word(va + 8), 0); /* nothing lies over the end */
    *index = -1;
    return 0;
}

static uint64_t value_of(uint64_t sp, uint64_t type)
{
    int index;
    uint64_t value = aux(sp, type, &index);

    assert_true(index >= 0);
    return value;
}

static void a_program_finds_what_was_planned(void **state)
{
    uint64_t sp, va;
    int index;

    (void)state;
    assert_int_equal(elf_stack(&sp, buffer, sizeof(buffer), &good, &error), 0);
    assert_int_equal(sp % 16, 0);
    assert_int_equal(word(sp), 3);
    va = sp + 8;
    for (int i = 0; i < 3; i++, va += 8)
        assert_string_equal(at(word(va)), some_argv[i]);
    assert_int_equal(word(va), 0);
    va += 8;
    for (int i = 0; i < 2; i++, va += 8)
        assert_string_equal(at(word(va)), some_envp[i]);
    assert_int_equal(word(va), 0);

    assert_int_equal(value_of(sp, AT_PHDR), 0x400040);
    assert_int_equal(value_of(sp, AT_PHENT), 56);
    assert_int_equal(value_of(sp, AT_PHNUM), 9);
    assert_int_equal(value_of(sp, AT_PAGESZ), 4096);
    assert_int_equal(value_of(sp, AT_BASE), 0x7f0000000000);
    assert_int_equal(value_of(sp, AT_FLAGS), 0);
    assert_int_equal(value_of(sp, AT_ENTRY), 0x401010);
    assert_int_equal(value_of(sp, AT_UID), 1000);
    assert_int_equal(value_of(sp, AT_EUID), 1000);
    assert_int_equal(value_of(sp, AT_GID), 1001);
    assert_int_equal(value_of(sp, AT_EGID), 1001);
    assert_int_equal(value_of(sp, AT_SECURE), 0);
    assert_int_equal(value_of(sp, AT_CLKTCK), 100);
    assert_int_equal(value_of(sp, AT_HWCAP), 0x178bfbff);
    assert_int_equal(value_of(sp, AT_HWCAP2), 2);
    assert_int_equal(value_of(sp, 51 /* AT_MINSIGSTKSZ */), 3376);
    assert_memory_equal(at(value_of(sp, AT_RANDOM)), good.random, 16);
    assert_string_equal(at(value_of(sp, AT_PLATFORM)), "x86_64");
    assert_string_equal(at(value_of(sp, AT_EXECFN)), "/bin/prog");
    aux(sp, AT_SYSINFO_EHDR, &index);
    assert_int_equal(index, -1);
}

/* The kernel's own work: our strings, from argv[0] to the stack's end. */
static void strings_lie_where_the_kernel_put_ours(void **state)
{
    const char *name = (const char *)getauxval(AT_EXECFN);
    struct elf_stack_plan plan = good;
    uint64_t sp, real_top = (uint64_t)(uintptr_t)name + strlen(name) + 1 + 8;
    uint64_t moved = STACK_TOP - real_top;

    (void)state;
    plan.name = name;
    plan.argv = (const char *const *)own_argv;
    plan.envp = (const char *const *)environ;
    assert_int_equal(real_top % 16, 0);
    assert_int_equal(elf_stack(&sp, buffer, sizeof(buffer), &plan, &error), 0);
    assert_int_equal(word(sp + 8), (uint64_t)(uintptr_t)own_argv[0] + moved);
    assert_memory_equal(at(word(sp + 8)), own_argv[0],
                        real_top - (uint64_t)(uintptr_t)own_argv[0]);
}

/* Ours has nothing that the kernel's lacks, and nothing in another order. */
static void the_vector_is_in_the_kernels_order(void **state)
{
    auto_fd int fd = open("/proc/self/auxv", O_RDONLY | O_CLOEXEC);
    Elf64_auxv_t own[64];
    ssize_t bytes = read(fd, own, sizeof(own));
    int index, last = -1, common = 0;
    uint64_t sp;

    (void)state;
    assert_true(bytes > 0);
    assert_int_equal(elf_stack(&sp, buffer, sizeof(buffer), &good, &error), 0);
    for (size_t i = 0; i < (size_t)bytes / sizeof(own[0]); i++) {
        if (own[i].a_type == AT_NULL)
            break;
        aux(sp, own[i].a_type, &index);
        if (index < 0)
            continue; /* the vDSO; what newer kernels add */
        assert_true(index > last);
        last = index;
        common++;
    }
    assert_true(common >= 18);
}

static void every_length_of_strings_is_aligned(void **state)
{
    static char text[40];
    const char *argv[] = {text, NULL, NULL};
    struct elf_stack_plan plan = good;
    uint64_t sp;
    int index;

    (void)state;
    plan.argv = argv;
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        argv[1] = i % 2 ? "odd" : NULL;
        assert_int_equal(elf_stack(&sp, buffer, sizeof(buffer), &plan, &error),
                         0);
        assert_int_equal(sp % 16, 0);
        assert_string_equal(at(word(sp + 8)), text);
        aux(sp, AT_SYSINFO_EHDR, &index);
        assert_int_equal(index, -1);
        text[i] = 'x';
    }
}

static int try_plan(const struct elf_stack_plan *plan, const char *words)
{
    uint64_t sp = 0;
    int rc;

    memset(buffer, 0x5a, sizeof(buffer));
    rc = elf_stack(&sp, buffer, sizeof(buffer), plan, &error);
    if (rc < 0) {
        assert_int_equal(buffer[sizeof(buffer) - 1], 0x5a); /* not begun */
        assert_non_null(strstr(error.what, words));
    }
    return rc;
}

static void too_much_is_refused_before_anything_is_written(void **state)
{
    static char longest[ELF_STRING_BYTES_MAX + 1];
    static const char *many[ELF_ARGUMENT_BYTES_MAX / 9 + 2];
    const char *argv[] = {"x", longest, NULL}, *none[] = {NULL};
    struct elf_stack_plan plan = good;
    uint64_t sp, bytes;

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    plan.argv = argv;
    assert_int_equal(try_plan(&plan, "argument 1 is longer than 131071 bytes"),
                     GBX_ELIMIT);
    longest[ELF_STRING_BYTES_MAX - 1] = '\0';
    assert_int_equal(try_plan(&plan, ""), 0);
    plan.argv = some_argv, plan.name = longest;
    assert_int_equal(try_plan(&plan, "path is longer than 4095"), GBX_ELIMIT);
    longest[ELF_NAME_BYTES_MAX] = '\0';
    assert_int_equal(try_plan(&plan, ""), 0);

    for (size_t i = 0; i < ELF_ARGUMENT_BYTES_MAX / 9; i++)
        many[i] = "";
    plan.argv = many, plan.envp = none;
    assert_int_equal(try_plan(&plan, ""), 0);
    plan.envp = some_envp;
    assert_int_equal(try_plan(&plan, "more than 1048576 bytes"), GBX_ELIMIT);
    plan.argv = none;
    assert_int_equal(try_plan(&plan, "argv[0]"), GBX_EARGUMENT);

    assert_int_equal(elf_stack(&sp, buffer, sizeof(buffer), &good, &error), 0);
    bytes = STACK_TOP - sp;
    assert_int_equal(elf_stack(&sp, buffer, bytes, &good, &error), 0);
    assert_int_equal(elf_stack(&sp, buffer, bytes - 8, &good, &error),
                     GBX_ELIMIT);
}

static void nothing_is_written_below_the_stack_pointer(void **state)
{
    uint64_t sp;

    (void)state;
    memset(buffer, 0x5a, sizeof(buffer));
    assert_int_equal(elf_stack(&sp, buffer, sizeof(buffer), &good, &error), 0);
    for (const char *p = buffer; p < at(sp); p++)
        assert_int_equal(*p, 0x5a);
}

/* The child's half; it has only its own exit code to complain with. */
static void map_segment(int fd, const struct elf_segment *s)
{
    uint64_t skip = s->va % ELF_PAGE;
    char *from = (char *)(uintptr_t)(s->va - skip);
    size_t bytes = (size_t)(skip + s->memory_bytes);

    if (mmap(from, bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != from)
        _exit(101);
    if (pread(fd, from + skip, s->file_bytes, (off_t)s->file_off) !=
        (ssize_t)s->file_bytes)
        _exit(102);
    mprotect(from, bytes,
             (s->readable ? PROT_READ : 0) | (s->writable ? PROT_WRITE : 0) |
                 (s->executable ? PROT_EXEC : 0));
}

static void load(struct elf_image *loaded, const char *path, uint64_t base)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 ||
        elf_read(loaded, fd, (uint64_t)st.st_size, TOP, NULL) < 0)
        _exit(100);
    if (loaded->needs_base)
        elf_place(loaded, base);
    for (uint32_t i = 0; i < loaded->segment_count; i++)
        map_segment(fd, &loaded->segments[i]);
    close(fd);
}

static void become(const char *path, const char *const *argv)
{
    static const char *const envp[] = {"LC_ALL=C", NULL};
    static struct elf_image program, interp;
    struct elf_stack_plan plan = good;
    const size_t bytes = 4 << 20;
    uint64_t sp, entry;
    char *stack;

    /* Where no sanitizer keeps its shadow. */
    load(&program, path, 0x550000000000);
    entry = program.entry;
    if (program.interp[0] != '\0') {
        load(&interp, program.interp, 0x551000000000);
        entry = interp.entry;
    }
    stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    plan.program = &program;
    plan.interp_base = interp.base;
    plan.top = (uintptr_t)stack + bytes;
    plan.name = path, plan.argv = argv, plan.envp = envp;
    if (elf_stack(&sp, stack, bytes, &plan, NULL) < 0)
        _exit(103);
    __asm__ volatile("mov %0, %%rsp\n\t"
                     "xor %%edx, %%edx\n\t"
                     "jmp *%1"
                     :
                     : "r"(sp), "r"(entry)
                     : "rdx", "memory");
    __builtin_unreachable();
}

static void a_program_runs_by_its_plan_alone(void **state)
{
    static const struct {
        const char *argv[4], *says;
    } cases[] = {
        {{"/usr/bin/echo", "by", "plan", NULL}, "by plan\n"},
        {{"/usr/bin/python3.11", "-Ic", "import json; print(json.dumps([1]))",
          NULL},
         "[1]\n"},
        {{"/sbin/ldconfig", "--version", NULL}, "ldconfig (Debian"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[64] = "";
        int fds[2], status;
        pid_t pid;

        if (access(cases[i].argv[0], X_OK) < 0)
            continue; /* not on this machine */
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
            dup2(fds[1], STDOUT_FILENO);
            become(cases[i].argv[0], cases[i].argv);
        }
        close(fds[1]);
        assert_true(read(fds[0], text, sizeof(text) - 1) >= 0);
        close(fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (strncmp(text, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("%s: status %x, said '%s'", cases[i].argv[0],
                     (unsigned)status, text);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_finds_what_was_planned),
        cmocka_unit_test(strings_lie_where_the_kernel_put_ours),
        cmocka_unit_test(the_vector_is_in_the_kernels_order),
        cmocka_unit_test(every_length_of_strings_is_aligned),
        cmocka_unit_test(too_much_is_refused_before_anything_is_written),
        cmocka_unit_test(nothing_is_written_below_the_stack_pointer),
        cmocka_unit_test(a_program_runs_by_its_plan_alone),
    };

    must(argc > 0);
    own_argv = argv;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
