/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_fuzz.c - any bytes as an image's passwd and group files, asked for a
 * name that may stand in them: what is found, a number finds again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "runtime/user/user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guest_ids ids = {0}, again = {0};
    char name[16] = "app";
    uint32_t gid;
    char *copy = malloc(size); /* whose end a sanitizer watches */

    must(size == 0 || copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    for (int i = 0; i < 2; i++) {
        if (user_in_passwd(&ids, name, 0, copy, size)) {
            must(ids.is_set && ids.uid < USER_NO_ID && ids.gid < USER_NO_ID);
            must(user_in_passwd(&again, NULL, ids.uid, copy, size));
            must(again.uid == ids.uid);
        }
        if (user_in_group(&gid, name, copy, size))
            must(gid < USER_NO_ID);
        if (size > 0) /* what the file begins with */
            memcpy(name, copy, size < 8 ? size : 8);
        name[strcspn(name, ":\n")] = '\0';
    }
    user_in_passwd(&ids, NULL, 1000, copy, size);
    free(copy);
    return 0;
}
