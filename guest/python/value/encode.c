/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.c - a Python value becomes one CBOR item (RFC 8949).
 *
 * The item is written to memory that is kept from message to message, and then
 * copied to a block of just its length.
 */
#include <string.h>

#include "glovebox/abi/cbor.h"

#include "guest_python.h"

#define TAG_BIGNUM          2u
#define TAG_NEGATIVE_BIGNUM 3u
#define KEEP_BYTES          (1u << 20)

static struct encoder kept; /* its memory only */

/* Python code may run while we encode, and send something itself: so whoever
 * encodes has the memory alone. */
void encoder_take(struct encoder *e, const char *port)
{
    *e = (struct encoder){.bytes = kept.bytes, .room = kept.room, .port = port};
    kept.bytes = NULL;
    kept.room = 0;
}

void encoder_give(struct encoder *e)
{
    if (kept.bytes != NULL || e->room > KEEP_BYTES) {
        PyMem_Free(e->bytes);
        return;
    }
    kept.bytes = e->bytes;
    kept.room = e->room;
}

static int fault(const struct encoder *e, const char *what, PyObject *value)
{
    PyErr_Format(PyExc_TypeError, "output \"%s\": %s %s", e->port, what,
                 Py_TYPE(value)->tp_name);
    return -1;
}

static int make_room(struct encoder *e, size_t more)
{
    size_t room = e->room < 1024 ? 1024 : e->room;
    uint8_t *bytes;

    if (more <= e->room - e->count)
        return 0;
    while (room - e->count < more)
        room *= 2;
    bytes = PyMem_Realloc(e->bytes, room);
    if (bytes == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    e->bytes = bytes;
    e->room = room;
    return 0;
}

static int append(struct encoder *e, const void *bytes, size_t count)
{
    if (make_room(e, count) < 0)
        return -1;
    memcpy(e->bytes + e->count, bytes, count);
    e->count += count;
    return 0;
}

int encode_head(struct encoder *e, unsigned major, uint64_t value)
{
    if (make_room(e, GBX_CBOR_HEAD_MAX) < 0)
        return -1;
    e->count += gbx_cbor_write_head(e->bytes + e->count, major, value);
    return 0;
}

int encode_text(struct encoder *e, PyObject *text)
{
    Py_ssize_t count;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &count);

    if (utf8 == NULL || encode_head(e, GBX_CBOR_TEXT, (uint64_t)count) < 0)
        return -1;
    return append(e, utf8, (size_t)count);
}

static int encode_simple(struct encoder *e, uint8_t info)
{
    uint8_t byte = (uint8_t)(GBX_CBOR_SIMPLE << 5 | info);

    return append(e, &byte, 1);
}

static int encode_float(struct encoder *e, double real)
{
    uint8_t bytes[9] = {GBX_CBOR_SIMPLE << 5 | 27};
    uint64_t bits;

    memcpy(&bits, &real, sizeof(bits));
    for (size_t i = 8; i > 0; i--, bits >>= 8)
        bytes[i] = (uint8_t)bits;
    return append(e, bytes, sizeof(bytes));
}

/* Beyond 64 bits. */
static int encode_bignum(struct encoder *e, PyObject *value, bool is_negative)
{
    PyObject *natural = is_negative ? PyNumber_Invert(value) : Py_NewRef(value);
    size_t bytes;
    int rc = -1;

    if (natural == NULL)
        return -1;
    bytes = _PyLong_NumBits(natural) / 8 + 1;
    if (encode_head(e, GBX_CBOR_TAG,
                    is_negative ? TAG_NEGATIVE_BIGNUM : TAG_BIGNUM) == 0 &&
        encode_head(e, GBX_CBOR_BYTES, bytes) == 0 && make_room(e, bytes) == 0)
        rc = _PyLong_AsByteArray((PyLongObject *)natural, e->bytes + e->count,
                                 bytes, 0, 0);
    if (rc == 0)
        e->count += bytes;
    Py_DECREF(natural);
    return rc;
}

static int encode_integer(struct encoder *e, PyObject *value)
{
    int overflow;
    long long small = PyLong_AsLongLongAndOverflow(value, &overflow);
    unsigned long long large;

    if (small == -1 && overflow == 0 && PyErr_Occurred())
        return -1;
    if (overflow == 0)
        return small >= 0
                   ? encode_head(e, GBX_CBOR_UNSIGNED, (uint64_t)small)
                   : encode_head(e, GBX_CBOR_NEGATIVE, (uint64_t)(-1 - small));
    if (overflow > 0) {
        large = PyLong_AsUnsignedLongLong(value);
        if (large != (unsigned long long)-1 || !PyErr_Occurred())
            return encode_head(e, GBX_CBOR_UNSIGNED, large);
        PyErr_Clear();
    }
    return encode_bignum(e, value, overflow < 0);
}

static int encode_dict(struct encoder *e, PyObject *dict)
{
    PyObject *key, *value;
    Py_ssize_t at = 0, count = PyDict_GET_SIZE(dict);

    if (encode_head(e, GBX_CBOR_MAP, (uint64_t)count) < 0)
        return -1;
    while (PyDict_Next(dict, &at, &key, &value)) {
        if (!PyUnicode_Check(key))
            return fault(e, "the keys of a dict must be str, not", key);
        if (encode_text(e, key) < 0 || encode(e, value) < 0)
            return -1;
        if (PyDict_GET_SIZE(dict) != count)
            break;
    }
    if (PyDict_GET_SIZE(dict) == count)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "a dict changed while it was sent");
    return -1;
}

static int encode_sequence(struct encoder *e, PyObject *sequence)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(sequence);
    int rc = encode_head(e, GBX_CBOR_ARRAY, (uint64_t)count);

    for (Py_ssize_t i = 0; rc == 0 && i < count; i++) {
        PyObject *value;

        if (PySequence_Fast_GET_SIZE(sequence) != count) {
            PyErr_SetString(PyExc_RuntimeError,
                            "a list changed while it was sent");
            return -1;
        }
        value = Py_NewRef(PySequence_Fast_GET_ITEM(sequence, i));
        rc = encode(e, value);
        Py_DECREF(value);
    }
    return rc;
}

/* bytes, or a typed array; what numpy calls a scalar is a number. */
static int encode_view(struct encoder *e, PyObject *value, Py_buffer *view)
{
    struct layout layout;
    uint8_t head[BLOCK_HEAD_ROOM];
    size_t n;

    if (PyBytes_Check(value) || PyByteArray_Check(value) ||
        (PyMemoryView_Check(value) && view->ndim == 1 && view->itemsize == 1 &&
         (view->format == NULL || strcmp(view->format, "B") == 0))) {
        n = gbx_cbor_write_head(head, GBX_CBOR_BYTES, (uint64_t)view->len);
    } else if (layout_from_view(&layout, view) == 0) {
        n = layout_head(head, &layout, view->len);
    } else {
        return fault(e, "no array of this element type can be sent:", value);
    }
    if (append(e, head, n) < 0 || make_room(e, (size_t)view->len) < 0 ||
        PyBuffer_ToContiguous(e->bytes + e->count, view, view->len, 'C') < 0)
        return -1;
    e->count += (size_t)view->len;
    return 0;
}

static int encode_number(struct encoder *e, PyObject *value)
{
    PyObject *number;
    int rc;

    if (PyIndex_Check(value)) {
        number = PyNumber_Index(value);
        rc = number != NULL ? encode_integer(e, number) : -1;
        Py_XDECREF(number);
        return rc;
    }
    if (Py_TYPE(value)->tp_as_number != NULL &&
        Py_TYPE(value)->tp_as_number->nb_float != NULL) {
        double real = PyFloat_AsDouble(value);

        return real == -1.0 && PyErr_Occurred() ? -1 : encode_float(e, real);
    }
    return fault(e, "cannot send a", value);
}

static int encode_other(struct encoder *e, PyObject *value)
{
    PyObject *inner;
    Py_buffer view;
    int rc;

    if (PyObject_TypeCheck(value, (PyTypeObject *)program.message_class)) {
        inner = PyObject_GetAttrString(value, "value");
        rc = inner != NULL ? encode(e, inner) : -1;
        Py_XDECREF(inner);
        return rc;
    }
    if (!PyObject_CheckBuffer(value))
        return encode_number(e, value);
    if (PyObject_GetBuffer(value, &view, PyBUF_FULL_RO) < 0)
        return -1;
    if (view.ndim > 0)
        rc = encode_view(e, value, &view);
    else if (view.format != NULL && strcmp(view.format, "?") == 0)
        rc = encode_simple(e, *(const char *)view.buf != 0 ? 21 : 20);
    else
        rc = encode_number(e, value);
    PyBuffer_Release(&view);
    return rc;
}

static int encode_deep(struct encoder *e, PyObject *value)
{
    int rc;

    if (e->depth >= (int)GBX_CBOR_DEPTH_MAX) {
        PyErr_Format(PyExc_ValueError,
                     "output \"%s\": nested more than %u deep", e->port,
                     GBX_CBOR_DEPTH_MAX);
        return -1;
    }
    e->depth++;
    if (PyDict_Check(value))
        rc = encode_dict(e, value);
    else
        rc = encode_sequence(e, value);
    e->depth--;
    return rc;
}

int encode(struct encoder *e, PyObject *value)
{
    if (value == Py_None)
        return encode_simple(e, 22);
    if (PyBool_Check(value))
        return encode_simple(e, value == Py_True ? 21 : 20);
    if (PyUnicode_Check(value))
        return encode_text(e, value);
    if (PyLong_Check(value))
        return encode_integer(e, value);
    if (PyFloat_Check(value))
        return encode_float(e, PyFloat_AS_DOUBLE(value));
    if (PyDict_Check(value) || PyList_Check(value) || PyTuple_Check(value))
        return encode_deep(e, value);
    return encode_other(e, value);
}
