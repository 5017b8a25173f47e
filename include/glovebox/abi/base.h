/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abi/base.h - the few words that every ABI header needs.
 *
 * Freestanding: no libc beyond <stdint.h>.  The headers of this folder are
 * included by the host, by every guest program, and by C++ callers.
 */
#ifndef GBX_ABI_BASE_H
#define GBX_ABI_BASE_H

#include <stdint.h>

/*
 * A word that both sides look at while the other may be writing it.  C callers
 * use the C11 operations on it; C++ only needs the layout.
 */
#ifdef __cplusplus
#define GBX_ABI_SAYS(cond, text) static_assert(cond, text)
#define GBX_SHARED(type)         type
#define GBX_ALIGNED(bytes)       alignas(bytes)
#else
#define GBX_ABI_SAYS(cond, text) _Static_assert(cond, text)
#define GBX_SHARED(type)         _Atomic type
#define GBX_ALIGNED(bytes)       _Alignas(bytes)
#endif

/* One integer for the whole of abi/; what may vary within it is a feature. */
#define GBX_ABI_VERSION 2

#endif
