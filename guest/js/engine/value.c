/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.c - JavaScript's values by their handles.
 *
 * The package's own functions say what a value is by allocating a text.  As
 * every value of every message asks, it is read where it stands instead: a
 * JSValue of a 32-bit engine is 64 bits, a tag above and a number or an address
 * below; an object begins with its class.  value_check looks at one of each
 * when the program starts, so another engine is noticed and not misread.
 *
 *    63      32 31       0
 *   +----------+----------+     object:  +------------+----+----+-------+
 *   |   tag    | payload  |              | references | .. | .. | class |
 *   +----------+----------+              +------------+----+----+-------+
 */
#include <stdio.h>
#include <string.h>

#include "engine.h"

/* enum in the engine's quickjs.h */
enum tag {
    TAG_BIGINT = -9,
    TAG_SYMBOL = -8,
    TAG_STRING = -7,
    TAG_ROPE = -6,
    TAG_OBJECT = -1,
    TAG_INTEGER = 0,
    TAG_BOOLEAN = 1,
    TAG_NULL = 2,
    TAG_UNDEFINED = 3,
    TAG_EXCEPTION = 6,
    TAG_SHORT_BIGINT = 7,
    TAG_FLOAT = 8, /* and what is no other */
};

enum { CLASS_OFF = 6, CLASS_OBJECT = 1, CLASS_ARRAY = 2, CLASS_ERROR = 3 };

/* How far before a text its length stands, in a String of bytes. */
#define LENGTH_BEFORE 24u

#define I (&engine.instance)

static js_value kept; /* the exception of the last failure, or JS_NONE */

static uint64_t raw(js_value value)
{
    uint64_t bits;

    memcpy(&bits, engine_at(value), sizeof(bits));
    return bits;
}

static int32_t tag_of(js_value value)
{
    return (int32_t)(raw(value) >> 32);
}

enum js_kind js_kind(js_value value)
{
    const uint64_t bits = raw(value);
    uint16_t class;

    switch ((int32_t)(bits >> 32)) {
    case TAG_BIGINT:
    case TAG_SHORT_BIGINT:
        return JS_KIND_BIGINT;
    case TAG_SYMBOL:
        return JS_KIND_SYMBOL;
    case TAG_STRING:
    case TAG_ROPE:
        return JS_KIND_STRING;
    case TAG_INTEGER:
        return JS_KIND_INTEGER;
    case TAG_BOOLEAN:
        return JS_KIND_BOOLEAN;
    case TAG_NULL:
        return JS_KIND_NULL;
    case TAG_UNDEFINED:
        return JS_KIND_UNDEFINED;
    case TAG_OBJECT:
        memcpy(&class, engine_at((uint32_t)bits + CLASS_OFF), sizeof(class));
        return class == CLASS_OBJECT  ? JS_KIND_OBJECT
               : class == CLASS_ARRAY ? JS_KIND_ARRAY
                                      : JS_KIND_OTHER;
    default:
        return JS_KIND_FLOAT;
    }
}

bool js_boolean(js_value value)
{
    return (uint32_t)raw(value) != 0;
}

int32_t js_integer(js_value value)
{
    return (int32_t)raw(value);
}

double js_float(js_value value)
{
    return QTS_GetFloat64(I, engine.places.context, value);
}

const char *js_text(js_value value, size_t *bytes)
{
    uint32_t address = QTS_GetString(I, engine.places.context, value), length;

    if (address == 0)
        return NULL;
    memcpy(&length, engine_at(address - LENGTH_BEFORE), sizeof(length));
    *bytes = length & 0x7fffffffu;
    return engine_at(address);
}

void js_text_give(const char *text)
{
    if (text != NULL)
        QTS_FreeCString(I, engine.places.context, engine_address(text));
}

js_value js_dup(js_value value)
{
    return QTS_DupValuePointer(I, engine.places.context, value);
}

void js_free(js_value value)
{
    if (value != JS_NONE && value != engine.places.undefined &&
        value != engine.places.null && value != engine.places.yes &&
        value != engine.places.no)
        QTS_FreeValuePointer(I, engine.places.context, value);
}

js_value engine_check(js_value answer)
{
    if (answer == JS_NONE || tag_of(answer) != TAG_EXCEPTION)
        return answer;
    js_free(kept);
    kept = QTS_ResolveException(I, engine.places.context, answer);
    js_free(answer);
    return JS_NONE;
}

js_value engine_catch(void)
{
    js_value error = kept;

    kept = JS_NONE;
    return error != JS_NONE ? error : engine.places.undefined;
}

js_value js_throw(js_value error)
{
    js_free(kept);
    kept = error;
    return JS_NONE;
}

js_value js_new_float(double value)
{
    return QTS_NewFloat64(I, engine.places.context, value);
}

js_value js_new_integer(int32_t value)
{
    return js_new_float(value);
}

js_value js_new_object(void)
{
    return engine_check(QTS_NewObject(I, engine.places.context));
}

js_value js_new_array(void)
{
    return engine_check(QTS_NewArray(I, engine.places.context));
}

/* The engine takes texts that end at a NUL. */
static js_value new_terminated(const char *text, size_t bytes)
{
    uint32_t copy = engine_take(bytes + 1);
    js_value made;

    if (copy == 0)
        return JS_NONE;
    memcpy(engine_at(copy), text, bytes);
    *((char *)engine_at(copy) + bytes) = '\0';
    made = engine_check(QTS_NewString(I, engine.places.context, copy));
    engine_give(copy);
    return made;
}

/* With a NUL in it: as JSON, which has a way to write one. */
static js_value new_with_nul(const char *text, size_t bytes)
{
    uint32_t copy = bytes < UINT32_MAX / 8 ? engine_take(6 * bytes + 8) : 0;
    js_value made = JS_NONE;
    size_t at = 0;
    char *to;

    if (copy == 0)
        return JS_NONE;
    to = engine_at(copy);
    to[at++] = '"';
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)text[i];

        if (c < 32 || c == '"' || c == '\\')
            at += (size_t)sprintf(to + at, "\\u%04x", c);
        else
            to[at++] = (char)c;
    }
    to[at++] = '"';
    made = js_evaluate(to, at, "text", 0);
    engine_give(copy);
    return made;
}

js_value js_new_text(const char *text, size_t bytes)
{
    return memchr(text, '\0', bytes) == NULL ? new_terminated(text, bytes)
                                             : new_with_nul(text, bytes);
}

js_value js_evaluate(const char *text, size_t bytes, const char *file,
                     uint32_t flags)
{
    size_t name_bytes = strlen(file) + 1;
    uint32_t copy = engine_take(bytes + 1), name = engine_take(name_bytes);
    js_value made = JS_NONE;

    if (copy != 0 && name != 0) {
        memcpy(engine_at(copy), text, bytes);
        *((char *)engine_at(copy) + bytes) = '\0';
        memcpy(engine_at(name), file, name_bytes);
        made = engine_check(QTS_Eval(I, engine.places.context, copy,
                                     (uint32_t)bytes, name, 0, flags));
    }
    engine_give(copy);
    engine_give(name);
    return made;
}

int64_t js_keys(js_value object, uint32_t *names)
{
    enum { STRINGS = 1, ENUMERABLE = 16 };
    const uint32_t out = engine.places.scratch;
    js_value failed;
    uint32_t count;

    failed = QTS_GetOwnPropertyNames(I, engine.places.context, out, out + 4,
                                     object, STRINGS | ENUMERABLE);
    memcpy(names, engine_at(out), sizeof(*names));
    memcpy(&count, engine_at(out + 4), sizeof(count));
    if (failed == JS_NONE)
        return count;
    js_throw(failed);
    return -1;
}

js_value js_key(uint32_t names, uint32_t index)
{
    js_value name;

    memcpy(&name, engine_at(names + 4 * index), sizeof(name));
    return name;
}

void js_keys_give(uint32_t names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        js_free(js_key(names, i));
    engine_give(names);
}

js_value js_get_key(js_value object, js_value key)
{
    return engine_check(QTS_GetProp(I, engine.places.context, object, key));
}

js_value js_get(js_value object, const char *name)
{
    js_value key = js_new_text(name, strlen(name));
    js_value got = key != JS_NONE ? js_get_key(object, key) : JS_NONE;

    js_free(key);
    return got;
}

js_value js_get_index(js_value object, uint32_t index)
{
    return engine_check(
        QTS_GetPropNumber(I, engine.places.context, object, (uint32_t)index));
}

uint32_t js_length(js_value array)
{
    uint32_t length;

    if ((int32_t)QTS_GetLength(I, engine.places.context, engine.places.scratch,
                               array) < 0)
        return 0;
    memcpy(&length, engine_at(engine.places.scratch), sizeof(length));
    return length;
}

int js_set(js_value object, js_value key, js_value value)
{
    QTS_DefineProp(I, engine.places.context, object, key, value,
                   engine.places.undefined, engine.places.undefined, 1, 1, 1);
    return 0;
}

int js_set_name(js_value object, const char *name, js_value value)
{
    js_value key = js_new_text(name, strlen(name));

    if (key == JS_NONE)
        return -1;
    js_set(object, key, value);
    js_free(key);
    return 0;
}

int js_append(js_value array, uint32_t index, js_value value)
{
    js_value key = js_new_integer((int32_t)index);

    if (key == JS_NONE)
        return -1;
    js_set(array, key, value);
    js_free(key);
    return 0;
}

/* The engine has copied the list before it runs anything. */
js_value js_call(js_value function, uint32_t count, const js_value *arguments)
{
    const size_t bytes = sizeof(*arguments) * count;

    if (bytes > ENGINE_SCRATCH_BYTES)
        return JS_NONE;
    if (count > 0)
        memcpy(engine_at(engine.places.scratch), arguments, bytes);
    return engine_check(QTS_Call(I, engine.places.context, function,
                                 engine.places.undefined, count,
                                 engine.places.scratch));
}

int value_check(void)
{
    static const struct {
        const char *text;
        enum js_kind kind;
    } samples[] = {
        {"undefined", JS_KIND_UNDEFINED},
        {"null", JS_KIND_NULL},
        {"true", JS_KIND_BOOLEAN},
        {"-7", JS_KIND_INTEGER},
        {"-7.5", JS_KIND_FLOAT},
        {"NaN", JS_KIND_FLOAT},
        {"'a\\0\u20ac'", JS_KIND_STRING},
        {"'x'.repeat(9999) + 'y'.repeat(9999)", JS_KIND_STRING},
        {"Symbol()", JS_KIND_SYMBOL},
        {"7n", JS_KIND_BIGINT},
        {"7n ** 99n", JS_KIND_BIGINT},
        {"({})", JS_KIND_OBJECT},
        {"new (class {})", JS_KIND_OBJECT},
        {"[]", JS_KIND_ARRAY},
        {"() => 1", JS_KIND_OTHER},
        {"new Date", JS_KIND_OTHER},
        {"new Uint8Array(1)", JS_KIND_OTHER},
    };
    static const size_t text_bytes[] = {5, 19998};
    size_t bytes, strings = 0;
    bool is_well = true;

    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        js_value v =
            js_evaluate(samples[i].text, strlen(samples[i].text), "check", 0);

        is_well = is_well && v != JS_NONE && js_kind(v) == samples[i].kind;
        if (is_well && samples[i].kind == JS_KIND_INTEGER)
            is_well = js_integer(v) == -7 && js_float(v) == -7.0;
        if (is_well && samples[i].kind == JS_KIND_STRING) {
            const char *text = js_text(v, &bytes);

            is_well = text != NULL && bytes == text_bytes[strings++];
            js_text_give(text);
        }
        js_free(v);
    }
    if (!is_well)
        fprintf(stderr, "glovebox-js: not the engine it was written for\n");
    return is_well ? 0 : -1;
}
