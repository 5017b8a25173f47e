/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open.c - what an object that is neither plain nor an array is to be sent as:
 * the prelude (values.js) says it, as a list.
 */
#include <string.h>

#include "guest_js.h"

static uint32_t number_at(js_value list, uint32_t index)
{
    js_value value = js_get_index(list, index);
    uint32_t number = value != JS_NONE ? (uint32_t)js_float(value) : 0;

    js_free(value);
    return number;
}

/* [as, value], or [as, buffer, from, bytes, dtype, shape] of the prelude. */
static int read_opened(struct opened *o, js_value list)
{
    js_value shape;

    o->as = (enum open_as)number_at(list, 0);
    o->value = js_get_index(list, 1);
    if (o->value == JS_NONE)
        return -1;
    if (o->as != OPEN_BYTES && o->as != OPEN_ELEMENTS)
        return 0;
    o->bytes = number_at(list, 3);
    o->address = o->bytes > 0 ? js_buffer_address(o->value) : 0;
    if (o->bytes > 0 && o->address == 0)
        return raise_error("TypeError", "a buffer that is detached");
    o->address += number_at(list, 2);
    if (o->as == OPEN_BYTES)
        return 0;
    o->layout = (struct layout){
        .dtype = (uint8_t)number_at(list, 4), .rank = 1, .bytes = o->bytes};
    o->layout.item_bytes = layout_item_bytes(o->layout.dtype);
    o->layout.shape[0] = o->bytes / o->layout.item_bytes;
    shape = js_get_index(list, 5);
    if (shape != JS_NONE && js_kind(shape) == JS_KIND_ARRAY) {
        o->layout.rank = js_length(shape);
        for (uint32_t i = 0; i < o->layout.rank && i < GBX_ARRAY_RANK_MAX; i++)
            o->layout.shape[i] = number_at(shape, i);
    }
    js_free(shape);
    return 0;
}

/* Bytes, which most are, are told apart without JavaScript. */
static bool is_bytes(struct opened *o, js_value object)
{
    const struct block *block;

    if (!js_bytes(object, &o->address, &o->bytes))
        return false;
    block = block_find(o->address, o->bytes);
    if (block != NULL && block->dtype != 0)
        return false; /* it was made as elements, or came as such */
    o->as = OPEN_BYTES;
    o->value = js_dup(object);
    return true;
}

int open_object(struct opened *opened, js_value object, const char *port)
{
    js_value arguments[2] = {object}, list;
    int rc;

    *opened = (struct opened){0};
    if (is_bytes(opened, object))
        return 0;
    arguments[1] = js_new_text(port, strlen(port));
    list = arguments[1] != JS_NONE ? js_call(program.prelude.open, 2, arguments)
                                   : JS_NONE;
    js_free(arguments[1]);
    if (list == JS_NONE)
        return -1;
    rc = read_opened(opened, list);
    if (rc < 0)
        js_free(opened->value);
    js_free(list);
    return rc;
}
