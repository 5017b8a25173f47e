/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.h - a host call's arguments, read completely before it starts.
 *
 * They come from a script, in a copy that nobody changes: the items in them are
 * borrowed where they lie.
 *
 * Threads: any.
 */
#ifndef STORE_INPUT_H
#define STORE_INPUT_H

#include "glovebox/message.h"
#include "store/table.h"

/* One CBOR item as it is, in the arguments or in the store. */
struct store_span {
    const uint8_t *at;
    size_t bytes;
    uint32_t levels; /* of arrays and maps in it */
};

/* What a call works on; a part that its shape has no letter for is zero. */
struct store_input {
    const char *call; /* "state.get" */
    struct store_key key;
    struct store_span value;
    struct gbx_item head; /* of value: its outermost item */
    uint64_t now_ns;
};

/* The elements of an array, or the keys and values of a map, one by one. */
struct store_steps {
    struct store_span whole;
    size_t at;
};

/*
 * Arguments of this shape, a letter for each: k key, p pattern, v any value,
 * n number, l list, m map; of the last four a shape has one at most.
 * Returns 0, or GBX_EFORMAT, GBX_EARGUMENT, GBX_ELIMIT and what is wrong.
 */
int store_input_decode(struct store_input *in, const char *call,
                       const char *shape, const struct gbx_message *arguments,
                       struct gbx_error *err);

/* A text of a map as key.  Returns 0, GBX_EARGUMENT or GBX_ELIMIT. */
int store_input_key(struct store_input *in, const struct gbx_item *item,
                    struct gbx_error *err);

/* The item at the start of these bytes. Returns 0, or gbx_read's code. */
int store_input_span(struct store_span *span, struct gbx_item *head,
                     const void *bytes, size_t count);

/* Go through an array or map that store_input_span has seen. */
void store_input_enter(struct store_steps *steps, struct store_span whole);
void store_input_step(struct store_steps *steps, struct store_span *span,
                      struct gbx_item *head);

/* As much of the key as an error's text has room for: for "%.*s". */
int store_input_shown(const struct store_input *in);

#endif
