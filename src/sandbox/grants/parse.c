/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/error.h"
#include "glovebox/mount.h"

static int refuse(const char *text, struct gbx_error *err)
{
    return fail(err, GBX_EARGUMENT,
                "%.120s: SOURCE:TARGET or SOURCE:TARGET:cow is expected, and a "
                "TARGET begins with /",
                text);
}

int gbx_mount_parse(struct gbx_mount *mount, char *text, struct gbx_error *err)
{
    char *last = strrchr(text, ':'), *colon = last;

    *mount = (struct gbx_mount){0};
    if (last == NULL)
        return refuse(text, err);
    if (last[1] != '/') {
        mount->is_writable = strcmp(last, ":cow") == 0;
        if (strcmp(last, ":rw") == 0)
            return fail(err, GBX_EARGUMENT,
                        "%.150s: a sandbox writes nothing to the host: ro, or "
                        "cow for changes of its own",
                        text);
        if (!mount->is_writable && strcmp(last, ":ro") != 0)
            return refuse(text, err);
        *last = '\0';
        colon = strrchr(text, ':');
    }
    if (colon == NULL || colon == text || colon[1] != '/') {
        if (colon != last)
            *last = ':'; /* whole again, for the error */
        return refuse(text, err);
    }
    *colon = '\0';
    mount->source = text;
    mount->target = colon + 1;
    return 0;
}
