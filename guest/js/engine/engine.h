/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - QuickJS, as WebAssembly that was compiled ahead of time.
 *
 *   4 GiB that the engine can address      linear memory, engine.memory.data
 *  +------------------------+-----------------------+----------------------+
 *  | its own heap, grows    | the host's half       | this guest's half    |
 *  +------------------------+-----------------------+----------------------+
 *  0                        engine.heap_max         of the region
 *
 * The region lies where every guest has it (abi/region.h); the engine's memory
 * is put in front, so that a body of a message has an address of 32 bits there
 * and becomes an ArrayBuffer without a copy.
 *
 * Values are handles: the address of a JSValue that the engine's allocator
 * owns.  A handle is owned by whoever made it, until js_free.  JS_NONE says
 * that there is an exception, which engine_catch hands over.
 *
 * There is one engine a process.  Threads: one.
 *
 * Compiled to WebAssembly itself (wasm/), all this is a second module with the
 * same memory: then an address is a pointer.
 */
#ifndef GUEST_JS_ENGINE_H
#define GUEST_JS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __wasm__
#include "quickjs_imports.h"
#else
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include "quickjs.h"
#pragma GCC diagnostic pop

#include "quickjs_names.h"
#endif

typedef uint32_t js_value; /* a handle */

#define JS_NONE 0u

#define ENGINE_SCRATCH_BYTES 64u

/* What a value is.  Those of objects are the engine's class numbers. */
enum js_kind {
    JS_KIND_UNDEFINED,
    JS_KIND_NULL,
    JS_KIND_BOOLEAN,
    JS_KIND_INTEGER, /* a number that the engine keeps as 32 bits */
    JS_KIND_FLOAT,
    JS_KIND_STRING,
    JS_KIND_SYMBOL,
    JS_KIND_BIGINT,
    JS_KIND_OBJECT, /* a plain one, or of a class of the script's */
    JS_KIND_ARRAY,
    JS_KIND_OTHER, /* a function, a Date, a typed array, ... */
};

/* What the engine's memory means to us: addresses in it. */
struct engine_places {
    uint32_t stack; /* where its own stack is; of the module */
    uint32_t runtime, context;
    uint32_t scratch; /* for what goes in and out of one function */
    uint32_t last_job;
    js_value undefined, null, no, yes; /* never freed */
};

struct engine {
#ifndef __wasm__
    Z_quickjs_instance_t instance;
    wasm_rt_memory_t memory;
#endif
    uint64_t heap_max; /* bytes */
    struct engine_places places;
};

extern struct engine engine;

/* ---- memory.c; wasm/engine.c: start, memory ---- */

/* Memory and code, with the heap in front of this address; nothing runs. */
int engine_open(uint8_t *end, uint64_t heap_max);

/* Then either start it, which takes a while.  Returns 0, or -1: no memory, or
 * (said on standard error) not the engine that this was written for. */
int engine_boot(void);

/* Or go on from what another one's memory and places were.  0, or -1. */
int engine_resume(const struct engine_places *places);

/* An address of the engine's as a pointer.  Of the engine's own making only. */
static inline void *engine_at(uint32_t address)
{
#ifdef __wasm__
    return (void *)(uintptr_t)address; /* they share one memory */
#else
    return engine.memory.data + address;
#endif
}

/* The address that the engine has for a place, or 0: it cannot reach it. */
uint32_t engine_address(const void *place);

/* Memory of the engine's, for texts on their way in; 0 when there is none. */
uint32_t engine_take(size_t bytes);
void engine_give(uint32_t address);

/* More heap; what the engine asks for.  Returns whether there is. */
bool engine_grow(uint64_t bytes);

/* ---- value.c ---- */

enum js_kind js_kind(js_value value);
bool js_boolean(js_value value);
int32_t js_integer(js_value value);
double js_float(js_value value); /* of any number */

/* Text of a String, lent until js_text_give. NULL: no memory. */
const char *js_text(js_value value, size_t *bytes);
void js_text_give(const char *text);

js_value js_new_integer(int32_t value);
js_value js_new_float(double value);
js_value js_new_text(const char *text, size_t bytes);
js_value js_new_object(void);
js_value js_new_array(void);

/* The same value once more; and no more. */
js_value js_dup(js_value value);
void js_free(js_value value);

/* Own enumerable keys.  Returns their number or -1; names: of the engine's,
 * for js_keys_give. */
int64_t js_keys(js_value object, uint32_t *names);
js_value js_key(uint32_t names, uint32_t index); /* borrowed */
void js_keys_give(uint32_t names, uint32_t count);

js_value js_get(js_value object, const char *name);
js_value js_get_key(js_value object, js_value key);
js_value js_get_index(js_value object, uint32_t index);
uint32_t js_length(js_value array);

/* An own property, whatever its name and whatever its prototype. */
int js_set(js_value object, js_value key, js_value value);
int js_set_name(js_value object, const char *name, js_value value);
int js_append(js_value array, uint32_t index, js_value value);

js_value js_call(js_value function, uint32_t count, const js_value *arguments);
js_value js_evaluate(const char *text, size_t bytes, const char *file,
                     uint32_t flags);

/* Raise it; takes the handle.  Returns JS_NONE. */
js_value js_throw(js_value error);

/* An answer of the engine's: JS_NONE if it is an exception, which is kept. */
js_value engine_check(js_value answer);

/* The exception kept last; owned, or undefined. */
js_value engine_catch(void);

/* ---- buffer.c: memory as an ArrayBuffer ---- */

/* Over memory that native_release hears of when the last view has died. */
js_value js_new_buffer(uint32_t address, uint32_t bytes);
js_value js_new_buffer_copy(const void *data, size_t bytes);

/* Where an ArrayBuffer's memory lies. */
uint32_t js_buffer_address(js_value buffer);

/* The bytes of a Uint8Array over a buffer that cannot change its length; false:
 * it is something else.  Of an object. */
bool js_bytes(js_value value, uint32_t *address, uint32_t *bytes);

/* ---- rejections.c ---- */

/* The reason of a promise that was rejected unheard, and no more of them;
 * owned, or JS_NONE. */
js_value rejections_take(void);
void rejections_forget(js_value promise); /* somebody does listen */

/* ---- between the files of engine/ ---- */

/* Look at one of each: is this the engine that all this was written for? */
int value_check(void);
int buffer_check(void);
int rejections_check(uint32_t place);

/*
 * Functions that the engine calls through its table: what is put there, in
 * table.c or wasm/hooks.wat, comes to these two.
 */
/* A buffer's memory is to be freed; false: by the engine itself. */
bool buffer_released(uint32_t address);
/* A promise was rejected, or is heard after all. */
void rejections_track(uint64_t promise, uint64_t reason, bool is_heard);

/* Put them there; the place of the second, or 0: no memory. */
uint32_t table_open(void);

/* ---- what the program gives the engine ---- */

/* A function that the prelude calls; `id` is its number.  The arguments are
 * handles, each so many bytes behind the one before; borrowed. */
#define JS_ARGUMENT_BYTES 8u
js_value native_call(uint32_t id, uint32_t count, uint32_t arguments);

/* A buffer's memory is of no more use; false: it is the engine's own. */
bool native_release(uint32_t address);

/* For import: a text of engine_take's, or 0 with an exception kept. */
uint32_t native_module(const char *name);
uint32_t native_resolve(const char *base, const char *name);

#endif
