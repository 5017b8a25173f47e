/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - glovebox-js.wasm: main makes the language ready and parks, and is
 * copied as it stands when the artefact is built; each copy begins with its
 * first turn.
 */
#include <stdio.h>
#include <stdlib.h>

#include "guest_js.h"
#include "image/image.h"

static void complain(const char *what)
{
    fprintf(stderr, "glovebox-js: %s\n", what);
    exit(70);
}

static void begin(void)
{
    if (gbx_guest_attach(&program.guest) < 0)
        complain("this module is started by the Glovebox library");
    if (engine_address(gbx_guest_at(program.guest, 0)) < IMAGE_HEAP_MAX)
        complain("JavaScript sees messages of up to 1 GiB: set a lower "
                 "message limit");
    serve();
}

int main(void)
{
    engine.heap_max = IMAGE_HEAP_MAX;
    if (engine_boot() < 0 || prelude_run() < 0)
        complain("the engine does not start");
    gbx_guest_stand(begin);
}
