/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - fail(): one line to leave with, for those who open things.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "glovebox/error.h"

/* Fill err, if there is one, and return code.  GBX_EHOST adds errno's text,
 * and the remedy that many calls share: more open files. */
int fail(struct gbx_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
