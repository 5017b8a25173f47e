/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_fuzz.c - any text as JSON, in each form.
 *
 * What is accepted must come out again in every form, and there stay the same:
 * once written, it reads as what it is and is written as it is.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "glovebox/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

/* Text of `message`, read and written again: the same text. */
static void stays(const struct gbx_message *message, enum gbx_json_form form)
{
    struct gbx_error err = {0};
    struct gbx_message again;
    struct gbx_builder b;
    char *text, *second;

    must(gbx_message_to_json(&text, message, form, &err) == 0);
    gbx_builder_init(&b);
    must(gbx_message_from_json(&again, &b, text, strlen(text), form, &err) ==
         0);
    if (form != GBX_JSON_PLAIN)
        must(again.type == message->type);
    must(gbx_message_to_json(&second, &again, form, &err) == 0);
    must(strcmp(text, second) == 0);
    free(second);
    free(text);
    gbx_builder_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    struct gbx_error err = {0};
    struct gbx_message message;
    struct gbx_builder b;
    enum gbx_json_form form;
    int rc;

    if (count < 1)
        return 0;
    form = (enum gbx_json_form)(data[0] % 3);
    gbx_builder_init(&b);
    rc = gbx_message_from_json(&message, &b, (const char *)data + 1, count - 1,
                               form, &err);
    if (rc == 0) {
        stays(&message, GBX_JSON_PLAIN);
        stays(&message, GBX_JSON_TYPED);
        stays(&message, GBX_JSON_SERDE);
    } else {
        must(rc == GBX_EFORMAT && err.code == rc && err.what[0] != '\0');
    }
    gbx_builder_fini(&b);
    return 0;
}
