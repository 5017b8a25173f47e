/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "box.h"

#define CALL_NS 60000000000u

static void say(struct gbx_error *err, int code, const char *what)
{
    err->code = code;
    snprintf(err->what, sizeof(err->what), "%s", what);
}

bool box_open(struct box *box, const struct paths *paths,
              const struct box_how *how, struct gbx_error *err)
{
    struct gbx_runtime_config config = {.struct_bytes = sizeof(config),
                                        .libexec_dir = paths->libexec};
    struct gbx_script_config script = {.struct_bytes = sizeof(script),
                                       .isolation = how->isolation,
                                       .spin_ns = how->spin ? BOX_SPIN_NS : 1,
                                       .wipe = how->wipe,
                                       .pool = how->pool};
    char path[4300];
    int rc;

    *box = (struct box){0};
    if (!place_possible(how->place)) {
        say(err, GBX_EUNSUPPORTED, "there are not two CPUs to run on");
        return false;
    }
    snprintf(path, sizeof(path), "%s/scripts/%s", paths->bench, how->script);
    rc = gbx_runtime_open(&box->runtime, &config, err);
    if (rc == 0 && how->url != NULL)
        rc = gbx_runtime_add_host(
            box->runtime,
            &(struct gbx_host_config){.struct_bytes =
                                          sizeof(struct gbx_host_config),
                                      .url = how->url},
            err);
    if (rc < 0) {
        box_close(box);
        return false;
    }
    place_peer(how->place); /* the sandbox inherits it */
    rc = gbx_script_open(&box->script, box->runtime, path, &script, err);
    place_self(how->place);
    if (rc < 0)
        box_close(box);
    return rc == 0;
}

void box_close(struct box *box)
{
    place_self(PLACE_FREE);
    gbx_script_close(box->script);
    gbx_runtime_close(box->runtime);
    *box = (struct box){0};
}

static void fill(unsigned char *room, const struct box_call *call)
{
    if (call->stamp == 0) {
        memcpy(room, call->data, call->bytes);
        return;
    }
    memcpy(room, &call->stamp, sizeof(call->stamp));
    memcpy(room + call->bytes - sizeof(call->stamp), &call->stamp,
           sizeof(call->stamp));
}

static bool is_same(const unsigned char *body, const struct box_call *call)
{
    const size_t bytes = sizeof(call->stamp);

    if (call->stamp == 0)
        return memcmp(body, call->data, call->bytes) == 0;
    return memcmp(body, &call->stamp, bytes) == 0 &&
           memcmp(body + call->bytes - bytes, &call->stamp, bytes) == 0;
}

/* Looks at the clock, where the call is not to be disturbed by that. */
static uint64_t look(const struct box_call *call)
{
    return call->stamp == 0 ? measure_now_ns() : 0;
}

static int put_input(struct gbx_call *c, struct box_call *call,
                     struct gbx_error *err)
{
    const struct gbx_message number = {.type = GBX_INTEGER,
                                       .scalar.integer = call->number};
    uint64_t from_ns;
    void *room;
    int rc;

    call->fill_ns = 0;
    if (call->data == NULL)
        return gbx_call_put(c, "in", &number, err);
    rc = gbx_call_room(c, "in", GBX_STREAM, call->bytes, &room, err);
    if (rc < 0)
        return rc;
    from_ns = look(call);
    fill(room, call);
    call->fill_ns = look(call) - from_ns;
    return 0;
}

static bool is_right(const struct gbx_message *m, struct box_call *call)
{
    const unsigned char *body = m->body;
    bool is_number = m->type == GBX_INTEGER;

    call->answer = is_number ? m->scalar.integer : 0;
    switch (call->want) {
    case BOX_SAME:
        if (call->data == NULL)
            return is_number && call->answer == call->number;
        return m->type == GBX_STREAM && m->body_bytes == call->bytes &&
               is_same(body, call);
    case BOX_NUMBER:
        return is_number && call->answer == call->want_number;
    case BOX_BYTES:
        return m->type == GBX_STREAM &&
               m->body_bytes == (size_t)call->want_number && body[0] == 1 &&
               body[m->body_bytes - 1] == 2;
    default:
        return is_number;
    }
}

/* The stopwatch stands still while the input is filled, which is the work of
 * whoever has the bytes, and while the answer is checked. */
bool box_call(struct box *box, struct box_call *call, struct gbx_error *err)
{
    uint64_t from_ns = measure_now_ns(), check_ns = 0;
    uint64_t deadline_ns = from_ns + CALL_NS;
    struct gbx_message message;
    struct gbx_call *c;
    const char *port;
    bool right = false;
    int rc;

    rc = gbx_call_begin_for(&c, box->script, call->key, deadline_ns, err);
    call->begin_ns = look(call) - from_ns;
    if (rc < 0)
        return false;
    rc = put_input(c, call, err);
    if (rc == 0)
        rc = gbx_call_run(c, deadline_ns, err);
    call->answer_ns = look(call) - from_ns - call->fill_ns;
    if (rc == 0 && gbx_call_next(c, &port, &message) == 0) {
        check_ns = look(call);
        right = is_right(&message, call);
        gbx_call_stats(c, &call->stats);
        check_ns = look(call) - check_ns;
    }
    gbx_call_finish(c);
    call->call_ns = measure_now_ns() - from_ns - check_ns - call->fill_ns;
    if (rc == 0 && !right)
        say(err, GBX_EFORMAT, "the script's answer is wrong");
    return rc == 0 && right;
}
