/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abi/message.h - what host and guest agree a message is.
 *
 * Everything that crosses is a descriptor of 64 bytes in a ring.  Small values
 * live in the descriptor; others point at a body in an arena, which is never
 * moved or copied on the way.
 *
 *   descriptor                              arena of the writer (or, when a
 *  +------+------+-----+--------+-----+     body is passed on, of the reader)
 *  | kind | type | ... | body --+---> | ... [ body ] ...
 *  +------+------+-----+--------+-----+
 *
 * Life of a block: its writer allocates it, fills it, sends it; the reader
 * keeps it as long as it likes, then gives it back (abi/region.h).
 *
 * Message types are the fifteen of Reflow.  Structured bodies are CBOR
 * (RFC 8949); numeric arrays are typed arrays (RFC 8746) whose elements start
 * on a 64-byte line, so that they can be used where they lie.
 */
#ifndef GBX_ABI_MESSAGE_H
#define GBX_ABI_MESSAGE_H

#include <stddef.h>

#include "glovebox/abi/base.h"

/* X(name, value, where the value lies).  The names are Reflow's. */
#define GBX_TYPES(X)                                                           \
    X(FLOW, 0, "Flow", "nowhere: it only says that something happened")        \
    X(EVENT, 1, "Event", "CBOR item")                                          \
    X(BOOLEAN, 2, "Boolean", "scalar: 0 or 1")                                 \
    X(INTEGER, 3, "Integer", "scalar: two's complement")                       \
    X(FLOAT, 4, "Float", "scalar: IEEE 754 binary64")                          \
    X(STRING, 5, "String", "UTF-8, not terminated, NUL allowed")               \
    X(OBJECT, 6, "Object", "CBOR map with text keys")                          \
    X(ARRAY, 7, "Array", "CBOR array, or RFC 8746 typed array")                \
    X(STREAM, 8, "Stream", "raw bytes")                                        \
    X(ENCODED, 9, "Encoded", "raw bytes that hold an encoded message")         \
    X(OPTIONAL, 10, "Optional", "CBOR item; no body is None")                  \
    X(ANY, 11, "Any", "CBOR item")                                             \
    X(ERROR, 12, "Error", "UTF-8 text")                                        \
    X(REMOTE_REFERENCE, 13, "RemoteReference",                                 \
      "CBOR map: network_id, actor_id, port")                                  \
    X(NETWORK_EVENT, 14, "NetworkEvent", "CBOR map: event_type, data")

enum gbx_type {
#define X(name, value, text, where) GBX_##name = value,
    GBX_TYPES(X)
#undef X
        GBX_TYPE_COUNT = 15,
};

/*
 * What a descriptor is for.  X(name, value, from, what it carries)
 * A call is: any number of INPUT, one CALL; then any number of OUTPUT, PRINT
 * and ASK, one DONE or FAILED.
 */
#define GBX_KINDS(X)                                                           \
    X(LOAD, 1, "host", "Object: file, source, config, actor_id")               \
    X(INPUT, 2, "host", "a message for a port of the coming call")             \
    X(CALL, 3, "host", "start the call; with GBX_HAS_MESSAGE its last input")  \
    X(ANSWER, 4, "host", "to an ASK or a GROW; a message or GBX_IS_ERROR")     \
    X(READY, 17, "guest", "the language runs; nothing is loaded")              \
    X(LOADED, 18, "guest", "Object: the script's metadata, see below")         \
    X(OUTPUT, 19, "guest", "a message from a port, at once")                   \
    X(DONE, 20, "guest", "the call ends well; GBX_HAS_MESSAGE: last output")   \
    X(FAILED, 21, "guest", "LOAD or CALL failed: Object, see below")           \
    X(PRINT, 22, "guest", "text for stream `scalar` (1 out, 2 err)")           \
    X(ASK, 23, "guest", "a host call: its name, Array of arguments")           \
    X(GROW, 24, "guest", "make my arena at least `scalar` bytes long")

enum gbx_kind {
#define X(name, value, from, what) GBX_KIND_##name = value,
    GBX_KINDS(X)
#undef X
};

/*
 * Objects of the protocol; keys are text, more may follow.
 *  LOAD:   file text (shown in tracebacks), source text, config map,
 *          actor_id text
 *  LOADED: component text, description text, inports array of text, outports
 *          array of text, await_all_inports bool; a script without declared
 *          inports has none, and then takes any port
 *  FAILED: type text, message text, traceback text; limit text where one was
 *          met: "memory", "processes", "files" or "disk"
 * ASK is answered before the guest sends anything else but PRINT.  A GROW is
 * answered by the Integer length that the guest's arena has now; it starts with
 * GBX_HUGE_BYTES.  Only the script's own calls (`call` is not 0) are numbered.
 */

/* Flags of a descriptor. */
#define GBX_HAS_MESSAGE 0x0001u /* CALL, DONE: type, name, body are valid */
#define GBX_LONG_NAME   0x0002u /* the name is a block of its own, see name */
#define GBX_IS_ERROR    0x0004u /* ANSWER: the body is the error's text */
#define GBX_TYPED       0x0008u /* ARRAY: the body is a typed array */

#define GBX_NAME_BYTES_MAX  255u /* a port's name, UTF-8 */
#define GBX_NAME_INLINE_MAX 24u  /* longer ones are GBX_LONG_NAME */
#define GBX_BODY_BYTES_MAX  0xffffffffull
#define GBX_CBOR_DEPTH_MAX  64u
#define GBX_ARRAY_RANK_MAX  8u
#define GBX_METADATA_MAX    65536u /* bodies of LOADED and FAILED */

struct gbx_descriptor {
    uint8_t kind;   /* enum gbx_kind */
    uint8_t type;   /* enum gbx_type */
    uint16_t flags; /* GBX_HAS_MESSAGE ... */
    uint32_t call;  /* the host's number of the call, echoed by the guest */
    uint32_t body_bytes;
    uint8_t name_bytes; /* 0..GBX_NAME_BYTES_MAX */
    uint8_t lap;        /* of the ring: abi/region.h */
    uint8_t zero[2];
    uint64_t body_off; /* from the region's start; 0 where there is no body */
    uint64_t scalar;   /* the value, or what the kind says */
    /* DONE, FAILED: how long the script's function took, as the guest says; it
     * informs, and is never trusted. */
    uint64_t handler_ns;
    union {
        char text[GBX_NAME_INLINE_MAX]; /* not terminated */
        uint64_t off; /* GBX_LONG_NAME: of a block that holds only the name */
    } name;
};

GBX_ABI_SAYS(sizeof(struct gbx_descriptor) == 64, "a descriptor is a line");
GBX_ABI_SAYS(offsetof(struct gbx_descriptor, body_bytes) == 8,
             "one word holds the lap, and is written last");

/* Element types of typed arrays.  X(name, RFC 8746 tag, bytes, Python code) */
#define GBX_DTYPES(X)                                                          \
    X(U8, 64, 1, 'B')                                                          \
    X(U16, 69, 2, 'H')                                                         \
    X(U32, 70, 4, 'I')                                                         \
    X(U64, 71, 8, 'Q')                                                         \
    X(I8, 72, 1, 'b')                                                          \
    X(I16, 77, 2, 'h')                                                         \
    X(I32, 78, 4, 'i')                                                         \
    X(I64, 79, 8, 'q')                                                         \
    X(F16, 84, 2, 'e')                                                         \
    X(F32, 85, 4, 'f')                                                         \
    X(F64, 86, 8, 'd')

/* The number of a dtype is its CBOR tag: little-endian ones only. */
enum gbx_dtype {
#define X(name, tag, bytes, code) GBX_DTYPE_##name = tag,
    GBX_DTYPES(X)
#undef X
};

#endif
