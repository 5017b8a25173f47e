/* SPDX-License-Identifier: Apache-2.0 */
/* A project file: whatever it says, what comes out is JSON of the form that
 * cli/project/toml/toml.h draws, with lines that are there. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "cli/project/toml/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check(const json_t *node, json_int_t lines)
{
    const json_t *value = json_array_get(node, 1);
    const json_int_t line = json_integer_value(json_array_get(node, 0));
    const char *key;
    json_t *member;
    size_t i;

    if (json_array_size(node) != 2 || line < 1 || line > lines)
        abort();
    json_array_foreach(value, i, member) check(member, lines);
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
        check(member, lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct toml_error err;
    char *json = toml_read((const char *)data, bytes, &err);
    json_int_t lines = 1;
    json_t *value;

    for (size_t i = 0; i < bytes; i++)
        lines += data[i] == '\n';
    if (json == NULL) {
        if (err.what[0] == '\0' || err.line > lines)
            abort();
        return 0;
    }
    value = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    free(json);
    if (value == NULL)
        abort();
    check(value, lines);
    json_decref(value);
    return 0;
}
