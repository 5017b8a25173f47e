/* SPDX-License-Identifier: Apache-2.0 */
/* native_guest.c - a program that is a script: does what its port "do" says. */
#include <glovebox/native.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t loaded;

static int echo(struct gbx_native_call *call)
{
    struct gbx_message m;
    const char *port;
    int rc = 0;

    for (uint32_t i = 1;
         rc == 0 && gbx_native_input_at(call, i, &port, &m) == 0; i++)
        rc = gbx_native_send(call, port, &m);
    return rc;
}

static int rooms(struct gbx_native_call *call)
{
    struct gbx_message m = {.type = GBX_STREAM};
    void *room;
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i <= GBX_NATIVE_ROOMS_MAX; i++)
        rc = gbx_native_room(call, 4096, &room);
    if (rc != GBX_ELIMIT)
        return gbx_native_fail(call, "Error", "rooms without an end: %d", rc);
    return gbx_native_answer(call, "empty", &m);
}

/* A room, in two parts, one of them twice, and one that is dropped. */
static int parts(struct gbx_native_call *call)
{
    struct gbx_message m = {.type = GBX_STREAM};
    void *room, *unused;
    int rc;

    if ((rc = gbx_native_room(call, 1 << 20, &unused)) < 0 ||
        (rc = gbx_native_room(call, 1 << 20, &room)) < 0)
        return rc;
    memset(room, 1, 1 << 19);
    memset((char *)room + (1 << 19), 2, 1 << 19);
    m.body = room;
    m.body_bytes = 4;
    if ((rc = gbx_native_send(call, "a", &m)) < 0)
        return rc;
    m.body = (char *)room + (1 << 20) - 4;
    if ((rc = gbx_native_send(call, "b", &m)) < 0)
        return rc;
    return gbx_native_answer(call, "c", &m);
}

static int array(struct gbx_native_call *call)
{
    struct gbx_array a = {.dtype = GBX_DTYPE_F32, .rank = 2, .dims = {2, 3}};
    struct gbx_message m;
    void *elements;
    int rc;

    a.rank = 9;
    if (gbx_native_array(call, &a, &elements, &m) != GBX_EARGUMENT)
        return -1;
    a.rank = 2;
    a.dims[1] = 1ull << 62;
    if (gbx_native_array(call, &a, &elements, &m) != GBX_ELIMIT)
        return -1;
    a.dims[1] = 3;
    if ((rc = gbx_native_array(call, &a, &elements, &m)) < 0)
        return rc;
    for (int i = 0; i < 6; i++)
        ((float *)elements)[i] = (float)i + 0.5f;
    return gbx_native_answer(call, "out", &m);
}

static int bad_outputs(struct gbx_native_call *call)
{
    struct gbx_message m = {.type = GBX_INTEGER};
    char name[300];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    if (gbx_native_send(call, "", &m) != GBX_EARGUMENT ||
        gbx_native_send(call, name, &m) != GBX_EARGUMENT)
        return -1;
    m.type = 77;
    if (gbx_native_send(call, "out", &m) != GBX_EARGUMENT)
        return -1;
    m.type = GBX_INTEGER;
    m.scalar.integer = loaded;
    name[200] = '\0'; /* longer than a descriptor has room for */
    if (gbx_native_answer(call, name, &m) < 0 ||
        gbx_native_answer(call, "again", &m) != GBX_EARGUMENT)
        return -1;
    return gbx_native_send(call, "out", &m);
}

static int ask(struct gbx_native_call *call)
{
    struct gbx_message arguments, answer;
    struct gbx_builder b;
    int rc;

    gbx_builder_init(&b);
    gbx_build_array(&b, 2);
    gbx_build_text(&b, "n", 1);
    gbx_build_integer(&b, 5);
    rc = gbx_builder_message(&b, GBX_ARRAY, &arguments);
    if (rc == 0)
        rc = gbx_native_ask(call, "state.increment", &arguments, &answer);
    if (rc == 0)
        rc = gbx_native_send(call, "n", &answer);
    if (rc == 0 &&
        gbx_native_ask(call, "nothing", &arguments, &answer) == GBX_ESCRIPT) {
        answer.type = GBX_STRING;
        rc = gbx_native_answer(call, "why", &answer);
    }
    gbx_builder_fini(&b);
    return rc;
}

/* Integers from 0, so many; each some time after the other. */
static int count(struct gbx_native_call *call, int64_t many, long pause_ns)
{
    struct gbx_message m = {.type = GBX_INTEGER};
    struct timespec from, now;
    int rc = 0;

    for (; rc == 0 && m.scalar.integer < many; m.scalar.integer++) {
        clock_gettime(CLOCK_MONOTONIC, &from);
        now = from;
        while (pause_ns > 0 && (now.tv_sec - from.tv_sec) * 1000000000 +
                                       now.tv_nsec - from.tv_nsec <
                                   pause_ns)
            clock_gettime(CLOCK_MONOTONIC, &now);
        rc = gbx_native_send(call, "out", &m);
    }
    return rc;
}

static int process(void *context, struct gbx_native_call *call)
{
    struct gbx_message what;
    const char *port;
    char name[32] = "";

    (void)context;
    if (gbx_native_input_at(call, 0, &port, &what) == 0 &&
        what.type == GBX_STRING && what.body_bytes < sizeof(name))
        memcpy(name, what.body, what.body_bytes);
    if (strcmp(name, "echo") == 0)
        return echo(call);
    if (strcmp(name, "rooms") == 0)
        return rooms(call);
    if (strcmp(name, "parts") == 0)
        return parts(call);
    if (strcmp(name, "array") == 0)
        return array(call);
    if (strcmp(name, "bad") == 0)
        return bad_outputs(call);
    if (strcmp(name, "ask") == 0)
        return ask(call);
    if (strcmp(name, "chat") == 0)
        return count(call, 20000, 0);
    if (strcmp(name, "drawl") == 0)
        return count(call, 500, 60000);
    if (strcmp(name, "babble") == 0)
        return count(call, INT64_MAX, 0);
    if (strcmp(name, "print") == 0)
        return gbx_native_print(call, 1, "printed\n", 8);
    if (strcmp(name, "code") == 0)
        return GBX_EFORMAT;
    if (strcmp(name, "exit") == 0)
        _exit(3);
    while (strcmp(name, "loop") == 0)
        ;
    return gbx_native_fail(call, "KeyError", "nothing to do for \"%s\"", name);
}

static int load(void *context, const struct gbx_message *config)
{
    struct gbx_reader r;
    struct gbx_item item;

    (void)context;
    gbx_reader_init(&r, config->body, config->body_bytes);
    while (gbx_read(&r, &item) == 0)
        if (item.kind == GBX_ITEM_INTEGER)
            loaded = item.value.integer;
    return loaded < 0 ? gbx_native_fail(NULL, "ValueError", "%d is too little",
                                        (int)loaded)
                      : 0;
}

int main(void)
{
    static const char *const inports[] = {"do", "in", "more", NULL};
    static const struct gbx_native me = {
        .struct_bytes = sizeof(me),
        .description = "for tests",
        .inports = inports,
        .process = process,
        .load = load,
    };

    return gbx_native_serve(&me);
}
