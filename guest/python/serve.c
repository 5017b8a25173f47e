/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c - the conversation with the host: LOAD once, then calls.
 *
 *   host   LOAD                INPUT INPUT CALL
 *   guest        LOADED|FAILED                  OUTPUT.. DONE|FAILED
 *
 * The handler runs between two looks at the clock, which is the host's figure
 * for the script's own share of a call.  Whatever it raises, SystemExit too, is
 * a FAILED, and the next call finds the loop as before.  Only when the host is
 * gone, or when this is a child that a script forked, does the process end.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest_python.h"

#define SEED_BYTES 32

/* The inputs of the coming call. */
static PyObject *payload, *types;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Send an Object of the protocol: LOADED, FAILED. */
static int say_object(enum gbx_kind kind, PyObject *dict)
{
    struct gbx_descriptor d = {
        .kind = (uint8_t)kind, .type = GBX_OBJECT, .flags = GBX_HAS_MESSAGE};

    if (send_prepare_as(&d, GBX_OBJECT, dict, "report") < 0) {
        send_discard(&d);
        return -1;
    }
    if (d.body_bytes > GBX_METADATA_MAX) {
        send_discard(&d);
        PyErr_SetString(PyExc_ValueError,
                        "what the script says of itself is too long");
        return -1;
    }
    return send_now(&d);
}

/* When even explaining failed: the type's name, with what we have in C. */
static int say_plainly(PyObject *exception)
{
    const char *name = Py_TYPE(exception)->tp_name;
    PyObject *dict;
    int rc = -1;

    PyErr_Clear();
    dict = Py_BuildValue("{s:s,s:s,s:s}", "type", name, "message",
                         "(its description failed)", "traceback", "");
    if (dict != NULL)
        rc = say_object(GBX_KIND_FAILED, dict);
    Py_XDECREF(dict);
    return rc;
}

/* The exception that is set goes to the host. */
static int fail_call(void)
{
    PyObject *type, *exception, *traceback, *dict;
    int rc = -1;

    PyErr_Fetch(&type, &exception, &traceback);
    PyErr_NormalizeException(&type, &exception, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(exception, traceback);
    dict = PyObject_CallOneArg(program.explain, exception);
    if (dict != NULL)
        rc = say_object(GBX_KIND_FAILED, dict);
    if (rc < 0)
        rc = say_plainly(exception);
    Py_XDECREF(dict);
    Py_XDECREF(type);
    Py_XDECREF(exception);
    Py_XDECREF(traceback);
    return rc;
}

static void keep(PyObject **place, PyObject *value)
{
    PyObject *was = *place;

    *place = Py_NewRef(value);
    Py_XDECREF(was);
}

static int load(PyObject *dict)
{
    PyObject *file = PyDict_GetItemString(dict, "file");
    PyObject *source = PyDict_GetItemString(dict, "source");
    PyObject *config = PyDict_GetItemString(dict, "config");
    PyObject *actor_id = PyDict_GetItemString(dict, "actor_id");
    PyObject *loaded, *handler, *outport, *about;
    int is_async, rc = -1;

    if (file == NULL || source == NULL || config == NULL || actor_id == NULL) {
        PyErr_SetString(PyExc_ValueError, "LOAD lacks a key");
        return -1;
    }
    keep(&program.config, config);
    loaded = PyObject_CallFunctionObjArgs(program.load, file, source, actor_id,
                                          NULL);
    if (loaded == NULL)
        return -1;
    if (PyArg_ParseTuple(loaded, "OpOOO", &handler, &is_async, &actor_id,
                         &outport, &about)) {
        keep(&program.handler, handler);
        keep(&program.only_outport, outport);
        keep(&program.actor_id, actor_id);
        program.is_async = is_async;
        rc = say_object(GBX_KIND_LOADED, about);
    }
    Py_DECREF(loaded);
    return rc;
}

static int take_load(const struct gbx_descriptor *d)
{
    PyObject *dict = receive_value(d);
    int rc = -1;

    if (dict != NULL && PyDict_Check(dict))
        rc = load(dict);
    else if (dict != NULL)
        PyErr_SetString(PyExc_ValueError, "LOAD is no Object");
    Py_XDECREF(dict);
    return rc;
}

static int take_input(const struct gbx_descriptor *d)
{
    char name[GBX_NAME_BYTES_MAX + 1];
    PyObject *port, *value, *type;
    int rc = -1;

    if (gbx_guest_get_name(program.guest, d, name) < 0) {
        PyErr_SetString(PyExc_ValueError, "a port's name is malformed");
        return -1;
    }
    port = PyUnicode_FromString(name);
    value = receive_value(d);
    type = PyLong_FromLong(d->type);
    if (port != NULL && value != NULL && type != NULL) {
        PyUnicode_InternInPlace(&port);
        rc = PyDict_SetItem(payload, port, value);
        if (rc == 0)
            rc = PyDict_SetItem(types, port, type);
    }
    Py_XDECREF(port);
    Py_XDECREF(value);
    Py_XDECREF(type);
    return rc;
}

/*
 * A coroutine that never suspends needs no event loop.  Where asyncio is in
 * use it gets one from the start, because asyncio's functions look for it.
 */
static PyObject *drive(PyObject *coroutine)
{
    static PyObject *asyncio;
    PyObject *modules = PyImport_GetModuleDict(), *out = NULL, *result;

    if (asyncio == NULL)
        asyncio = PyUnicode_InternFromString("asyncio");
    if (PyDict_GetItemWithError(modules, asyncio) != NULL)
        return PyObject_CallOneArg(program.run_loop, coroutine);
    switch (PyIter_Send(coroutine, Py_None, &out)) {
    case PYGEN_RETURN:
        return out;
    case PYGEN_NEXT:
        result =
            PyObject_CallFunctionObjArgs(program.go_on, coroutine, out, NULL);
        Py_DECREF(out);
        return result;
    default:
        return NULL;
    }
}

static PyObject *run_handler(PyObject *context)
{
    uint64_t start = now_ns();
    PyObject *result = PyObject_CallOneArg(program.handler, context), *driven;

    if (result != NULL && PyCoro_CheckExact(result)) {
        driven = drive(result);
        Py_DECREF(result);
        result = driven;
    }
    gbx_guest_took(program.guest, now_ns() - start);
    return result;
}

/* The answer leaves first; what the call leaves behind is freed while the host
 * is busy with it. */
static int run_call(void)
{
    PyObject *context, *result = NULL;
    int rc = -1;

    if (program.handler == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "no script is loaded");
        return fail_call();
    }
    context = context_make(payload, types);
    if (context != NULL)
        result = run_handler(context);
    if (gbx_guest_is_detached(program.guest)) {
        if (result == NULL)
            PyErr_Print();
        print_flush();
        _exit(result == NULL);
    }
    if (result != NULL)
        rc = send_result(result);
    if (rc < 0)
        rc = fail_call();
    Py_XDECREF(context);
    Py_XDECREF(result);
    return rc;
}

static int take_call(const struct gbx_descriptor *d)
{
    int rc = PyErr_Occurred() ? -1 : 0; /* of an earlier input */

    if (rc == 0 && (d->flags & GBX_HAS_MESSAGE))
        rc = take_input(d);
    if (rc < 0)
        rc = fail_call();
    else
        rc = run_call();
    Py_DECREF(payload);
    Py_DECREF(types);
    payload = PyDict_New();
    types = PyDict_New();
    return payload != NULL && types != NULL ? rc : -1;
}

static int take(const struct gbx_descriptor *d)
{
    switch (d->kind) {
    case GBX_KIND_LOAD:
        return take_load(d) < 0 ? fail_call() : 0;
    case GBX_KIND_INPUT:
        /* What is wrong with it is told when the call comes. */
        if (PyErr_Occurred())
            gbx_guest_give(program.guest, d->body_off);
        else
            take_input(d);
        return 0;
    case GBX_KIND_CALL:
        return take_call(d);
    default:
        return -1;
    }
}

/* What goes wrong is told when the call comes. */
static void renew(const uint8_t seed[SEED_BYTES])
{
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)seed, SEED_BYTES);
    PyObject *nothing =
        bytes == NULL ? NULL : PyObject_CallOneArg(program.renew, bytes);

    Py_XDECREF(bytes);
    Py_XDECREF(nothing);
}

static int take_next(void *unused, const struct gbx_descriptor *d)
{
    uint8_t seed[SEED_BYTES];

    (void)unused;
    if (gbx_guest_is_copied(program.guest, seed))
        renew(seed);
    return take(d);
}

int serve(void)
{
    payload = PyDict_New();
    types = PyDict_New();
    if (payload == NULL || types == NULL)
        return -1;
    if (gbx_guest_say(program.guest, GBX_KIND_READY) < 0)
        return -1;
    return gbx_guest_serve(program.guest, take_next, NULL);
}
