/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts.c - "hosts": other computers that may run scripts, each as a URL, or
 * as an object that says more.
 *
 * A token does not stand there, but where it lies; and a file that was only
 * found in the working directory may not send scripts elsewhere.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/text/amount.h"
#include "config/value.h"

#define HEARTBEAT_NS_MIN 100000000u
#define HEARTBEAT_NS_MAX 3600000000000ull

enum { COMMENT, URL, TOKEN, CA, HEARTBEAT };

static const char *const host_keys[] = {"comment", "url",       "token_file",
                                        "ca",      "heartbeat", NULL};

static int keep_text(struct reader *reader, const char **to, const char *key,
                     const json_t *value, const char *expected)
{
    const char *text = json_string_value(value);

    if (text == NULL || text[0] == '\0' ||
        strlen(text) != json_string_length(value))
        return value_fail(reader, "\"%s\" must be %s", key, expected);
    *to = value_keep(reader, value);
    return *to != NULL
               ? 0
               : fail(reader->err, GBX_EHOST, "no memory for a configuration");
}

static int read_url(struct reader *reader, struct gbx_host_config *host,
                    const json_t *value)
{
    static const char *const schemes[] = {"ws://", "wss://", "nats://",
                                          "tls://"};
    static const char expected[] =
        "an address, as wss://box7:5556 or nats://box7";
    int rc = keep_text(reader, &host->url, "url", value, expected);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strncmp(host->url, schemes[i], strlen(schemes[i])) == 0)
            return 0;
    return value_fail(reader, "\"%.60s\" is no host; it must be %s", host->url,
                      expected);
}

/* Relative to the file's folder. */
static int read_file_name(struct reader *reader, const char **to,
                          const char *key, const json_t *value)
{
    char path[4096];
    int bytes, rc = keep_text(reader, to, key, value, "a file");

    if (rc < 0 || (*to)[0] == '/')
        return rc;
    bytes = snprintf(path, sizeof(path), "%s/%s", reader->config->folder, *to);
    if ((size_t)bytes >= sizeof(path))
        return value_fail(reader, "\"%s\" is longer than a path can be", key);
    *to = scratch_text(&reader->config->texts, path, (size_t)bytes);
    return *to != NULL
               ? 0
               : fail(reader->err, GBX_EHOST, "no memory for a configuration");
}

static int read_heartbeat(struct reader *reader, struct gbx_host_config *host,
                          const json_t *value)
{
    const char *text = json_string_value(value);
    uint64_t ns = 0;

    if (text != NULL && !amount_read(AMOUNT_TIME, text, &ns))
        ns = 0;
    if (json_is_number(value) && json_number_value(value) < 1e6 &&
        json_number_value(value) > 0)
        ns = (uint64_t)(json_number_value(value) * 1e9);
    if (ns < HEARTBEAT_NS_MIN || ns > HEARTBEAT_NS_MAX)
        return value_fail(reader, "\"heartbeat\" must be a time, \"100ms\" to "
                                  "\"1h\"");
    host->heartbeat_ms = (uint32_t)(ns / 1000000);
    return 0;
}

static int read_other(struct reader *reader, void *to, size_t number,
                      json_t *value)
{
    struct gbx_host_config *host = to;

    switch (number) {
    case URL:
        return read_url(reader, host, value);
    case TOKEN:
        return read_file_name(reader, &host->token_path, "token_file", value);
    case CA:
        return read_file_name(reader, &host->ca_path, "ca", value);
    default:
        return read_heartbeat(reader, host, value);
    }
}

static int read_host(struct reader *reader, struct gbx_host_config *host,
                     json_t *value)
{
    static const struct object object = {
        .what = "a host", .others = host_keys, .read_other = read_other};
    int rc;

    host->struct_bytes = sizeof(*host);
    if (json_is_string(value))
        return read_url(reader, host, value);
    rc = read_object(reader, &object, host, value);
    if (rc == 0 && host->url == NULL)
        rc = value_fail(reader, "a host must have a \"url\"");
    return rc;
}

int hosts_read(struct reader *reader, json_t *value)
{
    struct gbx_config *config = reader->config;
    json_t *item;
    size_t i;

    if (config->is_near)
        return value_fail(reader,
                          "\"hosts\" may not be set by a file that was only "
                          "found in the working directory: name it (--config "
                          "FILE, GLOVEBOX_CONFIG)");
    if (!json_is_array(value) || json_array_size(value) > CONFIG_HOSTS_MAX)
        return value_fail(reader, "\"hosts\" must be a list of at most %u",
                          CONFIG_HOSTS_MAX);
    config->hosts = calloc(json_array_size(value) + 1, sizeof(*config->hosts));
    if (config->hosts == NULL)
        return fail(reader->err, GBX_EHOST, "no memory for a configuration");
    place_enter(&reader->place);
    json_array_foreach(value, i, item)
    {
        struct place here;
        int rc;

        place_next(&reader->place);
        reader->line = reader->place.line;
        here = reader->place;
        rc = read_host(reader, &config->hosts[i], item);
        if (rc < 0)
            return rc;
        config->host_count++;
        reader->place = here;
        place_skip(&reader->place);
    }
    return 0;
}
