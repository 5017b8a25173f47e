/* SPDX-License-Identifier: Apache-2.0 */
/* rewrite.c - wasm2c's text, line by line. */
#include "rewrite.h"

#include <stdlib.h>
#include <string.h>

/* Lines from one that begins with `from` up to one that begins with `to`, which
 * stays. */
static const struct cut {
    const char *from, *to;
} cuts[] = {
    {"#define TRAP(x)", "#ifdef __GNUC__"},
    {"#if WABT_BIG_ENDIAN", "DEFINE_LOAD(i32_load,"},
    {"static inline void memory_fill(", "typedef struct {"},
};
#define CUTS (sizeof(cuts) / sizeof(cuts[0]))

static bool begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

static int add(char ***list, uint32_t *count, const char *text, size_t bytes)
{
    char **longer = *list;
    char *copy = strndup(text, bytes);

    /* Twice as long at each power of two. */
    if ((*count & (*count + 1)) == 0)
        longer = realloc(*list, (2 * (size_t)*count + 2) * sizeof(*longer));
    if (longer == NULL || copy == NULL) {
        free(copy);
        return -1;
    }
    *list = longer;
    longer[(*count)++] = copy;
    return 0;
}

/* "  u32 w2c_g0;" of the instance's struct. */
static int read_field(struct rewritten *text, const char *line)
{
    static const char *const numbers[] = {"u32 ", "u64 ", "f32 ", "f64 "};
    const char *end = strchr(line, ';');

    while (*line == ' ')
        line++;
    if (end == NULL)
        return 0; /* a comment */
    for (size_t i = 0; i < 4; i++)
        if (begins(line, numbers[i]) && strchr(line, '*') == NULL)
            return add(&text->globals, &text->global_count, line,
                       (size_t)(end - line));
    if (begins(line, "wasm_rt_memory_t w2c_")) {
        line += strlen("wasm_rt_memory_t ");
        free(text->memory);
        text->memory = strndup(line, (size_t)(end - line));
        return text->memory != NULL ? 0 : -1;
    }
    if (!begins(line, "struct Z_") &&
        !begins(line, "wasm_rt_funcref_table_t ") &&
        !begins(line, "wasm_rt_externref_table_t "))
        text->keeps_globals = false;
    return 0;
}

static int read_header(struct rewritten *text, FILE *header)
{
    char *line = NULL;
    size_t room = 0;
    bool inside = false;
    int rc = 0;

    while (rc == 0 && getline(&line, &room, header) > 0) {
        if (begins(line, "typedef struct Z_") && strchr(line, '{') != NULL)
            inside = true;
        else if (inside && begins(line, "}"))
            break;
        else if (inside)
            rc = read_field(text, line);
    }
    free(line);
    return rc;
}

/* "static u32 w2c_f(Z_m_instance_t*, u32);", one for each function. */
static int read_prototype(struct rewritten *text, const char *line)
{
    const char *name, *end;

    if (!begins(line, "static ") || strstr(line, "_instance_t*") == NULL ||
        strstr(line, ");") == NULL || (name = strstr(line, " w2c_")) == NULL)
        return 0;
    name++;
    end = strchr(name, '(');
    return end != NULL ? add(&text->functions, &text->function_count, name,
                             (size_t)(end - name))
                       : 0;
}

/* "  w2c_L12: " */
static bool is_loop(const char *line)
{
    while (*line == ' ')
        line++;
    if (!begins(line, "w2c_L"))
        return false;
    line += strlen("w2c_L");
    line += strspn(line, "0123456789");
    return line[0] == ':' && line[1 + strspn(line + 1, " \n")] == '\0';
}

static bool changes_table(const char *line)
{
    return line[0] == ' ' && strstr(line, "table_") != NULL &&
           (strstr(line, "table_set(&") != NULL ||
            strstr(line, "table_grow_") != NULL ||
            strstr(line, "_table(&") != NULL ||
            strstr(line, "table_copy(&") != NULL ||
            strstr(line, "table_fill(&") != NULL ||
            strstr(line, "table_init(&") != NULL);
}

/* Where in the text we are. */
struct place {
    uint32_t cut;   /* the next one */
    bool cutting;   /* in it */
    bool in_bodies; /* from the first function's on */
    bool in_start;  /* in what makes an instance */
};

static int take_line(struct rewritten *text, struct place *place,
                     const char *line, FILE *out)
{
    if (place->cut < CUTS &&
        begins(line,
               place->cutting ? cuts[place->cut].to : cuts[place->cut].from)) {
        place->cut += place->cutting;
        place->cutting = !place->cutting;
    }
    if (place->cutting)
        return 0;
    if (begins(line, "static ") && strstr(line, "_instance_t* instance") &&
        strstr(line, " w2c_") != NULL)
        place->in_bodies = true;
    if (begins(line, "/* export: ") || begins(line, "void Z_"))
        place->in_bodies = false;
    if (place->in_bodies && changes_table(line))
        text->keeps_tables = false;
    if (begins(line, "void Z_m_instantiate("))
        place->in_start = true;
    if (place->in_start && begins(line, "  w2c_")) {
        /* The start function; one that is restored has run it. */
        fprintf(out, "  if (!wasm_context->is_restored)\n  %s", line);
        return 0;
    }
    if (is_loop(line)) {
        fprintf(out, "%.*s LOOP_CHECK\n", (int)strcspn(line, "\n"), line);
        return 0;
    }
    fputs(line, out);
    return place->in_bodies ? 0 : read_prototype(text, line);
}

int rewrite(struct rewritten *text, FILE *header, FILE *in, FILE *out)
{
    struct place place = {0};
    char *line = NULL;
    size_t room = 0;
    int rc;

    *text = (struct rewritten){.keeps_tables = true, .keeps_globals = true};
    rc = read_header(text, header);
    while (rc == 0 && getline(&line, &room, in) > 0)
        rc = take_line(text, &place, line, out);
    free(line);
    if (rc < 0 || ferror(out)) {
        snprintf(text->error, sizeof(text->error), "no memory, or no room");
        return -1;
    }
    if (place.cut < CUTS) {
        snprintf(text->error, sizeof(text->error),
                 "this wasm2c writes another kind of C; wabt 1.0.32 is needed");
        return -1;
    }
    return 0;
}

void rewritten_fini(struct rewritten *text)
{
    for (uint32_t i = 0; i < text->function_count; i++)
        free(text->functions[i]);
    for (uint32_t i = 0; i < text->global_count; i++)
        free(text->globals[i]);
    free(text->functions);
    free(text->globals);
    free(text->memory);
}
