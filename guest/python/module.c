/* SPDX-License-Identifier: Apache-2.0 */
/* module.c - _glovebox: what the frozen package glovebox is built on. */
#include "guest_python.h"

struct program program;

/* The host's answer to a question that was sent. */
static PyObject *answer_value(const struct gbx_descriptor *answer)
{
    PyObject *value = receive_value(answer);

    if (value == NULL || !(answer->flags & GBX_IS_ERROR))
        return value;
    PyErr_SetObject(program.host_error, value);
    Py_DECREF(value);
    return NULL;
}

static int encode_arguments(struct encoder *e, PyObject *const *args,
                            Py_ssize_t count)
{
    int rc = encode_head(e, 4 /* array */, (uint64_t)count);

    for (Py_ssize_t i = 0; rc == 0 && i < count; i++)
        rc = encode(e, args[i]);
    return rc;
}

/* A body, its name, the question, the answer. */
static int ask(const struct encoder *e, const char *name, Py_ssize_t bytes,
               struct gbx_descriptor *answer)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_ASK, .type = GBX_ARRAY};
    int rc;

    if (print_flush() < 0)
        return -1;
    rc = gbx_guest_reserve(program.guest, e->count, &d.body_off);
    if (rc < 0)
        return raise_code(rc, name, e->count);
    d.body_bytes = (uint32_t)e->count;
    memcpy(gbx_guest_at(program.guest, d.body_off), e->bytes, e->count);
    rc = gbx_guest_set_name(program.guest, &d, name, (size_t)bytes);
    if (rc < 0) {
        send_discard(&d);
        return raise_code(rc, name, e->count);
    }
    rc = gbx_guest_ask(program.guest, &d, answer);
    return rc < 0 ? raise_code(rc, name, 0) : 0;
}

PyObject *ask_host(PyObject *name, PyObject *const *args, Py_ssize_t count)
{
    struct gbx_descriptor answer;
    struct encoder e;
    Py_ssize_t bytes;
    const char *utf8;
    int rc;

    if (!PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "the name of a host call is a str");
        return NULL;
    }
    utf8 = PyUnicode_AsUTF8AndSize(name, &bytes);
    if (utf8 == NULL)
        return NULL;
    if (bytes == 0 || bytes > (int)GBX_NAME_BYTES_MAX) {
        PyErr_SetString(PyExc_ValueError, "no host call has such a name");
        return NULL;
    }
    encoder_take(&e, utf8);
    rc = encode_arguments(&e, args, count);
    if (rc == 0)
        rc = ask(&e, utf8, bytes, &answer);
    encoder_give(&e);
    return rc < 0 ? NULL : answer_value(&answer);
}

static PyObject *module_ask(PyObject *self, PyObject *const *args,
                            Py_ssize_t count)
{
    (void)self;
    if (count < 1) {
        PyErr_SetString(PyExc_TypeError, "ask() takes a name and arguments");
        return NULL;
    }
    return ready_value(ask_host(args[0], args + 1, count - 1));
}

/* The same, never awaitable. */
static PyObject *module_ask_now(PyObject *self, PyObject *const *args,
                                Py_ssize_t count)
{
    (void)self;
    if (count < 1) {
        PyErr_SetString(PyExc_TypeError, "ask() takes a name and arguments");
        return NULL;
    }
    return ask_host(args[0], args + 1, count - 1);
}

static PyObject *module_ready(PyObject *self, PyObject *value)
{
    (void)self;
    return ready_value(Py_NewRef(value));
}

static PyObject *module_print(PyObject *self, PyObject *stream)
{
    long number = PyLong_AsLong(stream);

    (void)self;
    return number == 1 || number == 2 ? print_open((int)number) : NULL;
}

static PyObject *module_adopt(PyObject *self, PyObject *args)
{
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOOOOOO", &program.context_class,
                          &program.message_class, &program.host_error,
                          &program.load, &program.explain, &program.run_loop,
                          &program.go_on, &program.state, &program.renew))
        return NULL;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++)
        Py_INCREF(PyTuple_GET_ITEM(args, i)); /* for ever */
    Py_RETURN_NONE;
}

#define CALL(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef methods[] = {
    {"adopt", module_adopt, METH_VARARGS, NULL},
    {"ask", CALL(module_ask), METH_FASTCALL, NULL},
    {"ask_now", CALL(module_ask_now), METH_FASTCALL, NULL},
    {"ready", module_ready, METH_O, NULL},
    {"print_open", module_print, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_glovebox",
    .m_size = -1,
    .m_methods = methods,
};

/* The names of the message types, in the order of their numbers. */
static PyObject *type_names(void)
{
    static const char *const names[] = {
#define X(name, value, text, where) [value] = text,
        GBX_TYPES(X)
#undef X
    };
    PyObject *tuple = PyTuple_New(GBX_TYPE_COUNT);

    for (Py_ssize_t i = 0; tuple != NULL && i < GBX_TYPE_COUNT; i++) {
        PyObject *name = PyUnicode_InternFromString(names[i]);

        if (name == NULL)
            Py_CLEAR(tuple);
        else
            PyTuple_SET_ITEM(tuple, i, name);
    }
    return tuple;
}

PyObject *module_init(void)
{
    PyTypeObject *const types[] = {&block_type, &ready_type, &context_type,
                                   &print_type};
    PyObject *module, *names;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (PyType_Ready(types[i]) < 0)
            return NULL;
    module = PyModule_Create(&definition);
    names = type_names();
    if (module == NULL || names == NULL ||
        PyModule_AddObjectRef(module, "Context", (PyObject *)&context_type) <
            0 ||
        PyModule_AddObjectRef(module, "Ready", (PyObject *)&ready_type) < 0 ||
        PyModule_AddObjectRef(module, "TYPES", names) < 0)
        Py_CLEAR(module);
    Py_XDECREF(names);
    return module;
}
