/* SPDX-License-Identifier: Apache-2.0 */
/* result.c - messages leave for their ports: one by one, or all of a result. */
#include <string.h>

#include "guest_python.h"

#define OUTPUTS_FEW 8 /* on the stack */

static const char *port_name(PyObject *port, Py_ssize_t *bytes)
{
    const char *utf8;

    if (!PyUnicode_Check(port)) {
        PyErr_Format(PyExc_TypeError, "the name of a port is a str, not %s",
                     Py_TYPE(port)->tp_name);
        return NULL;
    }
    utf8 = PyUnicode_AsUTF8AndSize(port, bytes);
    if (utf8 != NULL && (*bytes == 0 || *bytes > (int)GBX_NAME_BYTES_MAX ||
                         memchr(utf8, '\0', (size_t)*bytes) != NULL)) {
        PyErr_Format(PyExc_ValueError,
                     "the name of a port has 1 to %u bytes and no NUL: %R",
                     GBX_NAME_BYTES_MAX, port);
        return NULL;
    }
    return utf8;
}

/* A whole output, ready to go. */
static int make(struct gbx_descriptor *d, PyObject *port, PyObject *value)
{
    Py_ssize_t bytes;
    const char *name = port_name(port, &bytes);
    int rc;

    *d = (struct gbx_descriptor){.kind = GBX_KIND_OUTPUT};
    if (name == NULL)
        return -1;
    if (gbx_guest_is_detached(program.guest))
        return raise_code(GBX_ECANCELED, name, 0);
    if (send_prepare(d, value, name) < 0)
        return -1;
    rc = gbx_guest_set_name(program.guest, d, name, (size_t)bytes);
    if (rc < 0) {
        send_discard(d);
        return raise_code(rc, name, (size_t)bytes);
    }
    return 0;
}

int send_now(struct gbx_descriptor *d)
{
    int rc;

    if (print_flush() < 0) {
        send_discard(d);
        return -1;
    }
    rc = gbx_guest_send(program.guest, d);
    if (rc < 0) {
        send_discard(d);
        return raise_code(rc, "", 0);
    }
    return 0;
}

int send_output(PyObject *port, PyObject *value)
{
    struct gbx_descriptor d;

    return make(&d, port, value) < 0 ? -1 : send_now(&d);
}

/* None of them leaves before all of them could be made. */
static int make_all(struct gbx_descriptor *all, Py_ssize_t count,
                    PyObject *dict)
{
    PyObject *port, *value;
    Py_ssize_t at = 0, made = 0;

    while (made < count && PyDict_Next(dict, &at, &port, &value)) {
        int rc;

        Py_INCREF(port);
        Py_INCREF(value);
        rc = make(&all[made], port, value);
        Py_DECREF(port);
        Py_DECREF(value);
        if (rc < 0)
            break;
        made++;
    }
    if (made == count)
        return 0;
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_RuntimeError,
                        "the outputs changed while they were sent");
    while (made-- > 0)
        send_discard(&all[made]);
    return -1;
}

static int finish(struct gbx_descriptor *last)
{
    last->kind = GBX_KIND_DONE;
    last->flags |= GBX_HAS_MESSAGE;
    return send_now(last);
}

static int send_all(PyObject *dict)
{
    struct gbx_descriptor few[OUTPUTS_FEW], *all = few;
    Py_ssize_t count = PyDict_GET_SIZE(dict), i;
    int rc;

    if (count > OUTPUTS_FEW) {
        all = PyMem_Calloc((size_t)count, sizeof(*all));
        if (all == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    rc = make_all(all, count, dict);
    for (i = 0; rc == 0 && i < count - 1; i++)
        rc = send_now(&all[i]);
    if (rc == 0)
        rc = finish(&all[i]);
    if (all != few)
        PyMem_Free(all);
    return rc;
}

int send_result(PyObject *result)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_DONE};

    if (result == Py_None || Py_TYPE(result) == &ready_type)
        return send_now(&d);
    if (PyDict_Check(result))
        return PyDict_GET_SIZE(result) > 0 ? send_all(result) : send_now(&d);
    if (make(&d, program.only_outport, result) < 0)
        return -1;
    return finish(&d);
}
