/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c - one CBOR item (RFC 8949) becomes a Python value.
 *
 * Lengths are held against the bytes that are there before anything is made of
 * them, and nesting is limited, so that no body can do more than be refused.
 */
#include <string.h>

#include "glovebox/abi/cbor.h"

#include "guest_python.h"

#define TAG_BIGNUM          2u
#define TAG_NEGATIVE_BIGNUM 3u

struct decoder {
    const uint8_t *bytes; /* borrowed */
    size_t count, at;
    uint32_t depth;
    struct block *owner; /* borrowed, or NULL */
};

static PyObject *item(struct decoder *d);

static PyObject *refuse(const char *why)
{
    PyErr_Format(PyExc_ValueError, "malformed message: %s", why);
    return NULL;
}

static bool is_break(struct decoder *d)
{
    if (d->at >= d->count || d->bytes[d->at] != 0xff)
        return false;
    d->at++;
    return true;
}

static PyObject *chunk(const struct gbx_cbor_head *head, const uint8_t *bytes)
{
    if (head->major == GBX_CBOR_TEXT)
        return PyUnicode_DecodeUTF8((const char *)bytes,
                                    (Py_ssize_t)head->value, NULL);
    return PyBytes_FromStringAndSize((const char *)bytes,
                                     (Py_ssize_t)head->value);
}

static PyObject *string(struct decoder *d, const struct gbx_cbor_head *head)
{
    PyObject *all, *next, *sum;

    if (head->info != GBX_CBOR_INDEFINITE) {
        if (head->value > d->count - d->at)
            return refuse("a string is cut off");
        d->at += head->value;
        return chunk(head, d->bytes + d->at - head->value);
    }
    all = head->major == GBX_CBOR_TEXT ? PyUnicode_New(0, 0)
                                       : PyBytes_FromStringAndSize(NULL, 0);
    while (all != NULL && !is_break(d)) {
        struct gbx_cbor_head part;
        size_t n =
            gbx_cbor_read_head(&part, d->bytes + d->at, d->count - d->at);

        if (n == 0 || part.major != head->major ||
            part.info == GBX_CBOR_INDEFINITE) {
            Py_DECREF(all);
            return refuse("a string in chunks is broken");
        }
        d->at += n;
        next = string(d, &part);
        sum = next != NULL ? PySequence_Concat(all, next) : NULL;
        Py_XDECREF(next);
        Py_DECREF(all);
        all = sum;
    }
    return all;
}

static PyObject *array(struct decoder *d, const struct gbx_cbor_head *head)
{
    const bool is_open = head->info == GBX_CBOR_INDEFINITE;
    PyObject *list, *value;
    uint64_t i;

    if (!is_open && head->value > d->count - d->at)
        return refuse("an array is cut off");
    list = PyList_New(is_open ? 0 : (Py_ssize_t)head->value);
    for (i = 0; list != NULL && (is_open ? !is_break(d) : i < head->value);
         i++) {
        value = item(d);
        if (value == NULL) {
            Py_CLEAR(list);
        } else if (!is_open) {
            PyList_SET_ITEM(list, (Py_ssize_t)i, value);
        } else {
            if (PyList_Append(list, value) < 0)
                Py_CLEAR(list);
            Py_DECREF(value);
        }
    }
    return list;
}

static PyObject *map(struct decoder *d, const struct gbx_cbor_head *head)
{
    const bool is_open = head->info == GBX_CBOR_INDEFINITE;
    PyObject *dict, *key, *value;
    uint64_t i;

    if (!is_open && head->value > (d->count - d->at) / 2)
        return refuse("a map is cut off");
    dict = PyDict_New();
    for (i = 0; dict != NULL && (is_open ? !is_break(d) : i < head->value);
         i++) {
        key = item(d);
        value = key != NULL ? item(d) : NULL;
        if (value == NULL || PyDict_SetItem(dict, key, value) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return dict;
}

static PyObject *inverted(PyObject *natural)
{
    PyObject *value = natural != NULL ? PyNumber_Invert(natural) : NULL;

    Py_XDECREF(natural);
    return value;
}

static PyObject *bignum(PyObject *bytes, bool is_negative)
{
    PyObject *value;

    if (bytes == NULL)
        return NULL;
    if (!PyBytes_Check(bytes)) {
        Py_DECREF(bytes);
        return refuse("a bignum is no byte string");
    }
    value =
        _PyLong_FromByteArray((const unsigned char *)PyBytes_AS_STRING(bytes),
                              (size_t)PyBytes_GET_SIZE(bytes), 0, 0);
    Py_DECREF(bytes);
    return is_negative ? inverted(value) : value;
}

/* A typed array is viewed where it lies, or copied where nobody can own it. */
static PyObject *typed(struct decoder *d, size_t start)
{
    struct layout layout;
    size_t head_bytes;
    Py_ssize_t bytes;
    PyObject *copy, *view, *cast;
    const uint8_t *data;

    if (layout_read(&layout, d->bytes + start, d->count - start, &head_bytes) <
        0)
        return item(d); /* the tag means nothing to us */
    data = d->bytes + start + head_bytes;
    bytes = layout.shape[0] * layout.strides[0];
    d->at = start + head_bytes + (size_t)bytes;
    if (d->owner != NULL)
        return block_part(d->owner, (uint8_t *)(uintptr_t)data, bytes, &layout);
    copy = PyBytes_FromStringAndSize((const char *)data, bytes);
    view = copy != NULL ? PyMemoryView_FromObject(copy) : NULL;
    Py_XDECREF(copy);
    if (view == NULL || layout.dtype == GBX_DTYPE_U8)
        return view;
    cast = PyObject_CallMethod(view, "cast", "s", layout.format);
    Py_DECREF(view);
    return cast;
}

static PyObject *tagged(struct decoder *d, const struct gbx_cbor_head *head,
                        size_t start)
{
    if (head->value == TAG_BIGNUM || head->value == TAG_NEGATIVE_BIGNUM)
        return bignum(item(d), head->value == TAG_NEGATIVE_BIGNUM);
    if (head->value == 40 || (head->value >= 64 && head->value <= 87))
        return typed(d, start);
    return item(d);
}

static PyObject *simple(const struct gbx_cbor_head *head)
{
    uint32_t bits = (uint32_t)head->value;
    double real;
    float single;

    switch (head->info) {
    case 20:
        Py_RETURN_FALSE;
    case 21:
        Py_RETURN_TRUE;
    case 22:
    case 23:
        Py_RETURN_NONE;
    case 25: {
        const char half[2] = {(char)(bits & 0xff), (char)(bits >> 8)};

        return PyFloat_FromDouble(PyFloat_Unpack2(half, 1));
    }
    case 26:
        memcpy(&single, &bits, sizeof(single));
        return PyFloat_FromDouble((double)single);
    case 27:
        memcpy(&real, &head->value, sizeof(real));
        return PyFloat_FromDouble(real);
    default:
        return refuse("an unknown simple value");
    }
}

static PyObject *one_of(struct decoder *d, const struct gbx_cbor_head *head,
                        size_t start)
{
    if (head->info == GBX_CBOR_INDEFINITE &&
        (head->major < GBX_CBOR_BYTES || head->major > GBX_CBOR_MAP))
        return refuse("a break out of place");
    switch (head->major) {
    case GBX_CBOR_UNSIGNED:
        return PyLong_FromUnsignedLongLong(head->value);
    case GBX_CBOR_NEGATIVE:
        if (head->value <= INT64_MAX)
            return PyLong_FromLongLong(-1 - (long long)head->value);
        return inverted(PyLong_FromUnsignedLongLong(head->value));
    case GBX_CBOR_BYTES:
    case GBX_CBOR_TEXT:
        return string(d, head);
    case GBX_CBOR_ARRAY:
        return array(d, head);
    case GBX_CBOR_MAP:
        return map(d, head);
    case GBX_CBOR_TAG:
        return tagged(d, head, start);
    default:
        return simple(head);
    }
}

static PyObject *item(struct decoder *d)
{
    struct gbx_cbor_head head;
    size_t start = d->at;
    size_t n = gbx_cbor_read_head(&head, d->bytes + start, d->count - start);
    PyObject *value;

    if (n == 0)
        return refuse("it is cut off");
    if (d->depth > GBX_CBOR_DEPTH_MAX)
        return refuse("it is nested too deeply");
    d->at += n;
    d->depth++;
    value = one_of(d, &head, start);
    d->depth--;
    return value;
}

PyObject *decode(const uint8_t *bytes, size_t count, struct block *owner)
{
    struct decoder d = {.bytes = bytes, .count = count, .owner = owner};
    PyObject *value = item(&d);

    if (value != NULL && d.at != count) {
        Py_DECREF(value);
        return refuse("more than one item");
    }
    return value;
}
