/* SPDX-License-Identifier: Apache-2.0 */
/* multipart_fuzz.c - any bytes as a form: it is the same form in whatever
 * pieces it comes.  The first byte says in which. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "glovebox/error.h"
#include "net/body/multipart.h"

struct seen {
    uint8_t *text; /* each part's name, a zero, its data */
    size_t bytes, parts;
    int last;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static void see(struct seen *seen, const void *data, size_t bytes)
{
    memcpy(seen->text + seen->bytes, data, bytes);
    seen->bytes += bytes;
}

static void take(struct seen *seen, const struct multipart *reader)
{
    if (seen->last == MULTIPART_PART) {
        must(reader->part.name[0] != '\0');
        must(strnlen(reader->part.file, sizeof(reader->part.file)) <
             sizeof(reader->part.file));
        see(seen, reader->part.name, strlen(reader->part.name) + 1);
        seen->parts++;
    } else if (seen->last == MULTIPART_DATA) {
        must(reader->bytes > 0);
        see(seen, reader->data, reader->bytes);
    }
}

static struct seen look(const uint8_t *data, size_t count, size_t most)
{
    struct seen seen = {.text = malloc(2 * count + 1)};
    const uint8_t *at = data, *last = data + count;
    struct multipart reader;
    int event = 0;

    must(seen.text != NULL);
    must(multipart_open(&reader, "multipart/form-data; boundary=-") == 0);
    for (const uint8_t *end = at; end < last && event >= 0;) {
        end = (size_t)(last - end) < most ? last : end + most;
        while ((event = multipart_next(&reader, &at, end)) > 0) {
            must(seen.last != MULTIPART_END);
            seen.last = event;
            take(&seen, &reader);
        }
        must(event < 0 || at == end);
    }
    seen.last = event < 0 ? event : seen.last;
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    struct seen whole, pieces;

    if (count == 0)
        return 0;
    whole = look(data + 1, count - 1, SIZE_MAX);
    pieces = look(data + 1, count - 1, data[0] % 16 + 1u);
    must(whole.last == pieces.last && whole.parts == pieces.parts &&
         whole.bytes == pieces.bytes &&
         memcmp(whole.text, pieces.text, whole.bytes) == 0);
    free(whole.text);
    free(pieces.text);
    return 0;
}
