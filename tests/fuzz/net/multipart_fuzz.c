/* SPDX-License-Identifier: Apache-2.0 */
/* multipart_fuzz.c - any bytes as a form: parts lie in it, one behind the
 * other. */
#include <string.h>

#include "base/check.h"
#include "glovebox/error.h"
#include "net/body/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    const uint8_t *before = data;
    struct multipart_part part;
    struct multipart reader;

    if (multipart_begin(&reader, "multipart/form-data; boundary=-", data,
                        count) < 0)
        return 0;
    while (multipart_next(&reader, &part) == 0) {
        must(part.data >= before && part.data + part.bytes <= data + count);
        must(part.name[0] != '\0' && strlen(part.type) < sizeof(part.type));
        before = part.data + part.bytes;
    }
    return 0;
}
