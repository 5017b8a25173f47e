/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test262.c - SCRIPT ISOLATION: each line of standard input is a test for the
 * script, which is wiped before the next; each is answered with a line: what
 * the script sent, or "! CODE WHY", where it did not come to say anything.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "glovebox/runtime.h"

enum { LONGEST_S = 20, VERDICT_BYTES = 1024 };

struct verdict {
    char text[VERDICT_BYTES]; /* empty: none came */
};

static uint64_t deadline(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((uint64_t)now.tv_sec + LONGEST_S) * 1000000000u +
           (uint64_t)now.tv_nsec;
}

/* Of several the one that is no "pass" counts. */
static void arrive(void *context, const char *port,
                   const struct gbx_message *message)
{
    struct verdict *verdict = context;

    (void)port;
    if (verdict->text[0] != '\0' && strcmp(verdict->text, "pass") != 0)
        return;
    snprintf(verdict->text, sizeof(verdict->text), "%.*s",
             (int)message->body_bytes, (const char *)message->body);
}

static int run(struct verdict *verdict, struct gbx_script *script,
               const char *line, size_t bytes, struct gbx_error *err)
{
    struct gbx_call *call;
    void *data;
    int rc = gbx_call_begin(&call, script, deadline(), err);

    if (rc < 0)
        return rc;
    gbx_call_on_output(call, arrive, verdict);
    rc = gbx_call_room(call, "test", GBX_STRING, bytes, &data, err);
    if (rc == 0) {
        memcpy(data, line, bytes);
        rc = gbx_call_run(call, deadline(), err);
    }
    gbx_call_finish(call);
    return rc;
}

static int fail(const struct gbx_error *err)
{
    fprintf(stderr, "test262: %s\n", err->what);
    return 1;
}

static void answer(struct verdict *verdict, int rc, const struct gbx_error *err)
{
    if (verdict->text[0] == '\0')
        snprintf(verdict->text, sizeof(verdict->text), "! %s %s",
                 rc < 0 ? gbx_error_name(rc) : "silent",
                 rc < 0 ? err->what : "");
    for (char *at = verdict->text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ') /* it is to be one line */
            *at = ' ';
    puts(verdict->text);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct gbx_script_config config = {
        .struct_bytes = sizeof(config),
        .wipe = GBX_WIPE_PER_CALL,
        .isolation = GBX_ISOLATION_WASM,
    };
    struct gbx_runtime *runtime;
    struct gbx_script *script;
    struct gbx_error err;
    char *line = NULL;
    size_t room = 0;
    ssize_t length;

    if (argc != 3)
        return 2;
    if (strcmp(argv[2], "process") == 0)
        config.isolation = GBX_ISOLATION_PROCESS;
    if (strcmp(argv[2], "microvm") == 0)
        config.isolation = GBX_ISOLATION_MICROVM;
    if (gbx_runtime_open(&runtime, NULL, &err) < 0 ||
        gbx_script_open(&script, runtime, argv[1], &config, &err) < 0)
        return fail(&err);
    while ((length = getline(&line, &room, stdin)) > 0) {
        struct verdict verdict = {.text = ""};

        answer(&verdict, run(&verdict, script, line, (size_t)length - 1, &err),
               &err);
    }
    free(line);
    gbx_script_close(script);
    gbx_runtime_close(runtime);
    return 0;
}
