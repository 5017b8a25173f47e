/* SPDX-License-Identifier: Apache-2.0 */
/*
 * printed.c - what scripts print, for who has them run.
 *
 * A runtime has one place for it, but it comes in the thread of the call, or of
 * the start.  So a thread says where it is to go meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"

#define PRINTED_MAX (64u << 10)

static _Thread_local struct printed *innermost;

void printed_begin(struct printed *printed)
{
    *printed = (struct printed){.outer = innermost};
    innermost = printed;
}

void printed_end(struct printed *printed)
{
    innermost = printed->outer;
}

/* What is beyond the bound is dropped. */
static void add(struct printed *printed, const void *text, size_t bytes)
{
    const size_t room = PRINTED_MAX - printed->bytes;
    char *more;

    bytes = bytes < room ? bytes : room;
    more =
        bytes > 0 ? realloc(printed->text, printed->bytes + bytes + 1) : NULL;
    if (more == NULL)
        return;
    memcpy(more + printed->bytes, text, bytes);
    printed->text = more;
    printed->bytes += bytes;
    /* It may lie where the script can still write it. */
    for (char *at = more + printed->bytes - bytes; bytes > 0; at++, bytes--)
        *at = *at == '\0' ? '?' : *at;
    more[printed->bytes] = '\0';
}

void printed_add(const void *text, size_t bytes)
{
    for (struct printed *one = innermost; one != NULL; one = one->outer)
        add(one, text, bytes);
}

void printed_fini(struct printed *printed)
{
    free(printed->text);
    printed->text = NULL;
}
