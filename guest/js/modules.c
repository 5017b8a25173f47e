/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modules.c - import: the engine asks for a path and a text, the prelude, which
 * serves require() as well, has both.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest_js.h"

#define MODULE_BYTES_MAX (64u << 20)

/* A text of the engine's own, ending at a NUL; it frees it. */
static uint32_t hand_over(js_value text)
{
    const char *bytes;
    uint32_t copy = 0;
    size_t count;

    if (text == JS_NONE || (bytes = js_text(text, &count)) == NULL)
        return 0;
    copy = engine_take(count + 1);
    if (copy != 0) {
        memcpy(engine_at(copy), bytes, count);
        *((char *)engine_at(copy) + count) = '\0';
    }
    js_text_give(bytes);
    return copy;
}

static uint32_t ask_prelude(js_value function, const char *first,
                            const char *second)
{
    js_value arguments[2] = {js_new_text(first, strlen(first)),
                             second != NULL
                                 ? js_new_text(second, strlen(second))
                                 : engine.places.undefined};
    js_value answer = arguments[0] != JS_NONE && arguments[1] != JS_NONE
                          ? js_call(function, 2, arguments)
                          : JS_NONE;
    uint32_t text = hand_over(answer);

    js_free(arguments[0]);
    js_free(arguments[1]);
    js_free(answer);
    if (text == 0) {
        js_value error = engine_catch();

        js_free(QTS_Throw(&engine.instance, engine.places.context, error));
        js_free(error);
    }
    return text;
}

uint32_t native_module(const char *name)
{
    return ask_prelude(program.prelude.provide, name, NULL);
}

uint32_t native_resolve(const char *base, const char *name)
{
    return ask_prelude(program.prelude.resolve, base, name);
}

/* A file's text; undefined when there is none. */
js_value module_read(const char *path, size_t bytes)
{
    struct stat st;
    js_value text = JS_NONE;
    uint32_t copy = 0;
    ssize_t n = -1;
    int fd;

    if (memchr(path, '\0', bytes) != NULL ||
        (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return js_dup(engine.places.undefined);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        st.st_size <= MODULE_BYTES_MAX)
        copy = engine_take((size_t)st.st_size + 1);
    if (copy != 0)
        n = read(fd, engine_at(copy), (size_t)st.st_size);
    close(fd);
    if (n >= 0)
        text = js_new_text(engine_at(copy), (size_t)n);
    engine_give(copy);
    return n >= 0 ? text : js_dup(engine.places.undefined);
}
