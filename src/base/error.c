/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

int fail(struct gbx_error *err, int code, const char *format, ...)
{
    int sys = errno;
    va_list ap;
    int at;

    if (err == NULL)
        return code;
    err->code = code;
    err->sys = code == GBX_EHOST ? sys : 0;
    va_start(ap, format);
    at = vsnprintf(err->what, sizeof(err->what), format, ap);
    va_end(ap);
    if (err->sys != 0 && at >= 0 && (size_t)at < sizeof(err->what))
        snprintf(err->what + at, sizeof(err->what) - (size_t)at, ": %s%s",
                 strerrordesc_np(sys),
                 sys == EMFILE ? "; raise ulimit -n" : "");
    return code;
}

const char *gbx_strerror(int code)
{
    switch (code) {
    case 0:
        return "success";
#define X(name, value, text)                                                   \
    case GBX_##name:                                                           \
        return text;
        GBX_ERRORS(X)
#undef X
    }
    return "unknown error";
}

const char *gbx_error_name(int code)
{
    switch (code) {
#define X(name, value, text)                                                   \
    case GBX_##name:                                                           \
        return #name;
        GBX_ERRORS(X)
#undef X
    }
    return "?";
}

int error_check_bytes(const char *type, size_t bytes, size_t want,
                      struct gbx_error *err)
{
    return bytes == want
               ? 0
               : fail(err, GBX_EARGUMENT,
                      "%s.struct_bytes is %zu, not %zu: built for another "
                      "version of the library?",
                      type, bytes, want);
}
