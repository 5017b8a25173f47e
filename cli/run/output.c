/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/run/run.h"

/* Keep the first thing that went wrong; it decides how the program ends. */
static void note(struct output *output, int code, const char *what,
                 const char *why)
{
    if (output->fault.code != 0)
        return;
    output->fault.code = code;
    snprintf(output->fault.what, sizeof(output->fault.what), "%s: %s", what,
             why);
}

int output_open(struct output *output, const struct run_options *options,
                struct gbx_error *err)
{
    *output = (struct output){.options = options};
    for (size_t i = 0; i < options->out_count; i++) {
        const char *path = strchr(options->out[i], '=') + 1;

        /* What is there stays until something comes to replace it. */
        output->files[i] = fopen(path, "ae");
        if (output->files[i] == NULL) {
            note(output, GBX_EHOST, path, strerrordesc_np(errno));
            *err = output->fault;
            output_close(output, NULL);
            return GBX_EHOST;
        }
    }
    return 0;
}

int output_close(struct output *output, struct gbx_error *err)
{
    for (size_t i = 0; i < output->options->out_count; i++) {
        FILE *file = output->files[i];
        bool lost = file != NULL && ferror(file);

        if (file != NULL && (fclose(file) != 0 || lost))
            note(output, GBX_EHOST, output->options->out[i],
                 strerrordesc_np(errno));
        if (err != NULL && file != NULL && !output->written[i])
            fprintf(stderr, "glovebox: nothing came for --out %s\n",
                    output->options->out[i]);
    }
    if (output->fault.code != 0 && err != NULL)
        *err = output->fault;
    return output->fault.code;
}

/* The number of the --out for this port, or -1. */
static int place_for(const struct output *output, const char *port)
{
    size_t bytes = strlen(port);

    for (size_t i = 0; i < output->options->out_count; i++)
        if (strncmp(output->options->out[i], port, bytes) == 0 &&
            output->options->out[i][bytes] == '=')
            return (int)i;
    return -1;
}

static bool is_bytes(const struct gbx_message *message)
{
    return message->type == GBX_STREAM || message->type == GBX_ENCODED;
}

static bool is_text(const struct gbx_message *message)
{
    return message->type == GBX_STRING || message->type == GBX_ERROR;
}

/*
 * JSON text for free(), or NULL with a note.  A typed array lies in memory that
 * the script can still write, so it is copied first.
 */
static char *to_json(struct output *output, const char *port,
                     const struct gbx_message *message, enum gbx_json_form form)
{
    struct gbx_message stable = *message;
    struct gbx_error err = {0};
    void *held;
    char *text = NULL;

    if (gbx_message_hold(&stable, &held) < 0) {
        note(output, GBX_EHOST, port, "no memory");
        return NULL;
    }
    if (gbx_message_to_json(&text, &stable, form, &err) < 0)
        note(output, GBX_ESCRIPT, port, err.what);
    free(held);
    return text;
}

static void print_label(const char *port)
{
    cli_print(stdout, port, strlen(port), true);
    fputs(": ", stdout);
}

static void print_array(struct output *output, const char *port,
                        const struct gbx_message *message)
{
    struct gbx_array array;

    if (gbx_message_array(message, &array) < 0) {
        note(output, GBX_EBROKEN, port, "a malformed array");
        return;
    }
    print_label(port);
    printf("<Array of %s", gbx_dtype_name((int)array.dtype));
    for (uint32_t i = 0; i < array.rank; i++)
        printf("%s%llu", i == 0 ? " " : " x ",
               (unsigned long long)array.dims[i]);
    fputs(">\n", stdout);
}

/* A line for people: what cannot be read at a glance is only described. */
static void print_value(struct output *output, const char *port,
                        const struct gbx_message *message)
{
    char *text;

    if (is_bytes(message)) {
        print_label(port);
        printf("<%s of %zu bytes>\n", gbx_type_name((int)message->type),
               message->body_bytes);
    } else if (message->flags & GBX_TYPED) {
        print_array(output, port, message);
    } else if ((text = to_json(output, port, message, GBX_JSON_PLAIN))) {
        print_label(port);
        cli_print(stdout, text, strlen(text), true);
        putchar('\n');
        free(text);
    }
}

/* {"port":..., and the members of the typed form. */
static void print_line(struct output *output, const char *port,
                       const struct gbx_message *message)
{
    char *typed = to_json(output, port, message, GBX_JSON_TYPED);
    json_t *name = json_string(port);
    char *quoted = name != NULL ? json_dumps(name, JSON_ENCODE_ANY) : NULL;

    if (quoted == NULL)
        note(output, GBX_EHOST, port, "no memory");
    else if (typed != NULL)
        printf("{\"port\":%s,%s\n", quoted, typed + 1);
    free(quoted);
    json_decref(name);
    free(typed);
}

static void write_file(struct output *output, int place, const char *port,
                       const struct gbx_message *message)
{
    FILE *file = output->files[place];
    char *text;

    /* The first thing that comes replaces what was there; more is appended. */
    if (!output->written[place] && ftruncate(fileno(file), 0) < 0 &&
        errno != EINVAL) /* EINVAL: not a file that has a length */
        note(output, GBX_EHOST, output->options->out[place],
             strerrordesc_np(errno));
    output->written[place] = true;
    if (is_bytes(message) || is_text(message)) {
        fwrite(message->body, 1, message->body_bytes, file);
    } else if ((text = to_json(output, port, message, GBX_JSON_PLAIN))) {
        fprintf(file, "%s\n", text);
        free(text);
    }
    if (ferror(file)) /* errno will not be the same when it is closed */
        note(output, GBX_EHOST, output->options->out[place],
             strerrordesc_np(errno));
}

void output_message(void *context, const char *port,
                    const struct gbx_message *message)
{
    struct output *output = context;
    int place = place_for(output, port);

    flockfile(stdout); /* other calls (--parallel) have lines of their own */
    if (place >= 0)
        write_file(output, place, port, message);
    else if (output->options->json)
        print_line(output, port, message);
    else
        print_value(output, port, message);
    fflush(stdout); /* seen when it is sent; ferror remembers a failure */
    funlockfile(stdout);
}
