/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - fail(): one line to leave with, for those who open things.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stddef.h>

#include "glovebox/error.h"

/* Fill err, if there is one, and return code.  GBX_EHOST adds errno's text,
 * and the remedy that many calls share: more open files. */
int fail(struct gbx_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Of a config's struct_bytes, by the name of its type: 0 or GBX_EARGUMENT. */
int error_check_bytes(const char *type, size_t bytes, size_t want,
                      struct gbx_error *err);

#endif
