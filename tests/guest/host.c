/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "glovebox/message.h"

#include "host.h"

#define HALF_BYTES (1ull << 30)

static void say(struct host *host, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct host *host, const char *format, ...)
{
    size_t room = sizeof(host->said) - host->said_bytes;
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(host->said + host->said_bytes, room, format, ap);
    va_end(ap);
    must(n >= 0 && (size_t)n < room);
    host->said_bytes += (size_t)n;
}

/* ---- the bell ---- */

static int bell_sleep(void *context, uint32_t seen, uint64_t deadline_ns)
{
    struct host *host = context;
    struct pollfd fds[] = {{host->bell_fd, POLLIN, 0},
                           {host->exit_fd, POLLIN, 0}};
    uint64_t count;

    (void)seen;
    if (clock_is_past(deadline_ns))
        return GBX_ETIME;
    poll(fds, 2, 1000);
    if (fds[0].revents != 0 && read(host->bell_fd, &count, sizeof(count)) > 0)
        return 0;
    return fds[1].revents != 0 ? GBX_EEXIT : 0;
}

static void bell_ring(void *context)
{
    struct host *host = context;

    syscall(SYS_futex, &host->channel.mine->bell, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int bell_grow(void *context, uint64_t bytes)
{
    struct host *host = context;

    return region_grow(&host->region, HALF_HOST, bytes);
}

/* ---- starting ---- */

static void move(int from, int to)
{
    if (from == to)
        fcntl(from, F_SETFD, 0);
    else
        dup2(from, to);
}

static void child(struct host *host, const char *program)
{
    static char lang[] = "LANG=C.UTF-8", path[] = "PATH=/usr/bin:/bin";
    static char *const env[] = {lang, path, NULL};
    int fds[] = {host->region.host_read_fd, host->region.fd[HALF_GUEST],
                 host->bell_fd};

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 100);
    move(open("/dev/null", O_RDONLY), 0);
    move(host->out_fd[1], 1);
    if (getenv("HOST_STDERR") == NULL)
        dup2(1, 2);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        move(fds[i], (int)i + GBX_FD_HOST_HALF);
    close_range(GBX_FD_BELL + 1, ~0u, 0);
    execle(program, "glovebox-python", NULL, env);
    _exit(127);
}

static const char *program_path(void)
{
    const char *path = getenv("GLOVEBOX_PYTHON");

    must(path != NULL);
    return path;
}

void host_start(struct host *host)
{
    struct channel_config config = {
        .side = CHANNEL_HOST,
        .half_bytes = HALF_BYTES,
        .bell = {bell_sleep, bell_ring, bell_grow, NULL, host}};
    struct gbx_descriptor d;

    memset(host, 0, sizeof(*host));
    host->region = (struct region)REGION_NONE;
    must(region_open(&host->region, HALF_BYTES, NULL) == 0);
    host->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    must(pipe2(host->out_fd, O_CLOEXEC) == 0);
    host->pid = fork();
    if (host->pid == 0)
        child(host, program_path());
    close(host->out_fd[1]);
    fcntl(host->out_fd[0], F_SETFL, O_NONBLOCK);
    host->exit_fd = (int)syscall(SYS_pidfd_open, host->pid, 0);
    config.base = host->region.base;
    channel_init(&host->channel, &config);
    store_init(&host->store);
    for (size_t i = 0; i < STORE_CALLS; i++)
        must(host_calls_add(&host->calls, store_calls[i].name,
                            store_calls[i].fn, &host->store.alone) == 0);
    must(channel_recv(&host->channel, &d, clock_now_ns() + HOST_WAIT_NS) == 0);
    must(d.kind == GBX_KIND_READY);
}

void host_stop(struct host *host)
{
    kill(host->pid, SIGKILL);
    waitpid(host->pid, NULL, 0);
    close(host->exit_fd);
    close(host->bell_fd);
    close(host->out_fd[0]);
    store_fini(&host->store);
    region_close(&host->region);
}

/* ---- sending ---- */

static void send_message(struct host *host, enum gbx_kind kind,
                         const char *port, const struct gbx_message *message)
{
    struct gbx_descriptor d = {.kind = (uint8_t)kind,
                               .type = (uint8_t)message->type,
                               .flags = GBX_HAS_MESSAGE |
                                        (message->flags & GBX_TYPED),
                               .call = host->call,
                               .body_bytes = (uint32_t)message->body_bytes};

    memcpy(&d.scalar, &message->scalar, sizeof(d.scalar));
    if (message->type == GBX_BOOLEAN)
        d.scalar = message->scalar.boolean;
    if (message->body_bytes > 0) {
        must(channel_reserve(&host->channel, message->body_bytes, 0,
                             &d.body_off) == 0);
        memcpy(channel_at(&host->channel, d.body_off), message->body,
               message->body_bytes);
    }
    if (port != NULL)
        must(channel_put_name(&host->channel, &d, port, strlen(port), 0) == 0);
    must(channel_send(&host->channel, &d, 0) == 0);
}

void host_input(struct host *host, const char *port, const char *json)
{
    struct gbx_message message;
    struct gbx_builder b;
    struct gbx_error err = {0};

    gbx_builder_init(&b);
    if (gbx_message_from_json(&message, &b, json, strlen(json), GBX_JSON_TYPED,
                              &err) < 0) {
        fprintf(stderr, "%s: %s\n", json, err.what);
        abort();
    }
    send_message(host, GBX_KIND_INPUT, port, &message);
    gbx_builder_fini(&b);
}

void *host_room(struct host *host, const char *port, int type, unsigned flags,
                size_t bytes)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_INPUT,
                               .type = (uint8_t)type,
                               .flags = (uint16_t)flags,
                               .call = host->call,
                               .body_bytes = (uint32_t)bytes};

    must(channel_reserve(&host->channel, bytes, 0, &d.body_off) == 0);
    must(channel_put_name(&host->channel, &d, port, strlen(port), 0) == 0);
    must(host->room_count < ARRAY_SIZE(host->rooms));
    host->rooms[host->room_count++] = d; /* sent by host_run */
    return channel_at(&host->channel, d.body_off);
}

/* ---- listening ---- */

static void see_message(struct host *host, const struct gbx_descriptor *d,
                        struct gbx_message *message)
{
    *message = (struct gbx_message){.type = (enum gbx_type)d->type,
                                    .flags = d->flags & GBX_TYPED,
                                    .body_bytes = d->body_bytes};
    memcpy(&message->scalar, &d->scalar, sizeof(d->scalar));
    if (d->type == GBX_BOOLEAN)
        message->scalar.boolean = d->scalar != 0;
    if (d->body_off != 0)
        message->body = channel_at(&host->channel, d->body_off);
}

static void tell_array(struct host *host, const struct gbx_message *message)
{
    struct gbx_array array;

    must(gbx_message_array(message, &array) == 0);
    say(host, "%s[", gbx_dtype_name((int)array.dtype));
    for (uint32_t i = 0; i < array.rank; i++)
        say(host, "%s%llu", i > 0 ? "," : "",
            (unsigned long long)array.dims[i]);
    say(host, "]%s",
        (uintptr_t)array.data % GBX_BLOCK_ALIGN == 0 ? "" : " unaligned");
}

static void tell_message(struct host *host, const struct gbx_descriptor *d)
{
    struct gbx_message message;
    struct gbx_error err = {0};
    char *json = NULL;

    see_message(host, d, &message);
    if (message.flags & GBX_TYPED) {
        tell_array(host, &message);
    } else if (host->is_quiet) {
        say(host, "%s of %u", gbx_type_name(d->type), d->body_bytes);
    } else if (gbx_message_to_json(&json, &message, GBX_JSON_TYPED, &err) ==
               0) {
        say(host, "%s", json);
    } else {
        say(host, "(%s: %s)", gbx_type_name(d->type), err.what);
    }
    free(json);
}

static void tell_failure(struct host *host, const struct gbx_descriptor *d)
{
    struct gbx_message message;
    char *json = NULL;

    see_message(host, d, &message);
    must(gbx_message_to_json(&json, &message, GBX_JSON_PLAIN, NULL) == 0);
    say(host, "%s", json);
    free(json);
}

static void answer(struct host *host, const struct gbx_descriptor *d)
{
    char name[GBX_NAME_BYTES_MAX + 1];
    const struct host_call *call;
    struct gbx_message arguments, result = {0};
    struct gbx_error err = {0};
    struct gbx_builder b;
    int rc = GBX_EARGUMENT;

    must(channel_get_name(&host->channel, d, name) == 0);
    see_message(host, d, &arguments);
    gbx_builder_init(&b);
    call = host_calls_find(&host->calls, name);
    if (call == NULL)
        snprintf(err.what, sizeof(err.what), "no call %.63s", name);
    else
        rc = call->fn(call->context, &arguments, &b, &err);
    if (rc == 0)
        rc = gbx_builder_message(&b, GBX_ANY, &result);
    if (rc == 0) {
        send_message(host, GBX_KIND_ANSWER, NULL, &result);
    } else {
        struct gbx_descriptor e = {.kind = GBX_KIND_ANSWER,
                                   .type = GBX_ERROR,
                                   .flags = GBX_IS_ERROR,
                                   .body_bytes = (uint32_t)strlen(err.what)};

        must(channel_reserve(&host->channel, e.body_bytes, 0, &e.body_off) ==
             0);
        memcpy(channel_at(&host->channel, e.body_off), err.what, e.body_bytes);
        must(channel_send(&host->channel, &e, 0) == 0);
    }
    gbx_builder_fini(&b);
}

static void grow(struct host *host, const struct gbx_descriptor *d)
{
    struct gbx_descriptor a = {.kind = GBX_KIND_ANSWER, .type = GBX_INTEGER};

    if (region_grow(&host->region, HALF_GUEST, d->scalar) < 0) {
        a.type = GBX_ERROR;
        a.flags = GBX_IS_ERROR;
    } else {
        a.scalar = host->region.arena_bytes[HALF_GUEST];
        channel_peer_grew(&host->channel, a.scalar);
    }
    must(channel_send(&host->channel, &a, 0) == 0);
}

static void tell(struct host *host, const struct gbx_descriptor *d)
{
    static const char *const names[] = {
#define X(name, value, from, what) [value] = #name,
        GBX_KINDS(X)
#undef X
    };
    char port[GBX_NAME_BYTES_MAX + 1];

    must(channel_get_name(&host->channel, d, port) == 0);
    say(host, "%s", names[d->kind]);
    if (d->kind == GBX_KIND_OUTPUT || (d->flags & GBX_HAS_MESSAGE)) {
        host->body_off = d->body_off;
        host->body_bytes = d->body_bytes;
        host->body_flags = d->flags;
        say(host, "%s%s ", port[0] ? " " : "", port);
        if (d->kind == GBX_KIND_FAILED || d->kind == GBX_KIND_LOADED)
            tell_failure(host, d);
        else
            tell_message(host, d);
    }
    say(host, "\n");
}

static void tell_print(struct host *host, const struct gbx_descriptor *d)
{
    const char *text = channel_at(&host->channel, d->body_off);

    if (!host->is_quiet)
        say(host, "PRINT%d %.*s%s", (int)d->scalar, (int)d->body_bytes, text,
            text[d->body_bytes - 1] == '\n' ? "" : "|\n");
}

/* What was written to file descriptors 1 and 2, if anything. */
static void tell_pipe(struct host *host)
{
    char text[4096];
    ssize_t n = read(host->out_fd[0], text, sizeof(text));

    if (n > 0)
        say(host, "PIPE %.*s", (int)n, text);
}

static int listen_to(struct host *host)
{
    struct gbx_descriptor d;
    int rc;

    do {
        rc = channel_recv(&host->channel, &d, clock_now_ns() + HOST_WAIT_NS);
        if (rc < 0) {
            say(host, "END %s\n", gbx_error_name(rc));
            break;
        }
        if (d.kind == GBX_KIND_ASK)
            answer(host, &d);
        else if (d.kind == GBX_KIND_GROW)
            grow(host, &d);
        else if (d.kind == GBX_KIND_PRINT)
            tell_print(host, &d);
        else
            tell(host, &d);
        channel_give(&host->channel, d.body_off);
    } while (d.kind != GBX_KIND_DONE && d.kind != GBX_KIND_FAILED &&
             d.kind != GBX_KIND_LOADED);
    tell_pipe(host);
    return rc;
}

/* ---- conversations ---- */

static void put_text(struct gbx_builder *b, const char *key, const char *text)
{
    gbx_build_text(b, key, strlen(key));
    gbx_build_text(b, text, strlen(text));
}

int host_load_as(struct host *host, const char *source, const char *file,
                 const char *actor_id, const char *config_json)
{
    struct gbx_message config, message;
    struct gbx_builder b, c;

    gbx_builder_init(&b);
    gbx_builder_init(&c);
    must(gbx_message_from_json(&config, &c, config_json, strlen(config_json),
                               GBX_JSON_PLAIN, NULL) == 0);
    gbx_build_map(&b, 4);
    put_text(&b, "file", file);
    put_text(&b, "source", source);
    put_text(&b, "actor_id", actor_id);
    gbx_build_text(&b, "config", 6);
    gbx_build_item(&b, config.body, config.body_bytes);
    must(gbx_builder_message(&b, GBX_OBJECT, &message) == 0);
    host->said_bytes = 0;
    send_message(host, GBX_KIND_LOAD, NULL, &message);
    gbx_builder_fini(&b);
    gbx_builder_fini(&c);
    return listen_to(host);
}

int host_load(struct host *host, const char *source)
{
    return host_load_as(host, source, "test.py", "", "{}");
}

int host_run(struct host *host)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_CALL, .call = host->call};

    host->said_bytes = 0;
    host->said[0] = '\0';
    for (size_t i = 0; i < host->room_count; i++)
        must(channel_send(&host->channel, &host->rooms[i], 0) == 0);
    host->room_count = 0;
    must(channel_send(&host->channel, &d, 0) == 0);
    host->call++;
    return listen_to(host);
}

int host_try(struct host *host, const char *source, const char *json)
{
    int rc = host_load(host, source);

    if (rc < 0 || strstr(host->said, "LOADED") == NULL)
        return rc;
    if (json != NULL)
        host_input(host, "input", json);
    return host_run(host);
}
