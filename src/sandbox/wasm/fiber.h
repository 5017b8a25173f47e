/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fiber.h - tells sanitizers that a thread changes stacks (switch.h); else they
 * take the other stack for damage.  In other builds it is nothing.
 */
#ifndef SANDBOX_WASM_FIBER_H
#define SANDBOX_WASM_FIBER_H

#include "sandbox/wasm/instance.h"

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ADDRESS 1
#elif defined(__SANITIZE_THREAD__)
#define FIBER_THREAD 1
#elif defined(__has_feature) /* clang's name for it */
#if __has_feature(address_sanitizer)
#define FIBER_ADDRESS 1
#elif __has_feature(thread_sanitizer)
#define FIBER_THREAD 1
#endif
#endif

#if defined(FIBER_ADDRESS)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

/* Nothing is on its stack any more: what lay there was left by a jump, and the
 * next that comes there is not to pay for it. */
static inline void fiber_clean(struct instance *i)
{
    __asan_unpoison_memory_region(i->mapping,
                                  (size_t)(i->memory_at - i->mapping));
}

/* Before and behind the switch to the module. */
static inline void fiber_go(struct instance *i)
{
    __sanitizer_start_switch_fiber(&i->fiber, i->mapping,
                                   (size_t)(i->memory_at - i->mapping));
}

static inline void fiber_back(struct instance *i)
{
    __sanitizer_finish_switch_fiber(i->fiber, NULL, NULL);
}

/* The same in the module: what is behind the switch comes first. */
static inline void fiber_arrive(struct instance *i)
{
    __sanitizer_finish_switch_fiber(NULL, &i->host_stack, &i->host_bytes);
}

static inline void fiber_leave(struct instance *i)
{
    __sanitizer_start_switch_fiber(NULL, i->host_stack, i->host_bytes);
}

static inline void fiber_forget(struct instance *i)
{
    (void)i;
}

#elif defined(FIBER_THREAD)
#include <sanitizer/tsan_interface.h>

static inline void fiber_clean(struct instance *i)
{
    (void)i;
}

static inline void fiber_go(struct instance *i)
{
    if (i->fiber == NULL)
        i->fiber = __tsan_create_fiber(0);
    i->host_stack = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(i->fiber, 0);
}

static inline void fiber_back(struct instance *i)
{
    (void)i;
}

static inline void fiber_arrive(struct instance *i)
{
    (void)i;
}

static inline void fiber_leave(struct instance *i)
{
    __tsan_switch_to_fiber((void *)(uintptr_t)i->host_stack, 0);
}

static inline void fiber_forget(struct instance *i)
{
    if (i->fiber != NULL)
        __tsan_destroy_fiber(i->fiber);
    i->fiber = NULL;
}

#else
#define fiber_clean(instance)  ((void)(instance))
#define fiber_go(instance)     ((void)(instance))
#define fiber_back(instance)   ((void)(instance))
#define fiber_arrive(instance) ((void)(instance))
#define fiber_leave(instance)  ((void)(instance))
#define fiber_forget(instance) ((void)(instance))
#endif

#endif
