/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ready.c - an awaitable that is done already.
 *
 * Sending an output or asking the host takes a microsecond and never suspends,
 * so `await context.send_output(..)` and the plain call do the same.
 */
#include "guest_python.h"

struct ready {
    PyObject_HEAD PyObject *value; /* owned */
};

static PyObject *none; /* the one that holds None */

static PyObject *ready_new(PyObject *value)
{
    struct ready *self = PyObject_New(struct ready, &ready_type);

    if (self == NULL)
        Py_DECREF(value);
    else
        self->value = value;
    return (PyObject *)self;
}

static void ready_dealloc(PyObject *object)
{
    Py_DECREF(((struct ready *)object)->value);
    PyObject_Free(object);
}

/* The first step is the end: what is awaited is the value. */
static PyObject *ready_next(PyObject *object)
{
    PyObject *value = ((struct ready *)object)->value;
    PyObject *stop;

    if (value == Py_None)
        return NULL;
    stop = PyObject_CallOneArg(PyExc_StopIteration, value);
    if (stop != NULL)
        PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    return NULL;
}

static PyObject *ready_result(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    return Py_NewRef(((struct ready *)object)->value);
}

static PyObject *ready_done(PyObject *object, PyObject *nothing)
{
    (void)object;
    (void)nothing;
    Py_RETURN_TRUE;
}

static PyObject *ready_repr(PyObject *object)
{
    return PyUnicode_FromFormat("<done: %R>", ((struct ready *)object)->value);
}

static PyMethodDef ready_methods[] = {
    {"result", ready_result, METH_NOARGS, "The value, without await."},
    {"done", ready_done, METH_NOARGS, "True."},
    {NULL, NULL, 0, NULL},
};

static PyAsyncMethods ready_async = {.am_await = PyObject_SelfIter};

PyTypeObject ready_type = {
    PyVarObject_HEAD_INIT(NULL, 0) /* a macro with its comma */
        .tp_name = "glovebox.Ready",
    .tp_basicsize = sizeof(struct ready),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "An awaitable that is done already; result() is its value.",
    .tp_dealloc = ready_dealloc,
    .tp_repr = ready_repr,
    .tp_as_async = &ready_async,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = ready_next,
    .tp_methods = ready_methods,
};

PyObject *ready_none(void)
{
    if (none == NULL)
        none = ready_new(Py_NewRef(Py_None));
    return Py_XNewRef(none);
}

PyObject *ready_value(PyObject *value)
{
    return value != NULL && program.is_async ? ready_new(value) : value;
}
