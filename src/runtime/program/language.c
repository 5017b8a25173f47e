/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/program/language.h"

#include <string.h>

#include "base/check.h"
#include "base/error.h"

static const struct language languages[] = {
    {"Python", {"glovebox-python"}, {".py"}},
    {"JavaScript", {"glovebox-js"}, {".js", ".mjs", ".cjs"}},
};

const struct language *language_of(const char *path, struct gbx_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');

    for (size_t i = 0; dot != NULL && i < ARRAY_SIZE(languages); i++)
        for (const char *const *s = languages[i].suffixes; *s != NULL; s++)
            if (strcmp(dot, *s) == 0)
                return &languages[i];
    fail(err, GBX_EARGUMENT,
         "%s: the name must end in .py (Python) or .js, .mjs or .cjs "
         "(JavaScript): it tells the language",
         path);
    return NULL;
}
