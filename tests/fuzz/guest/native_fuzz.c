/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native_fuzz.c - a host that sends what the fuzzer likes to a native guest
 * (guest/lib/native.c), whose handler does with it what the fuzzer likes.
 *
 * The input is a row of acts: a byte says which, the bytes behind it what.
 * What must hold: no crash; messages lie in the region; the host finds nothing
 * wrong in what the guest sends; and a call that is over holds no block.
 */
#include "channel/pair_test.h"
#include "channel/ring.h"

/* The guest's library is no part of the host's: its two files, but for what
 * makes a process of it. */
#include "guest/lib/guest.c"  /* NOLINT */
#include "guest/lib/native.c" /* NOLINT */

#define HALF     GBX_HALF_BYTES_MIN
#define ACTS_MAX 24u

static struct pair pair;
static struct channel *const host = &pair.host;
static const uint8_t *at, *end;
static bool damaged; /* the host is no honest one any more */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t next(size_t bytes)
{
    uint64_t value = 0;

    if (bytes > (size_t)(end - at))
        bytes = (size_t)(end - at);
    memcpy(&value, at, bytes);
    at += bytes;
    return value;
}

/* ---- the host's acts ---- */

/* As many bytes of the input as there are, the rest zeros. */
static void fill_body(struct gbx_descriptor *d, size_t bytes)
{
    size_t some = bytes < (size_t)(end - at) ? bytes : (size_t)(end - at);
    uint8_t *body;

    if (bytes == 0 || channel_reserve(host, bytes, 1, &d->body_off) < 0)
        return;
    body = channel_at(host, d->body_off);
    memset(body, 0, bytes);
    memcpy(body, at, some);
    at += some;
    d->body_bytes = (uint32_t)bytes;
}

static void send(uint8_t kind, uint16_t flags)
{
    struct gbx_descriptor d = {.kind = kind, .flags = flags};
    char name[GBX_NAME_BYTES_MAX];
    uint64_t shape = next(1);

    memset(name, 'n', sizeof(name));
    d.type = (uint8_t)(next(1) % GBX_TYPE_COUNT);
    if (d.type == GBX_ARRAY && (shape & 1))
        d.flags |= GBX_TYPED;
    if (d.type <= GBX_FLOAT)
        d.scalar = d.type == GBX_BOOLEAN ? next(1) & 1 : next(8);
    if (d.type >= GBX_STRING)
        fill_body(&d, next(1) << (shape >> 4));
    if (channel_put_name(host, &d, name, shape & 2 ? next(1) : 2, 1) < 0 ||
        channel_send(host, &d, 1) < 0)
        channel_drop(host, d.body_off);
}

/* A word of the host's half, as a host that is broken may have it. */
static void damage(void)
{
    uint64_t where = next(2) % (GBX_ARENA_OFF / 8);
    uint64_t value = next(8);

    memcpy(pair.region.base + where * 8, &value, sizeof(value));
    damaged = true;
}

static void answer(void)
{
    send(next(1) < 250 ? GBX_KIND_ANSWER : GBX_KIND_CALL,
         next(1) & 1 ? GBX_IS_ERROR : 0);
}

static void receive_all(void)
{
    struct gbx_descriptor d;
    char name[GBX_NAME_BYTES_MAX + 1];
    int rc;

    while ((rc = channel_try_recv(host, &d)) == 0) {
        must(channel_get_name(host, &d, name) == 0 || damaged);
        channel_give(host, d.body_off);
        if (d.kind == GBX_KIND_ASK || d.kind == GBX_KIND_GROW)
            answer();
    }
    must(rc == GBX_EAGAIN || damaged);
}

/* ---- what isolations do for the guest's library ---- */

int guest_map(struct gbx_guest *guest)
{
    return guest_begin(guest, pair.region.base, HALF);
}

/* While it waits, the host works; when it has no more to say, it is gone. */
int guest_sleep(void *context, uint32_t seen, uint64_t deadline_ns)
{
    (void)context;
    (void)seen;
    if (at == end || deadline_ns != 0)
        return deadline_ns != 0 ? GBX_ETIME : GBX_ECANCELED;
    receive_all();
    answer();
    return 0;
}

void guest_ring(void *context)
{
    (void)context;
}

static int serve(struct gbx_guest *guest, gbx_guest_take_fn *take_it,
                 void *context);

int gbx_guest_serve(struct gbx_guest *guest, gbx_guest_take_fn *take_it,
                    void *context)
{
    return serve(guest, take_it, context);
}

void gbx_guest_stand(void (*begin_it)(void))
{
    begin_it();
}

/* ---- the handler ---- */

static void look(const struct gbx_message *m)
{
    const uint8_t *body = m->body;
    struct gbx_array array;
    struct gbx_reader r;
    struct gbx_item item;

    must((unsigned)m->type < GBX_TYPE_COUNT);
    if (body == NULL)
        return;
    must(body >= pair.region.base &&
         body + m->body_bytes <= pair.region.base + 2 * HALF);
    if (gbx_message_array(m, &array) == 0 && array.data_bytes > 0)
        must((const uint8_t *)array.data + array.data_bytes ==
             body + m->body_bytes);
    gbx_reader_init(&r, body, m->body_bytes);
    while (gbx_read(&r, &item) == 0)
        if (item.kind == GBX_ITEM_TEXT)
            must(item.count <= m->body_bytes);
}

static int load_it(void *context, const struct gbx_message *config)
{
    (void)context;
    look(config);
    return config->body_bytes % 16 == 7 ? GBX_ESCRIPT : 0;
}

static struct gbx_message take_any(struct gbx_native_call *call)
{
    struct gbx_message m = {.type = GBX_STREAM};
    const char *port;

    if (gbx_native_input_at(call, (uint32_t)next(1) % 8, &port, &m) == 0)
        must(strlen(port) <= GBX_NAME_BYTES_MAX);
    look(&m);
    return m;
}

static struct gbx_message make_any(struct gbx_native_call *call)
{
    struct gbx_array array = {.dtype = (enum gbx_dtype)next(1),
                              .rank = (uint32_t)next(1) % 10};
    struct gbx_message m = {.type = GBX_STREAM};
    uint64_t bytes = next(1) << next(1) % 16;
    void *room;

    if (next(1) & 1) {
        for (uint32_t i = 0; i < GBX_ARRAY_RANK_MAX; i++)
            array.dims[i] = next(1) & 7 ? next(1) : next(8);
        gbx_native_array(call, &array, &room, &m);
    } else if (gbx_native_room(call, bytes, &room) == 0) {
        memset(room, 1, bytes);
        m.body = room;
        m.body_bytes = next(1) < 128 ? bytes : bytes / 2;
    }
    return m;
}

static int act(struct gbx_native_call *call)
{
    struct gbx_message m = next(1) & 1 ? take_any(call) : make_any(call), said;
    static const char *const ports[] = {"out", "", "a port of another length"};
    const char *port = ports[next(1) % 3];

    switch (next(1) % 6) {
    case 0:
        return gbx_native_send(call, port, &m);
    case 1:
        return gbx_native_answer(call, port, &m);
    case 2:
        if (gbx_native_ask(call, port, &m, &said) == 0)
            look(&said);
        return 0;
    case 3:
        return gbx_native_print(call, 1, m.body, m.body_bytes);
    case 4:
        return gbx_native_input(call, "nn", &m);
    default:
        return gbx_native_fail(call, port, "%s", port);
    }
}

static int process(void *context, struct gbx_native_call *call)
{
    int rc = 0;

    (void)context;
    for (uint64_t i = 0, acts = next(1) % ACTS_MAX; i < acts; i++)
        rc = act(call);
    return next(1) & 1 ? rc : 0;
}

/* ---- the conversation ---- */

/* What the guest has of its own is the host's, or free. */
static void check_arena(void)
{
    const struct arena *arena = &the_guest.channel.arena;

    must(the_call.input_count == 0 && the_call.room_count == 0);
    for (uint32_t i = 0; i < arena->count; i++)
        must(arena->blocks[i].mine == 0);
}

static void host_acts(void)
{
    switch (next(1) % 8) {
    case 0:
        send(GBX_KIND_LOAD, GBX_HAS_MESSAGE);
        break;
    case 1:
    case 2:
        send(GBX_KIND_INPUT, GBX_HAS_MESSAGE);
        break;
    case 3:
        send(GBX_KIND_CALL, 0);
        break;
    case 4:
        damage();
        break;
    case 5:
        send((uint8_t)next(1), (uint16_t)next(2));
        break;
    default:
        send(GBX_KIND_CALL, GBX_HAS_MESSAGE);
    }
}

static int serve(struct gbx_guest *guest, gbx_guest_take_fn *take_it,
                 void *context)
{
    struct gbx_descriptor d;
    int rc = 0;

    while (at < end && rc >= 0) {
        host_acts();
        while ((rc = gbx_guest_try_recv(guest, &d)) == 0) {
            rc = take_it(context, &d);
            if (rc < 0)
                return rc;
            if (d.kind == GBX_KIND_CALL)
                check_arena();
        }
        rc = rc == GBX_EAGAIN ? 0 : rc;
        receive_all();
    }
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gbx_native me = {
        .struct_bytes = sizeof(me), .process = process, .load = load_it};

    if (pair.region.base == NULL)
        pair_open(&pair, HALF, 0);
    memset(pair.region.base, 0, GBX_ARENA_OFF);
    memset(pair.region.base + HALF, 0, GBX_ARENA_OFF);
    pair_init(&pair, 0);
    the_guest = (struct gbx_guest){.bell_fd = -1};
    the_call = (struct gbx_native_call){0};
    damaged = false;
    at = data;
    end = data + size;
    gbx_native_serve(&me);
    return 0;
}
