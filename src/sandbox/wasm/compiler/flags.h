/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flags.h - how artefacts are compiled, each flag for a reason.
 *
 * - -ffixed-r15: the context's register (artefact.h).
 * - -fno-optimize-sibling-calls: a recursion uses up its stack, and is found.
 * - -fno-inline: the loads and stores are inlined by force; a function that
 *   traps keeps its name, and the module's maker has inlined before.
 * - -fno-math-errno, -ffp-contract=off, -frounding-math, -fsignaling-nans:
 *   WebAssembly's floating point.
 * - -fno-strict-aliasing, -fwrapv: the module's memory has no types.
 * - -Werror=frame-larger-than: a frame must fit between two looks at the
 *   stack's end (WASM_FRAME_BYTES).
 * - -march=x86-64-v2: roundsd, popcnt; all processors since 2009.
 */
#ifndef SANDBOX_WASM_COMPILER_FLAGS_H
#define SANDBOX_WASM_COMPILER_FLAGS_H

/* The fuzzer's compiler has another level: it compiles more than it runs. */
#ifndef WASM_CC_LEVEL
#define WASM_CC_LEVEL "-O2"
#endif

#define WASM_CC_FLAGS                                                          \
    "-std=gnu11", WASM_CC_LEVEL, "-shared", "-fPIC", "-fvisibility=hidden",    \
        "-march=x86-64-v2", "-ffixed-r15", "-fno-optimize-sibling-calls",      \
        "-fno-inline", "-fno-math-errno", "-ffp-contract=off",                 \
        "-frounding-math", "-fsignaling-nans", "-fno-strict-aliasing",         \
        "-fwrapv", "-fno-stack-protector",                                     \
        "-fno-reorder-blocks-and-partition",                                   \
        "-Werror=frame-larger-than=65536",                                     \
        "-Wl,-z,now,-z,relro,-z,noexecstack"

#endif
