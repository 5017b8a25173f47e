/* SPDX-License-Identifier: Apache-2.0 */
/* running.c - a project that is up, or was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/project/run/run.h"

/* As the file would say, if it says nothing. */
static void name_by_folder(struct running *running)
{
    const char *end = strrchr(running->path, '/'), *from = end;

    while (from > running->path && from[-1] != '/')
        from--;
    snprintf(running->name, sizeof(running->name), "%.*s", (int)(end - from),
             from);
}

int running_open(struct running *running, const char *file)
{
    struct gbx_error err;
    const char *name;

    *running = (struct running){.place.fd = -1, .pidfd = -1};
    if (project_find(&running->path, file, &err) < 0)
        return cli_fail(&err);
    if (place_open(&running->place, running->path, false, &err) < 0) {
        running_close(running);
        return cli_fail(&err);
    }
    running->plan = place_json(&running->place, "plan.json");
    running->pidfd = place_daemon(&running->place, &running->pid);
    name = json_string_value(json_object_get(running->plan, "name"));
    if (name != NULL)
        snprintf(running->name, sizeof(running->name), "%s", name);
    else
        name_by_folder(running);
    return CLI_OK;
}

void running_close(struct running *running)
{
    if (running->pidfd >= 0)
        close(running->pidfd);
    place_close(&running->place);
    json_decref(running->plan);
    free(running->path);
}

void running_ended(const struct running *running, char text[200])
{
    char how[160];

    if (running->plan == NULL)
        strcpy(text, "it has not been started");
    else if (watch_ended(&running->place, how))
        snprintf(text, 200, "%s", how);
    else
        strcpy(text, "how it ended, nobody has seen");
}
