/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "flow/trace/trace.h"

#define FILE_BYTES    (1ull << 30)
#define MESSAGE_BYTES 1024u
#define END_BYTES     16u /* what the end of a file takes */

/* ---- writing ---- */

static void flush(struct gbx_flow_trace *trace)
{
    const char *at = trace->buffer;

    while (trace->count > 0 && trace->error == 0) {
        ssize_t n = write(trace->fd, at, trace->count);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            trace->error = n < 0 ? errno : ENOSPC;
        else
            at += n, trace->count -= (size_t)n;
    }
    trace->count = 0;
}

static bool try_put(struct gbx_flow_trace *trace, const char *format,
                    va_list arguments)
{
    const size_t room = sizeof(trace->buffer) - trace->count;
    const int bytes =
        vsnprintf(trace->buffer + trace->count, room, format, arguments);

    if (bytes < 0 || (size_t)bytes >= room)
        return false;
    if (trace->bytes + (size_t)bytes > trace->config.bytes_max) {
        trace->is_full = true;
        return true;
    }
    trace->count += (size_t)bytes;
    trace->bytes += (size_t)bytes;
    return true;
}

void trace_put(struct gbx_flow_trace *trace, const char *format, ...)
{
    va_list arguments, again;

    if (trace->is_full || trace->error != 0)
        return;
    va_start(arguments, format);
    va_copy(again, arguments);
    if (!try_put(trace, format, arguments)) {
        flush(trace);
        try_put(trace, format, again); /* longer than all of it: left out */
    }
    va_end(again);
    va_end(arguments);
}

char *trace_quote(const char *text)
{
    json_t *json = json_string(text);
    char *quoted = json_dumps(json, JSON_ENCODE_ANY);

    json_decref(json);
    return quoted;
}

/* ---- nodes ---- */

static int by_name(const void *first, const void *second)
{
    return strcmp(*(char *const *)first, *(char *const *)second);
}

struct trace_node *trace_node(struct gbx_flow_trace *trace, const char *name)
{
    struct trace_node *const *found = tfind(&name, &trace->by_name, by_name);
    struct trace_node *node;

    if (found != NULL)
        return *found;
    node = calloc(1, sizeof(*node));
    if (node == NULL)
        return NULL;
    node->name = strdup(name);
    node->quoted = trace_quote(name);
    if (node->name == NULL || node->quoted == NULL ||
        tsearch(node, &trace->by_name, by_name) == NULL) {
        free(node->name);
        free(node->quoted);
        free(node);
        return NULL;
    }
    node->tid = ++trace->node_count;
    node->next = trace->nodes;
    trace->nodes = node;
    if (trace->config.form == GBX_FLOW_TRACE_CHROME)
        trace_chrome_node(trace, node);
    return node;
}

static void leave_alone(void *node)
{
    (void)node;
}

static void drop_nodes(struct gbx_flow_trace *trace)
{
    tdestroy(trace->by_name, leave_alone);
    for (struct trace_node *node = trace->nodes, *next; node != NULL;
         node = next) {
        next = node->next;
        free(node->name);
        free(node->quoted);
        free(node->component);
        trace_drop_outputs(node);
        free(node);
    }
}

/* ---- open, close ---- */

static int check(const struct gbx_flow_trace_config *config,
                 struct gbx_error *err)
{
    int rc = error_check_bytes("gbx_flow_trace_config", config->struct_bytes,
                               sizeof(*config), err);

    if (rc < 0)
        return rc;
    if (config->path == NULL ? config->fd <= 0 : config->path[0] == '\0')
        return fail(err, GBX_EARGUMENT, "a trace needs a path");
    if ((unsigned)config->form > GBX_FLOW_TRACE_LINES)
        return fail(err, GBX_EARGUMENT, "no form of a trace has number %d",
                    (int)config->form);
    return 0;
}

static int open_file(struct gbx_flow_trace *trace, struct gbx_error *err)
{
    trace->is_lent =
        trace->config.path == NULL || strcmp(trace->path, "-") == 0;
    if (trace->is_lent) {
        trace->fd = trace->config.path == NULL ? trace->config.fd : 1;
        return 0;
    }
    trace->fd = open(trace->path,
                     O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    if (trace->fd < 0)
        return fail(err, GBX_EFILE, "trace %s: %s", trace->path,
                    strerrordesc_np(errno));
    return 0;
}

int gbx_flow_trace_open(struct gbx_flow_trace **trace,
                        const struct gbx_flow_trace_config *config,
                        struct gbx_error *err)
{
    struct gbx_flow_trace *made;
    struct timespec now;
    int rc = check(config, err);

    *trace = NULL;
    if (rc < 0)
        return rc;
    made = calloc(1, sizeof(*made));
    if (made == NULL ||
        (made->path =
             strdup(config->path != NULL ? config->path : "to a descriptor")) ==
            NULL) {
        free(made);
        return fail(err, GBX_EHOST, "no memory for a trace");
    }
    made->fd = -1;
    made->config = *config;
    if (config->bytes_max == 0)
        made->config.bytes_max = FILE_BYTES;
    if (config->message_bytes_max == 0)
        made->config.message_bytes_max = MESSAGE_BYTES;
    made->started_ns = clock_now_ns();
    clock_gettime(CLOCK_REALTIME, &now);
    made->epoch_ms =
        (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    must(pthread_mutex_init(&made->lock, NULL) == 0);
    rc = open_file(made, err);
    if (rc < 0) {
        gbx_flow_trace_close(made, NULL);
        return rc;
    }
    if (config->form == GBX_FLOW_TRACE_CHROME)
        trace_chrome_begin(made);
    *trace = made;
    return 0;
}

void gbx_flow_trace_event(void *context, const struct gbx_flow_event *event)
{
    struct gbx_flow_trace *trace = context;

    pthread_mutex_lock(&trace->lock);
    if (trace->config.form == GBX_FLOW_TRACE_CHROME)
        trace_chrome(trace, event);
    else
        trace_lines(trace, event);
    if (trace->is_lent)
        flush(trace);
    pthread_mutex_unlock(&trace->lock);
}

int gbx_flow_trace_close(struct gbx_flow_trace *trace, struct gbx_error *err)
{
    int rc = 0;

    if (trace == NULL)
        return 0;
    if (trace->fd >= 0) {
        const bool was_full = trace->is_full;

        trace->is_full = false;
        trace->config.bytes_max += END_BYTES;
        if (trace->config.form == GBX_FLOW_TRACE_CHROME)
            trace_chrome_end(trace);
        flush(trace);
        if (trace->error != 0)
            rc = fail(err, GBX_EFILE, "trace %s: %s", trace->path,
                      strerrordesc_np(trace->error));
        else if (was_full)
            rc = fail(err, GBX_ELIMIT,
                      "trace %s: what came after its first %llu bytes is not "
                      "in it (bytes_max)",
                      trace->path,
                      (unsigned long long)trace->config.bytes_max - END_BYTES);
    }
    if (!trace->is_lent)
        close_fd(&trace->fd);
    drop_nodes(trace);
    pthread_mutex_destroy(&trace->lock);
    free(trace->path);
    free(trace);
    return rc;
}
