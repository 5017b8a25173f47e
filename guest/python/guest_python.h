/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_python.h - what the files of glovebox-python share.
 *
 *   main.c     starts CPython, then serves
 *   serve.c    the conversation: LOAD, INPUT, CALL
 *   context.c  what a handler is given
 *   ready.c    an awaitable that is done already
 *   send.c     a Python value -> a descriptor       encode.c  -> CBOR
 *   result.c   descriptors -> the host
 *   receive.c  a descriptor -> a Python value       decode.c  <- CBOR
 *   block.c    memory of the region as a Python object
 *   print.c    sys.stdout and sys.stderr
 *   module.c   the builtin module _glovebox, for the frozen package glovebox
 *
 * One interpreter, one guest, one thread at a time: everything here runs with
 * the GIL held, also while it waits for the host.  So threads of a script run
 * while a call does and stand still between calls, and the channel needs no
 * lock of its own.
 *
 * Functions that return int return 0, or -1 with a Python exception set.
 */
#ifndef GUEST_PYTHON_GUEST_PYTHON_H
#define GUEST_PYTHON_GUEST_PYTHON_H

#define PY_SSIZE_T_CLEAN
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wcast-qual"
#include <Python.h>
#pragma GCC diagnostic pop

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"

/* What outlives a call.  All references are owned. */
struct program {
    struct gbx_guest *guest;

    /* Of the package glovebox, which hands them over at its import. */
    PyObject *context_class, *message_class, *host_error;
    PyObject *load;     /* (file, source, actor_id) -> what is below, dict */
    PyObject *explain;  /* (exception) -> dict of FAILED */
    PyObject *run_loop; /* (coroutine) -> its result, on the event loop */
    PyObject *go_on;    /* (coroutine, what it yielded) -> its result */
    PyObject *state;    /* context.state */
    PyObject *renew;    /* (seed): what was drawn is drawn anew */

    /* Of the loaded script. */
    PyObject *handler;           /* or NULL */
    PyObject *config, *actor_id; /* of LOAD */
    PyObject *only_outport;      /* where a returned value goes */
    bool is_async;               /* the handler is a coroutine function */
};

extern struct program program;

/* An exception for a GBX_E* code, naming the port it was about. Returns -1. */
int raise_code(int code, const char *port, size_t bytes);

/* ---- block.c: memory of the region, read by anybody who keeps it ---- */

struct layout { /* of elements in C order */
    char format[2];
    uint8_t dtype; /* 0: raw bytes */
    int rank;
    Py_ssize_t item_bytes;
    Py_ssize_t shape[GBX_ARRAY_RANK_MAX], strides[GBX_ARRAY_RANK_MAX];
};

/* Room before the elements of my blocks: the head of a typed array. */
#define BLOCK_HEAD_ROOM 128u

struct block {
    PyObject_HEAD struct block
        *owner;                 /* owned: whose memory this is; NULL: my own */
    struct block *next, **prev; /* owners only: all that live */
    uint64_t off;               /* for give or drop; of the first element if
                                   there is an owner */
    uint8_t *data;
    Py_ssize_t bytes;
    bool is_mine;   /* of my arena: writable, dropped; else given back */
    bool is_framed; /* mine: an array's head stands before the elements */
    uint8_t type;   /* the host's: as it came */
    uint32_t body_bytes;
    struct layout layout;
};

extern PyTypeObject block_type;

/* The body of a received descriptor, new reference; or NULL, and it is given
 * back. */
struct block *block_hold(const struct gbx_descriptor *d);

/* A memoryview of a body, from `skipped` bytes on; takes the reference. */
PyObject *block_view(struct block *self, size_t skipped,
                     const struct layout *layout);

/* A writable memoryview of a new block. */
PyObject *block_of_mine(const struct layout *layout, Py_ssize_t bytes,
                        const char *port);

/* A part of another block, which is kept. */
PyObject *block_part(struct block *owner, uint8_t *data, Py_ssize_t bytes,
                     const struct layout *layout);

/* The living block that holds all of these bytes, borrowed, or NULL. */
struct block *block_find(const void *data, Py_ssize_t bytes);

/* layout.c: element types and shapes */
int layout_bytes(struct layout *layout, Py_ssize_t bytes);
int layout_set(struct layout *layout, int dtype, int rank,
               const Py_ssize_t *shape);
int layout_from_view(struct layout *layout, const Py_buffer *view);
size_t layout_head(uint8_t head[BLOCK_HEAD_ROOM], const struct layout *layout,
                   Py_ssize_t bytes);
bool layout_is_same(const struct layout *a, const struct layout *b);
int layout_read(struct layout *layout, const uint8_t *body, size_t body_bytes,
                size_t *head_bytes);
int layout_dtype_of(PyObject *name); /* "f32", "float32", "<f4", numpy's ... */

/* ---- decode.c, receive.c ---- */

/* One CBOR item that fills `bytes` exactly; owner (may be NULL) is the block
 * that arrays inside may keep. */
PyObject *decode(const uint8_t *bytes, size_t count, struct block *owner);

/* The value of a descriptor; takes its body. */
PyObject *receive_value(const struct gbx_descriptor *d);

/* ---- encode.c, send.c ---- */

struct encoder {
    uint8_t *bytes; /* owned */
    size_t count, room;
    int depth;
    const char *port; /* for errors */
};

void encoder_take(struct encoder *encoder, const char *port);
void encoder_give(struct encoder *encoder);

int encode(struct encoder *encoder, PyObject *value);
int encode_head(struct encoder *encoder, unsigned major, uint64_t value);
int encode_text(struct encoder *encoder, PyObject *text);

/* A descriptor with type, flags, scalar and body, that is not sent yet. */
int send_prepare(struct gbx_descriptor *d, PyObject *value, const char *port);
int send_prepare_as(struct gbx_descriptor *d, int type, PyObject *value,
                    const char *port);
void send_discard(const struct gbx_descriptor *d);

/* Off it goes, behind what was printed before. */
int send_now(struct gbx_descriptor *d);
int send_output(PyObject *port, PyObject *value);

/* Whatever a handler returned; the last output rides on DONE. */
int send_result(PyObject *result);

/* ---- ready.c, context.c ---- */

extern PyTypeObject ready_type, context_type;

/* A value as a handler of this script wants it: as it is, or awaitable. */
PyObject *ready_value(PyObject *value); /* takes value */
PyObject *ready_none(void);             /* awaitable in any case */

/* A context over the inputs collected so far. */
PyObject *context_make(PyObject *payload, PyObject *types);

PyObject *ask_host(PyObject *name, PyObject *const *args, Py_ssize_t count);

/* ---- print.c ---- */

extern PyTypeObject print_type;
PyObject *print_open(int stream);
int print_flush(void);

/* ---- module.c, serve.c ---- */

PyObject *module_init(void);
int serve(void); /* until the host is gone */

#endif
