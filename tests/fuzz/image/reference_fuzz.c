/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reference_fuzz.c - any text as the name of an image.
 *
 * What is accepted has one name, which reads as itself, and nothing in it that
 * a registry's client could take for an option or a way out of a folder.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "image/reference/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reference reference, again;
    char name[REFERENCE_NAME_BYTES], twice[REFERENCE_NAME_BYTES];
    struct gbx_error err = {0};
    char *text = strndup((const char *)data, size);

    must(text != NULL);
    if (reference_parse(&reference, text, &err) < 0) {
        must(err.code == GBX_EARGUMENT && err.what[0] != '\0');
        free(text);
        return 0;
    }
    reference_name(&reference, name);
    must(reference_parse(&again, name, &err) == 0);
    reference_name(&again, twice);
    must(strcmp(name, twice) == 0);
    if (reference.kind == REFERENCE_REGISTRY)
        must(name[0] != '-' && name[0] != '/' &&
             strstr(reference.repository, "..") == NULL &&
             strpbrk(name, " \n\t'\"\\%") == NULL);
    free(text);
    return 0;
}
