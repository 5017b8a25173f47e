/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "glovebox/error.h"
#include "net/body/multipart.h"

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

/* As if a line had ended before: what follows may be a delimiter at once. */
static void assume_line_end(struct multipart *reader)
{
    reader->matched = reader->assumed = 2;
}

int multipart_open(struct multipart *reader, const char *type)
{
    static const char media[] = "multipart/form-data";
    char boundary[71]; /* RFC 2046: at most 70 */

    reader->state = MULTIPART_BEFORE;
    reader->head_bytes = 0;
    assume_line_end(reader);
    if (strncasecmp(type, media, sizeof(media) - 1) != 0 ||
        !find_parameter(type, "boundary", boundary, sizeof(boundary)) ||
        boundary[0] == '\0' || strpbrk(boundary, "\r\n") != NULL)
        return GBX_EFORMAT;
    reader->delimiter_bytes = (size_t)snprintf(
        reader->delimiter, sizeof(reader->delimiter), "\r\n--%s", boundary);
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

/* They are there.  Returns what multipart_next does. */
static int take_headers(struct multipart *reader)
{
    char *line, *rest = reader->head;

    reader->part = (struct multipart_part){.name = ""};
    reader->head[reader->head_bytes] = '\0';
    if (strlen(reader->head) != reader->head_bytes)
        return GBX_EFORMAT;
    while ((line = strsep(&rest, "\n")) != NULL) {
        line[strcspn(line, "\r")] = '\0';
        take_header(&reader->part, line);
    }
    reader->head_bytes = 0;
    if (reader->part.name[0] == '\0')
        return GBX_EFORMAT;
    reader->state = MULTIPART_IN_PART;
    assume_line_end(reader);
    return MULTIPART_PART;
}

/* Up to the empty line. */
static int read_headers(struct multipart *reader, const uint8_t **at,
                        const uint8_t *end)
{
    while (*at < end && reader->head_bytes < MULTIPART_HEADERS_MAX) {
        reader->head[reader->head_bytes++] = (char)*(*at)++;
        if (reader->head_bytes >= 4 &&
            memcmp(reader->head + reader->head_bytes - 4, "\r\n\r\n", 4) == 0)
            return take_headers(reader);
    }
    return reader->head_bytes == MULTIPART_HEADERS_MAX ? GBX_EFORMAT : 0;
}

/* "--", or the end of the delimiter's line, which may have blanks in it. */
static int read_after(struct multipart *reader, const uint8_t **at,
                      const uint8_t *end)
{
    for (; *at < end; (*at)++) {
        const char now = (char)**at;

        if (reader->head_bytes == 0 && (now == ' ' || now == '\t'))
            continue;
        reader->head[reader->head_bytes++] = now;
        if (reader->head_bytes == 1)
            continue;
        (*at)++;
        reader->head_bytes = 0;
        if (memcmp(reader->head, "--", 2) == 0) {
            reader->state = MULTIPART_OVER;
            return MULTIPART_END;
        }
        reader->state = MULTIPART_HEADERS;
        return memcmp(reader->head, "\r\n", 2) == 0 ? 0 : GBX_EFORMAT;
    }
    return 0;
}

static int show(struct multipart *reader, const void *data, size_t bytes)
{
    reader->data = data;
    reader->bytes = bytes;
    return bytes > 0 && reader->state == MULTIPART_IN_PART ? MULTIPART_DATA : 0;
}

/* The rest of a delimiter; or what seemed to be one is data.  It has a single
 * '\r', its first byte: so none begins within another. */
static int match(struct multipart *reader, const uint8_t **at,
                 const uint8_t *end)
{
    const size_t assumed = reader->assumed;
    size_t matched = reader->matched;
    bool was_in_part;

    while (*at < end && matched < reader->delimiter_bytes &&
           **at == (uint8_t)reader->delimiter[matched]) {
        (*at)++;
        matched++;
    }
    reader->matched = matched;
    if (matched < reader->delimiter_bytes && *at == end)
        return 0;
    reader->matched = reader->assumed = 0;
    if (matched < reader->delimiter_bytes)
        return show(reader, reader->delimiter + assumed, matched - assumed);
    was_in_part = reader->state == MULTIPART_IN_PART;
    reader->state = MULTIPART_AFTER;
    return was_in_part ? MULTIPART_PART_END : 0;
}

/* Up to a delimiter, or to what may be the begin of one. */
static int skim(struct multipart *reader, const uint8_t **at,
                const uint8_t *end)
{
    const uint8_t *from = *at,
                  *stop = memmem(from, (size_t)(end - from), reader->delimiter,
                                 reader->delimiter_bytes);
    size_t tail = (size_t)(end - from);

    *at = end;
    if (stop != NULL) {
        reader->matched = reader->delimiter_bytes;
        *at = stop + reader->delimiter_bytes;
        return show(reader, from, (size_t)(stop - from));
    }
    tail = tail < reader->delimiter_bytes ? tail : reader->delimiter_bytes - 1;
    stop = memrchr(end - tail, '\r', tail);
    if (stop == NULL ||
        memcmp(stop, reader->delimiter, (size_t)(end - stop)) != 0)
        stop = end;
    reader->matched = (size_t)(end - stop);
    return show(reader, from, (size_t)(stop - from));
}

int multipart_next(struct multipart *reader, const uint8_t **at,
                   const uint8_t *end)
{
    int event = 0;

    while (event == 0 &&
           (*at < end || reader->matched == reader->delimiter_bytes)) {
        if (reader->state == MULTIPART_OVER)
            *at = end;
        else if (reader->state == MULTIPART_AFTER)
            event = read_after(reader, at, end);
        else if (reader->state == MULTIPART_HEADERS)
            event = read_headers(reader, at, end);
        else if (reader->matched > 0)
            event = match(reader, at, end);
        else
            event = skim(reader, at, end);
    }
    return event;
}
