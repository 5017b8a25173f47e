/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native.c - the reference: gives back what it is given; and where that is a
 * negative Integer, sends as many of them one after the other.
 */
#include <glovebox/native.h>

static int process(void *context, struct gbx_native_call *call)
{
    struct gbx_message in;
    int rc = 0;

    (void)context;
    if (gbx_native_input(call, "in", &in) < 0)
        return gbx_native_fail(call, "TypeError", "nothing at port in");
    if (in.type == GBX_INTEGER)
        for (; rc == 0 && in.scalar.integer < -1; in.scalar.integer++)
            rc = gbx_native_send(call, "out", &in);
    return rc < 0 ? rc : gbx_native_answer(call, "out", &in);
}

int main(void)
{
    static const char *const inports[] = {"in", NULL};
    static const char *const outports[] = {"out", NULL};
    static const struct gbx_native me = {
        .struct_bytes = sizeof(me),
        .component = "echo",
        .inports = inports,
        .outports = outports,
        .process = process,
    };

    return gbx_native_serve(&me);
}
