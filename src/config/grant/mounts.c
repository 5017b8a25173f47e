/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts.c - "mounts": folders and files of the host that a script sees, as
 * "SOURCE:TARGET[:ro|cow]" (glovebox/mount.h).
 *
 * A file that was only found in the working directory may not show a script
 * what lies elsewhere.
 */
#include <string.h>

#include "base/error.h"
#include "config/value.h"
#include "glovebox/mount.h"

struct list {
    struct gbx_mount *all;
    size_t count;
};

/* A source's name starts at the configuration's folder. */
static int add(struct reader *reader, struct list *list, const json_t *item)
{
    struct gbx_mount *mount = &list->all[list->count++];
    const char *text = json_string_value(item);
    const struct gbx_error none = {.what = ""};
    struct gbx_error why = none;
    const char *own;
    int rc;

    if (text == NULL || strlen(text) != json_string_length(item))
        return value_fail(reader, "\"mounts\" must be a list of "
                                  "\"SOURCE:TARGET[:ro|cow]\"");
    rc = value_keep(reader, &own, item);
    if (rc < 0)
        return rc;
    if (gbx_mount_parse(mount, (char *)(uintptr_t)own, &why) < 0)
        return value_fail(reader, "\"mounts\": %.180s", why.what);
    return value_path(reader, &mount->source, "mounts", mount->source);
}

int mounts_read_value(struct reader *reader, struct config_values *values,
                      json_t *value)
{
    const size_t count = json_array_size(value);
    struct list list = {.count = 0};
    json_t *item;
    size_t i;
    int rc = value_refuse_near(reader, "mounts");

    if (rc < 0)
        return rc;
    if (!json_is_array(value) || count > GBX_MOUNTS_MAX)
        return value_fail(reader,
                          "\"mounts\" must be a list of at most %d, "
                          "[\"SOURCE:TARGET[:ro|cow]\"]",
                          GBX_MOUNTS_MAX);
    list.all =
        scratch_take(&reader->config->texts, (count + 1) * sizeof(*list.all));
    if (list.all == NULL)
        return config_no_memory(reader);
    place_enter(&reader->place);
    json_array_foreach(value, i, item)
    {
        place_next(&reader->place);
        reader->line = reader->place.line;
        rc = add(reader, &list, item);
        if (rc < 0)
            return rc;
        place_skip(&reader->place);
    }
    values->script.mounts = list.all;
    values->script.mount_count = count;
    return 0;
}
