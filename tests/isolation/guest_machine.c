/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_machine.c - what no program has to ask of its processor: ports, the
 * kernel's instructions, addresses that are not its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "glovebox/abi/region.h"
#include "tests/isolation/guest.h"

#define PAGE 4096u

static sigjmp_buf back;
static char handler_stack[65536];

static void come_back(int number)
{
    siglongjmp(back, number);
}

static void catch_all(void)
{
    static const int numbers[] = {SIGSEGV, SIGILL, SIGBUS, SIGFPE, SIGTRAP};
    stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof(handler_stack)};
    struct sigaction action = {.sa_handler = come_back,
                               .sa_flags = SA_ONSTACK | SA_NODEFER};

    sigaltstack(&stack, NULL);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}

/* Its signal, or 0 when it was done. */
static int try_port(unsigned port, int width)
{
    int number = sigsetjmp(back, 0);

    if (number != 0)
        return number;
    if (width == 1)
        __asm__ volatile("outb %%al, %w0" ::"d"(port), "a"(0));
    else if (width == 2)
        __asm__ volatile("outw %%ax, %w0" ::"d"(port), "a"(0));
    else if (width == 4)
        __asm__ volatile("outl %%eax, %w0" ::"d"(port), "a"(0));
    else
        __asm__ volatile("inb %w0, %%al" ::"d"(port) : "eax");
    return 0;
}

/* Print the ports that can be used, but for those from the one that is given.
 */
static int ports(void)
{
    char *end;
    const unsigned from = (unsigned)strtoul(guest_argument, &end, 0);
    const unsigned count = *end == '+' ? (unsigned)atoi(end + 1) : 0;

    catch_all();
    for (unsigned port = 0; port < 65536; port++)
        if (port - from >= count && try_port(port, 1) != SIGSEGV)
            printf("out 0x%x\n", port);
    for (unsigned port = 0; port < 65536; port += port < 0x100 ? 1 : 251)
        for (int width = 0; width <= 4; width += 2)
            if (port - from >= count && try_port(port, width) != SIGSEGV)
                printf("width %d 0x%x\n", width, port);
    return 0;
}

static int port(void)
{
    __asm__ volatile("outb %%al, %w0" ::"d"(strtoul(guest_argument, NULL, 0)),
                     "a"(0));
    return 0;
}

static const struct {
    const char *name;
    const char *code;
    size_t bytes;
} instructions[] = {
    {"hlt", "\xf4", 1},
    {"cli", "\xfa", 1},
    {"sti", "\xfb", 1},
    {"in", "\xec", 1},
    {"outsb", "\x6e", 1},
    {"clts", "\x0f\x06", 2},
    {"invd", "\x0f\x08", 2},
    {"wbinvd", "\x0f\x09", 2},
    {"wrmsr", "\x0f\x30", 2},
    {"rdmsr", "\x0f\x32", 2},
    {"rdpmc", "\x0f\x33", 2},
    {"rsm", "\x0f\xaa", 2},
    {"ud2", "\x0f\x0b", 2},
    {"lgdt", "\x0f\x01\x17", 3},
    {"lidt", "\x0f\x01\x1f", 3},
    {"lmsw", "\x0f\x01\xf0", 3},
    {"invlpg", "\x0f\x01\x3f", 3},
    {"swapgs", "\x0f\x01\xf8", 3},
    {"monitor", "\x0f\x01\xc8", 3},
    {"xsetbv", "\x0f\x01\xd1", 3},
    {"vmrun", "\x0f\x01\xd8", 3},
    {"vmload", "\x0f\x01\xda", 3},
    {"stgi", "\x0f\x01\xdc", 3},
    {"lldt", "\x0f\x00\xd0", 3},
    {"ltr", "\x0f\x00\xd8", 3},
    {"mov cr0, rax", "\x0f\x20\xc0", 3},
    {"mov cr3, rax", "\x0f\x20\xd8", 3},
    {"mov rax, cr0", "\x0f\x22\xc0", 3},
    {"mov rax, cr3", "\x0f\x22\xd8", 3},
    {"mov rax, cr4", "\x0f\x22\xe0", 3},
    {"mov rax, cr8", "\x44\x0f\x22\xc0", 4},
    {"mov rax, dr7", "\x0f\x23\xf8", 3},
    {"mov dr7, rax", "\x0f\x21\xf8", 3},
    {"sysretq", "\x48\x0f\x07", 3},
    {"int 0x20", "\xcd\x20", 2},
    {"int 0x0e", "\xcd\x0e", 2},
    {"int3", "\xcc", 1},
    {"push cs; retfq to ring 0",
     "\x6a\x10\x48\x8d\x05\x00\x00\x00\x00\x50\x48\xcb", 12},
    {"mov ss, 0", "\x31\xc0\x8e\xd0", 4},
    {"div", "\x31\xc9\xf7\xf1", 4},
    {"hlt, prefixed", "\xf3\x66\xf4", 3},
    {"not canonical", "\x48\xc1\xe4\x30\x58", 5},
};

static int try_instruction(uint8_t *code, size_t index)
{
    const void *stack = handler_stack;
    int number = sigsetjmp(back, 0);

    if (number != 0)
        return number;
    memset(code, 0xc3, PAGE); /* ret */
    memcpy(code, instructions[index].code, instructions[index].bytes);
    __asm__ volatile("call *%0"
                     : "+a"(code), "+S"(stack)
                     :
                     : "rbx", "rcx", "rdx", "rdi", "r8", "r9", "r10", "r11",
                       "memory", "cc");
    return 0;
}

/* Print the signal that each of them brings. */
static int privileged(void)
{
    uint8_t *code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (code == MAP_FAILED)
        return 1;
    catch_all();
    for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++)
        printf("%s: %d\n", instructions[i].name, try_instruction(code, i));
    return 0;
}

/* A micro-VM's gate, where boot.h has it. */
static int jump_to_gate(void)
{
    ((void (*)(void))0xffffffff80003000u)();
    return 0;
}

static int halt(void)
{
    __asm__ volatile("hlt");
    return 0;
}

static int null_pointer(void)
{
    const char *volatile nothing = NULL;

    return *nothing;
}

__attribute__((noinline)) static int deeper(volatile char *above)
{
    volatile char here[4096];

    here[0] = *above;
    if (here[0] == 0) /* never */
        return 0;
    return deeper(here) + here[0];
}

static int overflow(void)
{
    volatile char first = 1;

    return deeper(&first);
}

static int unsupported(void)
{
    errno = 0;
    syscall(SYS_io_uring_setup, 1, handler_stack);
    printf("%d\n", errno);
    fflush(stdout);
    abort();
}

/* The fault was handled; another thing ends it. */
static int handled(void)
{
    catch_all();
    if (sigsetjmp(back, 0) == 0)
        return null_pointer();
    signal(SIGTERM, SIG_DFL);
    raise(SIGTERM);
    return 0;
}

/* Behind the end of what there is of the region. */
static int beyond(void)
{
    struct gbx_half_head *head =
        mmap(NULL, PAGE, PROT_READ, MAP_SHARED, GBX_FD_HOST_HALF, 0);
    const volatile char *all;

    if (head == MAP_FAILED)
        return 1;
    all = mmap(NULL, head->half_bytes, PROT_READ, MAP_SHARED, GBX_FD_HOST_HALF,
               0);
    if (all == MAP_FAILED)
        return 2;
    if (write(1, (const char *)(uintptr_t)all + head->half_bytes - 1, 1) >= 0 ||
        errno != EFAULT)
        printf("write %d\n", errno);
    fflush(stdout);
    return all[head->half_bytes - 1];
}

/* Each way to change what is not ours; the host half is read-only. */
static int games(void)
{
    char *host = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, GBX_FD_HOST_HALF, 0);
    int number;

    catch_all();
    if (host == MAP_FAILED)
        return 1;
    if (mprotect(host, PAGE, PROT_READ | PROT_WRITE) == 0)
        printf("mprotect\n");
    if (syscall(SYS_clock_gettime, 0, host) == 0 || errno != EFAULT)
        printf("clock_gettime %d\n", errno);
    if ((number = sigsetjmp(back, 0)) == 0)
        *(volatile char *)host = 1;
    if (number != SIGSEGV)
        printf("write %d\n", number);
    if (mmap((void *)0xffffffff80000000u, PAGE, PROT_READ,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
        printf("kernel mapped\n");
    if (munmap((void *)0x800000000000u, PAGE) == 0)
        printf("munmap above\n");
    printf("still here\n");
    return 0;
}

/* Take away something that it cannot do without. */
static int saw(void)
{
    struct timespec now;
    uintptr_t at = (uintptr_t)(void *)saw;

    if (strcmp(guest_argument, "stack") == 0)
        at = (uintptr_t)&now;
    at &= ~(uintptr_t)(PAGE - 1);
    if (strcmp(guest_argument, "all") == 0)
        munmap((void *)0x10000u, 0x7ffffffe0000u);
    else if (strcmp(guest_argument, "none") == 0)
        mprotect((void *)at, PAGE, PROT_NONE);
    else
        munmap((void *)at, PAGE);
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 0;
}

const struct guest_kind guest_machine[] = {
    {"ports", ports},
    {"port", port},
    {"privileged", privileged},
    {"jump_to_gate", jump_to_gate},
    {"halt", halt},
    {"null", null_pointer},
    {"overflow", overflow},
    {"unsupported", unsupported},
    {"handled", handled},
    {"beyond", beyond},
    {"games", games},
    {"saw", saw},
    {NULL, NULL},
};
