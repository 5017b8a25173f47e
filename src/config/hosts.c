/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts.c - "hosts": other computers that may run scripts, each as a URL, or
 * as an object that says more.
 *
 * A token does not stand there, but where it lies; and a file that was only
 * found in the working directory may not send scripts elsewhere.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/value.h"

#define HEARTBEAT_NS_MIN 100000000u
#define HEARTBEAT_NS_MAX 3600000000000ull

enum { COMMENT, URL, TOKEN, CA, HEARTBEAT };

static const char *const host_keys[] = {"comment", "url",       "token_file",
                                        "ca",      "heartbeat", NULL};

static int check_text(const struct reader *reader, const char *key,
                      const json_t *value, const char *expected)
{
    const char *text = json_string_value(value);

    return text == NULL || text[0] == '\0' ||
                   strlen(text) != json_string_length(value)
               ? value_fail(reader, "\"%s\" must be %s", key, expected)
               : 0;
}

static int read_url(struct reader *reader, struct gbx_host_config *host,
                    const json_t *value)
{
    static const char *const schemes[] = {"ws://", "wss://", "nats://",
                                          "tls://"};
    static const char expected[] =
        "an address, as wss://box7:5556 or nats://box7";
    int rc = check_text(reader, "url", value, expected);

    if (rc < 0)
        return rc;
    rc = value_keep(reader, &host->url, value);
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
    const char *text = json_string_value(value);
    int rc = check_text(reader, key, value, "a file");

    return rc < 0 ? rc : value_path(reader, to, key, text);
}

static int read_heartbeat(struct reader *reader, struct gbx_host_config *host,
                          const json_t *value)
{
    uint64_t ns;

    if (!value_time(value, &ns) || ns < HEARTBEAT_NS_MIN ||
        ns > HEARTBEAT_NS_MAX)
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

static int read_host(struct reader *reader, size_t i, json_t *value)
{
    static const struct object object = {
        .what = "a host", .others = host_keys, .read_other = read_other};
    struct gbx_host_config *host = &reader->config->hosts[i];
    int rc;

    host->struct_bytes = sizeof(*host);
    rc = json_is_string(value) ? read_url(reader, host, value)
                               : read_object(reader, &object, host, value);
    if (rc == 0 && host->url == NULL)
        rc = value_fail(reader, "a host must have a \"url\"");
    reader->config->host_count += rc == 0;
    return rc;
}

int hosts_read(struct reader *reader, json_t *value)
{
    struct gbx_config *config = reader->config;
    int rc = value_refuse_near(reader, "hosts");

    if (rc < 0)
        return rc;
    if (!json_is_array(value) || json_array_size(value) > CONFIG_HOSTS_MAX)
        return value_fail(reader, "\"hosts\" must be a list of at most %u",
                          CONFIG_HOSTS_MAX);
    config->hosts = calloc(json_array_size(value) + 1, sizeof(*config->hosts));
    if (config->hosts == NULL)
        return config_no_memory(reader);
    return read_list(reader, value, read_host);
}
