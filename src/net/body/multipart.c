/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "glovebox/error.h"
#include "net/body/multipart.h"

#define HEADERS_MAX 4096u /* bytes of one part's */

/* A parameter of a header's value: name="text" or name=text.  False: it has
 * none, or a longer one. */
static bool find_parameter(const char *value, const char *name, char *to,
                           size_t room)
{
    const size_t length = strlen(name);
    const char *at = value;
    size_t count = 0;
    char stop = ';';

    while ((at = strchr(at, ';')) != NULL) {
        at += 1 + strspn(at + 1, " \t");
        if (strncasecmp(at, name, length) == 0 && at[length] == '=')
            break;
    }
    if (at == NULL)
        return false;
    at += length + 1;
    if (*at == '"') {
        stop = '"';
        at++;
    }
    for (; *at != '\0' && *at != stop; at++) {
        if (stop == '"' && *at == '\\' && at[1] != '\0')
            at++;
        if (count + 1 == room)
            return false;
        to[count++] = *at;
    }
    to[count] = '\0';
    return stop == ';' || *at == '"';
}

int multipart_begin(struct multipart *reader, const char *type,
                    const void *body, size_t bytes)
{
    static const char media[] = "multipart/form-data";
    char boundary[71]; /* RFC 2046: at most 70 */

    *reader = (struct multipart){.at = body, .end = (const uint8_t *)body};
    if (strncasecmp(type, media, sizeof(media) - 1) != 0 || body == NULL ||
        !find_parameter(type, "boundary", boundary, sizeof(boundary)) ||
        boundary[0] == '\0')
        return GBX_EFORMAT;
    reader->boundary_bytes = (size_t)snprintf(
        reader->boundary, sizeof(reader->boundary), "\r\n--%s", boundary);
    reader->end += bytes;
    /* The first one may stand at the very beginning, without a line's end. */
    if (bytes >= reader->boundary_bytes - 2 &&
        memcmp(body, reader->boundary + 2, reader->boundary_bytes - 2) == 0) {
        reader->at += reader->boundary_bytes - 2;
        return 0;
    }
    reader->at = memmem(body, bytes, reader->boundary, reader->boundary_bytes);
    if (reader->at == NULL)
        return GBX_EFORMAT;
    reader->at += reader->boundary_bytes;
    return 0;
}

/* One header, which ends with a zero. */
static void take_header(struct multipart_part *part, const char *line)
{
    static const char disposition[] = "content-disposition:",
                      type[] = "content-type:";

    if (strncasecmp(line, disposition, sizeof(disposition) - 1) == 0) {
        if (!find_parameter(line, "name", part->name, sizeof(part->name)))
            part->name[0] = '\0';
        if (!find_parameter(line, "filename", part->file, sizeof(part->file)))
            part->file[0] = '\0';
    } else if (strncasecmp(line, type, sizeof(type) - 1) == 0) {
        line += sizeof(type) - 1;
        line += strspn(line, " \t");
        if (strlen(line) < sizeof(part->type))
            strcpy(part->type, line);
    }
}

/* Up to the empty line.  False: there is none, or too much before it. */
static bool take_headers(struct multipart *reader, struct multipart_part *part)
{
    char text[HEADERS_MAX + 1];
    const size_t left = (size_t)(reader->end - reader->at);
    const uint8_t *end = memmem(
        reader->at, left < HEADERS_MAX ? left : HEADERS_MAX, "\r\n\r\n", 4);
    size_t bytes;
    char *line, *rest = text;

    if (end == NULL)
        return false;
    bytes = (size_t)(end - reader->at);
    if (memchr(reader->at, '\0', bytes) != NULL)
        return false;
    memcpy(text, reader->at, bytes);
    text[bytes] = '\0';
    while ((line = strsep(&rest, "\n")) != NULL) {
        line[strcspn(line, "\r")] = '\0';
        take_header(part, line);
    }
    reader->at = end + 4;
    return true;
}

int multipart_next(struct multipart *reader, struct multipart_part *part)
{
    const uint8_t *end;

    *part = (struct multipart_part){.name = ""};
    if (reader->end - reader->at >= 2 && memcmp(reader->at, "--", 2) == 0)
        return GBX_EAGAIN;
    while (reader->at < reader->end &&
           (*reader->at == ' ' || *reader->at == '\t'))
        reader->at++;
    if (reader->end - reader->at < 2 || memcmp(reader->at, "\r\n", 2) != 0)
        return GBX_EFORMAT;
    reader->at += 2;
    if (!take_headers(reader, part) || part->name[0] == '\0')
        return GBX_EFORMAT;
    /* The line's end before a boundary is the boundary's. */
    end = memmem(reader->at - 2, (size_t)(reader->end - reader->at + 2),
                 reader->boundary, reader->boundary_bytes);
    if (end == NULL)
        return GBX_EFORMAT;
    part->data = reader->at;
    part->bytes = end < reader->at ? 0 : (size_t)(end - reader->at);
    reader->at = end + reader->boundary_bytes;
    return 0;
}
