/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scratch.h"

struct scratch_more {
    struct scratch_more *next;
    _Alignas(16) uint8_t bytes[];
};

int scratch_open(struct scratch *scratch, size_t room)
{
    *scratch = (struct scratch){.bytes = malloc(room), .room = room};
    return scratch->bytes != NULL ? 0 : GBX_EHOST;
}

void scratch_close(struct scratch *scratch)
{
    scratch_reset(scratch);
    free(scratch->bytes);
    *scratch = (struct scratch){0};
}

void *scratch_take(struct scratch *scratch, size_t bytes)
{
    size_t at = (scratch->used + 15) & ~(size_t)15;
    struct scratch_more *more;

    if (at <= scratch->room && bytes <= scratch->room - at) {
        scratch->used = at + bytes;
        return scratch->bytes + at;
    }
    if (bytes > SIZE_MAX - sizeof(*more))
        return NULL;
    more = malloc(sizeof(*more) + bytes);
    if (more == NULL)
        return NULL;
    more->next = scratch->more;
    scratch->more = more;
    return more->bytes;
}

char *scratch_text(struct scratch *scratch, const void *text, size_t bytes)
{
    char *copy = bytes < SIZE_MAX ? scratch_take(scratch, bytes + 1) : NULL;

    if (copy == NULL)
        return NULL;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

void scratch_reset(struct scratch *scratch)
{
    while (scratch->more != NULL) {
        struct scratch_more *more = scratch->more;

        scratch->more = more->next;
        free(more);
    }
    scratch->used = 0;
}
