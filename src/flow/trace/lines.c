/* SPDX-License-Identifier: Apache-2.0 */
/* lines.c - events as lines of JSON, by Reflow's names (serde's). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/trace/trace.h"

#define DIGITS 4u /* of a byte, with its comma */

/* What a line is put together of; a text that is missing leaves it out. */
struct line {
    char *bytes; /* owned */
    size_t count, room;
    bool is_bad;
};

static void add(struct line *line, const char *before, const char *text)
{
    const size_t bytes = strlen(before), more = strlen(text);

    if (line->count + bytes + more + 1 > line->room) {
        const size_t room = 2 * (line->count + bytes + more + 1);
        char *larger = realloc(line->bytes, room);

        if (larger == NULL) {
            line->is_bad = true;
            return;
        }
        line->bytes = larger;
        line->room = room;
    }
    memcpy(line->bytes + line->count, before, bytes);
    memcpy(line->bytes + line->count + bytes, text, more + 1);
    line->count += bytes + more;
}

static void add_text(struct line *line, const char *before, const char *text)
{
    char *quoted = trace_quote(text != NULL ? text : "");

    if (quoted != NULL)
        add(line, before, quoted);
    else
        line->is_bad = true;
    free(quoted);
}

static void add_number(struct line *line, const char *before, uint64_t number)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    add(line, before, digits);
}

/* The bytes of a text, as numbers. */
static char *number_bytes(const char *text)
{
    const size_t bytes = strlen(text);
    char *made = malloc(DIGITS * bytes + 1), *at = made;

    if (made == NULL)
        return NULL;
    *at = '\0';
    for (size_t i = 0; i < bytes; i++)
        at += snprintf(at, DIGITS + 1, i > 0 ? ",%u" : "%u",
                       (unsigned)(uint8_t)text[i]);
    return made;
}

/* {"data":[...]}, or what there is in place of it. */
static void add_value(struct line *line, const struct gbx_flow_trace *trace,
                      const struct gbx_message *message)
{
    char *json = NULL, *numbers = NULL;

    if (message->body_bytes <= trace->config.message_bytes_max &&
        gbx_message_to_json(&json, message, GBX_JSON_PLAIN, NULL) == 0)
        numbers = number_bytes(json);
    if (numbers != NULL) {
        add(line, "{\"data\":[", numbers);
        add(line, "]}", "");
    } else {
        add(line, "{\"type\":\"", gbx_type_name((int)message->type));
        add_number(line, "\",\"bytes\":", message->body_bytes);
        add(line, "}", "");
    }
    free(numbers);
    free(json);
}

/* ---- outputs of a run ---- */

void trace_drop_outputs(struct trace_node *node)
{
    for (struct trace_output *output = node->outputs, *next; output != NULL;
         output = next) {
        next = output->next;
        free(output->port);
        free(output->message);
        free(output);
    }
    node->outputs = NULL;
}

static struct trace_output *output_of(struct trace_node *node, const char *port)
{
    struct trace_output *output = node->outputs;

    while (output != NULL && strcmp(output->port, port) != 0)
        output = output->next;
    if (output != NULL)
        return output;
    output = calloc(1, sizeof(*output));
    if (output == NULL || (output->port = strdup(port)) == NULL) {
        free(output);
        return NULL;
    }
    output->next = node->outputs;
    node->outputs = output;
    return output;
}

static void note_output(const struct gbx_flow_trace *trace,
                        struct trace_node *node,
                        const struct gbx_flow_event *event)
{
    struct trace_output *output = output_of(node, event->port);
    struct line line = {.bytes = NULL};

    if (output == NULL || event->message == NULL)
        return;
    add_value(&line, trace, event->message);
    free(output->message);
    output->message = line.bytes;
}

static void add_outputs(struct line *line, struct trace_node *node)
{
    const char *before = "";

    add(line, ",\"outputs\":{", "");
    for (const struct trace_output *output = node == NULL ? NULL
                                                          : node->outputs;
         output != NULL; output = output->next) {
        if (output->message == NULL)
            continue;
        add_text(line, before, output->port);
        add(line, ":", output->message);
        before = ",";
    }
    add(line, "}", "");
}

/* ---- lines ---- */

static void add_actor(struct line *line, struct gbx_flow_trace *trace,
                      const struct gbx_flow_event *event)
{
    struct trace_node *node = trace_node(trace, event->node);

    add_text(line, ",\"actorId\":", event->node);
    if (node != NULL && event->kind == GBX_FLOW_ACTOR_STARTED) {
        free(node->component);
        node->component = trace_quote(event->text != NULL ? event->text : "");
    }
    if (node != NULL && node->component != NULL &&
        event->kind != GBX_FLOW_ACTOR_EMIT)
        add(line, ",\"component\":", node->component);
    if (event->kind == GBX_FLOW_ACTOR_FAILED)
        add_text(line, ",\"error\":", event->text);
    if (event->kind == GBX_FLOW_ACTOR_COMPLETED)
        add_outputs(line, node);
    if (event->kind == GBX_FLOW_ACTOR_EMIT)
        add_text(line, ",\"port\":", event->port);
    if (node != NULL && event->kind == GBX_FLOW_ACTOR_EMIT)
        note_output(trace, node, event);
    else if (node != NULL)
        trace_drop_outputs(node);
    if (event->took_ns != 0)
        add_number(line, ",\"tookNs\":", event->took_ns);
}

static void add_fields(struct line *line, struct gbx_flow_trace *trace,
                       const struct gbx_flow_event *event)
{
    switch (event->kind) {
    case GBX_FLOW_MESSAGE_SENT:
        add_text(line, ",\"fromActor\":", event->node);
        add_text(line, ",\"fromPort\":", event->port);
        add_text(line, ",\"toActor\":", event->to_node);
        add_text(line, ",\"toPort\":", event->to_port);
        return;
    case GBX_FLOW_MESSAGE_RECEIVED:
        add_text(line, ",\"actorId\":", event->to_node);
        add_text(line, ",\"port\":", event->to_port);
        return;
    default:
        if (event->node != NULL)
            add_actor(line, trace, event);
    }
}

static void add_causes(struct line *line, const struct gbx_flow_event *event)
{
    for (uint32_t i = 0; i < event->cause_count; i++)
        add_number(line, i == 0 ? ",\"causes\":[" : ",", event->causes[i]);
    add(line, "]", "");
}

void trace_lines(struct gbx_flow_trace *trace,
                 const struct gbx_flow_event *event)
{
    struct line line = {.bytes = NULL};

    add_text(&line, "{\"_type\":", gbx_flow_event_name((int)event->kind));
    add_fields(&line, trace, event);
    if (event->message != NULL) {
        add(&line, ",\"message\":", "");
        add_value(&line, trace, event->message);
    }
    add_number(&line, ",\"timestamp\":",
               trace->epoch_ms +
                   (event->at_ns > trace->started_ns
                        ? (event->at_ns - trace->started_ns) / 1000000
                        : 0));
    if (event->id != 0)
        add_number(&line, ",\"id\":", event->id);
    if (event->cause != 0)
        add_number(&line, ",\"cause\":", event->cause);
    if (event->cause_count > 1)
        add_causes(&line, event);
    if (!line.is_bad)
        trace_put(trace, "%s}\n", line.bytes);
    free(line.bytes);
}
