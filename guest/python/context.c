/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context.c - what a handler is given: the part of ActorContext that every call
 * uses.  The rest is Python, in glovebox/__init__.py, as a subclass.
 */
#include <string.h>
#include <time.h>

#include "guest_python.h"

struct context {
    PyObject_HEAD PyObject *payload; /* owned: {port: value} */
    PyObject *types;                 /* owned: {port: enum gbx_type} */
    PyObject *outputs; /* owned: {port: value} sent so far, or NULL */
    long long timestamp_ms;
};

/* Arguments by position or by name; missing ones stay as they are. */
static int unpack(const char *function, PyObject *const *args, Py_ssize_t count,
                  PyObject *names, const char *const *want, PyObject **values,
                  int need)
{
    Py_ssize_t max = 0, i, n = names != NULL ? PyTuple_GET_SIZE(names) : 0;

    while (want[max] != NULL)
        max++;
    for (i = 0; i < count && i < max; i++)
        values[i] = args[i];
    for (Py_ssize_t k = 0; k < n; k++) {
        PyObject *name = PyTuple_GET_ITEM(names, k);

        for (i = 0; i < max; i++)
            if (PyUnicode_CompareWithASCIIString(name, want[i]) == 0)
                break;
        if (i == max) {
            PyErr_Format(PyExc_TypeError, "%s() has no argument %R", function,
                         name);
            return -1;
        }
        values[i] = args[count + k];
    }
    if (count <= max && (need < 1 || values[0] != NULL) &&
        (need < 2 || values[1] != NULL) && (need < 3 || values[2] != NULL))
        return 0;
    PyErr_Format(PyExc_TypeError, "%s() takes %d to %zd arguments", function,
                 need, max);
    return -1;
}

static PyObject *context_get_input(PyObject *object, PyObject *const *args,
                                   Py_ssize_t count, PyObject *names)
{
    static const char *const want[] = {"port", "default", NULL};
    PyObject *values[2] = {NULL, Py_None}, *value;

    if (unpack("get_input", args, count, names, want, values, 1) < 0)
        return NULL;
    value =
        PyDict_GetItemWithError(((struct context *)object)->payload, values[0]);
    if (value == NULL && PyErr_Occurred())
        return NULL;
    return Py_NewRef(value != NULL ? value : values[1]);
}

static PyObject *context_has_input(PyObject *object, PyObject *port)
{
    int rc = PyDict_Contains(((struct context *)object)->payload, port);

    return rc < 0 ? NULL : PyBool_FromLong(rc);
}

static PyObject *context_send(PyObject *object, PyObject *const *args,
                              Py_ssize_t count, PyObject *names)
{
    static const char *const want[] = {"port", "value", NULL};
    struct context *self = (struct context *)object;
    PyObject *values[2] = {NULL, NULL};

    if (unpack("send_output", args, count, names, want, values, 2) < 0)
        return NULL;
    if (self->outputs == NULL)
        self->outputs = PyDict_New();
    if (self->outputs == NULL || send_output(values[0], values[1]) < 0 ||
        PyDict_SetItem(self->outputs, values[0], values[1]) < 0)
        return NULL;
    return ready_none();
}

static PyObject *context_get_outputs(PyObject *object, PyObject *nothing)
{
    struct context *self = (struct context *)object;

    (void)nothing;
    return self->outputs != NULL ? PyDict_Copy(self->outputs) : PyDict_New();
}

static const char *port_text(PyObject *port)
{
    if (!PyUnicode_Check(port)) {
        PyErr_SetString(PyExc_TypeError, "the name of a port is a str");
        return NULL;
    }
    return PyUnicode_AsUTF8(port);
}

static PyObject *context_output_buffer(PyObject *object, PyObject *const *args,
                                       Py_ssize_t count, PyObject *names)
{
    static const char *const want[] = {"port", "nbytes", NULL};
    PyObject *values[2] = {NULL, NULL};
    struct layout layout;
    const char *port;
    Py_ssize_t bytes;

    (void)object;
    if (unpack("output_buffer", args, count, names, want, values, 2) < 0)
        return NULL;
    port = port_text(values[0]);
    bytes = PyNumber_AsSsize_t(values[1], PyExc_OverflowError);
    if (port == NULL || (bytes == -1 && PyErr_Occurred()))
        return NULL;
    if (bytes < 0) {
        PyErr_Format(PyExc_ValueError, "output \"%s\": %zd bytes", port, bytes);
        return NULL;
    }
    layout_bytes(&layout, bytes);
    return block_of_mine(&layout, bytes, port);
}

/* 5, or (2, 3, 4).  Returns the rank or -1. */
static int read_shape(Py_ssize_t *dims, PyObject *shape)
{
    PyObject *fast;
    Py_ssize_t rank;

    if (PyIndex_Check(shape)) {
        dims[0] = PyNumber_AsSsize_t(shape, PyExc_OverflowError);
        return dims[0] == -1 && PyErr_Occurred() ? -1 : 1;
    }
    fast = PySequence_Fast(shape, "a shape is an int or a tuple of them");
    if (fast == NULL)
        return -1;
    rank = PySequence_Fast_GET_SIZE(fast);
    if (rank < 1 || rank > (int)GBX_ARRAY_RANK_MAX) {
        PyErr_Format(PyExc_ValueError, "a shape has 1 to %u dimensions",
                     GBX_ARRAY_RANK_MAX);
        rank = -1;
    }
    for (Py_ssize_t i = 0; i < rank; i++) {
        dims[i] = PyNumber_AsSsize_t(PySequence_Fast_GET_ITEM(fast, i),
                                     PyExc_OverflowError);
        if (dims[i] == -1 && PyErr_Occurred()) {
            rank = -1;
            break;
        }
    }
    Py_DECREF(fast);
    return (int)rank;
}

static PyObject *context_output_array(PyObject *object, PyObject *const *args,
                                      Py_ssize_t count, PyObject *names)
{
    static const char *const want[] = {"port", "dtype", "shape", NULL};
    PyObject *values[3] = {NULL, NULL, NULL};
    Py_ssize_t dims[GBX_ARRAY_RANK_MAX];
    struct layout layout;
    const char *port;
    int dtype, rank;

    (void)object;
    if (unpack("output_array", args, count, names, want, values, 3) < 0)
        return NULL;
    port = port_text(values[0]);
    dtype = port != NULL ? layout_dtype_of(values[1]) : -1;
    rank = dtype >= 0 ? read_shape(dims, values[2]) : -1;
    if (rank < 0)
        return NULL;
    if (layout_set(&layout, dtype, rank, dims) < 0) {
        PyErr_Format(PyExc_ValueError, "output \"%s\": no array has shape %R",
                     port, values[2]);
        return NULL;
    }
    return block_of_mine(&layout, layout.shape[0] * layout.strides[0], port);
}

static PyObject *context_host(PyObject *object, PyObject *const *args,
                              Py_ssize_t count)
{
    (void)object;
    if (count < 1) {
        PyErr_SetString(PyExc_TypeError, "host() takes a name and arguments");
        return NULL;
    }
    return ready_value(ask_host(args[0], args + 1, count - 1));
}

static PyObject *get_member(PyObject *object, void *which)
{
    struct context *self = (struct context *)object;
    PyObject *const all[] = {self->payload, self->types, program.config,
                             program.actor_id, program.state};

    return Py_NewRef(all[(intptr_t)which]);
}

static PyObject *get_timestamp(PyObject *object, void *nothing)
{
    (void)nothing;
    return PyLong_FromLongLong(((struct context *)object)->timestamp_ms);
}

static void context_dealloc(PyObject *object)
{
    struct context *self = (struct context *)object;

    Py_XDECREF(self->payload);
    Py_XDECREF(self->types);
    Py_XDECREF(self->outputs);
    Py_TYPE(object)->tp_free(object);
}

#define CALL(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef context_methods[] = {
    {"get_input", CALL(context_get_input), METH_FASTCALL | METH_KEYWORDS, NULL},
    {"has_input", context_has_input, METH_O, NULL},
    {"send_output", CALL(context_send), METH_FASTCALL | METH_KEYWORDS, NULL},
    {"send", CALL(context_send), METH_FASTCALL | METH_KEYWORDS, NULL},
    {"send_output_sync", CALL(context_send), METH_FASTCALL | METH_KEYWORDS,
     NULL},
    {"send_async_output", CALL(context_send), METH_FASTCALL | METH_KEYWORDS,
     NULL},
    {"get_outputs", context_get_outputs, METH_NOARGS, NULL},
    {"output_buffer", CALL(context_output_buffer),
     METH_FASTCALL | METH_KEYWORDS, NULL},
    {"output_array", CALL(context_output_array), METH_FASTCALL | METH_KEYWORDS,
     NULL},
    {"host", CALL(context_host), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef context_getset[] = {
    {"payload", get_member, NULL, NULL, (void *)0},
    {"_types", get_member, NULL, NULL, (void *)1},
    {"config", get_member, NULL, NULL, (void *)2},
    {"actor_id", get_member, NULL, NULL, (void *)3},
    {"state", get_member, NULL, NULL, (void *)4},
    {"timestamp", get_timestamp, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject context_type = {
    PyVarObject_HEAD_INIT(NULL, 0) /* a macro with its comma */
        .tp_name = "_glovebox.Context",
    .tp_basicsize = sizeof(struct context),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE |
                Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = context_dealloc,
    .tp_methods = context_methods,
    .tp_getset = context_getset,
};

PyObject *context_make(PyObject *payload, PyObject *types)
{
    PyTypeObject *type = (PyTypeObject *)program.context_class;
    struct context *self = (struct context *)type->tp_alloc(type, 0);
    struct timespec now;

    if (self == NULL)
        return NULL;
    clock_gettime(CLOCK_REALTIME, &now);
    self->payload = Py_NewRef(payload);
    self->types = Py_NewRef(types);
    self->timestamp_ms = (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    return (PyObject *)self;
}
