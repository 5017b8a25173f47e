/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c - the conversation with the host: LOAD once, then calls.
 *
 *   host   LOAD                INPUT INPUT CALL
 *   guest        LOADED|FAILED                  OUTPUT.. DONE|FAILED
 *
 * The handler runs between two looks at the clock, which is the host's figure
 * for the script's own share of a call.  Whatever it throws is a FAILED, and
 * the next call finds the loop as before.
 */
#include <string.h>

#include "base/clock.h"

#include "guest_js.h"

#define SEED_BYTES 32

static bool is_loaded, is_spoiled; /* by an input that could not be made */

/* Send an Object of the protocol: LOADED, FAILED. */
static int say_object(enum gbx_kind kind, js_value object)
{
    struct gbx_descriptor d = {
        .kind = (uint8_t)kind, .type = GBX_OBJECT, .flags = GBX_HAS_MESSAGE};

    if (send_prepare(&d, GBX_OBJECT, object, "report") < 0)
        return -1;
    if (d.body_bytes > GBX_METADATA_MAX) {
        send_discard(&d);
        return raise_error("RangeError",
                           "what the script says of itself is too long");
    }
    return send_now(&d);
}

/* When even explaining failed: what can be said without JavaScript. */
static int say_plainly(void)
{
    static const char name[] = "Error", text[] = "(its description failed)";
    js_value object = js_new_object();
    js_value type = js_new_text(name, sizeof(name) - 1);
    js_value message = js_new_text(text, sizeof(text) - 1);
    js_value none = js_new_text("", 0);
    int rc = -1;

    js_free(engine_catch());
    if (object != JS_NONE && type != JS_NONE && message != JS_NONE &&
        none != JS_NONE && js_set_name(object, "type", type) == 0 &&
        js_set_name(object, "message", message) == 0 &&
        js_set_name(object, "traceback", none) == 0)
        rc = say_object(GBX_KIND_FAILED, object);
    js_free(object);
    js_free(type);
    js_free(message);
    js_free(none);
    return rc;
}

/* The exception that is kept goes to the host. */
static int fail_call(void)
{
    js_value error = engine_catch();
    js_value report = js_call(program.prelude.explain, 1, &error);
    int rc = report != JS_NONE ? say_object(GBX_KIND_FAILED, report) : -1;

    js_free(report);
    js_free(error);
    return rc < 0 ? say_plainly() : 0;
}

static int take_load(const struct gbx_descriptor *d)
{
    js_value object = receive_value(d), about = JS_NONE;
    int rc = -1;

    if (object != JS_NONE)
        about = settle(js_call(program.prelude.load, 1, &object));
    if (about != JS_NONE && settle_rest() == 0)
        rc = say_object(GBX_KIND_LOADED, about);
    is_loaded = rc == 0;
    js_free(object);
    js_free(about);
    return rc;
}

/* The three arguments that say what an input is; all owned, or an exception. */
static int make_input(js_value arguments[3], const struct gbx_descriptor *d)
{
    char name[GBX_NAME_BYTES_MAX + 1];

    arguments[0] = arguments[1] = arguments[2] = JS_NONE;
    if (gbx_guest_get_name(program.guest, d, name) < 0)
        return raise_error("Error", "a port's name is malformed");
    arguments[1] = receive_value(d);
    arguments[0] = js_new_text(name, strlen(name));
    arguments[2] = js_new_integer(d->type);
    return arguments[0] != JS_NONE && arguments[1] != JS_NONE ? 0 : -1;
}

static void free_input(js_value arguments[3])
{
    for (int i = 0; i < 3; i++)
        js_free(arguments[i]);
}

static int take_input(const struct gbx_descriptor *d)
{
    js_value arguments[3], nothing = JS_NONE;

    if (make_input(arguments, d) == 0)
        nothing = js_call(program.prelude.input, 3, arguments);
    free_input(arguments);
    js_free(nothing);
    return nothing != JS_NONE ? 0 : -1;
}

/* The answer leaves first; what the call leaves behind is freed while the host
 * is busy with it. */
static int run_call(uint32_t count, const js_value *arguments)
{
    uint64_t start = clock_now_ns();
    js_value answer = settle(js_call(program.prelude.call, count, arguments));
    js_value sent = JS_NONE;
    int rc = answer != JS_NONE ? settle_rest() : -1;

    gbx_guest_took(program.guest, clock_now_ns() - start);
    if (rc == 0)
        sent = js_call(program.prelude.finish, 1, &answer);
    js_free(answer);
    js_free(sent);
    return sent != JS_NONE ? 0 : fail_call();
}

static int take_call(const struct gbx_descriptor *d)
{
    bool was_spoiled = is_spoiled;
    js_value arguments[3];
    int rc;

    is_spoiled = false;
    if (!is_loaded)
        raise_error("Error", "no script is loaded");
    if (was_spoiled || !is_loaded) {
        gbx_guest_give(program.guest, d->body_off);
        return fail_call();
    }
    if (!(d->flags & GBX_HAS_MESSAGE))
        return run_call(0, NULL);
    rc = make_input(arguments, d);
    rc = rc == 0 ? run_call(3, arguments) : fail_call();
    free_input(arguments);
    return rc;
}

static int take(void *unused, const struct gbx_descriptor *d)
{
    uint8_t seed[SEED_BYTES];

    (void)unused;
    if (gbx_guest_is_copied(program.guest, seed))
        js_free(js_call(program.prelude.renew, 0, NULL));
    switch (d->kind) {
    case GBX_KIND_LOAD:
        return take_load(d) < 0 ? fail_call() : 0;
    case GBX_KIND_INPUT:
        /* What is wrong with it is told when the call comes. */
        if (is_spoiled)
            gbx_guest_give(program.guest, d->body_off);
        else
            is_spoiled = take_input(d) < 0;
        return 0;
    case GBX_KIND_CALL:
        return take_call(d);
    default:
        return -1;
    }
}

int serve(void)
{
    if (gbx_guest_say(program.guest, GBX_KIND_READY) < 0)
        return -1;
    return gbx_guest_serve(program.guest, take, NULL);
}
