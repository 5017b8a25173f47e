/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send.c - a Python value becomes a message.
 *
 * Bytes and elements that lie in the region already are not copied:
 *   in my arena     one more holder of the block, and a descriptor that points
 *                   into it; an array's head is written before its elements
 *   in the host's   the same bytes are passed on; the host holds them once more
 *                   when it reads the descriptor, which is before our give
 * All else is copied once, to a block of just its length, and counted.
 */
#include <string.h>

#include "guest_python.h"

int raise_code(int code, const char *port, size_t bytes)
{
    if (code == GBX_ELIMIT || code == GBX_EARENA)
        PyErr_Format(PyExc_BufferError,
                     "output \"%s\": %zu bytes do not fit, %s (message limit)",
                     port, bytes,
                     code == GBX_ELIMIT ? "they are more than one message may "
                                          "have"
                                        : "earlier outputs fill the arena");
    else if (code == GBX_ECANCELED)
        PyErr_SetString(PyExc_RuntimeError,
                        "a forked child cannot talk to the host");
    else
        PyErr_Format(PyExc_SystemError, "the host is gone (%d)", code);
    return -1;
}

static int refuse(const char *port, const char *what, PyObject *value)
{
    PyErr_Format(PyExc_TypeError, "output \"%s\": %s %s", port, what,
                 Py_TYPE(value)->tp_name);
    return -1;
}

/* A body of mine, to be filled; the elements start `room` bytes behind it. */
static uint8_t *body_begin(struct gbx_descriptor *d, size_t room, size_t bytes,
                           const char *port)
{
    int rc = room + bytes > GBX_BODY_BYTES_MAX
                 ? GBX_ELIMIT
                 : gbx_guest_reserve(program.guest, room + bytes, &d->body_off);

    if (rc < 0) {
        d->body_off = 0;
        raise_code(rc, port, bytes);
        return NULL;
    }
    d->body_bytes = (uint32_t)bytes;
    gbx_guest_copied(program.guest, bytes);
    return gbx_guest_at(program.guest, d->body_off + room);
}

static int put_copy(struct gbx_descriptor *d, const void *bytes, size_t count,
                    const char *port)
{
    uint8_t *body;

    if (count == 0)
        return 0;
    body = body_begin(d, 0, count, port);
    if (body == NULL)
        return -1;
    memcpy(body, bytes, count);
    return 0;
}

static int put_text(struct gbx_descriptor *d, PyObject *text, const char *port)
{
    Py_ssize_t count;
    const char *utf8;

    if (!PyUnicode_Check(text))
        return refuse(port, "this must be a str, not", text);
    utf8 = PyUnicode_AsUTF8AndSize(text, &count);
    return utf8 != NULL ? put_copy(d, utf8, (size_t)count, port) : -1;
}

static int put_cbor(struct gbx_descriptor *d, PyObject *value, const char *port)
{
    struct encoder encoder;
    int rc;

    encoder_take(&encoder, port);
    rc = encode(&encoder, value);
    if (rc == 0)
        rc = put_copy(d, encoder.bytes, encoder.count, port);
    encoder_give(&encoder);
    return rc;
}

/* These bytes of a block, where they are. */
static int put_place(struct gbx_descriptor *d, const struct block *block,
                     uint64_t off, size_t bytes)
{
    if (block->is_mine && gbx_guest_hold(program.guest, off, bytes) < 0)
        return raise_code(GBX_ECANCELED, "", bytes);
    d->body_off = off;
    d->body_bytes = (uint32_t)bytes;
    return 0;
}

static struct block *place_of(const Py_buffer *view)
{
    if (view->len == 0 || !PyBuffer_IsContiguous(view, 'C'))
        return NULL;
    return block_find(view->buf, view->len);
}

static int put_bytes(struct gbx_descriptor *d, const Py_buffer *view,
                     const char *port)
{
    struct block *block = place_of(view);
    uint8_t *body;

    if (block != NULL)
        return put_place(d, block, gbx_guest_off(program.guest, view->buf),
                         (size_t)view->len);
    if (view->len == 0)
        return 0;
    body = body_begin(d, 0, (size_t)view->len, port);
    if (body == NULL)
        return -1;
    return PyBuffer_ToContiguous(body, view, view->len, 'C');
}

/* Can this array be sent from where it lies?  1: it was put. */
static int put_elements(struct gbx_descriptor *d, const Py_buffer *view,
                        const struct layout *layout)
{
    struct block *block = place_of(view);
    uint8_t head[BLOCK_HEAD_ROOM];
    size_t n;
    uint64_t off;

    if (block == NULL || block->data != view->buf)
        return 0;
    if (!block->is_mine) {
        if (block->layout.dtype == 0 || block->type != GBX_ARRAY ||
            !layout_is_same(&block->layout, layout))
            return 0;
        return put_place(d, block, block->off, block->body_bytes) < 0 ? -1 : 1;
    }
    n = layout_head(head, layout, view->len);
    /* A head that was sent must stay as it is. */
    if (block->is_framed && memcmp(block->data - n, head, n) != 0)
        return 0;
    off = gbx_guest_off(program.guest, block->data) - n;
    if (put_place(d, block, off, n + (size_t)view->len) < 0)
        return -1;
    memcpy(block->data - n, head, n);
    block->is_framed = true;
    return 1;
}

static int put_array(struct gbx_descriptor *d, PyObject *value,
                     const Py_buffer *view, const char *port)
{
    uint8_t head[BLOCK_HEAD_ROOM];
    struct layout layout;
    uint8_t *body;
    size_t n;
    int rc;

    if (layout_from_view(&layout, view) < 0) {
        PyErr_Format(PyExc_TypeError,
                     "output \"%s\": no array of element type \"%s\" and "
                     "rank %d can be sent (a %s)",
                     port, view->format, view->ndim, Py_TYPE(value)->tp_name);
        return -1;
    }
    d->flags |= GBX_TYPED;
    rc = put_elements(d, view, &layout);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    body = body_begin(d, BLOCK_HEAD_ROOM, (size_t)view->len, port);
    if (body == NULL)
        return -1;
    n = layout_head(head, &layout, view->len);
    memcpy(body - n, head, n);
    d->body_off += BLOCK_HEAD_ROOM - n;
    d->body_bytes += (uint32_t)n;
    return PyBuffer_ToContiguous(body, view, view->len, 'C');
}

/* Raw bytes, unless they are all of what was made or came as an array. */
static bool is_stream(PyObject *value, const Py_buffer *view)
{
    struct block *block;

    if (!PyMemoryView_Check(value))
        return PyBytes_Check(value) || PyByteArray_Check(value);
    if (view->ndim != 1 || strcmp(view->format, "B") != 0)
        return false;
    block = place_of(view);
    return block == NULL || block->layout.dtype == 0 ||
           block->data != view->buf || block->bytes != view->len;
}

static int put_number(struct gbx_descriptor *d, PyObject *value,
                      const char *port);

/* What has a buffer: bytes, views, arrays, and numpy's scalars. */
static int put_buffer(struct gbx_descriptor *d, int type, PyObject *value,
                      const char *port)
{
    Py_buffer view;
    int rc;

    if (PyObject_GetBuffer(value, &view, PyBUF_FULL_RO) < 0)
        return -1;
    if (type < 0 && view.ndim == 0) {
        if (view.format != NULL && strcmp(view.format, "?") == 0) {
            d->type = GBX_BOOLEAN;
            d->scalar = *(const char *)view.buf != 0;
            rc = 0;
        } else {
            rc = put_number(d, value, port);
        }
    } else if (type < 0 ? is_stream(value, &view) : type != GBX_ARRAY) {
        d->type = (uint8_t)(type < 0 ? GBX_STREAM : type);
        rc = put_bytes(d, &view, port);
    } else {
        d->type = GBX_ARRAY;
        rc = put_array(d, value, &view, port);
    }
    PyBuffer_Release(&view);
    return rc;
}

static int put_integer(struct gbx_descriptor *d, PyObject *value,
                       const char *port)
{
    PyObject *number;
    long long small;
    int overflow;

    if (!PyIndex_Check(value))
        return refuse(port, "this must be an int, not", value);
    number = PyNumber_Index(value);
    if (number == NULL)
        return -1;
    small = PyLong_AsLongLongAndOverflow(number, &overflow);
    Py_DECREF(number);
    if (overflow != 0) {
        PyErr_Format(PyExc_OverflowError,
                     "output \"%s\": the int does not fit in 64 bits; send it "
                     "as a str, or in a list or dict",
                     port);
        return -1;
    }
    d->type = GBX_INTEGER;
    d->scalar = (uint64_t)small;
    return small == -1 && PyErr_Occurred() ? -1 : 0;
}

static int put_float(struct gbx_descriptor *d, PyObject *value)
{
    double real = PyFloat_AsDouble(value);

    if (real == -1.0 && PyErr_Occurred())
        return -1;
    d->type = GBX_FLOAT;
    memcpy(&d->scalar, &real, sizeof(real));
    return 0;
}

static int put_number(struct gbx_descriptor *d, PyObject *value,
                      const char *port)
{
    if (PyIndex_Check(value))
        return put_integer(d, value, port);
    if (Py_TYPE(value)->tp_as_number != NULL &&
        Py_TYPE(value)->tp_as_number->nb_float != NULL)
        return put_float(d, value);
    return refuse(port, "cannot send a", value);
}

static int put_list(struct gbx_descriptor *d, PyObject *value, const char *port)
{
    PyObject *list;
    int rc;

    if (PyObject_CheckBuffer(value))
        return put_buffer(d, GBX_ARRAY, value, port);
    list = PySequence_List(value);
    rc = list != NULL ? put_cbor(d, list, port) : -1;
    Py_XDECREF(list);
    return rc;
}

static int put_stream(struct gbx_descriptor *d, int type, PyObject *value,
                      const char *port)
{
    PyObject *bytes;
    int rc;

    if (PyObject_CheckBuffer(value))
        return put_buffer(d, type, value, port);
    if (PyUnicode_Check(value) || PyLong_Check(value))
        return refuse(port, "these must be bytes, not", value);
    bytes = PyBytes_FromObject(value); /* [1, 2, 255] */
    rc = bytes != NULL ? put_buffer(d, type, bytes, port) : -1;
    Py_XDECREF(bytes);
    return rc;
}

int send_prepare_as(struct gbx_descriptor *d, int type, PyObject *value,
                    const char *port)
{
    int rc;

    d->type = (uint8_t)type;
    switch (type) {
    case GBX_FLOW:
        return 0;
    case GBX_BOOLEAN:
        rc = PyObject_IsTrue(value);
        d->scalar = rc > 0;
        return rc < 0 ? -1 : 0;
    case GBX_INTEGER:
        return put_integer(d, value, port);
    case GBX_FLOAT:
        return put_float(d, value);
    case GBX_STRING:
    case GBX_ERROR:
        return put_text(d, value, port);
    case GBX_ARRAY:
        return put_list(d, value, port);
    case GBX_STREAM:
    case GBX_ENCODED:
        return put_stream(d, type, value, port);
    case GBX_OPTIONAL:
        return value == Py_None ? 0 : put_cbor(d, value, port);
    case GBX_EVENT:
    case GBX_ANY:
        return put_cbor(d, value, port);
    default:
        if (!PyDict_Check(value))
            return refuse(port, "this must be a dict, not", value);
        return put_cbor(d, value, port);
    }
}

static int put_message(struct gbx_descriptor *d, PyObject *message,
                       const char *port)
{
    PyObject *kind = PyObject_GetAttrString(message, "_kind");
    PyObject *value = PyObject_GetAttrString(message, "value");
    long type = kind != NULL ? PyLong_AsLong(kind) : -1;
    int rc = -1;

    if (value != NULL && type >= 0 && type < GBX_TYPE_COUNT)
        rc = send_prepare_as(d, (int)type, value, port);
    else if (!PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "this Message has no known type");
    Py_XDECREF(kind);
    Py_XDECREF(value);
    return rc;
}

static int prepare(struct gbx_descriptor *d, PyObject *value, const char *port)
{
    if (value == Py_None)
        return send_prepare_as(d, GBX_OPTIONAL, value, port);
    if (PyBool_Check(value))
        return send_prepare_as(d, GBX_BOOLEAN, value, port);
    if (PyLong_Check(value))
        return put_integer(d, value, port);
    if (PyFloat_Check(value))
        return put_float(d, value);
    if (PyUnicode_Check(value))
        return send_prepare_as(d, GBX_STRING, value, port);
    if (PyDict_Check(value))
        return send_prepare_as(d, GBX_OBJECT, value, port);
    if (PyList_Check(value) || PyTuple_Check(value)) {
        d->type = GBX_ARRAY;
        return put_cbor(d, value, port);
    }
    if (PyObject_TypeCheck(value, (PyTypeObject *)program.message_class))
        return put_message(d, value, port);
    if (PyObject_CheckBuffer(value))
        return put_buffer(d, -1, value, port);
    return put_number(d, value, port);
}

int send_prepare(struct gbx_descriptor *d, PyObject *value, const char *port)
{
    int rc = prepare(d, value, port);

    if (rc < 0)
        send_discard(d);
    return rc;
}

void send_discard(const struct gbx_descriptor *d)
{
    if (d->body_off != 0 && gbx_guest_is_mine(program.guest, d->body_off))
        gbx_guest_drop(program.guest, d->body_off);
    if (d->flags & GBX_LONG_NAME)
        gbx_guest_drop(program.guest, d->name.off);
}
