/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_js.h - what the files of glovebox-js share.
 *
 *   engine/    QuickJS and its values
 *   prelude/   JavaScript: what a script finds there, and what it is told
 *   main.c     starts the engine, then serves
 *   serve.c    the conversation: LOAD, INPUT, CALL
 *   settle.c   promises, timers: until a handler has its answer
 *   native.c   what the prelude calls      print.c  console
 *   modules.c  import and require
 *   value/     send.c a value -> a descriptor      encode.c -> CBOR
 *              open.c objects that are neither plain nor arrays
 *              receive.c a descriptor -> a value   decode.c <- CBOR
 *              block.c memory of the region as an ArrayBuffer
 *
 * One engine, one guest, one thread.
 *
 * Functions that return int return 0, or -1 with an exception kept in the
 * engine (engine_catch); those that return a js_value, JS_NONE then.
 */
#ifndef GUEST_JS_GUEST_JS_H
#define GUEST_JS_GUEST_JS_H

#include "engine.h"
#include "guest.h"

/* Functions of the prelude, owned: main.js has them. */
struct prelude {
    js_value error;   /* (name, message): an Error of that name */
    js_value open;    /* (object): what an object is to be sent as */
    js_value view;    /* (buffer, dtype, shape, is fixed): a typed array */
    js_value bigint;  /* (hexadecimal, is negative): a BigInt */
    js_value digits;  /* (BigInt): its digits, hexadecimal */
    js_value load;    /* (file, source, config, actor_id): a promise */
    js_value input;   /* (port, value, type): of the coming call */
    js_value call;    /* (): the answer, or a promise of it */
    js_value finish;  /* (answer): sends what is in it */
    js_value explain; /* (error): the Object of FAILED */
    js_value fire;    /* (): due timers run; ns until the next, or -1 */
    js_value renew;   /* (): this is a copy */
    js_value resolve; /* (base, name): a module's path */
    js_value provide; /* (path): a module's text */
};

/* What outlives a call. */
struct program {
    struct gbx_guest *guest;
    struct prelude prelude;
};

extern struct program program;

/* Throw an error of that name, "TypeError".  Returns -1. */
int raise_error(const char *name, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for a GBX_E* code, naming the port it was about. */
int raise_code(int code, const char *port, size_t bytes);

/* ---- value/block.c ---- */

/* Room before the elements of my blocks: the head of a typed array. */
#define BLOCK_HEAD_ROOM 128u

struct block {
    struct block *next, **prev; /* all that live */
    struct block *owner;        /* whose memory this is part of, or NULL */
    uint64_t off;               /* for give or drop; of owners */
    uint32_t address, bytes;    /* as the engine sees the elements */
    uint32_t holders;           /* the buffer, and parts */
    uint32_t body_bytes;        /* the host's: as it came */
    uint8_t type;
    uint8_t dtype;  /* of its elements; 0: raw bytes */
    bool is_mine;   /* of my arena: writable, dropped; else given back */
    bool is_framed; /* mine: an array's head stands before the elements */
};

/* The body of a received descriptor; NULL: it was given back. */
struct block *block_hold(const struct gbx_descriptor *d);
void block_give(struct block *block);

/* An ArrayBuffer over a block from `skipped` on, which takes it, or over part
 * of one, which is kept. */
js_value block_buffer(struct block *block, uint32_t skipped);
js_value block_part(struct block *owner, const void *data, uint32_t bytes);

/* A new block of mine as a writable ArrayBuffer. */
js_value block_of_mine(uint64_t bytes, uint8_t dtype);

/* The living block that holds all of these bytes, borrowed, or NULL. */
struct block *block_find(uint32_t address, uint32_t bytes);

/* ---- value/layout.c: heads of typed arrays ---- */

struct layout {
    uint8_t dtype; /* enum gbx_dtype */
    uint32_t item_bytes;
    uint32_t rank;
    uint64_t shape[GBX_ARRAY_RANK_MAX];
    uint64_t bytes; /* of all elements */
};

/* Returns the head's length, or 0: no typed array that fills the body. */
size_t layout_read(struct layout *layout, const uint8_t *body, size_t bytes);
size_t layout_write(uint8_t head[BLOCK_HEAD_ROOM], const struct layout *layout);
uint32_t layout_item_bytes(uint32_t dtype); /* 0: no such */

/* ---- value/decode.c, receive.c ---- */

js_value decode(const uint8_t *bytes, size_t count, struct block *owner);
js_value receive_value(const struct gbx_descriptor *d); /* takes its body */

/* A typed array over a buffer, which it takes; is_fixed: nobody may write. */
js_value make_view(js_value buffer, const struct layout *layout, bool is_fixed);

/* ---- value/encode.c, send.c ---- */

struct encoder {
    uint8_t *bytes; /* owned */
    size_t count, room;
    uint32_t depth;
    const char *port; /* for errors */
};

void encoder_take(struct encoder *encoder, const char *port);
void encoder_give(struct encoder *encoder);
int encode(struct encoder *encoder, js_value value);
int encode_head(struct encoder *encoder, unsigned major, uint64_t value);
int encode_append(struct encoder *encoder, const void *bytes, size_t count);

/* What an object is that is neither plain nor an array. */
enum open_as {
    OPEN_VALUE, /* another value stands for it */
    OPEN_BYTES,
    OPEN_ELEMENTS,
    OPEN_ERROR, /* text */
};

struct opened {
    enum open_as as;
    js_value value;          /* owned */
    uint32_t address, bytes; /* of bytes and elements; live with the object */
    struct layout layout;
};

int open_object(struct opened *opened, js_value object, const char *port);

/* A descriptor with type, flags, scalar and body, that is not sent yet; type
 * -1: by the value. */
int send_prepare(struct gbx_descriptor *d, int type, js_value value,
                 const char *port);
int send_name(struct gbx_descriptor *d, js_value port);
void send_discard(const struct gbx_descriptor *d);
int send_now(struct gbx_descriptor *d); /* behind what was printed before */

/* ---- native.c ---- */

const char *native_name(uint32_t id); /* or NULL behind the last */

/* ---- print.c ---- */

int print_flush(void);
js_value native_print(uint32_t count, uint32_t list); /* (stream, text) */

/* ---- settle.c ---- */

/* Run what waits until the promise (or plain value; taken) has an answer. */
js_value settle(js_value value);

/* What a script did with promises after its answer. */
int settle_rest(void);

/* ---- modules.c ---- */

js_value module_read(const char *path, size_t bytes);

int serve(void); /* until the host is gone */

#endif
