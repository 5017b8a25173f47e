/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.h - see kernels.c: kernels.wasm exports the same functions. */
#ifndef BENCH_WASM_KERNELS_H
#define BENCH_WASM_KERNELS_H

#include <stdint.h>

uint32_t kernel_blur(uint32_t rounds);
uint32_t kernel_bodies(uint32_t steps);
uint32_t kernel_sort(uint32_t rounds);
uint32_t kernel_nothing(uint32_t value);

#endif
