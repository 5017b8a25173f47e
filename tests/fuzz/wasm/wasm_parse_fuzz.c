/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a module: it is refused, or what is written in its place has the
 * same outside, and is read again as such.
 */
#include <stdlib.h>

#include "base/check.h"
/* The compiler is a program of its own. */
#include "sandbox/wasm/compiler/parse.c" /* NOLINT */
#include "sandbox/wasm/compiler/strip.c" /* NOLINT */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct parsed parsed, again;
    char *written = NULL;
    size_t count = 0;
    FILE *out;

    if (parse(&parsed, data, bytes) < 0) {
        must(parsed.error[0] != '\0');
        parsed_fini(&parsed);
        return 0;
    }
    out = open_memstream(&written, &count);
    must(out != NULL && parsed_write(&parsed, out) == 0 && fclose(out) == 0);
    must(parse(&again, (const uint8_t *)written, count) == 0);
    must(again.import_count == parsed.import_count &&
         again.export_count == parsed.export_count &&
         again.function_count == parsed.function_count);
    for (uint32_t i = 0; i < again.import_count; i++)
        must(again.imports[i].module.bytes == 1 &&
             again.imports[i].name.text[0] == 'f');
    parsed_fini(&again);
    parsed_fini(&parsed);
    free(written);
    return 0;
}
