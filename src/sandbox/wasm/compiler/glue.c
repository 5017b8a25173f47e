/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glue.c - written as C: what crosses lies in cells (artefact.h).
 *
 * All names of the module's are bytes of strings here, and no others: each that
 * is no letter or digit is written as its number.
 */
#include "glue.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/wasm/artefact.h"

#define I32 0x7f
#define I64 0x7e
#define F32 0x7d
#define F64 0x7c

static const char *c_type(uint8_t type)
{
    switch (type) {
    case I32:
        return "u32";
    case I64:
        return "u64";
    case F32:
        return "f32";
    case F64:
        return "f64";
    default:
        return NULL;
    }
}

/* As in artefact.h, and as wasm2c names fields of results. */
static char letter(uint8_t type)
{
    return "FfIi"[type - F64];
}

static char field_letter(uint8_t type)
{
    return "dfji"[type - F64];
}

static bool fits_cells(const struct function_type *type)
{
    for (uint32_t i = 0; i < type->parameter_count; i++)
        if (c_type(type->parameters[i]) == NULL)
            return false;
    for (uint32_t i = 0; i < type->result_count; i++)
        if (c_type(type->results[i]) == NULL)
            return false;
    return true;
}

static void put_text(FILE *out, const struct name *name)
{
    putc('"', out);
    for (uint32_t i = 0; i < name->bytes; i++)
        fprintf(out,
                isalnum(name->text[i]) || name->text[i] == '_' ? "%c"
                                                               : "\\%03o",
                name->text[i]);
    putc('"', out);
}

/* Texts end at a NUL here: a name with one in it would be another name. */
static bool fits_text(const struct name *name)
{
    return memchr(name->text, '\0', name->bytes) == NULL;
}

static void put_type(FILE *out, const struct function_type *type)
{
    putc('"', out);
    if (fits_cells(type)) {
        for (uint32_t i = 0; i < type->parameter_count; i++)
            putc(letter(type->parameters[i]), out);
        putc(':', out);
        for (uint32_t i = 0; i < type->result_count; i++)
            putc(letter(type->results[i]), out);
    }
    putc('"', out);
}

/* The C type of what a function returns. */
static void put_result(FILE *out, const struct function_type *type)
{
    if (type->result_count == 0)
        fputs("void", out);
    else if (type->result_count == 1)
        fputs(c_type(type->results[0]), out);
    else {
        fputs("struct wasm_multi_", out);
        for (uint32_t i = 0; i < type->result_count; i++)
            putc(field_letter(type->results[i]), out);
    }
}

/* One that the host has: its arguments into cells, its results out of them. */
static void put_import(FILE *out, const struct function_type *type,
                       uint32_t index)
{
    uint32_t cells = type->parameter_count > type->result_count
                         ? type->parameter_count
                         : type->result_count;

    put_result(out, type);
    fprintf(out, " Z_iZ_f%u(struct Z_i_instance_t *unused", index);
    for (uint32_t i = 0; i < type->parameter_count; i++)
        fprintf(out, ", %s p%u", c_type(type->parameters[i]), i);
    fprintf(out, ")\n{\n    u64 c[%u];\n\n", cells + 1);
    for (uint32_t i = 0; i < type->parameter_count; i++)
        fprintf(out, "    c[%u] = cell_%s(p%u);\n", i,
                c_type(type->parameters[i]), i);
    fprintf(out, "    wasm_context->call(wasm_context, %u, c);\n", index);
    if (type->result_count == 1)
        fprintf(out, "    return get_%s(c[0]);\n", c_type(type->results[0]));
    else if (type->result_count > 1) {
        fputs("    ", out);
        put_result(out, type);
        fputs(" r;\n", out);
        for (uint32_t i = 0; i < type->result_count; i++)
            fprintf(out, "    r.%c%u = get_%s(c[%u]);\n",
                    field_letter(type->results[i]), i, c_type(type->results[i]),
                    i);
        fputs("    return r;\n", out);
    }
    fputs("}\n", out);
}

static void put_export(FILE *out, const struct function_type *type,
                       uint32_t index)
{
    fprintf(out, "static void export_%u(void *m, u64 *c)\n{\n    ", index);
    if (type->result_count > 0) {
        put_result(out, type);
        fputs(" r = ", out);
    }
    fprintf(out, "Z_mZ_e%u(m", index);
    for (uint32_t i = 0; i < type->parameter_count; i++)
        fprintf(out, ", get_%s(c[%u])", c_type(type->parameters[i]), i);
    fputs(");\n", out);
    if (type->result_count == 1)
        fprintf(out, "    c[0] = cell_%s(r);\n", c_type(type->results[0]));
    for (uint32_t i = 0; type->result_count > 1 && i < type->result_count; i++)
        fprintf(out, "    c[%u] = cell_%s(r.%c%u);\n", i,
                c_type(type->results[i]), field_letter(type->results[i]), i);
    fputs("}\n", out);
}

/* For a person: what could move a cursor is shown as a dot. */
static void show_name(char to[64], const struct name *name)
{
    uint32_t i;

    for (i = 0; i < name->bytes && i < 63; i++)
        to[i] = isprint(name->text[i]) ? (char)name->text[i] : '.';
    to[i] = '\0';
}

static void refuse_import(const struct parsed_import *import, char error[200])
{
    static const char *const kinds[] = {"function with references", "table",
                                        "memory", "global"};
    char module[64], name[64];

    show_name(module, &import->module);
    show_name(name, &import->name);
    snprintf(error, 200,
             "it imports the %s %.40s.%.40s: only functions of numbers can be",
             kinds[import->kind & 3], module, name);
}

static int put_imports(FILE *out, const struct parsed *p, char error[200])
{
    for (uint32_t i = 0; i < p->import_count; i++) {
        const struct parsed_import *import = &p->imports[i];

        if (import->kind != EXTERN_FUNCTION ||
            !fits_cells(&p->types[import->type])) {
            refuse_import(import, error);
            return -1;
        }
        if (!fits_text(&import->module) || !fits_text(&import->name)) {
            snprintf(error, 200, "it imports a name with a NUL in it");
            return -1;
        }
        put_import(out, &p->types[import->type], i);
    }
    fputs("static const struct wasm_import imports[] = {\n", out);
    for (uint32_t i = 0; i < p->import_count; i++) {
        fputs("    {", out);
        put_text(out, &p->imports[i].module);
        fputs(", ", out);
        put_text(out, &p->imports[i].name);
        fputs(", ", out);
        put_type(out, &p->types[p->imports[i].type]);
        fputs("},\n", out);
    }
    fputs("    {0}};\n", out);
    return 0;
}

static bool is_function(const struct parsed_export *export)
{
    return export->kind == EXTERN_FUNCTION && fits_text(&export->name);
}

static uint32_t put_exports(FILE *out, const struct parsed *p)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < p->export_count; i++)
        if (is_function(&p->exports[i]) &&
            fits_cells(parsed_type(p, p->exports[i].index)))
            put_export(out, parsed_type(p, p->exports[i].index), i);
    fputs("static const struct wasm_export exports[] = {\n", out);
    for (uint32_t i = 0; i < p->export_count; i++) {
        const struct function_type *type;

        if (!is_function(&p->exports[i]))
            continue;
        type = parsed_type(p, p->exports[i].index);
        fputs("    {", out);
        put_text(out, &p->exports[i].name);
        fputs(", ", out);
        put_type(out, type);
        if (fits_cells(type))
            fprintf(out, ", export_%u},\n", i);
        else
            fputs(", 0},\n", out);
        count++;
    }
    fputs("    {0}};\n", out);
    return count;
}

/* What a function is called by its maker, or by those who call it. */
static void put_name(FILE *out, const struct parsed *p, uint32_t index)
{
    if (p->names[index].bytes > 0) {
        put_text(out, &p->names[index]);
        return;
    }
    for (uint32_t i = 0; i < p->export_count; i++)
        if (p->exports[i].kind == EXTERN_FUNCTION &&
            p->exports[i].index == index && p->exports[i].name.bytes > 0) {
            put_text(out, &p->exports[i].name);
            return;
        }
    fprintf(out, "\"function %u\"", index);
}

static void put_symbols(FILE *out, const struct parsed *p,
                        const struct rewritten *text)
{
    fputs("static const struct wasm_symbol symbols[] = {\n", out);
    for (uint32_t i = 0; i < text->function_count; i++) {
        fprintf(out, "    {(const void *)&%s, ", text->functions[i]);
        put_name(out, p, p->imported_functions + i);
        fputs("},\n", out);
    }
    fputs("    {0}};\n", out);
}

static void put_globals(FILE *out, const struct rewritten *text)
{
    fputs("static void save(void *m, u64 *c)\n{\n", out);
    for (uint32_t i = 0; i < text->global_count; i++)
        fprintf(out, "    c[%u] = cell_%.3s(((Z_m_instance_t *)m)->%s);\n", i,
                text->globals[i], text->globals[i] + 4);
    fputs("}\nstatic void restore(void *m, const u64 *c)\n{\n", out);
    for (uint32_t i = 0; i < text->global_count; i++)
        fprintf(out, "    ((Z_m_instance_t *)m)->%s = get_%.3s(c[%u]);\n",
                text->globals[i] + 4, text->globals[i], i);
    fputs("}\n", out);
    if (text->memory != NULL)
        fprintf(out,
                "static struct wasm_memory *memory(void *m)\n"
                "{\n    return &((Z_m_instance_t *)m)->%s;\n}\n",
                text->memory);
}

static const char cells[] =
    "static u64 cell_u32(u32 x) { return x; }\n"
    "static u64 cell_u64(u64 x) { return x; }\n"
    "static u64 cell_f32(f32 x) { u32 c; memcpy(&c, &x, 4); return c; }\n"
    "static u64 cell_f64(f64 x) { u64 c; memcpy(&c, &x, 8); return c; }\n"
    "static u32 get_u32(u64 c) { return (u32)c; }\n"
    "static u64 get_u64(u64 c) { return c; }\n"
    "static f32 get_f32(u64 c) { f32 x; memcpy(&x, &c, 4); return x; }\n"
    "static f64 get_f64(u64 c) { f64 x; memcpy(&x, &c, 8); return x; }\n";

int glue_write(FILE *out, const struct parsed *p, const struct rewritten *text,
               const char *module, char error[200])
{
    uint32_t exports;

    if (text->function_count != p->function_count) {
        snprintf(error, 200, "wasm2c wrote %u functions of %u",
                 text->function_count, p->function_count);
        return -1;
    }
    fputs(cells, out);
    if (put_imports(out, p, error) < 0)
        return -1;
    exports = put_exports(out, p);
    put_symbols(out, p, text);
    put_globals(out, text);
    fprintf(
        out,
        "__asm__(\".section .rodata\\nmodule_bytes: .incbin \\\"%s\\\"\\n"
        "module_end: .previous\\n\");\n"
        "extern const u8 module_bytes[] "
        "__attribute__((visibility(\"hidden\")));\n"
        "extern const u8 module_end[] "
        "__attribute__((visibility(\"hidden\")));\n"
        "static void instantiate(void *m, u64 *c) { Z_m_instantiate(m%s); }\n"
        "static void free_instance(void *m, u64 *c) { Z_m_free(m); }\n",
        module, p->import_count > 0 ? ", 0" : "");
    fprintf(out,
            "static struct wasm_artefact artefact = {\n"
            "    .magic = WASM_ARTEFACT_MAGIC, .version = "
            "WASM_ARTEFACT_VERSION,\n"
            "    .host_bytes = sizeof(struct wasm_context),\n"
            "    .instance_bytes = sizeof(Z_m_instance_t),\n"
            "    .import_count = %u, .export_count = %u, .symbol_count = %u,\n"
            "    .global_count = %u, .imports = imports, .exports = exports,\n"
            "    .symbols = symbols, .prepare = Z_m_init_module,\n"
            "    .instantiate = instantiate, .free = free_instance,\n"
            "    .memory = %s, .can_save = %s, .save = save, .restore = "
            "restore,\n};\n"
            "__attribute__((visibility(\"default\")))\n"
            "const struct wasm_artefact *" WASM_ARTEFACT_SYMBOL "(void)\n{\n"
            "    artefact.module = module_bytes;\n"
            "    artefact.module_bytes = (u64)(module_end - module_bytes);\n"
            "    return &artefact;\n}\n",
            p->import_count, exports, text->function_count, text->global_count,
            text->memory != NULL ? "memory" : "0",
            text->keeps_tables && text->keeps_globals ? "true" : "false");
    return 0;
}
