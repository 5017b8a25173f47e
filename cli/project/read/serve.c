/* SPDX-License-Identifier: Apache-2.0 */
/* serve.c - [serve]: where calls come in, and who may; options of gloveboxd. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/project/read/read.h"
#include "glovebox/config.h"

static void add(struct reading *reading, const char *key, const char *text)
{
    char option[40];

    snprintf(option, sizeof(option), "--%s", key);
    json_array_append_new(reading->project->options, json_string(option));
    json_array_append_new(reading->project->options, json_string(text));
}

static bool is_number(const char *text, unsigned long most)
{
    return text[0] >= '0' && text[0] <= '9' &&
           strspn(text, "0123456789") == strlen(text) && strlen(text) < 10 &&
           strtoul(text, NULL, 10) <= most;
}

/* 127.0.0.1:80, [::1]:80; is_near: nobody else can reach it. */
static bool is_address(const char *text, bool *is_near)
{
    const char *colon = strrchr(text, ':');
    struct in6_addr six;
    struct in_addr four;
    char host[64];
    size_t bytes = colon != NULL ? (size_t)(colon - text) : 0;

    if (bytes == 0 || bytes >= sizeof(host) || !is_number(colon + 1, 65535))
        return false;
    if (text[0] == '[' && text[bytes - 1] == ']')
        text++, bytes -= 2;
    memcpy(host, text, bytes);
    host[bytes] = '\0';
    if (inet_pton(AF_INET, host, &four) == 1) {
        *is_near = ntohl(four.s_addr) >> 24 == 127;
        return true;
    }
    *is_near =
        inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
    return inet_pton(AF_INET6, host, &six) == 1;
}

static int read_listen(struct reading *reading, void *to, const char *key,
                       json_t *node)
{
    const char *text;
    bool is_near;
    int rc = read_text(reading, key, node, &text);

    if (rc < 0)
        return rc;
    if (strcmp(text, "none") != 0 && !is_address(text, &is_near))
        return node_fail(reading, node,
                         "\"listen\" is \"%.60s\"; it must be ADDRESS:PORT, as "
                         "\"127.0.0.1:5556\", or \"none\"",
                         text);
    json_object_set(to, key, node);
    return 0;
}

static int read_one(struct reading *reading, void *to, const char *key,
                    json_t *node)
{
    const char *text;
    int rc = read_text(reading, key, node, &text);

    json_object_set(to, key, node);
    if (rc == 0)
        add(reading, key, text);
    return rc;
}

/* Made where it is missing: no more than its name can be looked at. */
static int read_audit(struct reading *reading, void *to, const char *key,
                      json_t *node)
{
    char *path;
    int rc = read_path(reading, key, node, &path);

    json_object_set(to, key, node);
    if (rc == 0)
        add(reading, key, path);
    free(path);
    return rc;
}

/* A file or folder that is there. */
static int read_existing(struct reading *reading, void *to, const char *key,
                         json_t *node)
{
    const bool is_folder = strcmp(key, "scripts") == 0;
    struct stat st;
    char *path, digest[17];
    int rc = read_path(reading, key, node, &path);

    json_object_set(to, key, node);
    if (rc == 0 && (stat(path, &st) < 0 || S_ISDIR(st.st_mode) != is_folder))
        rc = node_fail(reading, node, "\"%s\": %s: there is no such %s", key,
                       path, is_folder ? "folder" : "file");
    if (rc == 0 && !is_folder)
        rc = digest_file(path, digest, reading->err);
    if (rc == 0 && !is_folder)
        json_object_set_new(reading->project->files, path, json_string(digest));
    if (rc == 0)
        add(reading, key, path);
    free(path);
    return rc;
}

static int read_number(struct reading *reading, void *to, const char *key,
                       json_t *node)
{
    static const struct {
        const char *key;
        json_int_t most;
    } all[] = {{"workers", 1024},    {"queue", 1000000},
               {"body", 1024},       {"connections", 1000000},
               {"deliveries", 1000}, {"timeout", 86400}};
    const json_t *value = node_value(node);
    char text[24];
    json_int_t most = 0;

    (void)to;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        most = strcmp(all[i].key, key) == 0 ? all[i].most : most;
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) > most)
        return node_fail(reading, node,
                         "\"%s\" must be a whole number%s, 1 to %lld", key,
                         strcmp(key, "body") == 0      ? " of MiB"
                         : strcmp(key, "timeout") == 0 ? " of seconds"
                                                       : "",
                         (long long)most);
    snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
    add(reading, key, text);
    return 0;
}

static int check_together(struct reading *reading, const json_t *seen)
{
    const json_t *listen = json_object_get(seen, "listen"),
                 *cert = json_object_get(seen, "cert"),
                 *key = json_object_get(seen, "key"),
                 *tokens = json_object_get(seen, "tokens");
    const char *address = json_string_value(node_value(listen));
    bool is_near = true;

    if ((cert == NULL) != (key == NULL))
        return node_fail(reading, cert != NULL ? cert : key,
                         "\"cert\" and \"key\" go together");
    if (address != NULL && is_address(address, &is_near) && !is_near &&
        (cert == NULL || tokens == NULL))
        return node_fail(reading, listen,
                         "\"listen\": %s can be reached by others: \"cert\", "
                         "\"key\" and \"tokens\" are needed there",
                         address);
    return 0;
}

int section_serve(struct reading *reading, void *to, const char *key,
                  json_t *node)
{
    static const struct key keys[] = {
        {"listen", read_listen, NULL},
        {"tokens", read_existing, NULL},
        {"cert", read_existing, NULL},
        {"key", read_existing, NULL},
        {"audit", read_audit, NULL},
        {"scripts", read_existing, NULL},
        {"workers", read_number, NULL},
        {"timeout", read_number, NULL},
        {"queue", read_number, NULL},
        {"body", read_number, NULL},
        {"connections", read_number, NULL},
        {"worker", read_one, NULL},
        {"deliveries", read_number, NULL},
        {"token", NULL, "it would stand in this file: \"tokens\" names one"},
        {NULL, NULL, NULL}};
    json_t *seen = json_object();
    const char *listen;
    int rc;

    (void)to;
    (void)key;
    rc = read_table(reading, "[serve]", keys, seen, node);
    if (rc == 0)
        rc = check_together(reading, seen);
    listen = json_string_value(node_value(json_object_get(seen, "listen")));
    if (rc == 0)
        add(reading, "listen",
            listen != NULL                            ? listen
            : json_object_get(seen, "worker") != NULL ? "none"
                                                      : "127.0.0.1:5556");
    json_decref(seen);
    return rc;
}
