/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/program/language.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"

static const struct language languages[] = {
    {"Python", {"glovebox-python"}, {".py"}},
    {"JavaScript", {"glovebox-js"}, {".js", ".mjs", ".cjs"}},
};

static const struct language native = {"native", {"script"}, {NULL}};

static bool is_program(const char *path)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char magic[4];

    return fd >= 0 && pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
           memcmp(magic, "\177ELF", sizeof(magic)) == 0;
}

bool language_is_native(const struct language *language)
{
    return language == &native;
}

const struct language *language_of(const char *path, struct gbx_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');

    for (size_t i = 0; dot != NULL && i < ARRAY_SIZE(languages); i++)
        for (const char *const *s = languages[i].suffixes; *s != NULL; s++)
            if (strcmp(dot, *s) == 0)
                return &languages[i];
    if (is_program(path))
        return &native;
    fail(err, GBX_EARGUMENT,
         "%s: the name must end in .py (Python) or .js, .mjs or .cjs "
         "(JavaScript), or it is a program made for this (glovebox/native.h)",
         path);
    return NULL;
}
