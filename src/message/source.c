/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "message/source.h"

/* Refuse nesting beyond depth_max. Broken JSON may pass, that is found later */
static int check_depth(const struct source *source, struct gbx_error *err)
{
    uint32_t depth = 0, line = 1, column = 0;
    bool quoted = false;

    for (size_t i = 0; i < source->bytes; i++) {
        unsigned char c = (unsigned char)source->text[i];
        column += (c & 0xc0) != 0x80;
        if (c == '\n') {
            line++;
            column = 0;
        }
        if (quoted) {
            i += c == '\\' && i + 1 < source->bytes;
            column += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (depth++ == source->depth_max)
                return fail(err, GBX_EFORMAT,
                            "%s, line %u, column %u: nested more than %u deep",
                            source->name, line, column, source->depth_max);
        } else if (depth > 0 && (c == ']' || c == '}')) {
            depth--;
        }
    }
    return 0;
}

int source_load(json_t **value, const struct source *source,
                struct gbx_error *err)
{
    json_error_t why = {0};
    int rc;

    *value = NULL;
    rc = check_depth(source, err);
    if (rc < 0)
        return rc;
    *value = json_loadb(source->text, source->bytes,
                        JSON_REJECT_DUPLICATES | JSON_DECODE_ANY |
                            (source->refuses_nul ? 0 : JSON_ALLOW_NUL),
                        &why);
    if (*value != NULL)
        return 0;
    if (json_error_code(&why) == json_error_out_of_memory ||
        why.text[0] == '\0')
        return fail(err, GBX_EHOST, "no memory to read %s of %zu bytes",
                    source->name, source->bytes);
    return fail(err, GBX_EFORMAT, "%s, line %d, column %d: %s", source->name,
                why.line, why.column, why.text);
}

const char *source_kind(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
        [JSON_STRING] = "a string",  [JSON_INTEGER] = "an integer",
        [JSON_REAL] = "a fraction",  [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };

    return names[json_typeof(value)];
}
