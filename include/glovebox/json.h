/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/json.h - messages as JSON and back, for the edges: command lines,
 * HTTP, graph files.  Between host and guest there is none.
 *
 * Included by glovebox/message.h.
 *
 * Threads: any.  Memory: texts returned are for free().
 */
#ifndef GBX_JSON_H
#define GBX_JSON_H

#include <stddef.h>

#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_builder;
struct gbx_message;

/*
 * The JSON forms of Reflow.
 *  PLAIN:  42                                what a script sees; lossy
 *  TYPED:  {"type":"Integer","data":42}      values of every type survive
 *  SERDE:  like TYPED, but structured values as {"data":[bytes of JSON]}, as
 *          Reflow's distributed networks send them
 *  EITHER: for reading, by people: TYPED if it has that shape, else PLAIN
 * Bytes are arrays of numbers in all of them, typed arrays are (nested) arrays.
 */
enum gbx_json_form {
    GBX_JSON_PLAIN,
    GBX_JSON_TYPED,
    GBX_JSON_SERDE,
    GBX_JSON_EITHER
};

/*
 * Returns 0 and JSON text for free(); GBX_EHOST; or GBX_EFORMAT for what JSON
 * cannot hold (NaN, Infinity, integers beyond 64 bits, keys that are no text or
 * come twice, bad CBOR), err says where.  The bytes must be stable.
 */
int gbx_message_to_json(char **text, const struct gbx_message *message,
                        enum gbx_json_form form, struct gbx_error *err);

/*
 * Returns 0 and a message that borrows b's bytes (what b held is overwritten),
 * GBX_EHOST, or GBX_EFORMAT and what is wrong where.  PLAIN maps as Reflow
 * does: null to Optional, numbers without point and exponent to Integer, others
 * to Float.  Integers beyond int64_t and keys with a NUL are refused.
 */
int gbx_message_from_json(struct gbx_message *message, struct gbx_builder *b,
                          const char *text, size_t bytes,
                          enum gbx_json_form form, struct gbx_error *err);

#ifdef __cplusplus
}
#endif

#endif
