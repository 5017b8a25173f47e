/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native.c - a C function as a script: the conversation of abi/message.h, so
 * that a program needs to know nothing of it.
 *
 * Bodies in rooms have one holder, the call, until it ends; each descriptor
 * that points into one holds it once more.  So a room may be sent in parts, or
 * twice, and one that was not sent is free again.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "glovebox/native.h"

#include "guest.h"

#define HEAD_ROOM    128u /* before the elements of an array */
#define TYPE_BYTES   64u
#define REASON_BYTES 512u

struct input {
    char port[GBX_NAME_BYTES_MAX + 1];
    struct gbx_message message;
    uint64_t off; /* of the body, for give */
};

struct gbx_native_call {
    struct gbx_guest *guest;
    const struct gbx_native *native;
    struct input inputs[GBX_NATIVE_INPUTS_MAX];
    uint32_t input_count, room_count;
    uint64_t rooms[GBX_NATIVE_ROOMS_MAX]; /* for drop */
    struct gbx_descriptor last;           /* the answer, where there is one */
    bool has_answer;
    uint64_t answer_off;   /* of the host's last word, for give */
    int spoiled;           /* a code: an input could not be taken */
    char type[TYPE_BYTES]; /* why the call fails */
    char reason[REASON_BYTES];
};

static struct gbx_native_call the_call; /* there is one guest a process */

/* ---- inputs ---- */

static struct gbx_message see(struct gbx_guest *guest,
                              const struct gbx_descriptor *d)
{
    struct gbx_message m = {.type = (enum gbx_type)d->type,
                            .flags = d->flags & GBX_TYPED,
                            .body_bytes = d->body_bytes};

    if (d->type == GBX_BOOLEAN)
        m.scalar.boolean = d->scalar != 0;
    else
        memcpy(&m.scalar, &d->scalar, sizeof(d->scalar));
    if (d->body_off != 0)
        m.body = gbx_guest_at(guest, d->body_off);
    return m;
}

static int take_input(struct gbx_native_call *call,
                      const struct gbx_descriptor *d)
{
    struct input *input = &call->inputs[call->input_count];
    int rc;

    if (call->input_count == GBX_NATIVE_INPUTS_MAX) {
        gbx_guest_give(call->guest, d->body_off);
        gbx_native_fail(call, "RangeError", "more than %u inputs in one call",
                        GBX_NATIVE_INPUTS_MAX);
        return GBX_ELIMIT;
    }
    rc = gbx_guest_get_name(call->guest, d, input->port);
    input->message = see(call->guest, d);
    input->off = d->body_off;
    call->input_count++;
    return rc;
}

int gbx_native_input_at(const struct gbx_native_call *call, uint32_t index,
                        const char **port, struct gbx_message *message)
{
    if (index >= call->input_count)
        return GBX_EAGAIN;
    *port = call->inputs[index].port;
    *message = call->inputs[index].message;
    return 0;
}

int gbx_native_input(const struct gbx_native_call *call, const char *port,
                     struct gbx_message *message)
{
    /* Of two for one port the later one counts. */
    for (uint32_t i = call->input_count; i-- > 0;)
        if (strcmp(call->inputs[i].port, port) == 0) {
            *message = call->inputs[i].message;
            return 0;
        }
    return GBX_EAGAIN;
}

/* ---- outputs ---- */

int gbx_native_room(struct gbx_native_call *call, size_t bytes, void **room)
{
    uint64_t off;
    int rc;

    *room = NULL;
    if (call->room_count == GBX_NATIVE_ROOMS_MAX)
        return GBX_ELIMIT;
    rc = gbx_guest_reserve(call->guest, bytes > 0 ? bytes : 1, &off);
    if (rc < 0)
        return rc;
    call->rooms[call->room_count++] = off;
    *room = gbx_guest_at(call->guest, off);
    return 0;
}

int gbx_native_array(struct gbx_native_call *call,
                     const struct gbx_array *array, void **elements,
                     struct gbx_message *message)
{
    struct gbx_array whole = *array;
    uint8_t head[GBX_ARRAY_HEAD_MAX];
    uint64_t bytes = gbx_dtype_bytes(array->dtype);
    void *room;
    size_t n;
    int rc;

    if (array->rank > GBX_ARRAY_RANK_MAX)
        return GBX_EARGUMENT;
    for (uint32_t i = 0; i < array->rank; i++)
        if (__builtin_mul_overflow(bytes, array->dims[i], &bytes) ||
            bytes > GBX_BODY_BYTES_MAX - HEAD_ROOM)
            return GBX_ELIMIT;
    whole.data_bytes = bytes;
    n = gbx_array_head(head, &whole);
    if (n == 0)
        return GBX_EARGUMENT;
    rc = gbx_native_room(call, HEAD_ROOM + bytes, &room);
    if (rc < 0)
        return rc;
    *elements = (uint8_t *)room + HEAD_ROOM;
    memcpy((uint8_t *)*elements - n, head, n);
    *message = (struct gbx_message){.type = GBX_ARRAY,
                                    .flags = GBX_TYPED,
                                    .body = (uint8_t *)*elements - n,
                                    .body_bytes = n + bytes};
    return 0;
}

/* The body stays where it is, if that is in the region. */
static int put_body(struct gbx_native_call *call, struct gbx_descriptor *d,
                    const struct gbx_message *m)
{
    uint64_t off = gbx_guest_off(call->guest, m->body);
    int rc;

    d->body_bytes = (uint32_t)m->body_bytes;
    if (off != UINT64_MAX) {
        d->body_off = off;
        return gbx_guest_is_mine(call->guest, off)
                   ? gbx_guest_hold(call->guest, off, m->body_bytes)
                   : 0;
    }
    rc = gbx_guest_reserve(call->guest, m->body_bytes, &d->body_off);
    if (rc < 0)
        return rc;
    memcpy(gbx_guest_at(call->guest, d->body_off), m->body, m->body_bytes);
    gbx_guest_copied(call->guest, m->body_bytes);
    return 0;
}

static void drop_body(struct gbx_native_call *call,
                      const struct gbx_descriptor *d)
{
    if (d->body_off != 0 && gbx_guest_is_mine(call->guest, d->body_off))
        gbx_guest_drop(call->guest, d->body_off);
    if (d->flags & GBX_LONG_NAME)
        gbx_guest_drop(call->guest, d->name.off);
}

static int make(struct gbx_native_call *call, struct gbx_descriptor *d,
                const char *port, const struct gbx_message *m)
{
    const size_t bytes = strlen(port);
    int rc = 0;

    *d = (struct gbx_descriptor){.kind = GBX_KIND_OUTPUT};
    if (bytes == 0 || bytes > GBX_NAME_BYTES_MAX ||
        (unsigned)m->type >= GBX_TYPE_COUNT ||
        m->body_bytes > GBX_BODY_BYTES_MAX)
        return GBX_EARGUMENT;
    d->type = (uint8_t)m->type;
    d->flags = (uint16_t)(m->flags & GBX_TYPED);
    if (m->type == GBX_BOOLEAN)
        d->scalar = m->scalar.boolean;
    else if (m->type == GBX_INTEGER || m->type == GBX_FLOAT)
        memcpy(&d->scalar, &m->scalar, sizeof(d->scalar));
    if (m->body_bytes > 0)
        rc = put_body(call, d, m);
    if (rc < 0)
        return rc;
    rc = gbx_guest_set_name(call->guest, d, port, bytes);
    if (rc < 0)
        drop_body(call, d);
    return rc;
}

int gbx_native_send(struct gbx_native_call *call, const char *port,
                    const struct gbx_message *message)
{
    struct gbx_descriptor d;
    int rc = make(call, &d, port, message);

    return rc < 0 ? rc : gbx_guest_send(call->guest, &d);
}

int gbx_native_answer(struct gbx_native_call *call, const char *port,
                      const struct gbx_message *message)
{
    int rc;

    if (call->has_answer)
        return GBX_EARGUMENT;
    rc = make(call, &call->last, port, message);
    call->has_answer = rc == 0;
    return rc;
}

int gbx_native_print(struct gbx_native_call *call, int stream, const char *text,
                     size_t bytes)
{
    return gbx_guest_print(call->guest, stream, text, bytes);
}

int gbx_native_fail(struct gbx_native_call *call, const char *type,
                    const char *format, ...)
{
    va_list list;

    if (call == NULL)
        call = &the_call;
    snprintf(call->type, sizeof(call->type), "%s", type);
    va_start(list, format);
    vsnprintf(call->reason, sizeof(call->reason), format, list);
    va_end(list);
    return GBX_ESCRIPT;
}

int gbx_native_ask(struct gbx_native_call *call, const char *name,
                   const struct gbx_message *arguments,
                   struct gbx_message *answer)
{
    struct gbx_descriptor d, said;
    int rc;

    gbx_guest_give(call->guest, call->answer_off);
    call->answer_off = 0;
    rc = make(call, &d, name, arguments);
    if (rc < 0)
        return rc;
    d.kind = GBX_KIND_ASK;
    d.flags |= GBX_HAS_MESSAGE;
    rc = gbx_guest_ask(call->guest, &d, &said);
    if (rc < 0)
        return rc;
    *answer = see(call->guest, &said);
    call->answer_off = said.body_off;
    return said.flags & GBX_IS_ERROR ? GBX_ESCRIPT : 0;
}

/* ---- the conversation ---- */

static void build_words(struct gbx_builder *b, const char *const *words)
{
    uint32_t count = 0;

    while (words != NULL && words[count] != NULL)
        count++;
    gbx_build_array(b, count);
    for (uint32_t i = 0; i < count; i++)
        gbx_build_text(b, words[i], strlen(words[i]));
}

static void build_pair(struct gbx_builder *b, const char *key, const char *text)
{
    gbx_build_text(b, key, strlen(key));
    if (text != NULL)
        gbx_build_text(b, text, strlen(text));
}

static int say_object(struct gbx_native_call *call, enum gbx_kind kind,
                      struct gbx_builder *b)
{
    struct gbx_descriptor d = {
        .kind = (uint8_t)kind, .type = GBX_OBJECT, .flags = GBX_HAS_MESSAGE};
    int rc = b->error;

    if (rc == 0)
        rc = gbx_guest_send_copy(call->guest, &d, b->bytes, b->count);
    gbx_builder_fini(b);
    return rc;
}

static int say_failed(struct gbx_native_call *call, int code)
{
    struct gbx_builder b;

    gbx_builder_init(&b);
    gbx_build_map(&b, 3);
    build_pair(&b, "type", call->type[0] != '\0' ? call->type : "Error");
    build_pair(&b, "message",
               call->reason[0] != '\0' ? call->reason : gbx_strerror(code));
    build_pair(&b, "traceback", "");
    call->type[0] = call->reason[0] = '\0';
    return say_object(call, GBX_KIND_FAILED, &b);
}

static int say_loaded(struct gbx_native_call *call, const char *file)
{
    const struct gbx_native *native = call->native;
    struct gbx_builder b;

    gbx_builder_init(&b);
    gbx_build_map(&b, 5);
    build_pair(&b, "component",
               native->component != NULL ? native->component : file);
    build_pair(&b, "description",
               native->description != NULL ? native->description : "");
    build_pair(&b, "inports", NULL);
    build_words(&b, native->inports);
    build_pair(&b, "outports", NULL);
    build_words(&b, native->outports);
    build_pair(&b, "await_all_inports", NULL);
    gbx_build_boolean(&b, native->await_all_inports);
    return say_object(call, GBX_KIND_LOADED, &b);
}

/* What is needed of LOAD: the file's name, and the config as it stands. */
struct load {
    char file[GBX_NAME_BYTES_MAX + 1];
    struct gbx_message config;
};

static void read_load(struct load *load, const struct gbx_message *map)
{
    enum { KEY, FILE_NAME, CONFIG, OTHER } next = KEY;
    const uint8_t *bytes = map->body, *config = NULL;
    struct gbx_reader r;
    struct gbx_item item;
    size_t from;

    *load = (struct load){.config = {.type = GBX_OBJECT}};
    gbx_reader_init(&r, bytes, map->body_bytes);
    while (from = r.at, gbx_read(&r, &item) == 0) {
        if (item.depth != 1)
            continue;
        if (config != NULL) { /* what stands between is the map */
            load->config.body_bytes = (size_t)(bytes + from - config);
            config = NULL;
        }
        if (next == FILE_NAME && item.kind == GBX_ITEM_TEXT)
            snprintf(load->file, sizeof(load->file), "%.*s", (int)item.count,
                     (const char *)item.bytes);
        if (next == CONFIG)
            load->config.body = config = bytes + from;
        if (next != KEY)
            next = KEY;
        else
            next = gbx_item_is(&item, "file")     ? FILE_NAME
                   : gbx_item_is(&item, "config") ? CONFIG
                                                  : OTHER;
    }
    if (config != NULL)
        load->config.body_bytes = (size_t)(bytes + r.at - config);
}

static int take_load(struct gbx_native_call *call,
                     const struct gbx_descriptor *d)
{
    const struct gbx_native *native = call->native;
    const struct gbx_message map = see(call->guest, d);
    struct load load;
    int rc = 0;

    read_load(&load, &map);
    if (native->load != NULL)
        rc = native->load(native->context, &load.config);
    gbx_guest_give(call->guest, d->body_off);
    return rc < 0 ? say_failed(call, rc) : say_loaded(call, load.file);
}

static void end_call(struct gbx_native_call *call)
{
    for (uint32_t i = 0; i < call->input_count; i++)
        gbx_guest_give(call->guest, call->inputs[i].off);
    for (uint32_t i = 0; i < call->room_count; i++)
        gbx_guest_drop(call->guest, call->rooms[i]);
    gbx_guest_give(call->guest, call->answer_off);
    call->answer_off = 0;
    call->input_count = call->room_count = 0;
    call->has_answer = false;
    call->spoiled = 0;
}

/* The answer leaves first; what the call used is given back while the host is
 * busy with it. */
static int run_call(struct gbx_native_call *call)
{
    const struct gbx_native *native = call->native;
    const uint64_t start_ns = clock_now_ns();
    int rc = call->spoiled;

    if (rc == 0)
        rc = native->process(native->context, call);
    gbx_guest_took(call->guest, clock_now_ns() - start_ns);
    if (rc < 0) {
        if (call->has_answer)
            drop_body(call, &call->last);
        rc = say_failed(call, rc);
    } else if (call->has_answer) {
        call->last.kind = GBX_KIND_DONE;
        call->last.flags |= GBX_HAS_MESSAGE;
        rc = gbx_guest_send(call->guest, &call->last);
    } else {
        rc = gbx_guest_say(call->guest, GBX_KIND_DONE);
    }
    end_call(call);
    return rc;
}

static int take(struct gbx_native_call *call, const struct gbx_descriptor *d)
{
    int rc = 0;

    if (d->kind == GBX_KIND_LOAD)
        return take_load(call, d);
    if (d->kind != GBX_KIND_INPUT && d->kind != GBX_KIND_CALL)
        return GBX_EBROKEN;
    if (d->kind == GBX_KIND_INPUT || (d->flags & GBX_HAS_MESSAGE))
        rc = take_input(call, d);
    if (rc < 0)
        call->spoiled = rc;
    return d->kind == GBX_KIND_CALL ? run_call(call) : 0;
}

static int take_next(void *context, const struct gbx_descriptor *d)
{
    struct gbx_native_call *call = context;
    uint8_t seed[32];

    if (gbx_guest_is_copied(call->guest, seed) && call->native->copied != NULL)
        call->native->copied(call->native->context, seed);
    return take(call, d);
}

static void begin(void)
{
    struct gbx_native_call *call = &the_call;

    if (gbx_guest_attach(&call->guest) < 0)
        fprintf(stderr,
                "this program is a script for Glovebox: "
                "glovebox run %s\n",
                program_invocation_name);
    else if (gbx_guest_say(call->guest, GBX_KIND_READY) == 0)
        gbx_guest_serve(call->guest, take_next, call);
}

int gbx_native_serve(const struct gbx_native *native)
{
    the_call.native = native;
    gbx_guest_stand(begin);
    return 70;
}
