/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multipart.h - a body of multipart/form-data (RFC 7578): its parts, where they
 * lie.
 *
 *  if (multipart_begin(&reader, type, body, bytes) == 0)
 *      while ((rc = multipart_next(&reader, &part)) == 0)
 *          ... part.name, part.data ...
 *
 * Own code, since libwebsockets' parser wants to know the names of all parts
 * ahead, and ports have any.
 *
 * Threads: any.  Memory: parts borrow the body.
 */
#ifndef NET_BODY_MULTIPART_H
#define NET_BODY_MULTIPART_H

#include <stddef.h>
#include <stdint.h>

#define MULTIPART_NAME_MAX 255u

struct multipart {
    char boundary[80]; /* "\r\n--" and what the type says */
    size_t boundary_bytes;
    const uint8_t *at, *end;
};

struct multipart_part {
    char name[MULTIPART_NAME_MAX + 1], file[MULTIPART_NAME_MAX + 1]; /* or "" */
    char type[128];                                                  /* or "" */
    const uint8_t *data;
    size_t bytes;
};

/* type: the Content-Type.  Returns 0, or GBX_EFORMAT: it is none, or has no
 * boundary. */
int multipart_begin(struct multipart *reader, const char *type,
                    const void *body, size_t bytes);

/* Returns 0; GBX_EAGAIN: that was the last one; GBX_EFORMAT: what comes is no
 * part, or has no name, or the end is missing. */
int multipart_next(struct multipart *reader, struct multipart_part *part);

#endif
