/* SPDX-License-Identifier: Apache-2.0 */
/* load_fuzz.c - any bytes as what a LOAD carries: what is taken is a name that
 * stays in its folder, and texts that end. */
#include <string.h>

#include "base/check.h"
#include "daemon/link/load.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    struct gbx_error err;
    struct load load;

    if (load_read(&load, data, count, &err) == 0) {
        must(strchr(load.file, '/') == NULL && load.file[0] != '.');
        must(load.source[load.source_bytes] == '\0');
        must((unsigned)load.floor < GBX_ISOLATION_REMOTE);
    } else {
        must(err.code < 0 && err.what[0] != '\0');
    }
    load_fini(&load);
    return 0;
}
