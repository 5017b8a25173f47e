/* SPDX-License-Identifier: Apache-2.0 */
/* prelude.c - the prelude is run, and its functions are taken from it. */
#include <string.h>

#include "image/image.h"
#include "prelude.h"

static const struct {
    const char *name;
    js_value *place;
} wanted[] = {
    {"error", &program.prelude.error},
    {"open", &program.prelude.open},
    {"view", &program.prelude.view},
    {"bigint", &program.prelude.bigint},
    {"digits", &program.prelude.digits},
    {"load", &program.prelude.load},
    {"input", &program.prelude.input},
    {"call", &program.prelude.call},
    {"finish", &program.prelude.finish},
    {"explain", &program.prelude.explain},
    {"fire", &program.prelude.fire},
    {"renew", &program.prelude.renew},
    {"resolve", &program.prelude.resolve},
    {"provide", &program.prelude.provide},
};

static js_value make_native(void)
{
    js_value native = js_new_object();

    for (uint32_t i = 0; native != JS_NONE && native_name(i) != NULL; i++) {
        size_t bytes = strlen(native_name(i)) + 1;
        uint32_t name = engine_take(bytes);
        js_value function;

        if (name == 0)
            return JS_NONE;
        memcpy(engine_at(name), native_name(i), bytes);
        function = QTS_NewFunction(&engine.instance, engine.places.context,
                                   name, 0, 0, i);
        js_set_name(native, native_name(i), function);
        js_free(function);
        engine_give(name);
    }
    return native;
}

int prelude_run(void)
{
    js_value start = js_evaluate((const char *)prelude, sizeof(prelude) - 1,
                                 "glovebox:prelude", 0);
    js_value native = start != JS_NONE ? make_native() : JS_NONE, made;
    int rc = 0;

    if (native == JS_NONE)
        return -1;
    made = js_call(start, 1, &native);
    for (size_t i = 0;
         made != JS_NONE && i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        *wanted[i].place = js_get(made, wanted[i].name);
        if (*wanted[i].place == JS_NONE)
            rc = -1;
    }
    js_free(start);
    js_free(native);
    js_free(made);
    return made == JS_NONE ? -1 : rc;
}
