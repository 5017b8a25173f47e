/* SPDX-License-Identifier: Apache-2.0 */
/* nats_fuzz.c - any bytes as a message that comes through NATS: its headers, in
 * lines, and behind an empty one its payload. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "net/nats/layout.c"
#include "net/nats/node.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static const char *get(void *message, const char *name)
{
    const size_t bytes = strlen(name);

    for (char *line = message; *line != '\0'; line += strlen(line) + 1)
        if (strncmp(line, name, bytes) == 0 && line[bytes] == ':')
            return line + bytes + 1;
    return NULL;
}

static void walk(bool is_result, const void *data, size_t count)
{
    struct layout_part part;
    const char *what = NULL;
    size_t at = 0, sum = 0;
    int rc;

    while ((rc = layout_next(&part, is_result, data, count, &at, &what)) > 0) {
        must(part.frames > 0 && part.bytes >= FRAME_BYTES);
        must(part.data == (const uint8_t *)data + sum);
        sum += part.bytes;
        must(sum == at && at <= count);
    }
    must(rc < 0 ? what != NULL : sum == count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    char *text = malloc(count + 2);
    uint8_t *payload;
    struct layout_head head;
    struct layout_ack ack;
    struct layout_stored stored;
    struct node node;
    const char *what = NULL, *kind;
    size_t head_bytes = 0, bytes;
    uint64_t serial;

    must(text != NULL);
    memcpy(text, data, count);
    text[count] = text[count + 1] = '\0';
    for (; head_bytes < count && memcmp(text + head_bytes, "\n\n", 2) != 0;
         head_bytes++)
        ;
    bytes = head_bytes + 2 < count ? count - head_bytes - 2 : 0;
    payload = malloc(bytes + 1);
    must(payload != NULL);
    memcpy(payload, text + count - bytes, bytes);
    text[head_bytes] = text[head_bytes + 1] = '\0';
    for (size_t i = 0; i < head_bytes; i++)
        if (text[i] == '\n')
            text[i] = '\0';
    if (!layout_head(&head, get, text, &what))
        must(what != NULL);
    layout_ack(&ack, text);
    layout_subject(text, "glovebox.to.", "1", &kind, &bytes, &serial);
    bytes = count - (size_t)(head_bytes + 2 < count ? head_bytes + 2 : count);
    layout_stored(&stored, payload, bytes);
    if (node_read(&node, payload, bytes))
        must(layout_is_route(node.route));
    walk(false, payload, bytes);
    walk(true, payload, bytes);
    free(payload);
    free(text);
    return 0;
}
