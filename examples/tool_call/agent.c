/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.c - the part of an agent that runs code its model wrote.
 *
 *   agent <<END
 *   {"language": "javascript", "code": "module.exports = c => c.input.n * 2",
 *    "arguments": {"n": 21}}
 *   END
 *   {"ok": true, "outputs": {"output": 42}, "printed": ""}
 *
 * Each line of standard input is a tool call.  The code is sealed in a sandbox
 * of its own, without network, with 64 MB and two seconds; its one way out are
 * its answers and one host call, "lookup", which this program decides about.
 * What goes wrong is an answer too: the model reads the error, and tries again.
 * What the code makes of its text is looked at by nobody before it is sealed.
 *
 *   cc agent.c $(pkg-config --cflags --libs glovebox) -o agent
 */
#include <glovebox/json.h>
#include <glovebox/runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CALL_NS    2000000000u
#define PRINT_ROOM 4096u

struct agent {
    struct gbx_runtime *runtime;
    char folder[32]; /* where code is written */
    char printed[PRINT_ROOM];
    size_t printed_bytes;
    struct gbx_error err;
};

/* What the host knows and the model may ask for: nothing else is reachable. */
static int lookup(void *context, const struct gbx_message *arguments,
                  struct gbx_builder *answer, struct gbx_error *err)
{
    (void)context;
    (void)arguments;
    (void)err;
    gbx_build_text(answer, "Debian 12", 9);
    return 0;
}

static void keep_printed(void *context, int stream, const void *text,
                         size_t bytes)
{
    struct agent *agent = context;
    size_t room = PRINT_ROOM - agent->printed_bytes;

    (void)stream;
    bytes = bytes < room ? bytes : room;
    memcpy(agent->printed + agent->printed_bytes, text, bytes);
    agent->printed_bytes += bytes;
}

/* A member of a JSON object, as JSON. */
static char *member(const struct gbx_message *object, const char *key)
{
    struct gbx_message value = {.type = GBX_ANY};
    struct gbx_reader reader;
    struct gbx_item item;
    struct gbx_error err;
    bool is_key = true, wanted = false;
    size_t from, start = 0;
    char *json = NULL;

    gbx_reader_init(&reader, object->body, object->body_bytes);
    while (from = reader.at, gbx_read(&reader, &item) == 0) {
        if (item.depth == 1 && start != 0)
            break;
        if (item.depth != 1)
            continue;
        if (wanted && !is_key)
            start = from;
        wanted = is_key && item.kind == GBX_ITEM_TEXT &&
                 item.count == strlen(key) &&
                 memcmp(item.bytes, key, item.count) == 0;
        is_key = !is_key;
    }
    if (start == 0)
        return NULL;
    value.body = (const uint8_t *)object->body + start;
    value.body_bytes = from - start;
    return gbx_message_to_json(&json, &value, GBX_JSON_PLAIN, &err) == 0 ? json
                                                                         : NULL;
}

/* The text of a JSON string, as a message. */
static int text_of(struct gbx_message *text, struct gbx_builder *b,
                   const char *json, struct gbx_error *err)
{
    int rc = json == NULL ? GBX_EFORMAT
                          : gbx_message_from_json(text, b, json, strlen(json),
                                                  GBX_JSON_PLAIN, err);

    return rc == 0 && text->type != GBX_STRING ? GBX_EFORMAT : rc;
}

static int write_code(struct agent *agent, const char *json, bool is_python,
                      char path[64])
{
    struct gbx_message code = {.type = GBX_STRING};
    struct gbx_builder b;
    FILE *file = NULL;
    int rc;

    gbx_builder_init(&b);
    rc = text_of(&code, &b, json, &agent->err);
    snprintf(path, 64, "%s/tool.%s", agent->folder, is_python ? "py" : "js");
    if (rc == 0 && (file = fopen(path, "we")) != NULL)
        rc = fwrite(code.body, 1, code.body_bytes, file) == code.body_bytes
                 ? 0
                 : GBX_EHOST;
    if (rc == 0 && (file == NULL || fclose(file) != 0))
        rc = GBX_EHOST;
    gbx_builder_fini(&b);
    if (rc < 0)
        snprintf(agent->err.what, sizeof(agent->err.what),
                 "\"code\" is missing, or is no text");
    return rc;
}

/* Each argument goes to the port of its name. */
static int put_arguments(struct agent *agent, struct gbx_call *call,
                         const struct gbx_message *arguments)
{
    struct gbx_reader reader;
    struct gbx_item item;
    char port[256];
    int rc = 0;

    gbx_reader_init(&reader, arguments->body, arguments->body_bytes);
    while (rc == 0 && gbx_read(&reader, &item) == 0) {
        struct gbx_message value;
        struct gbx_builder b;
        char *json;

        if (item.depth != 1 || item.kind != GBX_ITEM_TEXT ||
            item.count >= sizeof(port))
            continue;
        snprintf(port, sizeof(port), "%.*s", (int)item.count,
                 (const char *)item.bytes);
        json = member(arguments, port);
        if (json == NULL)
            continue; /* a text that is a value, not a key */
        gbx_builder_init(&b);
        rc = gbx_message_from_json(&value, &b, json, strlen(json),
                                   GBX_JSON_PLAIN, &agent->err);
        if (rc == 0)
            rc = gbx_call_put(call, port, &value, &agent->err);
        gbx_builder_fini(&b);
        free(json);
        while (rc == 0 && gbx_read(&reader, &item) == 0 && item.depth > 1)
            ; /* over the value */
    }
    return rc;
}

/* As a JSON string. */
static void print_text(const char *text, size_t bytes)
{
    const struct gbx_message message = {
        .type = GBX_STRING, .body = text, .body_bytes = bytes};
    struct gbx_error err;
    char *json;

    if (gbx_message_to_json(&json, &message, GBX_JSON_PLAIN, &err) < 0) {
        printf("\"(not UTF-8)\"");
        return;
    }
    fputs(json, stdout);
    free(json);
}

static void print_outputs(struct gbx_call *call)
{
    struct gbx_message message;
    struct gbx_error err;
    const char *port, *before = "";
    char *json;

    printf("{\"ok\": true, \"outputs\": {");
    while (gbx_call_next(call, &port, &message) == 0) {
        printf("%s", before);
        print_text(port, strlen(port));
        if (gbx_message_to_json(&json, &message, GBX_JSON_PLAIN, &err) < 0)
            json = strdup("null");
        printf(": %s", json);
        free(json);
        before = ", ";
    }
    printf("}");
}

static void print_error(const struct agent *agent, struct gbx_call *call)
{
    struct gbx_failure failure = {"", "", ""};

    if (call != NULL)
        gbx_call_failure(call, &failure);
    printf("{\"ok\": false, \"error\": ");
    print_text(agent->err.what, strlen(agent->err.what));
    printf(", \"traceback\": ");
    print_text(failure.traceback, strlen(failure.traceback));
}

static uint64_t deadline(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + CALL_NS;
}

static int call_tool(struct agent *agent, struct gbx_call *call,
                     const char *arguments)
{
    struct gbx_message object;
    struct gbx_builder b;
    int rc = 0;

    gbx_builder_init(&b);
    if (arguments != NULL)
        rc = gbx_message_from_json(&object, &b, arguments, strlen(arguments),
                                   GBX_JSON_PLAIN, &agent->err);
    if (rc == 0 && arguments != NULL && object.type == GBX_OBJECT)
        rc = put_arguments(agent, call, &object);
    gbx_builder_fini(&b);
    return rc < 0 ? rc : gbx_call_run(call, deadline(), &agent->err);
}

/* One tool call, answered by one line. */
static void serve(struct agent *agent, const struct gbx_message *request)
{
    const struct gbx_script_config config = {
        .struct_bytes = sizeof(config),
        .limits = {.memory_bytes = 64 << 20, .output_bytes = 1 << 20},
        .start_ns = CALL_NS,
        .hide_folder = 1,
    };
    char *code = member(request, "code"), *language, *arguments, path[64];
    struct gbx_script *script = NULL;
    struct gbx_call *call = NULL;
    int rc;

    language = member(request, "language");
    arguments = member(request, "arguments");
    agent->printed_bytes = 0;
    agent->err = (struct gbx_error){0};
    rc = write_code(agent, code,
                    language != NULL && strcmp(language, "\"python\"") == 0,
                    path);
    if (rc == 0)
        rc = gbx_script_open(&script, agent->runtime, path, &config,
                             &agent->err);
    if (rc == 0)
        rc = gbx_call_begin(&call, script, deadline(), &agent->err);
    if (rc == 0)
        rc = call_tool(agent, call, arguments);
    if (rc == 0)
        print_outputs(call);
    else
        print_error(agent, call);
    gbx_call_finish(call);
    gbx_script_close(script);
    printf(", \"printed\": ");
    print_text(agent->printed, agent->printed_bytes);
    printf("}\n");
    fflush(stdout);
    unlink(path);
    free(code);
    free(language);
    free(arguments);
}

static void serve_lines(struct agent *agent)
{
    struct gbx_message request;
    struct gbx_builder b;
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;

    gbx_builder_init(&b);
    while ((bytes = getline(&line, &room, stdin)) > 0)
        if (gbx_message_from_json(&request, &b, line, (size_t)bytes,
                                  GBX_JSON_PLAIN, &agent->err) == 0 &&
            request.type == GBX_OBJECT)
            serve(agent, &request);
        else
            printf("{\"ok\": false, \"error\": \"no JSON object\"}\n");
    gbx_builder_fini(&b);
    free(line);
}

int main(void)
{
    struct agent agent = {.folder = "/tmp/agent-XXXXXX"};
    const struct gbx_runtime_config config = {.struct_bytes = sizeof(config),
                                              .libexec_dir =
                                                  getenv("GLOVEBOX_LIBEXEC"),
                                              .output = keep_printed,
                                              .output_context = &agent};

    if (mkdtemp(agent.folder) == NULL ||
        gbx_runtime_open(&agent.runtime, &config, &agent.err) < 0 ||
        gbx_runtime_register(agent.runtime, "lookup", lookup, NULL) < 0) {
        fprintf(stderr, "agent: %s\n", agent.err.what);
        return 1;
    }
    serve_lines(&agent);
    gbx_runtime_close(agent.runtime);
    rmdir(agent.folder);
    return 0;
}
