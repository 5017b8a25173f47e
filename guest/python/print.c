/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print.c - sys.stdout and sys.stderr, as descriptors in the ring.
 *
 *   print() -> TextIOWrapper -> this, line by line -> PRINT -> the host
 *
 * What is written leaves at a newline, when 8 KiB have gathered, and before
 * anything else is sent: so text keeps its place among the outputs, costs no
 * system call while the host is awake, and cannot be mistaken for a result.
 * A forked child has no host: its text goes to file descriptor 1 or 2.
 */
#include <string.h>
#include <unistd.h>

#include "guest_python.h"

#define PRINT_BYTES 8192

struct print {
    PyObject_HEAD int stream; /* 1 or 2 */
    size_t used;
    char bytes[PRINT_BYTES];
};

static struct print *streams[3]; /* by stream */

static int write_out(const struct print *self, const char *bytes, size_t count)
{
    if (gbx_guest_is_detached(program.guest)) {
        while (count > 0) {
            ssize_t n = write(self->stream, bytes, count);

            if (n <= 0)
                break;
            bytes += n;
            count -= (size_t)n;
        }
        return 0;
    }
    return gbx_guest_print(program.guest, self->stream, bytes, count);
}

static int flush(struct print *self)
{
    size_t used = self->used;
    int rc;

    if (used == 0)
        return 0;
    self->used = 0;
    rc = write_out(self, self->bytes, used);
    return rc < 0
               ? raise_code(rc, self->stream == 1 ? "stdout" : "stderr", used)
               : 0;
}

int print_flush(void)
{
    for (int i = 1; i <= 2; i++)
        if (streams[i] != NULL && flush(streams[i]) < 0)
            return -1;
    return 0;
}

static int take(struct print *self, const char *bytes, size_t count)
{
    const bool is_line = memchr(bytes, '\n', count) != NULL;
    int rc;

    if (count > PRINT_BYTES - self->used && flush(self) < 0)
        return -1;
    if (count > PRINT_BYTES) {
        rc = write_out(self, bytes, count);
        return rc < 0 ? raise_code(rc, "stdout", count) : 0;
    }
    memcpy(self->bytes + self->used, bytes, count);
    self->used += count;
    return is_line ? flush(self) : 0;
}

static PyObject *print_write(PyObject *object, PyObject *value)
{
    Py_buffer view;
    Py_ssize_t count;
    int rc;

    if (PyObject_GetBuffer(value, &view, PyBUF_CONTIG_RO) < 0)
        return NULL;
    count = view.len;
    rc = take((struct print *)object, view.buf, (size_t)count);
    PyBuffer_Release(&view);
    return rc < 0 ? NULL : PyLong_FromSsize_t(count);
}

static PyObject *print_flush_method(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    if (flush((struct print *)object) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* close() only flushes: what is printed after it is still seen. */
static PyObject *print_yes(PyObject *object, PyObject *nothing)
{
    (void)object;
    (void)nothing;
    Py_RETURN_TRUE;
}

static PyObject *print_no(PyObject *object, PyObject *nothing)
{
    (void)object;
    (void)nothing;
    Py_RETURN_FALSE;
}

static PyObject *print_fileno(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    return PyLong_FromLong(((struct print *)object)->stream);
}

static PyObject *print_closed(PyObject *object, void *nothing)
{
    (void)object;
    (void)nothing;
    Py_RETURN_FALSE;
}

static PyObject *print_name(PyObject *object, void *nothing)
{
    (void)nothing;
    return PyUnicode_FromString(
        ((struct print *)object)->stream == 1 ? "<stdout>" : "<stderr>");
}

static PyObject *print_mode(PyObject *object, void *nothing)
{
    (void)object;
    (void)nothing;
    return PyUnicode_FromString("wb");
}

static PyMethodDef print_methods[] = {
    {"write", print_write, METH_O, NULL},
    {"flush", print_flush_method, METH_NOARGS, NULL},
    {"close", print_flush_method, METH_NOARGS, NULL},
    {"writable", print_yes, METH_NOARGS, NULL},
    {"readable", print_no, METH_NOARGS, NULL},
    {"seekable", print_no, METH_NOARGS, NULL},
    {"isatty", print_no, METH_NOARGS, NULL},
    {"fileno", print_fileno, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef print_getset[] = {
    {"closed", print_closed, NULL, NULL, NULL},
    {"name", print_name, NULL, NULL, NULL},
    {"mode", print_mode, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject print_type = {
    PyVarObject_HEAD_INIT(NULL, 0) /* a macro with its comma */
        .tp_name = "_glovebox.Print",
    .tp_basicsize = sizeof(struct print),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = print_methods,
    .tp_getset = print_getset,
};

PyObject *print_open(int stream)
{
    struct print *self = PyObject_New(struct print, &print_type);

    if (self == NULL)
        return NULL;
    self->stream = stream;
    self->used = 0;
    streams[stream] = (struct print *)Py_NewRef(self); /* for ever */
    return (PyObject *)self;
}
