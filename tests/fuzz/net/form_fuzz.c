/* SPDX-License-Identifier: Apache-2.0 */
/* form_fuzz.c - any bytes as a form that asks for a run, in pieces, with places
 * for what is large in it: all that is placed comes to lie there. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "glovebox/body.h"

/* So that small ones are large, too. */
#undef GBX_BODY_SHOWN
#define GBX_BODY_SHOWN 64u
#include "daemon/api/form.c"

#define MOST 4096u

struct gbx_call {
    uint8_t *room; /* the last one's */
    size_t bytes;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

int gbx_call_room(struct gbx_call *call, const char *port, enum gbx_type type,
                  size_t bytes, void **data, struct gbx_error *err)
{
    must(type == GBX_STREAM && port[0] != '\0');
    if (bytes % 7 == 0)
        return fail(err, GBX_ELIMIT, "no room");
    free(call->room);
    call->bytes = bytes;
    *data = call->room = malloc(bytes + 1);
    must(call->room != NULL);
    return 0;
}

int gbx_call_trim(struct gbx_call *call, size_t bytes, struct gbx_error *err)
{
    (void)err;
    must(call->room != NULL && bytes <= call->bytes);
    call->bytes = bytes;
    return 0;
}

static int look(struct form *form, struct gbx_call *call, const uint8_t *data,
                size_t count, size_t most)
{
    const uint8_t *at = data, *last = data + count;
    struct gbx_error err;
    int rc = 0;

    for (const uint8_t *end = at; end < last && rc == 0;) {
        end = (size_t)(last - end) < most ? last : end + most;
        while ((rc = form_take(form, &at, end, &err)) == FORM_LARGE && rc >= 0)
            if ((rc = form_place(form, call, (uint64_t)(last - at), &err)) < 0)
                break;
        must(form->kept <= form->most);
    }
    return rc == 0 ? form_end(form, &err) : rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    struct gbx_call call = {.room = NULL};
    struct gbx_error err;
    struct form *form = malloc(sizeof(*form));
    int rc;

    must(form != NULL);
    if (count > 0) {
        const bool is_raw = (data[0] & 0x80) != 0;

        rc = form_open(form, is_raw ? NULL : "multipart/form-data; boundary=-",
                       "p", (data[0] & 0x40) != 0 ? MOST : 1u << 20, &err);
        must(rc == 0);
        if (is_raw)
            json_object_set_new(form->members, "actor", json_string("a"));
        rc = look(form, &call, data + 1, count - 1, data[0] % 64 * 100 + 1u);
        must(rc <= 0);
        must(rc < 0 || !is_raw || call.room == NULL ||
             memcmp(call.room, data + 1, count - 1) == 0);
        form_close(form);
    }
    free(form);
    free(call.room);
    return 0;
}
