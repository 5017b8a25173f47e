/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multipart.h - a body of multipart/form-data (RFC 7578), read as it comes.
 *
 *  multipart_open(&reader, type);
 *  ... for each piece of the body, from `at` to `end`:
 *  while ((event = multipart_next(&reader, &at, end)) > 0)
 *      switch (event) {
 *      case MULTIPART_PART: ... reader.part.name ...
 *      case MULTIPART_DATA: ... reader.data, reader.bytes ...
 *      case MULTIPART_PART_END: ...
 *      case MULTIPART_END: the rest is ignored
 *      }
 *
 * Own code, since libwebsockets' parser wants to know the names of all parts
 * ahead, and ports have any.
 *
 * Threads: one at a time.  Memory: none; data is borrowed, from the piece or
 * the reader, until the next call.
 */
#ifndef NET_BODY_MULTIPART_H
#define NET_BODY_MULTIPART_H

#include <stddef.h>
#include <stdint.h>

#define MULTIPART_NAME_MAX    255u
#define MULTIPART_HEADERS_MAX 4096u /* bytes of one part's */

enum multipart_event {
    MULTIPART_PART = 1,
    MULTIPART_DATA, /* some of that part's; never none */
    MULTIPART_PART_END,
    MULTIPART_END
};

struct multipart {
    struct multipart_part {
        char name[MULTIPART_NAME_MAX + 1];
        char file[MULTIPART_NAME_MAX + 1]; /* or "" */
        char type[128];                    /* or "" */
    } part;
    const uint8_t *data;
    size_t bytes;

    /* The reader's own: */
    enum {
        MULTIPART_BEFORE,  /* of the first delimiter */
        MULTIPART_AFTER,   /* a delimiter: its line's end, or "--" */
        MULTIPART_HEADERS, /* of a part */
        MULTIPART_IN_PART,
        MULTIPART_OVER
    } state;
    char delimiter[80]; /* "\r\n--" and what the type says */
    size_t delimiter_bytes;
    size_t matched; /* its bytes that were the last to come: data, if what comes
                       next is not the rest of it, */
    size_t assumed; /* but for the first so many, which never came */
    char head[MULTIPART_HEADERS_MAX + 1];
    size_t head_bytes;
};

/* type: the Content-Type.  Returns 0, or GBX_EFORMAT: it is no form, or has no
 * boundary. */
int multipart_open(struct multipart *reader, const char *type);

/* What comes next in [*at, end); *at is moved behind it.  Returns an event; 0:
 * all of it is read, and there was no MULTIPART_END: the body goes on;
 * GBX_EFORMAT: what comes is no part, or has no name. */
int multipart_next(struct multipart *reader, const uint8_t **at,
                   const uint8_t *end);

#endif
