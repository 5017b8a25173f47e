/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native.c - the prelude's other half: what it cannot do itself.
 *
 *   prelude/main.js   (native) => { load, call, ... }
 *                        |  native.send(port, value, type) ...
 *                        v
 *                     the table below
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest_js.h"

#define OUTPUTS_MAX 256u

struct program program;

static js_value argument(uint32_t arguments, uint32_t index)
{
    return arguments + JS_ARGUMENT_BYTES * index;
}

static js_value nothing(void)
{
    return js_dup(engine.places.undefined);
}

/* ---- outputs ---- */

int send_now(struct gbx_descriptor *d)
{
    int rc;

    if (print_flush() < 0) {
        send_discard(d);
        return -1;
    }
    rc = gbx_guest_send(program.guest, d);
    if (rc < 0) {
        send_discard(d);
        return raise_code(rc, "", 0);
    }
    return 0;
}

/* A whole output, ready to go.  type: of the prelude, -1 by the value. */
static int make(struct gbx_descriptor *d, js_value port, js_value value,
                js_value type)
{
    const bool is_text = js_kind(port) == JS_KIND_STRING;
    size_t bytes = 0;
    const char *name = is_text ? js_text(port, &bytes) : NULL;
    int rc = -1;

    *d = (struct gbx_descriptor){.kind = GBX_KIND_OUTPUT};
    if (!is_text)
        return raise_error("TypeError", "the name of a port is a string");
    if (name == NULL || bytes == 0 || bytes > GBX_NAME_BYTES_MAX ||
        memchr(name, '\0', bytes) != NULL) {
        rc = raise_error("RangeError",
                         "the name of a port has 1 to %u bytes and no NUL",
                         GBX_NAME_BYTES_MAX);
    } else if (send_prepare(
                   d, js_kind(type) == JS_KIND_INTEGER ? js_integer(type) : -1,
                   value, name) == 0) {
        rc = gbx_guest_set_name(program.guest, d, name, bytes);
        if (rc < 0) {
            send_discard(d);
            rc = raise_code(rc, name, bytes);
        }
    }
    js_text_give(name);
    return rc;
}

static js_value native_send(uint32_t count, uint32_t list)
{
    struct gbx_descriptor d;

    if (count < 3 ||
        make(&d, argument(list, 0), argument(list, 1), argument(list, 2)) < 0)
        return JS_NONE;
    return send_now(&d) < 0 ? JS_NONE : nothing();
}

/* With the last output, or none. */
static int finish(struct gbx_descriptor *last)
{
    struct gbx_descriptor done = {.kind = GBX_KIND_DONE};

    if (last == NULL)
        return send_now(&done);
    last->kind = GBX_KIND_DONE;
    last->flags |= GBX_HAS_MESSAGE;
    return send_now(last);
}

static int make_all(struct gbx_descriptor *all, uint32_t count, js_value ports,
                    js_value values, js_value types)
{
    uint32_t made = 0;
    int rc = 0;

    while (rc == 0 && made < count) {
        js_value port = js_get_index(ports, made);
        js_value value = js_get_index(values, made);
        js_value type = js_get_index(types, made);

        rc = port != JS_NONE && value != JS_NONE && type != JS_NONE
                 ? make(&all[made], port, value, type)
                 : -1;
        made += rc == 0;
        js_free(port);
        js_free(value);
        js_free(type);
    }
    while (rc < 0 && made > 0)
        send_discard(&all[--made]);
    return rc;
}

/* The answer: none of it leaves before all of it could be made; the last one
 * rides on DONE. */
static js_value native_answer(uint32_t count, uint32_t list)
{
    static struct gbx_descriptor all[OUTPUTS_MAX];
    uint32_t outputs;
    int rc;

    if (count < 3)
        return JS_NONE;
    outputs = js_length(argument(list, 0));
    if (outputs > OUTPUTS_MAX) {
        raise_error("RangeError", "more than %u outputs in one answer",
                    OUTPUTS_MAX);
        return JS_NONE;
    }
    rc = make_all(all, outputs, argument(list, 0), argument(list, 1),
                  argument(list, 2));
    for (uint32_t i = 0; rc == 0 && i + 1 < outputs; i++)
        rc = send_now(&all[i]);
    if (rc == 0)
        rc = finish(outputs > 0 ? &all[outputs - 1] : NULL);
    return rc < 0 ? JS_NONE : nothing();
}

static js_value native_last(uint32_t count, uint32_t list)
{
    struct gbx_descriptor d;

    if (count < 3 ||
        make(&d, argument(list, 0), argument(list, 1), argument(list, 2)) < 0)
        return JS_NONE;
    return finish(&d) < 0 ? JS_NONE : nothing();
}

static js_value native_done(uint32_t count, uint32_t list)
{
    (void)count;
    (void)list;
    return finish(NULL) < 0 ? JS_NONE : nothing();
}

/* (bytes, dtype): memory of the region. */
static js_value native_buffer(uint32_t count, uint32_t list)
{
    double bytes = count > 1 ? js_float(argument(list, 0)) : -1;
    uint8_t dtype = count > 1 ? (uint8_t)js_integer(argument(list, 1)) : 0;

    if (!(bytes >= 0 && bytes <= (double)GBX_BODY_BYTES_MAX)) {
        raise_error("RangeError", "no buffer has %.17g bytes", bytes);
        return JS_NONE;
    }
    return bytes > 0 ? block_of_mine((uint64_t)bytes, dtype)
                     : js_new_buffer_copy("", 0);
}

/* ---- the host ---- */

static js_value take_answer(const struct gbx_descriptor *d)
{
    js_value value = receive_value(d);
    const char *text;
    size_t bytes;

    if (!(d->flags & GBX_IS_ERROR) || value == JS_NONE)
        return value;
    text = js_text(value, &bytes);
    raise_error("HostError", "%s", text != NULL ? text : "");
    js_text_give(text);
    js_free(value);
    return JS_NONE;
}

static int ask(js_value name, js_value arguments, struct gbx_descriptor *answer)
{
    struct gbx_descriptor d = {
        .kind = GBX_KIND_ASK, .type = GBX_ARRAY, .flags = GBX_HAS_MESSAGE};
    size_t bytes;
    const char *text;
    int rc;

    if (js_kind(name) != JS_KIND_STRING)
        return raise_error("TypeError", "the name of a host call is a string");
    text = js_text(name, &bytes);
    if (text == NULL)
        return -1;
    if (bytes == 0 || bytes > GBX_NAME_BYTES_MAX) {
        js_text_give(text);
        return raise_error("RangeError", "no host call has such a name");
    }
    rc = send_prepare(&d, GBX_ARRAY, arguments, text);
    if (rc == 0 &&
        (rc = gbx_guest_set_name(program.guest, &d, text, bytes)) < 0) {
        send_discard(&d);
        rc = raise_code(rc, text, bytes);
    }
    js_text_give(text);
    if (rc == 0 && (rc = print_flush()) < 0)
        send_discard(&d);
    if (rc == 0 && (rc = gbx_guest_ask(program.guest, &d, answer)) < 0)
        rc = raise_code(rc, "", 0);
    return rc;
}

static js_value native_ask(uint32_t count, uint32_t list)
{
    struct gbx_descriptor answer;

    if (count < 2 || ask(argument(list, 0), argument(list, 1), &answer) < 0)
        return JS_NONE;
    return take_answer(&answer);
}

/* ---- time, chance, files, text ---- */

static js_value native_now(uint32_t count, uint32_t list)
{
    struct timespec t;

    (void)count;
    (void)list;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return js_new_float((double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6);
}

static js_value native_random(uint32_t count, uint32_t list)
{
    uint8_t bytes[256];
    uint32_t want = count > 0 ? (uint32_t)js_integer(argument(list, 0)) : 0;

    want = want > sizeof(bytes) ? sizeof(bytes) : want;
    if (getentropy(bytes, want) < 0) {
        raise_error("Error", "no random bytes are to be had");
        return JS_NONE;
    }
    return js_new_buffer_copy(bytes, want);
}

static js_value native_read(uint32_t count, uint32_t list)
{
    size_t bytes;
    const char *path = count > 0 ? js_text(argument(list, 0), &bytes) : NULL;
    js_value text;

    if (path == NULL)
        return JS_NONE;
    text = module_read(path, bytes);
    js_text_give(path);
    return text;
}

/* (buffer, from, bytes): UTF-8, as text. */
static js_value native_text(uint32_t count, uint32_t list)
{
    uint32_t address = count > 2 ? js_buffer_address(argument(list, 0)) : 0;

    if (address == 0)
        return js_new_text("", 0);
    return js_new_text(
        engine_at(address + (uint32_t)js_float(argument(list, 1))),
        (size_t)js_float(argument(list, 2)));
}

static js_value native_bytes(uint32_t count, uint32_t list)
{
    size_t bytes;
    const char *text = count > 0 ? js_text(argument(list, 0), &bytes) : NULL;
    js_value buffer;

    if (text == NULL)
        return JS_NONE;
    buffer = js_new_buffer_copy(text, bytes);
    js_text_give(text);
    return buffer;
}

/* (text, file, flags): run it. */
static js_value native_run(uint32_t count, uint32_t list)
{
    size_t bytes = 0, name_bytes;
    const char *text, *file;
    js_value value = JS_NONE;

    if (count < 3)
        return JS_NONE;
    text = js_text(argument(list, 0), &bytes);
    file = js_text(argument(list, 1), &name_bytes);
    if (text != NULL && file != NULL)
        value = js_evaluate(text, bytes, file,
                            (uint32_t)js_integer(argument(list, 2)));
    js_text_give(text);
    js_text_give(file);
    return value;
}

static const struct {
    const char *name;
    js_value (*function)(uint32_t count, uint32_t list);
} table[] = {
    {"print", native_print},   {"send", native_send}, {"answer", native_answer},
    {"buffer", native_buffer}, {"ask", native_ask},   {"now", native_now},
    {"random", native_random}, {"read", native_read}, {"text", native_text},
    {"bytes", native_bytes},   {"run", native_run},   {"last", native_last},
    {"done", native_done},
};

#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))

const char *native_name(uint32_t id)
{
    return id < TABLE_COUNT ? table[id].name : NULL;
}

js_value native_call(uint32_t id, uint32_t count, uint32_t arguments)
{
    js_value answer =
        id < TABLE_COUNT ? table[id].function(count, arguments) : JS_NONE;
    js_value error;

    if (answer != JS_NONE)
        return answer;
    error = engine_catch();
    answer = QTS_Throw(&engine.instance, engine.places.context, error);
    js_free(error);
    return answer;
}
