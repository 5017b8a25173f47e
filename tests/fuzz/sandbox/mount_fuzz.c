/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_fuzz.c - any text as a mount, and what it says as one that is granted.
 *
 * What is accepted is whole: a source, and a target in one form that lies in
 * nothing of the sandbox's own.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sandbox/grants/grants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_target(const char *target)
{
    static const char *const taken[] = {"/dev", "/proc", "/sys", "/script",
                                        "/.glovebox"};

    must(target[0] == '/' && target[1] != '\0');
    must(target[strlen(target) - 1] != '/' && strstr(target, "//") == NULL);
    must(strcmp(target, "/tmp") != 0);
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
        const size_t bytes = strlen(taken[i]);

        must(strncmp(target, taken[i], bytes) != 0 ||
             (target[bytes] != '\0' && target[bytes] != '/'));
    }
    for (const char *at = target; (at = strstr(at, "/.")) != NULL; at += 2)
        must(at[2] != '\0' && at[2] != '/' &&
             !(at[2] == '.' && (at[3] == '\0' || at[3] == '/')));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    struct gbx_error err = {0};
    struct gbx_mount mount;
    struct grants grants;

    must(text != NULL);
    if (gbx_mount_parse(&mount, text, &err) < 0) {
        must(err.code == GBX_EARGUMENT && err.what[0] != '\0');
        must(strlen(text) == strnlen((const char *)data, size));
    } else {
        must(mount.source[0] != '\0' && mount.target[0] == '/');
        mount.source = "/usr"; /* what it names is none of the text's */
        if (grants_open(&grants, &mount, 1, &err) == 0)
            check_target(grants.all[0].target);
        else
            must(err.code == GBX_EARGUMENT && err.what[0] != '\0');
        grants_close(&grants);
    }
    free(text);
    return 0;
}
