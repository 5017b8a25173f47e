/* SPDX-License-Identifier: Apache-2.0 */
/* switch.c - System V ABI of x86-64, section 3.2.1: who keeps which register.
 */
#include "sandbox/wasm/switch.h"

__asm__(".text\n"
        ".hidden switch_to\n"
        ".globl switch_to\n"
        ".type switch_to, @function\n"
        ".balign 16\n"
        "switch_to:\n"
        "    push %rbp\n"
        "    push %rbx\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbx\n"
        "    pop %rbp\n"
        "    ret\n"
        ".size switch_to, . - switch_to\n"

        /* r12: the function, r13: its argument. */
        ".hidden switch_begin\n"
        ".globl switch_begin\n"
        ".type switch_begin, @function\n"
        ".balign 16\n"
        "switch_begin:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined rip\n"
        "    mov %r13, %rdi\n"
        "    call *%r12\n"
        "    ud2\n"
        "    .cfi_endproc\n"
        ".size switch_begin, . - switch_begin\n"

        ".hidden switch_call\n"
        ".globl switch_call\n"
        ".type switch_call, @function\n"
        ".balign 16\n"
        "switch_call:\n"
        "    .cfi_startproc\n"
        "    push %r15\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    .cfi_rel_offset r15, 0\n"
        "    mov %rdi, %rax\n"
        "    mov %rsi, %rdi\n"
        "    mov %rdx, %rsi\n"
        "    mov %rcx, %r15\n"
        "    call *%rax\n"
        "    pop %r15\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    .cfi_restore r15\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size switch_call, . - switch_call\n");

void switch_begin(void); /* above */

/* As switch_to pops them. */
struct kept {
    uint64_t r15, r14, r13, r12, rbx, rbp, rip;
};

void *switch_make(void *top, void (*main)(void *argument), void *argument)
{
    struct kept *kept = (struct kept *)((uint8_t *)top - 16) - 1;

    *kept = (struct kept){.r12 = (uintptr_t)main,
                          .r13 = (uintptr_t)argument,
                          .rip = (uintptr_t)switch_begin};
    return kept;
}
