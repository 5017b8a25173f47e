/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer.c - memory as an ArrayBuffer.
 *
 * The package makes a buffer of any address, and frees its memory by free(), a
 * function in the module's table.  We take that place in the table: memory that
 * is not the engine's own ends with native_release.
 */
#include <stdio.h>
#include <string.h>

#include "engine.h"

/* The place in the table; read off QTS_NewArrayBuffer, and tried out by
 * buffer_check. */
#define FREE_INDEX 46u

/* In JSObject: its JSArrayBuffer; in that: where the bytes are.  The package's
 * own function for it makes a copy. */
#define BUFFER_OFF 32u
#define DATA_OFF   12u

#define I (&engine.instance)

static void (*engine_frees)(Z_quickjs_instance_t *, u32, u32, u32);
static uint32_t tried; /* the address that buffer_check waits for */

static void release(Z_quickjs_instance_t *instance, u32 runtime, u32 opaque,
                    u32 address)
{
    if (address == tried)
        tried = 0;
    else if (!native_release(address))
        engine_frees(instance, runtime, opaque, address);
}

js_value js_new_buffer(uint32_t address, uint32_t bytes, bool is_fixed)
{
    js_value buffer = engine_check(
        QTS_NewArrayBuffer(I, engine.places.context, address, bytes));
    js_value fixed;

    if (buffer == JS_NONE || !is_fixed)
        return buffer;
    fixed = js_call(engine.places.to_fixed, 1, &buffer);
    js_free(buffer);
    return fixed;
}

js_value js_new_buffer_copy(const void *data, size_t bytes)
{
    uint32_t copy = engine_take(bytes + 1);

    if (copy == 0)
        return JS_NONE;
    memcpy(engine_at(copy), data, bytes);
    return js_new_buffer(copy, (uint32_t)bytes, false);
}

uint32_t js_buffer_address(js_value buffer)
{
    uint32_t object, buffer_struct, data;

    memcpy(&object, engine_at(buffer), sizeof(object));
    memcpy(&buffer_struct, engine_at(object + BUFFER_OFF),
           sizeof(buffer_struct));
    memcpy(&data, engine_at(buffer_struct + DATA_OFF), sizeof(data));
    return data;
}

void buffer_open(void)
{
    wasm_rt_funcref_t *place = &engine.instance.w2c_T0.data[FREE_INDEX];

    memcpy(&engine_frees, &place->func, sizeof(engine_frees));
    place->func = (wasm_rt_function_ptr_t)release;
}

int buffer_check(void)
{
    static const char text[] =
        "(f => b => f.call(b))(ArrayBuffer.prototype.transferToImmutable)";
    js_value buffer;
    bool stays;

    engine.places.to_fixed = js_evaluate(text, sizeof(text) - 1, "glovebox", 0);
    if (engine.places.to_fixed == JS_NONE)
        return -1;
    tried = (uint32_t)engine.heap_max;
    buffer = js_new_buffer(tried, 8, true);
    stays = buffer != JS_NONE && js_buffer_address(buffer) == tried;
    js_free(buffer);
    if (stays && tried == 0)
        return 0;
    fprintf(stderr, "glovebox-js: buffers are not what they were\n");
    return -1;
}
