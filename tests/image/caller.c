/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller.c - scripts in images, side by side in one process, as its lines of
 * standard input say; each is answered by a line.
 *
 *   caller CACHE
 *     open NAME ISOLATION IMAGE SCRIPT
 *     call NAME                           what it sent, as JSON
 *     close NAME
 *
 * IMAGE is one of the default store; a second open of a NAME is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glovebox/json.h"
#include "glovebox/runtime.h"

#define SCRIPTS 8u
#define ISOLATION(text)                                                        \
    (strcmp(text, "process") == 0 ? GBX_ISOLATION_PROCESS                      \
                                  : GBX_ISOLATION_MICROVM)

struct opened {
    char name[32];
    struct gbx_script *script;
};

static struct opened all[SCRIPTS];
static struct gbx_runtime *runtime;

static struct opened *find(const char *name)
{
    for (unsigned i = 0; i < SCRIPTS; i++)
        if (strcmp(all[i].name, name) == 0)
            return &all[i];
    return NULL;
}

static int open_one(char *words[5], struct gbx_error *err)
{
    const struct gbx_script_config config = {
        .struct_bytes = sizeof(config),
        .isolation = ISOLATION(words[2]),
        .image = words[3],
        .wipe = GBX_WIPE_PER_CALL,
        .pool = {.ready_min = 2, .total_max = 2}};
    struct opened *opened = find("");
    int rc;

    if (opened == NULL || find(words[1]) != NULL)
        return GBX_EARGUMENT;
    rc = gbx_script_open(&opened->script, runtime, words[4], &config, err);
    if (rc == 0) {
        snprintf(opened->name, sizeof(opened->name), "%s", words[1]);
        puts("opened");
    }
    return rc;
}

static int print_outputs(struct gbx_call *call, struct gbx_error *err)
{
    struct gbx_message message;
    const char *port;
    char *json;
    int rc = 0;

    while (rc == 0 && gbx_call_next(call, &port, &message) == 0) {
        rc = gbx_message_to_json(&json, &message, GBX_JSON_PLAIN, err);
        if (rc == 0) {
            puts(json);
            free(json);
        }
    }
    return rc;
}

static int call_one(char *words[5], struct gbx_error *err)
{
    struct opened *opened = find(words[1]);
    struct gbx_call *call;
    int rc;

    if (opened == NULL)
        return GBX_EARGUMENT;
    rc = gbx_call_begin(&call, opened->script, 0, err);
    if (rc < 0)
        return rc;
    rc = gbx_call_run(call, 0, err);
    if (rc == 0)
        rc = print_outputs(call, err);
    gbx_call_finish(call);
    return rc;
}

static int close_one(char *words[5], struct gbx_error *err)
{
    struct opened *opened = find(words[1]);

    (void)err;
    if (opened == NULL)
        return GBX_EARGUMENT;
    gbx_script_close(opened->script);
    *opened = (struct opened){.name = ""};
    puts("closed");
    return 0;
}

static int obey(char *line, struct gbx_error *err)
{
    static const struct {
        const char *name;
        int (*act)(char *words[5], struct gbx_error *err);
        int words;
    } acts[] = {
        {"open", open_one, 5}, {"call", call_one, 2}, {"close", close_one, 2}};
    char *words[5], *rest = NULL;
    int count = 0;

    for (char *word = strtok_r(line, " \n", &rest); word != NULL && count < 5;
         word = strtok_r(NULL, " \n", &rest))
        words[count++] = word;
    for (unsigned i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
        if (count == acts[i].words && strcmp(words[0], acts[i].name) == 0)
            return acts[i].act(words, err);
    return GBX_EARGUMENT;
}

int main(int argc, char **argv)
{
    struct gbx_runtime_config config = {.struct_bytes = sizeof(config)};
    struct gbx_error err = {.what = ""};
    char line[4096];

    if (argc != 2)
        return 2;
    config.cache_dir = argv[1];
    if (gbx_runtime_open(&runtime, &config, &err) < 0)
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        int rc;

        err = (struct gbx_error){.what = ""};
        rc = obey(line, &err);
        if (rc < 0)
            printf("%s: %s\n", gbx_error_name(rc), err.what);
    }
    for (unsigned i = 0; i < SCRIPTS; i++)
        gbx_script_close(all[i].script);
    gbx_runtime_close(runtime);
    return 0;
}
