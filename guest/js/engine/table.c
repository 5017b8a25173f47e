/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c - functions of ours in the engine's table.
 *
 * The one by which it frees a buffer's memory takes the place of its own; the
 * one that hears of rejections gets a new place.
 */
#include <stdlib.h>
#include <string.h>

#include "engine.h"

/* Read off QTS_NewArrayBuffer, and tried out by buffer_check. */
#define FREE_INDEX 46u

#define I (&engine.instance)

static void (*engine_frees)(Z_quickjs_instance_t *, u32, u32, u32);

static void release(Z_quickjs_instance_t *instance, u32 runtime, u32 opaque,
                    u32 address)
{
    if (!buffer_released(address))
        engine_frees(instance, runtime, opaque, address);
}

static void track(Z_quickjs_instance_t *instance, u32 context, u64 promise,
                  u64 reason, u32 is_heard, u32 opaque)
{
    (void)instance;
    (void)context;
    (void)opaque;
    rejections_track(promise, reason, is_heard != 0);
}

uint32_t table_open(void)
{
    wasm_rt_funcref_table_t *table = &I->w2c_T0;
    wasm_rt_funcref_t *more =
        realloc(table->data, (table->size + 1) * sizeof(*more));

    if (more == NULL)
        return 0;
    memcpy(&engine_frees, &more[FREE_INDEX].func, sizeof(engine_frees));
    more[FREE_INDEX].func = (wasm_rt_function_ptr_t)release;
    more[table->size] = (wasm_rt_funcref_t){
        .func_type =
            wasm_rt_register_func_type(5, 0, WASM_RT_I32, WASM_RT_I64,
                                       WASM_RT_I64, WASM_RT_I32, WASM_RT_I32),
        .func = (wasm_rt_function_ptr_t)track,
        .module_instance = I,
    };
    table->data = more;
    return table->size++;
}
