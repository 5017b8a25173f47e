/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c - lines of passwd and group files.
 *
 *   name:password:uid:gid:text:home:shell
 *   name:password:gid:member,member
 */
#include <string.h>

#include "runtime/user/user.h"

struct piece {
    const char *at;
    size_t bytes;
};

/* Up to `end`, which is left out, and gone behind; all that is left where there
 * is none. */
static struct piece cut(struct piece *rest, char end)
{
    const char *stop = memchr(rest->at, end, rest->bytes);
    struct piece piece = *rest;
    size_t gone;

    if (stop != NULL)
        piece.bytes = (size_t)(stop - rest->at);
    gone = piece.bytes + (stop != NULL);
    rest->at += gone;
    rest->bytes -= gone;
    return piece;
}

static bool is_name(struct piece piece, const char *name)
{
    return piece.bytes > 0 && piece.bytes == strlen(name) &&
           memcmp(piece.at, name, piece.bytes) == 0;
}

static bool take_id(struct piece piece, uint32_t *id)
{
    uint64_t value = 0;

    if (piece.bytes == 0 || piece.bytes > 10)
        return false;
    for (size_t i = 0; i < piece.bytes; i++) {
        if (piece.at[i] < '0' || piece.at[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(piece.at[i] - '0');
    }
    *id = (uint32_t)value;
    return value < USER_NO_ID;
}

bool user_in_passwd(struct guest_ids *ids, const char *name, uint32_t uid,
                    const char *bytes, size_t count)
{
    struct piece rest = {bytes, count};

    while (rest.bytes > 0) {
        struct piece line = cut(&rest, '\n'), called = cut(&line, ':');
        struct guest_ids found = {.is_set = true};

        cut(&line, ':');
        if (!take_id(cut(&line, ':'), &found.uid) ||
            !take_id(cut(&line, ':'), &found.gid))
            continue;
        if (name != NULL ? !is_name(called, name) : found.uid != uid)
            continue;
        *ids = found;
        return true;
    }
    return false;
}

bool user_in_group(uint32_t *gid, const char *name, const char *bytes,
                   size_t count)
{
    struct piece rest = {bytes, count};

    while (rest.bytes > 0) {
        struct piece line = cut(&rest, '\n'), called = cut(&line, ':');
        uint32_t found;

        cut(&line, ':');
        if (!take_id(cut(&line, ':'), &found) || !is_name(called, name))
            continue;
        *gid = found;
        return true;
    }
    return false;
}
