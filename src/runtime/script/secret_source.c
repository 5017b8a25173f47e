/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/script/secret_source.h"

static int read_variable(struct gbx_secret *secret, const char *variable,
                         struct gbx_error *err)
{
    const char *value = getenv(variable);

    if (value == NULL)
        return fail(err, GBX_EARGUMENT,
                    "secret \"%s\": there is no %s in the environment",
                    secret->name, variable);
    secret->bytes = strlen(value);
    if (secret->bytes > GBX_SECRET_BYTES_MAX)
        return fail(err, GBX_ELIMIT, "secret \"%s\": %s has more than %d bytes",
                    secret->name, variable, GBX_SECRET_BYTES_MAX);
    secret->value = strdup(value);
    return secret->value != NULL
               ? 0
               : fail(err, GBX_EHOST, "no memory for secrets");
}

/* It may be a pipe, too. */
static int read_file(struct gbx_secret *secret, const char *path,
                     struct gbx_error *err)
{
    const size_t most = GBX_SECRET_BYTES_MAX + 1; /* with a line end */
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char *text = malloc(most + 1);
    ssize_t count = fd < 0 ? -1 : 1;

    secret->value = text;
    if (text == NULL)
        return fail(err, GBX_EHOST, "no memory for secrets");
    while (count > 0 && secret->bytes <= most) {
        count = read(fd, text + secret->bytes, most + 1 - secret->bytes);
        if (count < 0 && errno == EINTR)
            count = 1;
        else if (count > 0)
            secret->bytes += (size_t)count;
    }
    if (count < 0)
        return fail(err, GBX_EFILE, "secret \"%s\": %s: %s", secret->name, path,
                    strerrordesc_np(errno));
    if (secret->bytes > 0 && secret->bytes <= most &&
        text[secret->bytes - 1] == '\n')
        secret->bytes--;
    if (secret->bytes > GBX_SECRET_BYTES_MAX)
        return fail(err, GBX_ELIMIT, "secret \"%s\": %s has more than %d bytes",
                    secret->name, path, GBX_SECRET_BYTES_MAX);
    return 0;
}

int secret_source_read(struct gbx_secret *secret, struct gbx_error *err)
{
    const char *source = secret->source;

    secret->value = NULL;
    secret->bytes = 0;
    if (strncmp(source, "env:", 4) == 0 && source[4] != '\0')
        return read_variable(secret, source + 4, err);
    if (strncmp(source, "file:", 5) == 0 && source[5] != '\0')
        return read_file(secret, source + 5, err);
    return fail(err, GBX_EARGUMENT,
                "secret \"%s\": it is read from env:VARIABLE or file:PATH",
                secret->name);
}

void secret_source_free(struct gbx_secret *secret)
{
    if (secret->value != NULL)
        explicit_bzero((void *)(uintptr_t)secret->value, secret->bytes);
    free((void *)(uintptr_t)secret->value);
}
