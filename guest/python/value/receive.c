/* SPDX-License-Identifier: Apache-2.0 */
/* receive.c - what the host sent becomes a Python value. */
#include <string.h>

#include "guest_python.h"

static PyObject *text(const struct gbx_descriptor *d)
{
    PyObject *value;

    if (d->body_bytes == 0) {
        gbx_guest_give(program.guest, d->body_off);
        return PyUnicode_New(0, 0);
    }
    value = PyUnicode_DecodeUTF8(gbx_guest_at(program.guest, d->body_off),
                                 (Py_ssize_t)d->body_bytes, NULL);
    gbx_guest_give(program.guest, d->body_off);
    gbx_guest_copied(program.guest, d->body_bytes);
    return value;
}

/* Bytes and elements stay where they are. */
static PyObject *in_place(const struct gbx_descriptor *d)
{
    struct block *block = block_hold(d);
    struct layout layout;
    size_t head_bytes = 0;

    if (block == NULL)
        return NULL;
    if (d->flags & GBX_TYPED) {
        if (layout_read(&layout, block->data, d->body_bytes, &head_bytes) < 0 ||
            (uint64_t)(layout.shape[0] * layout.strides[0]) !=
                d->body_bytes - head_bytes) {
            PyErr_SetString(PyExc_ValueError,
                            "malformed message: no typed array");
            Py_DECREF(block);
            return NULL;
        }
    } else {
        layout_bytes(&layout, (Py_ssize_t)d->body_bytes);
    }
    return block_view(block, head_bytes, &layout);
}

static PyObject *structured(const struct gbx_descriptor *d)
{
    struct block *block;
    PyObject *value;

    if (d->body_bytes == 0) {
        gbx_guest_give(program.guest, d->body_off);
        Py_RETURN_NONE;
    }
    block = block_hold(d);
    if (block == NULL)
        return NULL;
    value = decode(block->data, d->body_bytes, block);
    Py_DECREF(block); /* arrays inside may keep it */
    return value;
}

static PyObject *empty_view(void)
{
    PyObject *nothing = PyBytes_FromStringAndSize(NULL, 0), *view = NULL;

    if (nothing != NULL)
        view = PyMemoryView_FromObject(nothing);
    Py_XDECREF(nothing);
    return view;
}

PyObject *receive_value(const struct gbx_descriptor *d)
{
    double real;

    switch (d->type) {
    case GBX_FLOW:
        return PyUnicode_FromString("flow"); /* as Reflow's plain form */
    case GBX_BOOLEAN:
        return PyBool_FromLong(d->scalar != 0);
    case GBX_INTEGER:
        return PyLong_FromLongLong((int64_t)d->scalar);
    case GBX_FLOAT:
        memcpy(&real, &d->scalar, sizeof(real));
        return PyFloat_FromDouble(real);
    case GBX_STRING:
    case GBX_ERROR:
        return text(d);
    case GBX_STREAM:
    case GBX_ENCODED:
        if (d->body_bytes > 0)
            return in_place(d);
        gbx_guest_give(program.guest, d->body_off);
        return empty_view();
    case GBX_ARRAY:
        if (d->flags & GBX_TYPED)
            return in_place(d);
        return structured(d);
    default:
        return structured(d);
    }
}
