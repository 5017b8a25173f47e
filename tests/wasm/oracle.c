/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle.c - oracle MODULE: calls functions as standard input says, "NAME CELL
 * CELL" in hex, a line each, and prints the result's cell, or "trap".  Each
 * call has an instance of its own, so that none sees what another did.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "glovebox/wasm.h"

int main(int argc, char **argv)
{
    struct gbx_wasm *module;
    struct gbx_error err;
    char line[256], name[64];

    if (argc != 2 || gbx_wasm_open(&module, argv[1], NULL, &err) < 0) {
        fprintf(stderr, "oracle: %s\n", argc == 2 ? err.what : "MODULE?");
        return 1;
    }
    while (fgets(line, sizeof(line), stdin) != NULL) {
        struct gbx_wasm_instance *instance;
        uint64_t cells[2] = {0, 0};
        uint32_t function;
        int rc;

        if (sscanf(line, "%63s %" SCNx64 " %" SCNx64, name, &cells[0],
                   &cells[1]) < 1)
            continue;
        if (gbx_wasm_find(module, name, NULL, &function, &err) < 0 ||
            gbx_wasm_start(&instance, module, NULL, &err) < 0) {
            fprintf(stderr, "oracle: %s\n", err.what);
            return 1;
        }
        rc = gbx_wasm_call(instance, function, cells, 0, &err);
        if (rc < 0)
            puts("trap");
        else
            printf("%" PRIx64 "\n", cells[0]);
        gbx_wasm_stop(instance);
    }
    gbx_wasm_close(module);
    return 0;
}
