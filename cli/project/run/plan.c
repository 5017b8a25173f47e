/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - what is started, as JSON; and how two of them differ. */
#include <stdio.h>
#include <string.h>

#include "cli/project/run/run.h"
#include "glovebox/runtime.h"

json_t *plan_of(const struct project *project)
{
    return json_pack("{s:s,s:s,s:s,s:O,s:O,s:O,s:O,s:O,s:O}", "version",
                     gbx_version(), "name", project->name, "file",
                     project->path, "options", project->options, "config",
                     project->config, "scripts", project->scripts, "flows",
                     project->flows, "files", project->files, "secrets",
                     project->secrets);
}

static void say(char text[400], const char *what, const char *name)
{
    const size_t at = strlen(text);

    snprintf(text + at, 400 - at, "%s%s%s%s", at > 0 ? ", " : "", what,
             name[0] != '\0' ? " " : "", name);
}

/* Members that are new, gone, or others. */
static void compare(char text[400], const char *what, json_t *was, json_t *is)
{
    const char *name;
    json_t *value;

    json_object_foreach(
        is, name, value) if (!json_equal(value, json_object_get(was, name)))
        say(text, what, name);
    json_object_foreach(was, name, value) if (json_object_get(is, name) == NULL)
        say(text, what, name);
}

void plan_differs(const json_t *was, const json_t *is, char text[400])
{
    static const struct {
        const char *key, *what;
    } others[] = {{"version", "Glovebox itself"},
                  {"name", "the name"},
                  {"options", "[serve]"},
                  {"config", "what scripts may have"}};

    text[0] = '\0';
    compare(text, "script", json_object_get(was, "scripts"),
            json_object_get(is, "scripts"));
    compare(text, "flow", json_object_get(was, "flows"),
            json_object_get(is, "flows"));
    compare(text, "file", json_object_get(was, "files"),
            json_object_get(is, "files"));
    compare(text, "secret", json_object_get(was, "secrets"),
            json_object_get(is, "secrets"));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (!json_equal(json_object_get(was, others[i].key),
                        json_object_get(is, others[i].key)))
            say(text, others[i].what, "");
}

/* The port is the daemon's word: the file may say any. */
bool run_url(const json_t *options, const json_t *stats, char url[100])
{
    const char *address = NULL, *colon;
    bool has_tls = false;
    json_t *option;
    size_t i;

    url[0] = '\0';
    json_array_foreach(options, i, option)
    {
        const char *text = json_string_value(option);

        has_tls = has_tls || strcmp(text, "--cert") == 0;
        if (strcmp(text, "--listen") == 0)
            address = json_string_value(json_array_get(options, i + 1));
    }
    colon = address != NULL ? strrchr(address, ':') : NULL;
    if (colon == NULL)
        return false;
    snprintf(url, 100, "%s://%.*s:%d", has_tls ? "https" : "http",
             (int)(colon - address), address,
             (int)json_integer_value(
                 json_object_get(json_object_get(stats, "daemon"), "port")));
    return true;
}
