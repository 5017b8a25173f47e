/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest reports of a script, as metadata and as a failure. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "runtime/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sandbox_event event = {
        .kind = GBX_KIND_FAILED,
        .has_message = true,
        .message = {.type = GBX_OBJECT, .body = data, .body_bytes = size}};
    struct gbx_failure failure;
    struct scratch scratch;
    struct gbx_error err;
    char *json, **inports;
    int rc;

    must(scratch_open(&scratch, 4096) == 0);
    rc = report_failure(&event, &scratch, &failure);
    must(rc < 0);
    if (rc != GBX_EBROKEN)
        must(strlen(failure.type) <= size && strlen(failure.message) <= size &&
             strlen(failure.traceback) <= size);
    scratch_close(&scratch);

    rc = report_metadata(&event, &json, &inports, &err);
    must((rc == 0) == (json != NULL));
    if (rc == 0 && inports != NULL)
        for (char **port = inports; *port != NULL; port++)
            must(strlen(*port) <= GBX_NAME_BYTES_MAX);
    free(json);
    free(inports);
    return 0;
}
