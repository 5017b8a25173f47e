/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

static void note(struct output *output, const char *what, const char *why)
{
    if (output->fault[0] == '\0')
        snprintf(output->fault, sizeof(output->fault), "%s: %s", what, why);
}

int output_open(struct output *output, const struct run_options *options,
                struct gbx_error *err)
{
    *output = (struct output){.options = options};
    for (size_t i = 0; i < options->out_count; i++) {
        const char *path = strchr(options->out[i], '=') + 1;

        output->files[i] = fopen(path, "we");
        if (output->files[i] == NULL) {
            err->code = GBX_EFILE;
            snprintf(err->what, sizeof(err->what), "%s: %s", path,
                     strerrordesc_np(errno));
            output_close(output, NULL);
            return GBX_EFILE;
        }
    }
    return 0;
}

int output_close(struct output *output, struct gbx_error *err)
{
    for (size_t i = 0; i < output->options->out_count; i++)
        if (output->files[i] != NULL && fclose(output->files[i]) != 0)
            note(output, output->options->out[i], strerrordesc_np(errno));
    if (fflush(stdout) != 0)
        note(output, "standard output", strerrordesc_np(errno));
    if (output->fault[0] == '\0' || err == NULL)
        return 0;
    err->code = GBX_EHOST;
    snprintf(err->what, sizeof(err->what), "%s", output->fault);
    return GBX_EHOST;
}

/* The file of --out for this port, or NULL. */
static FILE *file_for(const struct output *output, const char *port)
{
    size_t bytes = strlen(port);

    for (size_t i = 0; i < output->options->out_count; i++)
        if (strncmp(output->options->out[i], port, bytes) == 0 &&
            output->options->out[i][bytes] == '=')
            return output->files[i];
    return NULL;
}

static bool is_bytes(const struct gbx_message *message)
{
    return message->type == GBX_STREAM || message->type == GBX_ENCODED;
}

static bool is_text(const struct gbx_message *message)
{
    return message->type == GBX_STRING || message->type == GBX_ERROR;
}

/* JSON on one line, or what is in the way of it. */
static void print_json(struct output *output, FILE *file, const char *port,
                       const struct gbx_message *message,
                       enum gbx_json_form form)
{
    struct gbx_error err = {0};
    char *text;

    if (gbx_message_to_json(&text, message, form, &err) < 0) {
        note(output, port, err.what);
        return;
    }
    fputs(text, file);
    free(text);
}

/* A line for people: what cannot be read at a glance is only described. */
static void print_value(struct output *output, const char *port,
                        const struct gbx_message *message)
{
    struct gbx_array array;

    printf("%s: ", port);
    if (is_bytes(message)) {
        printf("<%s of %zu bytes>", gbx_type_name((int)message->type),
               message->body_bytes);
    } else if (message->flags & GBX_TYPED) {
        if (gbx_message_array(message, &array) < 0) {
            note(output, port, "a malformed array");
            return;
        }
        printf("<Array of %s", gbx_dtype_name((int)array.dtype));
        for (uint32_t i = 0; i < array.rank; i++)
            printf("%s%llu", i == 0 ? " " : " x ",
                   (unsigned long long)array.dims[i]);
        putchar('>');
    } else {
        print_json(output, stdout, port, message, GBX_JSON_PLAIN);
    }
    putchar('\n');
}

/* {"port":..., and the members of the typed form. */
static void print_line(struct output *output, const char *port,
                       const struct gbx_message *message)
{
    json_t *name = json_string(port);
    char *quoted = json_dumps(name, JSON_ENCODE_ANY);
    struct gbx_error err = {0};
    char *typed;

    if (gbx_message_to_json(&typed, message, GBX_JSON_TYPED, &err) < 0) {
        note(output, port, err.what);
    } else {
        printf("{\"port\":%s,%s\n", quoted, typed + 1);
        free(typed);
    }
    free(quoted);
    json_decref(name);
}

void output_message(void *context, const char *port,
                    const struct gbx_message *message)
{
    struct output *output = context;
    FILE *file = file_for(output, port);

    if (file != NULL) {
        if (is_bytes(message) || is_text(message))
            fwrite(message->body, 1, message->body_bytes, file);
        else
            print_json(output, file, port, message, GBX_JSON_PLAIN);
    } else if (output->options->json) {
        print_line(output, port, message);
    } else {
        print_value(output, port, message);
    }
    fflush(stdout); /* outputs are seen when they are sent */
}
