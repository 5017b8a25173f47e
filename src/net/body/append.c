/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "glovebox/error.h"
#include "net/body/append.h"

int net_append(uint8_t **buffer, size_t *count, size_t *room, uint64_t most,
               const void *data, size_t bytes)
{
    uint8_t *larger;
    size_t want = *room == 0 ? 4096 : *room;

    if (bytes > most || *count > most - bytes)
        return GBX_ELIMIT;
    while (want < *count + bytes + 1)
        want *= 2;
    if (want > *room) {
        larger = realloc(*buffer, want);
        if (larger == NULL)
            return GBX_EHOST;
        *buffer = larger;
        *room = want;
    }
    if (bytes > 0)
        memcpy(*buffer + *count, data, bytes);
    *count += bytes;
    (*buffer)[*count] = '\0';
    return 0;
}
