/* SPDX-License-Identifier: Apache-2.0 */
/* keep.c - what open was told, for WASI and for a wipe: in one block. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "sandbox/wasm/backend/wasm.h"

static size_t list_bytes(const char *const *list, size_t *count)
{
    size_t bytes = 0;

    for (*count = 0; list[*count] != NULL; (*count)++)
        bytes += strlen(list[*count]) + 1;
    return bytes;
}

static const char *put_text(char **at, const char *text)
{
    const char *put = text != NULL ? *at : NULL;

    if (text != NULL)
        *at = stpcpy(*at, text) + 1;
    return put;
}

static const char *const *put_list(const char **to, char **at,
                                   const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = put_text(at, list[i]);
    to[count] = NULL;
    return to;
}

static size_t text_bytes(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

int wasm_keep(struct wasm *self, const struct bundle *what,
              struct gbx_error *err)
{
    static const char *const none[] = {NULL};
    const char *const *argv = what->argv != NULL ? what->argv : none;
    const char *const *envp = what->envp != NULL ? what->envp : none;
    size_t arguments, variables;
    size_t bytes = list_bytes(argv, &arguments) + list_bytes(envp, &variables) +
                   text_bytes(what->program) + text_bytes(what->folder) +
                   text_bytes(what->root) + text_bytes(what->working_dir);
    const char **lists =
        malloc((arguments + variables + 2) * sizeof(*lists) + bytes);
    char *at;

    self->kept = lists;
    if (lists == NULL)
        return fail(err, GBX_EHOST, "no memory for a module's arguments");
    at = (char *)(lists + arguments + variables + 2);
    self->what = *what;
    self->what.argv = put_list(lists, &at, argv, arguments);
    self->what.envp = put_list(lists + arguments + 1, &at, envp, variables);
    self->what.program = put_text(&at, what->program);
    self->what.folder = put_text(&at, what->folder);
    self->what.root = put_text(&at, what->root);
    self->what.working_dir = put_text(&at, what->working_dir);
    return 0;
}
