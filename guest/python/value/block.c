/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block.c - memory of the region as a Python object.
 *
 *   memoryview, numpy array ... --(Py_buffer.obj)--> block --> region
 *
 * A block lends its bytes by the buffer protocol.  Every view holds a reference
 * to it, so the block goes back to its arena when the last view dies, not when
 * the call ends: a script may keep an input as long as it likes.
 *
 * The host's blocks are read-only, also by their mapping.  Those of my own
 * arena are writable, and have room for an array's head before the elements:
 *
 *   off                        off + BLOCK_HEAD_ROOM (64-byte aligned)
 *   +----------------+---------+---------------------------+
 *   | (unused)       | head    | elements                  |
 *   +----------------+---------+---------------------------+
 *                    |<------- the body, when sent ------->|
 */
#include "guest_python.h"

static struct block *living; /* those that own memory */

static struct block *block_new(const struct layout *layout, uint8_t *data,
                               Py_ssize_t bytes)
{
    struct block *self = PyObject_New(struct block, &block_type);

    if (self == NULL)
        return NULL;
    self->owner = NULL;
    self->next = NULL;
    self->prev = NULL;
    self->data = data;
    self->bytes = bytes;
    self->is_mine = false;
    self->is_framed = false;
    self->type = 0;
    self->body_bytes = 0;
    self->layout = *layout;
    return self;
}

static void enlist(struct block *self)
{
    self->next = living;
    self->prev = &living;
    if (living != NULL)
        living->prev = &self->next;
    living = self;
}

static void block_dealloc(PyObject *object)
{
    struct block *self = (struct block *)object;

    if (self->owner != NULL) {
        Py_DECREF(self->owner);
    } else if (self->prev != NULL) {
        *self->prev = self->next;
        if (self->next != NULL)
            self->next->prev = self->prev;
        if (self->is_mine)
            gbx_guest_drop(program.guest, self->off);
        else
            gbx_guest_give(program.guest, self->off);
    }
    PyObject_Free(self);
}

static int block_get_buffer(PyObject *object, Py_buffer *view, int flags)
{
    struct block *self = (struct block *)object;
    struct block *owner = self->owner != NULL ? self->owner : self;

    if ((flags & PyBUF_WRITABLE) && !owner->is_mine) {
        PyErr_SetString(PyExc_BufferError,
                        "inputs are read-only: copy it, or write to "
                        "context.output_buffer()");
        view->obj = NULL;
        return -1;
    }
    view->obj = Py_NewRef(object);
    view->buf = self->data;
    view->len = self->bytes;
    view->readonly = !owner->is_mine;
    view->itemsize = self->layout.item_bytes;
    view->format = flags & PyBUF_FORMAT ? self->layout.format : NULL;
    view->ndim = self->layout.rank;
    view->shape = flags & PyBUF_ND ? self->layout.shape : NULL;
    view->strides =
        (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? self->layout.strides : NULL;
    view->suboffsets = NULL;
    view->internal = NULL;
    if (view->shape == NULL)
        view->ndim = 1; /* plain bytes, as PyBUF_SIMPLE wants them */
    return 0;
}

static PyBufferProcs block_buffer = {.bf_getbuffer = block_get_buffer};

PyTypeObject block_type = {
    PyVarObject_HEAD_INIT(NULL, 0) /* a macro with its comma */
        .tp_name = "_glovebox.Block",
    .tp_basicsize = sizeof(struct block),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "Memory shared with the host.",
    .tp_dealloc = block_dealloc,
    .tp_as_buffer = &block_buffer,
};

/* Python sees only views: they have all the methods. */
static PyObject *view_of(struct block *self)
{
    PyObject *view = PyMemoryView_FromObject((PyObject *)self);

    Py_DECREF(self);
    return view;
}

struct block *block_hold(const struct gbx_descriptor *d)
{
    struct layout layout;
    struct block *self;

    layout_bytes(&layout, (Py_ssize_t)d->body_bytes);
    self = block_new(&layout, gbx_guest_at(program.guest, d->body_off),
                     (Py_ssize_t)d->body_bytes);
    if (self == NULL) {
        gbx_guest_give(program.guest, d->body_off);
        return NULL;
    }
    self->off = d->body_off;
    self->type = d->type;
    self->body_bytes = d->body_bytes;
    enlist(self);
    return self;
}

PyObject *block_view(struct block *self, size_t skipped,
                     const struct layout *layout)
{
    self->data += skipped;
    self->bytes -= (Py_ssize_t)skipped;
    self->layout = *layout;
    return view_of(self);
}

PyObject *block_of_mine(const struct layout *layout, Py_ssize_t bytes,
                        const char *port)
{
    struct block *self;
    uint64_t off;
    int rc;

    if ((uint64_t)bytes > GBX_BODY_BYTES_MAX - BLOCK_HEAD_ROOM) {
        raise_code(GBX_ELIMIT, port, (size_t)bytes);
        return NULL;
    }
    rc =
        gbx_guest_reserve(program.guest, (size_t)bytes + BLOCK_HEAD_ROOM, &off);
    if (rc < 0) {
        raise_code(rc, port, (size_t)bytes);
        return NULL;
    }
    self = block_new(layout, gbx_guest_at(program.guest, off + BLOCK_HEAD_ROOM),
                     bytes);
    if (self == NULL) {
        gbx_guest_drop(program.guest, off);
        return NULL;
    }
    self->off = off;
    self->is_mine = true;
    enlist(self);
    return view_of(self);
}

PyObject *block_part(struct block *owner, uint8_t *data, Py_ssize_t bytes,
                     const struct layout *layout)
{
    struct block *self = block_new(layout, data, bytes);

    if (self == NULL)
        return NULL;
    self->owner = (struct block *)Py_NewRef(owner);
    return view_of(self);
}

struct block *block_find(const void *data, Py_ssize_t bytes)
{
    const uintptr_t from = (uintptr_t)data, to = from + (size_t)bytes;
    struct block *b;

    if (gbx_guest_off(program.guest, data) == UINT64_MAX)
        return NULL; /* nearly always: no memory of the region */
    for (b = living; b != NULL; b = b->next)
        if (from >= (uintptr_t)b->data &&
            to <= (uintptr_t)b->data + (size_t)b->bytes)
            return b;
    return NULL;
}
