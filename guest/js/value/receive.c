/* SPDX-License-Identifier: Apache-2.0 */
/* receive.c - what the host sent becomes a JavaScript value. */
#include <string.h>

#include "glovebox/abi/cbor.h"

#include "guest_js.h"

static js_value text(const struct gbx_descriptor *d)
{
    const char *body =
        d->body_bytes > 0 ? gbx_guest_at(program.guest, d->body_off) : "";
    js_value value = js_new_text(body, d->body_bytes);

    gbx_guest_give(program.guest, d->body_off);
    gbx_guest_copied(program.guest, d->body_bytes);
    return value;
}

js_value make_view(js_value buffer, const struct layout *layout, bool is_fixed)
{
    js_value arguments[4] = {buffer, js_new_integer(layout->dtype),
                             engine.places.undefined,
                             is_fixed ? engine.places.yes : engine.places.no};
    js_value view;

    if (layout->rank > 1) {
        arguments[2] = js_new_array();
        for (uint32_t i = 0; i < layout->rank; i++) {
            js_value length = js_new_float((double)layout->shape[i]);

            js_append(arguments[2], i, length);
            js_free(length);
        }
    }
    view = js_call(program.prelude.view, 4, arguments);
    for (int i = 0; i < 3; i++)
        js_free(arguments[i]);
    return view;
}

/* Bytes and elements stay where they are. */
static js_value in_place(const struct gbx_descriptor *d)
{
    struct layout layout = {.item_bytes = 1,
                            .rank = 1,
                            .shape = {d->body_bytes},
                            .bytes = d->body_bytes};
    struct block *block = block_hold(d);
    size_t head_bytes = 0;
    js_value buffer;

    if (block == NULL)
        return JS_NONE;
    if (d->flags & GBX_TYPED) {
        head_bytes =
            layout_read(&layout, engine_at(block->address), d->body_bytes);
        if (head_bytes == 0 || head_bytes + layout.bytes != d->body_bytes) {
            block_give(block);
            raise_error("Error", "malformed message: no typed array");
            return JS_NONE;
        }
        block->dtype = layout.dtype;
    }
    buffer = block_buffer(block, (uint32_t)head_bytes);
    return buffer != JS_NONE ? make_view(buffer, &layout, true) : JS_NONE;
}

static js_value structured(const struct gbx_descriptor *d)
{
    struct block *block;
    js_value value;

    if (d->body_bytes == 0) {
        gbx_guest_give(program.guest, d->body_off);
        return js_dup(engine.places.null);
    }
    block = block_hold(d);
    if (block == NULL)
        return JS_NONE;
    value = decode(engine_at(block->address), d->body_bytes, block);
    block_give(block); /* arrays inside may keep it */
    return value;
}

static js_value no_bytes(const struct gbx_descriptor *d)
{
    const struct layout layout = {.item_bytes = 1, .rank = 1};
    js_value buffer = js_new_buffer_copy("", 0);

    gbx_guest_give(program.guest, d->body_off);
    return buffer != JS_NONE ? make_view(buffer, &layout, true) : JS_NONE;
}

/* A Number as long as it can hold it, else a BigInt. */
static js_value integer(int64_t value)
{
    uint8_t cbor[GBX_CBOR_HEAD_MAX];
    size_t n = value >= 0 ? gbx_cbor_write_head(cbor, GBX_CBOR_UNSIGNED,
                                                (uint64_t)value)
                          : gbx_cbor_write_head(cbor, GBX_CBOR_NEGATIVE,
                                                (uint64_t)(-1 - value));

    return decode(cbor, n, NULL);
}

js_value receive_value(const struct gbx_descriptor *d)
{
    double real;

    switch (d->type) {
    case GBX_FLOW:
        return js_new_text("flow", 4); /* as Reflow's plain form */
    case GBX_BOOLEAN:
        return js_dup(d->scalar != 0 ? engine.places.yes : engine.places.no);
    case GBX_INTEGER:
        return integer((int64_t)d->scalar);
    case GBX_FLOAT:
        memcpy(&real, &d->scalar, sizeof(real));
        return js_new_float(real);
    case GBX_STRING:
    case GBX_ERROR:
        return text(d);
    case GBX_STREAM:
    case GBX_ENCODED:
        return d->body_bytes > 0 ? in_place(d) : no_bytes(d);
    case GBX_ARRAY:
        return d->flags & GBX_TYPED ? in_place(d) : structured(d);
    default:
        return structured(d);
    }
}
