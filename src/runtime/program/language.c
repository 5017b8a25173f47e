/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/program/language.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"

static const struct language languages[] = {
    {.name = "Python", .argv = {"glovebox-python"}, .suffixes = {".py"}},
    {.name = "JavaScript",
     .argv = {"glovebox-js"},
     .module = "glovebox-js.gbx",
     .suffixes = {".js", ".mjs", ".cjs"}},
    {.name = "WebAssembly",
     .argv = {"script"},
     .suffixes = {".wasm", ".gbx"},
     .is_module = true},
};

static const struct language native = {.name = "native",
                                       .argv = {"script"},
                                       .is_program = true};

static bool is_program(const char *path)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char magic[4];

    return fd >= 0 && pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
           memcmp(magic, "\177ELF", sizeof(magic)) == 0;
}

int language_check(const struct language *language, bool is_wasm,
                   struct gbx_error *err)
{
    if (!is_wasm && language->is_module)
        return fail(err, GBX_EARGUMENT,
                    "modules of WebAssembly run in the isolation wasm only");
    if (is_wasm && !language->is_module && language->module == NULL)
        return fail(err, GBX_EARGUMENT,
                    "%s does not run in the isolation wasm: use microvm or "
                    "process",
                    language->is_program ? "a native program" : language->name);
    return 0;
}

/* By the end of its name; NULL: by how it begins. */
static const struct language *named(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');

    for (size_t i = 0; dot != NULL && i < ARRAY_SIZE(languages); i++)
        for (const char *const *s = languages[i].suffixes; *s != NULL; s++)
            if (strcmp(dot, *s) == 0)
                return &languages[i];
    return NULL;
}

bool language_is_module(const char *path)
{
    const struct language *language = named(path);

    return language != NULL && language->is_module;
}

const struct language *language_of(const char *path, struct gbx_error *err)
{
    const struct language *language = named(path);

    if (language != NULL)
        return language;
    if (is_program(path))
        return &native;
    fail(err, GBX_EARGUMENT,
         "%s: the name must end in .py (Python), .js, .mjs or .cjs "
         "(JavaScript) or .wasm, or it is a program made for this "
         "(glovebox/native.h)",
         path);
    return NULL;
}
