/* SPDX-License-Identifier: Apache-2.0 */
/* secret.h - what a secret may be called (glovebox/secret.h).  Threads: any. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <string.h>

#include "glovebox/secret.h"

/* With the name, and GBX_SECRET_NAME_MAX. */
#define SECRET_NAME_RULE                                                       \
    "secret \"%.70s\": a name has 1 to %d letters, digits, _, - or ."

static inline bool secret_is_name(const char *name)
{
    const size_t bytes = strlen(name);

    return bytes > 0 && bytes <= GBX_SECRET_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_-.") == bytes;
}

#endif
