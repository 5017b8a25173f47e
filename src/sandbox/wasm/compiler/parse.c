/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c - the sections of a module that say what it is on the outside.
 *
 * A cursor that has failed stays at the end and reads zeros, so that counts
 * end; each list is made as long as it says only if so many bytes are left.
 */
#include "parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define TYPES_BYTES_MAX                                                        \
    (2u << 20) /* of all types together; runtime.h keeps                       \
                  them in twice that */

enum section {
    SECTION_CUSTOM = 0,
    SECTION_TYPE = 1,
    SECTION_IMPORT = 2,
    SECTION_FUNCTION = 3,
    SECTION_EXPORT = 7,
    SECTION_LAST = 12,
};

struct cursor {
    const uint8_t *start, *at, *end;
    const char *wrong; /* or NULL */
};

static void fail_at(struct cursor *c, const char *wrong)
{
    if (c->wrong == NULL)
        c->wrong = wrong;
    c->at = c->end;
}

static uint8_t take_byte(struct cursor *c)
{
    if (c->at == c->end) {
        fail_at(c, "it ends too early");
        return 0;
    }
    return *c->at++;
}

/* LEB128, at most 32 bits. */
static uint32_t take_u32(struct cursor *c)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = take_byte(c);

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if (value > UINT32_MAX)
            break;
        return (uint32_t)value;
    }
    fail_at(c, "a number is too long");
    return 0;
}

static const uint8_t *take(struct cursor *c, uint32_t bytes)
{
    const uint8_t *at = c->at;

    if (bytes > (size_t)(c->end - c->at)) {
        fail_at(c, "it ends too early");
        return c->at;
    }
    c->at += bytes;
    return at;
}

static struct name take_name(struct cursor *c)
{
    struct name name = {.bytes = take_u32(c)};

    name.text = take(c, name.bytes);
    if (c->wrong == NULL && !utf8_valid((const char *)name.text, name.bytes))
        fail_at(c, "a name is not UTF-8");
    if (c->wrong != NULL)
        name.bytes = 0;
    return name;
}

/* Room for a list whose entries have at least one byte each. */
static void *make_list(struct cursor *c, uint32_t *count, size_t entry)
{
    void *list;

    *count = take_u32(c);
    if (*count > (size_t)(c->end - c->at))
        fail_at(c, "a list is longer than the module");
    if (c->wrong != NULL)
        *count = 0;
    list = calloc((size_t)*count + 1, entry);
    if (list == NULL) {
        *count = 0;
        fail_at(c, "no memory");
    }
    return list;
}

static void parse_types(struct parsed *p, struct cursor *c)
{
    uint64_t bytes = 0;

    p->types = make_list(c, &p->type_count, sizeof(*p->types));
    for (uint32_t i = 0; i < p->type_count; i++) {
        struct function_type *type = &p->types[i];

        if (take_byte(c) != 0x60)
            fail_at(c, "a type is none of a function");
        type->parameter_count = take_u32(c);
        type->parameters = take(c, type->parameter_count);
        type->result_count = take_u32(c);
        type->results = take(c, type->result_count);
        bytes += 4ull + type->parameter_count + type->result_count;
        if (type->parameter_count > 1000 || type->result_count > 1000)
            fail_at(c, "a function has more than 1000 parameters or results");
        if (bytes > TYPES_BYTES_MAX)
            fail_at(c, "it has too many types");
        if (c->wrong != NULL)
            *type = (struct function_type){0};
    }
}

static void skip_limits(struct cursor *c)
{
    uint8_t flags = take_byte(c);

    take_u32(c);
    if (flags & 1)
        take_u32(c);
}

static void parse_imports(struct parsed *p, struct cursor *c)
{
    p->imports = make_list(c, &p->import_count, sizeof(*p->imports));
    for (uint32_t i = 0; i < p->import_count; i++) {
        struct parsed_import *import = &p->imports[i];

        import->module = take_name(c);
        import->name = take_name(c);
        import->description = c->at;
        import->kind = take_byte(c);
        switch (import->kind) {
        case EXTERN_FUNCTION:
            import->type = take_u32(c);
            if (import->type >= p->type_count)
                fail_at(c, "an import's type is not there");
            p->imported_functions++;
            break;
        case EXTERN_TABLE:
            take_byte(c);
            skip_limits(c);
            break;
        case EXTERN_MEMORY:
            skip_limits(c);
            break;
        case EXTERN_GLOBAL:
            take_byte(c);
            take_byte(c);
            break;
        default:
            fail_at(c, "an import is of a kind that is not supported");
        }
        import->description_bytes = (uint32_t)(c->at - import->description);
    }
    if (c->wrong != NULL)
        p->import_count = p->imported_functions = 0;
}

static void parse_functions(struct parsed *p, struct cursor *c)
{
    p->functions = make_list(c, &p->function_count, sizeof(*p->functions));
    for (uint32_t i = 0; i < p->function_count; i++) {
        p->functions[i] = take_u32(c);
        if (p->functions[i] >= p->type_count)
            fail_at(c, "a function's type is not there");
    }
    if (c->wrong != NULL)
        p->function_count = 0;
}

static int by_name(const void *first, const void *second)
{
    const struct name *a = *(const struct name *const *)first;
    const struct name *b = *(const struct name *const *)second;
    uint32_t common = a->bytes < b->bytes ? a->bytes : b->bytes;
    int order = memcmp(a->text, b->text, common);

    return order != 0 ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

/* wasm2c cannot see it: it is given other names. */
static void check_twice(const struct parsed *p, struct cursor *c)
{
    const struct name **names = calloc(p->export_count + 1, sizeof(*names));

    if (names == NULL) {
        fail_at(c, "no memory");
        return;
    }
    for (uint32_t i = 0; i < p->export_count; i++)
        names[i] = &p->exports[i].name;
    qsort(names, p->export_count, sizeof(*names), by_name);
    for (uint32_t i = 1; i < p->export_count; i++)
        if (by_name(&names[i - 1], &names[i]) == 0)
            fail_at(c, "two exports have the same name");
    free(names);
}

static void parse_exports(struct parsed *p, struct cursor *c)
{
    p->exports = make_list(c, &p->export_count, sizeof(*p->exports));
    for (uint32_t i = 0; i < p->export_count; i++) {
        struct parsed_export *export = &p->exports[i];

        export->name = take_name(c);
        export->kind = take_byte(c);
        export->index = take_u32(c);
        if (export->kind == EXTERN_FUNCTION &&
            export->index >= p->imported_functions + p->function_count)
            fail_at(c, "an exported function is not there");
    }
    if (c->wrong == NULL)
        check_twice(p, c);
    if (c->wrong != NULL)
        p->export_count = 0;
}

/* What is wrong in names is no error: they are for people. */
static void parse_names(struct parsed *p, struct cursor c)
{
    uint32_t all = p->imported_functions + p->function_count;

    while (c.at < c.end) {
        uint8_t id = take_byte(&c);
        uint32_t bytes = take_u32(&c);
        struct cursor sub = {.at = take(&c, bytes)};
        uint32_t count;

        if (c.wrong != NULL || id != 1) /* of functions */
            continue;
        sub.end = c.at;
        count = take_u32(&sub);
        for (uint32_t i = 0; i < count && sub.wrong == NULL; i++) {
            uint32_t index = take_u32(&sub);
            struct name name = take_name(&sub);

            if (index < all && sub.wrong == NULL)
                p->names[index] = name;
        }
    }
}

static int refuse(struct parsed *p, const struct cursor *c, const char *what)
{
    snprintf(p->error, sizeof(p->error), "%s (%s, at byte %zu)", c->wrong, what,
             (size_t)(c->at - c->start));
    return -1;
}

/* The whole of a section that may be there once: list is what is known of it.
 */
static void once(struct parsed *p, struct cursor *c, const void *list,
                 void (*parse_it)(struct parsed *p, struct cursor *c))
{
    if (list != NULL) {
        fail_at(c, "a section comes twice");
        return;
    }
    parse_it(p, c);
    if (c->at != c->end)
        fail_at(c, "a section is longer than what it lists");
}

static void parse_section(struct parsed *p, uint8_t id, struct cursor *c)
{
    if (p->section_count == PARSED_SECTIONS) {
        fail_at(c, "it has too many sections");
        return;
    }
    p->sections[p->section_count++] =
        (struct parsed_section){id, c->at, (uint32_t)(c->end - c->at)};
    switch (id) {
    case SECTION_TYPE:
        once(p, c, p->types, parse_types);
        break;
    case SECTION_IMPORT:
        once(p, c, p->imports, parse_imports);
        break;
    case SECTION_FUNCTION:
        once(p, c, p->functions, parse_functions);
        break;
    case SECTION_EXPORT:
        once(p, c, p->exports, parse_exports);
        break;
    default:
        if (id > SECTION_LAST)
            fail_at(c, "a section that WebAssembly 2.0 does not have");
    }
}

/* Names are looked at last, when all that they name is known. */
static void parse_custom(struct cursor *names, struct cursor *section)
{
    struct name name = take_name(section);

    if (section->wrong == NULL && name.bytes == 4 &&
        memcmp(name.text, "name", 4) == 0)
        *names = *section;
}

static int make_names(struct parsed *p, struct cursor names)
{
    p->names = calloc((size_t)p->imported_functions + p->function_count + 1,
                      sizeof(*p->names));
    if (p->names == NULL) {
        snprintf(p->error, sizeof(p->error), "no memory");
        return -1;
    }
    parse_names(p, names);
    return 0;
}

int parse(struct parsed *p, const uint8_t *bytes, size_t count)
{
    static const uint8_t begin[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    struct cursor c = {.start = bytes, .at = bytes, .end = bytes + count};
    struct cursor names = {.start = bytes, .at = bytes, .end = bytes};

    *p = (struct parsed){0};
    if (count < 4 || memcmp(bytes, begin, 4) != 0) {
        snprintf(p->error, sizeof(p->error),
                 "not a WebAssembly module: it does not begin with \\0asm");
        return -1;
    }
    if (count < 8 || memcmp(bytes, begin, 8) != 0) {
        snprintf(p->error, sizeof(p->error),
                 "not a module of WebAssembly's version 1 (a component?)");
        return -1;
    }
    c.at += 8;
    while (c.at < c.end) {
        uint8_t id = take_byte(&c);
        uint32_t size = take_u32(&c);
        struct cursor section = {.start = bytes, .at = take(&c, size)};

        section.end = c.at;
        if (c.wrong != NULL)
            return refuse(p, &c, "its sections");
        if (id == SECTION_CUSTOM)
            parse_custom(&names, &section);
        else
            parse_section(p, id, &section);
        if (section.wrong != NULL)
            return refuse(p, &section, "its types, imports and exports");
    }
    return make_names(p, names);
}

void parsed_fini(struct parsed *p)
{
    free(p->types);
    free(p->imports);
    free(p->exports);
    free(p->functions);
    free(p->names);
    *p = (struct parsed){0};
}

const struct function_type *parsed_type(const struct parsed *p,
                                        uint32_t function)
{
    if (function >= p->imported_functions) {
        function -= p->imported_functions;
        return function < p->function_count ? &p->types[p->functions[function]]
                                            : NULL;
    }
    for (uint32_t i = 0; i < p->import_count; i++)
        if (p->imports[i].kind == EXTERN_FUNCTION && function-- == 0)
            return &p->types[p->imports[i].type];
    return NULL;
}
