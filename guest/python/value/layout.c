/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.c - element types and shapes: CBOR's (RFC 8746), Python's and numpy's
 * names for the same things.
 *
 *   tag 40, array of 2:  [dims...]  tag dtype  byte string   several dimensions
 *                                   tag dtype  byte string   one
 *                                                         ^ the elements
 */
#include <string.h>

#include "glovebox/abi/cbor.h"

#include "guest_python.h"

#define TAG_MULTI 40u

static const struct dtype {
    uint8_t number, bytes;
    char code;
    const char *name; /* Glovebox's; numpy's is made of kind and bits */
} dtypes[] = {
#define X(name, tag, bytes, code) {tag, bytes, code, #name},
    GBX_DTYPES(X)
#undef X
};

#define DTYPES (sizeof(dtypes) / sizeof(dtypes[0]))

static const struct dtype *dtype_by_number(uint64_t number)
{
    for (size_t i = 0; i < DTYPES; i++)
        if (dtypes[i].number == number)
            return &dtypes[i];
    return NULL;
}

int layout_bytes(struct layout *layout, Py_ssize_t bytes)
{
    *layout = (struct layout){.format = "B", .rank = 1, .item_bytes = 1};
    layout->shape[0] = bytes;
    layout->strides[0] = 1;
    return 0;
}

int layout_set(struct layout *layout, int dtype, int rank,
               const Py_ssize_t *shape)
{
    const struct dtype *d = dtype_by_number((uint64_t)dtype);
    Py_ssize_t total;

    if (d == NULL || rank < 1 || rank > (int)GBX_ARRAY_RANK_MAX)
        return -1;
    *layout = (struct layout){.format = {d->code},
                              .dtype = d->number,
                              .rank = rank,
                              .item_bytes = d->bytes};
    total = d->bytes;
    for (int i = rank; i-- > 0;) {
        if (shape[i] < 0)
            return -1;
        layout->shape[i] = shape[i];
        layout->strides[i] = total;
        if (__builtin_mul_overflow(total, shape[i], &total))
            return -1;
    }
    return 0;
}

/* Signed, unsigned, float, or 0. */
static char kind_of(char code)
{
    if (code == '\0')
        return 0;
    if (strchr("bhilqn", code) != NULL)
        return 'i';
    if (strchr("BHILQNc?", code) != NULL)
        return 'u';
    return strchr("efd", code) != NULL ? 'f' : 0;
}

static int dtype_find(char kind, Py_ssize_t bytes)
{
    for (size_t i = 0; i < DTYPES; i++)
        if (kind_of(dtypes[i].code) == kind && dtypes[i].bytes == bytes)
            return dtypes[i].number;
    return -1;
}

int layout_from_view(struct layout *layout, const Py_buffer *view)
{
    const char *format = view->format != NULL ? view->format : "B";
    int dtype;

    if (*format == '@' || *format == '=' || *format == '<')
        format++;
    /* A dtype is one letter; bytes tell long from int. */
    if (strlen(format) != 1 || kind_of(*format) == 0)
        return -1;
    dtype = dtype_find(kind_of(*format), view->itemsize);
    if (dtype < 0)
        return -1;
    return layout_set(layout, dtype, view->ndim, view->shape);
}

size_t layout_head(uint8_t head[BLOCK_HEAD_ROOM], const struct layout *layout,
                   Py_ssize_t bytes)
{
    size_t at = 0;

    if (layout->rank > 1) {
        at += gbx_cbor_write_head(head + at, GBX_CBOR_TAG, TAG_MULTI);
        at += gbx_cbor_write_head(head + at, GBX_CBOR_ARRAY, 2);
        at += gbx_cbor_write_head(head + at, GBX_CBOR_ARRAY,
                                  (uint64_t)layout->rank);
        for (int i = 0; i < layout->rank; i++)
            at += gbx_cbor_write_head(head + at, GBX_CBOR_UNSIGNED,
                                      (uint64_t)layout->shape[i]);
    }
    at += gbx_cbor_write_head(head + at, GBX_CBOR_TAG, layout->dtype);
    at += gbx_cbor_write_head(head + at, GBX_CBOR_BYTES, (uint64_t)bytes);
    return at;
}

bool layout_is_same(const struct layout *a, const struct layout *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->shape, b->shape, (size_t)a->rank * sizeof(a->shape[0])) ==
               0;
}

/* The next head, which must be of that kind.  Returns its length or 0. */
static size_t expect(struct gbx_cbor_head *head, unsigned major,
                     const uint8_t *bytes, size_t count, size_t at)
{
    size_t n = gbx_cbor_read_head(head, bytes + at, count - at);

    return n != 0 && head->major == major && head->info != GBX_CBOR_INDEFINITE
               ? n
               : 0;
}

/* [dims...], behind tag 40 and its array of two. */
static size_t read_dims(Py_ssize_t *dims, int *rank, const uint8_t *body,
                        size_t count, size_t at)
{
    struct gbx_cbor_head head;
    size_t n = expect(&head, GBX_CBOR_ARRAY, body, count, at);

    if (n == 0 || head.value < 1 || head.value > GBX_ARRAY_RANK_MAX)
        return 0;
    *rank = (int)head.value;
    at += n;
    for (int i = 0; i < *rank; i++) {
        n = expect(&head, GBX_CBOR_UNSIGNED, body, count, at);
        if (n == 0 || head.value > PY_SSIZE_T_MAX)
            return 0;
        dims[i] = (Py_ssize_t)head.value;
        at += n;
    }
    return at;
}

/* Returns -1, without an exception, for what is no typed array. */
int layout_read(struct layout *layout, const uint8_t *body, size_t body_bytes,
                size_t *head_bytes)
{
    struct gbx_cbor_head head;
    Py_ssize_t dims[GBX_ARRAY_RANK_MAX];
    const struct dtype *d;
    int rank = 0;
    size_t at = expect(&head, GBX_CBOR_TAG, body, body_bytes, 0), n;

    if (at != 0 && head.value == TAG_MULTI) {
        n = expect(&head, GBX_CBOR_ARRAY, body, body_bytes, at);
        at = n == 0 || head.value != 2
                 ? 0
                 : read_dims(dims, &rank, body, body_bytes, at + n);
        n = at == 0 ? 0 : expect(&head, GBX_CBOR_TAG, body, body_bytes, at);
        at = n == 0 ? 0 : at + n;
    }
    d = at == 0 ? NULL : dtype_by_number(head.value);
    n = d == NULL ? 0 : expect(&head, GBX_CBOR_BYTES, body, body_bytes, at);
    if (n == 0 || head.value > body_bytes - at - n)
        return -1;
    if (rank == 0) {
        rank = 1;
        dims[0] = (Py_ssize_t)(head.value / d->bytes);
    }
    if (layout_set(layout, d->number, rank, dims) < 0 ||
        (uint64_t)(layout->shape[0] * layout->strides[0]) != head.value)
        return -1;
    *head_bytes = at + n;
    return 0;
}

/* "uint16", "<u2", "H"; Glovebox's own "u16" where numpy means nothing else. */
static int dtype_by_name(const char *name)
{
    static const struct {
        const char *name;
        char kind;
    } kinds[] = {{"uint", 'u'}, {"int", 'i'}, {"float", 'f'}};
    const bool is_short = strchr("<=|", name[0]) != NULL && name[0] != '\0';

    if (strlen(name) == 1)
        for (size_t i = 0; i < DTYPES; i++)
            if (dtypes[i].code == name[0])
                return dtypes[i].number;
    if (is_short && strlen(name) == 3)
        return dtype_find(name[1], name[2] - '0');
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t n = strlen(kinds[i].name);

        if (strncmp(name, kinds[i].name, n) == 0)
            return dtype_find(kinds[i].kind,
                              name[n] == '\0' ? 8
                                              : strtol(name + n, NULL, 10) / 8);
    }
    if (strcmp(name, "u8") != 0 && strcmp(name, "i8") != 0)
        for (size_t i = 0; i < DTYPES; i++)
            if (strcasecmp(name, dtypes[i].name) == 0)
                return dtypes[i].number;
    return -1;
}

int layout_dtype_of(PyObject *name)
{
    PyObject *text;
    const char *utf8;
    int dtype = -1;

    if (PyType_Check(name)) /* numpy.float32, float, int */
        text = PyObject_GetAttrString(name, "__name__");
    else
        text = PyObject_Str(name);
    if (text == NULL)
        return -1;
    utf8 = PyUnicode_AsUTF8(text);
    if (utf8 != NULL) {
        dtype = dtype_by_name(utf8);
        if (dtype < 0)
            PyErr_Format(PyExc_ValueError,
                         "no element type %R: say uint8, int32, float64 ...",
                         text);
    }
    Py_DECREF(text);
    return dtype;
}
