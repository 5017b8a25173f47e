/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/nats/address.h"
#include "net/nats/layout.h"

static int complain(struct gbx_error *err, const char *what)
{
    return fail(err, GBX_EARGUMENT,
                "%s: nats://host:4222 or tls://host:4222, and behind it "
                "?route=NAME, would be a URL of NATS",
                what);
}

static int take_route(struct address *a, const char *text,
                      struct gbx_error *err)
{
    if (!layout_is_route(text))
        return fail(err, GBX_EARGUMENT,
                    "route \"%.40s\": at most %u letters, digits, - and _",
                    text, NATS_ROUTE_MAX);
    snprintf(a->route, sizeof(a->route), "%s", text);
    return 0;
}

static int take_word(struct address *a, char *word, struct gbx_error *err)
{
    const struct {
        const char *name, **to;
    } files[] = {{"ca", &a->ca},
                 {"cert", &a->cert},
                 {"key", &a->key},
                 {"creds", &a->creds}};
    char *value = strchr(word, '=');

    if (value == NULL)
        return complain(err, word);
    *value++ = '\0';
    if (strcmp(word, "route") == 0)
        return take_route(a, value, err);
    if (strcmp(word, "replicas") == 0) {
        a->replicas = (unsigned)atoi(value);
        return a->replicas >= 1 && a->replicas <= 5
                   ? 0
                   : fail(err, GBX_EARGUMENT, "replicas=%s: 1 to 5 are", value);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (strcmp(word, files[i].name) == 0) {
            *files[i].to = value;
            return 0;
        }
    return fail(err, GBX_EARGUMENT,
                "%s=: route, ca, cert, key, creds or replicas is expected",
                word);
}

/* host[:port]; what is before an @ is for all of them. */
static int take_servers(struct address *a, char *text, struct gbx_error *err)
{
    char *at = strrchr(text, '@'), *save = NULL;
    const char *who = at != NULL ? text : "";

    if (at != NULL)
        *at++ = '\0';
    else
        at = text;
    snprintf(a->shown, sizeof(a->shown), "%s://%.100s",
             a->is_tls ? "tls" : "nats", at);
    for (char *host = strtok_r(at, ",", &save); host != NULL;
         host = strtok_r(NULL, ",", &save)) {
        if (a->server_count == ADDRESS_SERVERS_MAX)
            return fail(err, GBX_EARGUMENT, "more than %u servers",
                        ADDRESS_SERVERS_MAX);
        if (asprintf(&a->servers[a->server_count], "nats://%s%s%s", who,
                     *who != '\0' ? "@" : "", host) < 0) {
            a->servers[a->server_count] = NULL;
            return fail(err, GBX_EHOST, "no memory");
        }
        a->server_count++;
    }
    return a->server_count > 0 ? 0 : complain(err, a->shown);
}

int address_read(struct address *a, const char *url, struct gbx_error *err)
{
    char *rest, *words, *path, *save = NULL;
    int rc;

    *a = (struct address){.route = "default", .replicas = 1};
    a->is_tls = strncmp(url, "tls://", 6) == 0;
    if (!a->is_tls && strncmp(url, "nats://", 7) != 0)
        return complain(err, url);
    a->text = strdup(url + (a->is_tls ? 6 : 7));
    if (a->text == NULL)
        return fail(err, GBX_EHOST, "no memory");
    rest = a->text;
    words = strchr(rest, '?');
    if (words != NULL)
        *words++ = '\0';
    path = strchr(rest, '/');
    if (path != NULL)
        *path++ = '\0';
    rc = take_servers(a, rest, err);
    if (rc == 0 && path != NULL && *path != '\0')
        rc = take_route(a, path, err);
    for (char *word = words != NULL ? strtok_r(words, "&", &save) : NULL;
         rc == 0 && word != NULL; word = strtok_r(NULL, "&", &save))
        rc = take_word(a, word, err);
    if (rc == 0 && (a->cert == NULL) != (a->key == NULL))
        rc = fail(err, GBX_EARGUMENT, "cert= and key= go together");
    return rc;
}

void address_fini(struct address *a)
{
    for (size_t i = 0; i < a->server_count; i++)
        free(a->servers[i]);
    free(a->text);
    *a = (struct address){0};
}
