/* SPDX-License-Identifier: Apache-2.0 */
/* make.c - module-maker MODULE.wasm OUT.gbx LIBEXEC: as glovebox build --ready,
 * for what is built before that program. */
#include <stdio.h>

#include "glovebox/wasm.h"

int main(int argc, char **argv)
{
    struct gbx_wasm_config config = {.struct_bytes = sizeof(config)};
    struct gbx_error err;

    if (argc != 4) {
        fprintf(stderr, "usage: module-maker MODULE.wasm OUT.gbx LIBEXEC\n");
        return 2;
    }
    config.libexec_dir = argv[3];
    if (gbx_wasm_build(argv[1], argv[2], GBX_WASM_READY, &config, &err) < 0) {
        fprintf(stderr, "module-maker: %s\n", err.what);
        return 1;
    }
    return 0;
}
