/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print.c - console, as descriptors in the ring.
 *
 * What is written leaves at a newline, when 8 KiB have gathered, and before
 * anything else is sent: so text keeps its place among the outputs, costs no
 * system call while the host is awake, and cannot be mistaken for a result.
 */
#include <string.h>

#include "guest_js.h"

#define PRINT_BYTES 8192u

static struct print {
    size_t used;
    char bytes[PRINT_BYTES];
} printed[3]; /* by stream */

static int flush(int stream)
{
    struct print *p = &printed[stream];
    size_t used = p->used;
    int rc;

    if (used == 0)
        return 0;
    p->used = 0;
    rc = gbx_guest_print(program.guest, stream, p->bytes, used);
    return rc < 0 ? raise_code(rc, stream == 1 ? "stdout" : "stderr", used) : 0;
}

int print_flush(void)
{
    return flush(1) < 0 || flush(2) < 0 ? -1 : 0;
}

static int print(int stream, const char *text, size_t bytes)
{
    struct print *p = &printed[stream];

    if (flush(3 - stream) < 0)
        return -1;
    while (bytes > 0) {
        size_t part = PRINT_BYTES - p->used;

        part = part < bytes ? part : bytes;
        memcpy(p->bytes + p->used, text, part);
        p->used += part;
        text += part;
        bytes -= part;
        if (p->used == PRINT_BYTES && flush(stream) < 0)
            return -1;
    }
    return p->used > 0 && p->bytes[p->used - 1] == '\n' ? flush(stream) : 0;
}

js_value native_print(uint32_t count, uint32_t list)
{
    size_t bytes;
    const char *text;
    int rc;

    if (count < 2)
        return JS_NONE;
    text = js_text(list + JS_ARGUMENT_BYTES, &bytes);
    if (text == NULL)
        return JS_NONE;
    rc = print(js_integer(list) == 2 ? 2 : 1, text, bytes);
    js_text_give(text);
    return rc < 0 ? JS_NONE : js_dup(engine.places.undefined);
}
