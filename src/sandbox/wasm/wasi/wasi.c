/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "sandbox/wasm/wasi/inner.h"

/* The numbers of $errno in typenames.witx, by those of Linux. */
static const uint8_t errnos[] = {
    [E2BIG] = 1,       [EACCES] = 2,  [EAGAIN] = 6,        [EBADF] = 8,
    [EBUSY] = 10,      [EDQUOT] = 19, [EEXIST] = 20,       [EFAULT] = 21,
    [EFBIG] = 22,      [EILSEQ] = 25, [EINTR] = 27,        [EINVAL] = 28,
    [EIO] = 29,        [EISDIR] = 31, [ELOOP] = 32,        [EMFILE] = 33,
    [EMLINK] = 34,     [ENFILE] = 41, [ENAMETOOLONG] = 37, [ENODEV] = 43,
    [ENOENT] = 44,     [ENOMEM] = 48, [ENOSPC] = 51,       [ENOSYS] = 52,
    [ENOTDIR] = 54,    [EPERM] = 63,  [ENOTEMPTY] = 55,    [ENOTSOCK] = 57,
    [EOPNOTSUPP] = 58, [ENOTTY] = 59, [ENXIO] = 60,        [EOVERFLOW] = 61,
    [EPIPE] = 64,      [ERANGE] = 68, [EROFS] = 69,        [ESPIPE] = 70,
    [ETXTBSY] = 74,    [EXDEV] = 75,  [NOT_CAPABLE] = 76,  [ECONNRESET] = 15,
};

#define OTHER 29u /* io */

static uint32_t answer(int rc)
{
    unsigned code = (unsigned)-rc;

    if (rc >= 0)
        return 0;
    return code < ARRAY_SIZE(errnos) && errnos[code] != 0 ? errnos[code]
                                                          : OTHER;
}

#define FUNCTION(name, parameters)                                             \
    static uint32_t call_##name(struct wasi *wasi,                             \
                                const struct wasi_memory *memory,              \
                                const uint64_t *arguments)                     \
    {                                                                          \
        return answer(wasi_##name(wasi, memory, arguments));                   \
    }
#include "sandbox/wasm/wasi/functions.def"
#undef FUNCTION

static const struct wasi_function functions[] = {
#define FUNCTION(name, parameters) {#name, parameters, call_##name},
#include "sandbox/wasm/wasi/functions.def"
#undef FUNCTION
};

static int compare(const void *name, const void *function)
{
    return strcmp(name, ((const struct wasi_function *)function)->name);
}

const struct wasi_function *wasi_find(const char *name)
{
    return bsearch(name, functions, ARRAY_SIZE(functions), sizeof(*functions),
                   compare);
}

int wasi_open(struct wasi **wasi, const struct wasi_config *config,
              struct gbx_error *err)
{
    struct wasi *new = calloc(1, sizeof(*new));

    must(config->wait != NULL);
    if (new == NULL)
        return fail(err, GBX_EHOST, "no memory for a module's system");
    new->config = *config;
    if (new->config.files_max == 0)
        new->config.files_max = INT32_MAX;
    descriptors_open(new);
    *wasi = new;
    return 0;
}

void wasi_close(struct wasi *wasi)
{
    if (wasi == NULL)
        return;
    descriptors_close(wasi);
    files_close(wasi->files);
    for (unsigned i = 0; i < 3; i++)
        stream_close(wasi, i);
    free(wasi);
}

int wasi_end(struct wasi *wasi, int code)
{
    must(code < 0);
    wasi->ended = code;
    return -EIO;
}

int wasi_ended(const struct wasi *wasi)
{
    return wasi->ended;
}

int wasi_status(const struct wasi *wasi)
{
    return wasi->status;
}

void wasi_explain(const struct wasi *wasi, struct gbx_error *err)
{
    if (wasi->why.code != 0 && wasi->why.code == wasi->ended && err != NULL)
        *err = wasi->why;
    else if (wasi->ended == GBX_EEXIT)
        fail(err, GBX_EEXIT, "exit status %d", wasi->status);
    else
        fail(err, wasi->ended, "%s", gbx_strerror(wasi->ended));
}

bool wasi_is_plain(const struct wasi *wasi)
{
    return wasi->ended == 0 && !wasi->has_changed &&
           descriptors_are_first(wasi);
}
