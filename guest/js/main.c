/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - glovebox-js: QuickJS in front of the region, then serves. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "guest_js.h"
#include "image/image.h"

static int complain(const char *what)
{
    fprintf(stderr, "glovebox-js: %s\n", what);
    return 70;
}

static bool is_in_reach(void)
{
    const struct gbx_half_head *head =
        (const struct gbx_half_head *)GBX_REGION_ADDRESS; /* NOLINT: it is so */

    return 2 * head->half_bytes <= (1ull << 32) - IMAGE_HEAP_MAX;
}

static int start_engine(void)
{
    return engine_open((uint8_t *)GBX_REGION_ADDRESS, /* NOLINT */
                       IMAGE_HEAP_MAX) < 0
               ? -1
               : image_load();
}

int main(void)
{
    const bool is_template = gbx_guest_is_template();

    if (!is_template && gbx_guest_attach(&program.guest) < 0)
        return complain("this program is started by the Glovebox library");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (start_engine() < 0)
        return complain("the engine does not start");
    if (is_template) {
        gbx_guest_multiply();
        if (gbx_guest_attach(&program.guest) < 0)
            return complain("a copy has no region");
    }
    if (!is_in_reach())
        return complain("JavaScript sees messages of up to 1 GiB: set a lower "
                        "message limit");
    serve();
    _exit(70);
}
