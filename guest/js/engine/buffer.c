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

/* In JSObject: its JSArrayBuffer; in that: where the bytes are.  The package's
 * own function for it makes a copy. */
#define BUFFER_OFF 32u
#define DATA_OFF   12u

/* And of a Uint8Array: its class, and in the object its JSTypedArray, where its
 * elements are, and how many; in JSTypedArray its buffer's object. */
#define CLASS_OFF         6u
#define CLASS_UINT8       24u
#define VIEW_OFF          32u
#define VIEW_DATA_OFF     36u
#define VIEW_COUNT_OFF    40u
#define VIEW_BUFFER_OFF   12u
#define BUFFER_MOST_OFF   4u
#define BUFFER_MOST_FIXED UINT32_MAX /* it cannot grow or shrink */

#define I (&engine.instance)

static uint32_t tried; /* the address that buffer_check waits for */

bool buffer_released(uint32_t address)
{
    if (address != tried)
        return native_release(address);
    tried = 0;
    return true;
}

js_value js_new_buffer(uint32_t address, uint32_t bytes)
{
    return engine_check(
        QTS_NewArrayBuffer(I, engine.places.context, address, bytes));
}

js_value js_new_buffer_copy(const void *data, size_t bytes)
{
    uint32_t copy = engine_take(bytes + 1);

    if (copy == 0)
        return JS_NONE;
    memcpy(engine_at(copy), data, bytes);
    return js_new_buffer(copy, (uint32_t)bytes);
}

static uint32_t word_at(uint32_t address)
{
    uint32_t word;

    memcpy(&word, engine_at(address), sizeof(word));
    return word;
}

uint32_t js_buffer_address(js_value buffer)
{
    return word_at(word_at(word_at(buffer) + BUFFER_OFF) + DATA_OFF);
}

bool js_bytes(js_value value, uint32_t *address, uint32_t *bytes)
{
    const uint32_t object = word_at(value);
    uint16_t class;
    uint32_t buffer;

    memcpy(&class, engine_at(object + CLASS_OFF), sizeof(class));
    if (class != CLASS_UINT8)
        return false;
    buffer = word_at(word_at(word_at(object + VIEW_OFF) + VIEW_BUFFER_OFF) +
                     BUFFER_OFF);
    *address = word_at(object + VIEW_DATA_OFF);
    *bytes = word_at(object + VIEW_COUNT_OFF);
    return word_at(buffer + BUFFER_MOST_OFF) == BUFFER_MOST_FIXED;
}

/* Does a view of three bytes show them, and only a view of such? */
static bool views_are_known(void)
{
    static const struct {
        const char *text;
        bool is_known;
    } samples[] = {
        {"new Uint8Array([9, 1, 2, 3, 9]).subarray(1, 4)", true},
        {"new Uint8Array(new ArrayBuffer(3, {maxByteLength: 9}))", false},
        {"new Int8Array(3)", false},
        {"new ArrayBuffer(3)", false},
        {"new Date", false},
    };
    bool is_well = true;

    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        js_value v =
            js_evaluate(samples[i].text, strlen(samples[i].text), "check", 0);
        uint32_t address = 0, bytes = 0;

        is_well = is_well && v != JS_NONE &&
                  js_bytes(v, &address, &bytes) == samples[i].is_known;
        if (is_well && samples[i].is_known)
            is_well =
                bytes == 3 && memcmp(engine_at(address), "\1\2\3", 3) == 0;
        js_free(v);
    }
    return is_well;
}

int buffer_check(void)
{
    js_value buffer;
    bool stays;

    tried = (uint32_t)engine.heap_max;
    buffer = js_new_buffer(tried, 8);
    stays = buffer != JS_NONE && js_buffer_address(buffer) == tried;
    js_free(buffer);
    if (stays && tried == 0 && views_are_known())
        return 0;
    fprintf(stderr, "glovebox-js: buffers are not what they were\n");
    return -1;
}
