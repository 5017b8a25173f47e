/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "flow/builtin/builtin.h"
#include "flow/builtin/options.h"

struct log {
    char *node; /* owned: as JSON */
    uint64_t bytes_max;
    const struct gbx_builtin_log *where; /* or NULL: descriptor 2 */
};

static void close_log(void *self)
{
    struct log *log = self;

    if (log != NULL)
        free(log->node);
    free(log);
}

static int open_log(void **self, const struct gbx_actor_config *config,
                    struct gbx_error *err)
{
    struct log *log = *self = calloc(1, sizeof(*log));
    json_t *node = json_string(config->node);

    if (log != NULL)
        log->node = json_dumps(node, JSON_ENCODE_ANY);
    json_decref(node);
    if (log == NULL || log->node == NULL)
        return builtin_opened(
            self, fail(err, GBX_EHOST, "no memory for node %s", config->node),
            close_log);
    log->bytes_max = 4096;
    log->where = config->context;
    return builtin_opened(
        self,
        options_read(&(struct option){"bytes_max", OPTION_NUMBER,
                                      &log->bytes_max, .max = 16u << 20},
                     1, config, err),
        close_log);
}

/* What JSON cannot hold, or is too long: its type, and how long it is. */
static char *message_text(const struct log *log,
                          const struct gbx_message *message)
{
    char *text;

    if (message->body_bytes <= log->bytes_max &&
        gbx_message_to_json(&text, message, GBX_JSON_TYPED, NULL) == 0)
        return text;
    return asprintf(&text, "{\"type\":\"%s\",\"bytes\":%zu}",
                    gbx_type_name((int)message->type), message->body_bytes) < 0
               ? NULL
               : text;
}

/* In one piece, so that lines of several do not mix. */
static void put_line(const struct log *log, const char *line, size_t bytes)
{
    ssize_t n;

    if (log->where != NULL && log->where->write != NULL) {
        log->where->write(log->where->context, line, bytes);
        return;
    }
    do
        n = write(2, line, bytes);
    while (n < 0 && errno == EINTR);
}

static int run_log(void *self, struct gbx_actor *actor)
{
    const struct log *log = self;
    struct gbx_message message;
    char *text, *line = NULL;
    const char *port;
    int bytes = -1;

    if (gbx_actor_input_at(actor, 0, &port, &message) < 0)
        return 0;
    text = message_text(log, &message);
    if (text != NULL)
        bytes =
            asprintf(&line, "{\"node\":%s,\"port\":\"%s\",\"message\":%s}\n",
                     log->node, port, text);
    if (bytes >= 0) {
        put_line(log, line, (size_t)bytes);
        free(line);
    }
    free(text);
    return gbx_actor_send_at(actor, 0, &message);
}

const struct gbx_actor_type builtin_log = {
    .struct_bytes = sizeof(builtin_log),
    .component = "log",
    .description = "Writes each message as a line of JSON, and passes it on.",
    .inports = PORTS("in"),
    .outports = PORTS("out"),
    .open = open_log,
    .run = run_log,
    .close = close_log,
};
