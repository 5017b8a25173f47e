/* SPDX-License-Identifier: Apache-2.0 */
/* ws_fuzz.c - any bytes as a server's WebSocket, cut anywhere: parts lie in
 * them, and cutting them otherwise gives the same. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "net/client/ws.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

struct seen {
    uint64_t bytes, messages, controls;
    int rc;
};

static struct seen read_all(const uint8_t *bytes, size_t count, size_t step)
{
    struct ws_reader reader = {.head_bytes = 0};
    struct seen seen = {.rc = 0};
    struct ws_part part;

    for (size_t at = 0; at < count && seen.rc == 0; at += step) {
        const uint8_t *data = bytes + at;
        size_t left = count - at < step ? count - at : step;
        int rc;

        while ((rc = ws_read(&reader, &data, &left, &part)) > 0) {
            must(part.bytes == 0 || part.data != NULL);
            seen.bytes += part.bytes;
            seen.messages += part.is_last && part.op < WS_CLOSE;
            seen.controls += part.op >= WS_CLOSE;
        }
        seen.rc = rc;
        must(rc < 0 || left == 0);
    }
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    char *text = strndup((const char *)data, count);
    struct seen one, other;
    bool has;

    if (count == 0 || text == NULL) {
        free(text);
        return 0;
    }
    one = read_all(data + 1, count - 1, count);
    other = read_all(data + 1, count - 1, data[0] % 17 + 1u);
    must(one.rc == other.rc && one.bytes == other.bytes &&
         one.messages == other.messages && one.controls == other.controls);
    ws_read_reply(text, "abc=", &has);
    free(text);
    return 0;
}
