/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "image/reference/reference.h"

#define HUB         "docker.io"
#define ALGORITHM   "sha256:"
#define DIGITS      64u
#define DIGITS_FEW  6u
#define SHOWN       100 /* of a text that is wrong */
#define REPO_LETTER "abcdefghijklmnopqrstuvwxyz0123456789"

static const struct {
    const char *prefix;
    enum reference_kind kind;
} places[] = {{"oci:", REFERENCE_LAYOUT},
              {"docker-archive:", REFERENCE_ARCHIVE},
              {"rootfs:", REFERENCE_FOLDER}};

static size_t count_digits(const char *text)
{
    return strspn(text, "0123456789abcdef");
}

bool digest_is_valid(const char *text)
{
    return strncmp(text, ALGORITHM, strlen(ALGORITHM)) == 0 &&
           count_digits(text + strlen(ALGORITHM)) == DIGITS &&
           text[strlen(ALGORITHM) + DIGITS] == '\0';
}

const char *digest_hex(const char *digest)
{
    must(digest_is_valid(digest));
    return digest + strlen(ALGORITHM);
}

bool reference_is_loopback(const struct reference *reference)
{
    const char *host = reference->registry;
    const size_t bytes = strcspn(host, ":");

    return (bytes == 9 && strncmp(host, "localhost", 9) == 0) ||
           strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0;
}

/* Letters and digits, parted by ".", "_", "__" or any number of "-". */
static bool is_component(const char *text, size_t bytes)
{
    size_t at = 0;

    for (;;) {
        size_t word = strspn(text + at, REPO_LETTER);

        at += word;
        if (word == 0 || at > bytes)
            return false;
        if (at == bytes)
            return true;
        if (text[at] == '-')
            at += strspn(text + at, "-");
        else if (text[at] == '_' && text[at + 1] == '_')
            at += 2;
        else if (text[at] == '_' || text[at] == '.')
            at++;
        else
            return false;
    }
}

static bool is_repository(const char *text)
{
    for (;;) {
        size_t bytes = strcspn(text, "/");

        if (!is_component(text, bytes))
            return false;
        if (text[bytes] == '\0')
            return true;
        text += bytes + 1;
    }
}

static bool is_tag(const char *text)
{
    const size_t bytes = strlen(text);

    if (bytes == 0 || bytes > REFERENCE_TAG_MAX || text[0] == '.' ||
        text[0] == '-')
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("_.-", text[i]) == NULL)
            return false;
    return true;
}

/* HOST, HOST:PORT or [IPv6]:PORT; what it leads to is the registry's client's
 * to find out. */
static bool is_registry(const char *text)
{
    size_t host;

    if (text[0] == '[') {
        host = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
        if (text[host++] != ']')
            return false;
    } else {
        for (host = 0; isalnum((unsigned char)text[host]) ||
                       text[host] == '.' || text[host] == '-';)
            host++;
        if (host == 0 || text[0] == '-' || text[0] == '.')
            return false;
    }
    if (text[host] == ':') {
        size_t port = strspn(text + host + 1, "0123456789");

        if (port == 0 || port > 5)
            return false;
        host += 1 + port;
    }
    return text[host] == '\0';
}

static int wrong(const char *text, const char *why, struct gbx_error *err)
{
    return fail(err, GBX_EARGUMENT, "image %.*s: %s", SHOWN, text, why);
}

/* Is what stands before the first slash a registry, or part of a name? */
static bool has_registry(const char *text, size_t slash)
{
    return text[slash] == '/' &&
           (memchr(text, '.', slash) != NULL ||
            memchr(text, ':', slash) != NULL ||
            (slash == 9 && strncmp(text, "localhost", 9) == 0));
}

static int take_registry(struct reference *reference, const char **rest,
                         const char *text, struct gbx_error *err)
{
    const size_t slash = strcspn(text, "/");

    *rest = text;
    if (!has_registry(text, slash)) {
        strcpy(reference->registry, HUB);
        return 0;
    }
    snprintf(reference->registry, sizeof(reference->registry), "%.*s",
             (int)slash, text);
    *rest = text + slash + 1;
    if (slash > REFERENCE_REPO_MAX || !is_registry(reference->registry))
        return wrong(text, "a registry is HOST or HOST:PORT", err);
    if (strcmp(reference->registry, "index." HUB) == 0)
        strcpy(reference->registry, HUB);
    return 0;
}

static int take_repository(struct reference *reference, const char *text,
                           const char *all, struct gbx_error *err)
{
    const bool is_short =
        strcmp(reference->registry, HUB) == 0 && strchr(text, '/') == NULL;
    int bytes = snprintf(reference->repository, sizeof(reference->repository),
                         "%s%s", is_short ? "library/" : "", text);

    for (const char *at = text; *at != '\0'; at++)
        if (isupper((unsigned char)*at))
            return wrong(all, "names of images are in lower case", err);
    if (!is_repository(text))
        return wrong(all,
                     "no name of an image; one is like python, python:3.11 or "
                     "HOST:PORT/NAME:TAG, and files are oci:DIR, "
                     "docker-archive:FILE or rootfs:DIR",
                     err);
    if ((size_t)bytes + strlen(reference->registry) >= REFERENCE_REPO_MAX)
        return wrong(all, "its name is longer than 255 bytes", err);
    return 0;
}

static int parse_registry(struct reference *reference, const char *text,
                          struct gbx_error *err)
{
    char name[REFERENCE_REPO_MAX * 2 + REFERENCE_TAG_MAX + DIGEST_BYTES];
    char *at, *colon;
    const char *rest;
    int rc;

    if (strlen(text) >= sizeof(name))
        return wrong(text, "too long for a name", err);
    strcpy(name, text);
    at = strchr(name, '@');
    if (at != NULL) {
        if (!digest_is_valid(at + 1))
            return wrong(text, "a digest is sha256: and 64 hex digits", err);
        strcpy(reference->digest, at + 1);
        *at = '\0';
    }
    if ((rc = take_registry(reference, &rest, name, err)) < 0)
        return rc;
    colon = strrchr(name + (rest - name), ':');
    if (colon != NULL) {
        if (!is_tag(colon + 1))
            return wrong(text,
                         "a tag is at most 128 letters, digits, '_', '.' and "
                         "'-'",
                         err);
        strcpy(reference->tag, colon + 1);
        *colon = '\0';
    }
    if ((rc = take_repository(reference, rest, text, err)) < 0)
        return rc;
    if (at != NULL)
        reference->tag[0] = '\0';
    else if (colon == NULL)
        strcpy(reference->tag, "latest");
    return 0;
}

/* As skopeo has it: what follows the first colon says which of them. */
static int parse_place(struct reference *reference, const char *rest,
                       const char *text, struct gbx_error *err)
{
    const size_t path =
        reference->kind == REFERENCE_FOLDER ? strlen(rest) : strcspn(rest, ":");
    const char *which = rest[path] == ':' ? rest + path + 1 : "";

    if (path == 0)
        return wrong(text, "the path is missing", err);
    if (path >= sizeof(reference->path) ||
        strlen(which) >= sizeof(reference->tag))
        return wrong(text, "too long", err);
    memcpy(reference->path, rest, path);
    reference->path[path] = '\0';
    strcpy(reference->tag, which);
    return 0;
}

static int parse_digest(struct reference *reference, const char *text,
                        struct gbx_error *err)
{
    const char *hex = text + strlen(ALGORITHM);
    const size_t digits = count_digits(hex);

    if (hex[digits] != '\0' || digits < DIGITS_FEW || digits > DIGITS)
        return wrong(text, "a digest has 6 to 64 digits of 0-9 and a-f", err);
    strcpy(reference->digest, text);
    return 0;
}

int reference_parse(struct reference *reference, const char *text,
                    struct gbx_error *err)
{
    *reference = (struct reference){.kind = REFERENCE_REGISTRY};
    if (text[0] == '\0')
        return fail(err, GBX_EARGUMENT, "an image has no name");
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        const size_t bytes = strlen(places[i].prefix);

        if (strncmp(text, places[i].prefix, bytes) == 0) {
            reference->kind = places[i].kind;
            return parse_place(reference, text + bytes, text, err);
        }
    }
    if (strncmp(text, ALGORITHM, strlen(ALGORITHM)) == 0) {
        reference->kind = REFERENCE_DIGEST;
        return parse_digest(reference, text, err);
    }
    return parse_registry(reference, text, err);
}

void reference_name(const struct reference *reference,
                    char name[REFERENCE_NAME_BYTES])
{
    const char *which = reference->tag;

    switch (reference->kind) {
    case REFERENCE_REGISTRY:
        snprintf(name, REFERENCE_NAME_BYTES, "%s/%s%s%s", reference->registry,
                 reference->repository, which[0] != '\0' ? ":" : "@",
                 which[0] != '\0' ? which : reference->digest);
        return;
    case REFERENCE_DIGEST:
        snprintf(name, REFERENCE_NAME_BYTES, "%s", reference->digest);
        return;
    case REFERENCE_LAYOUT:
    case REFERENCE_ARCHIVE:
    case REFERENCE_FOLDER:
        break;
    }
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (places[i].kind == reference->kind)
            snprintf(name, REFERENCE_NAME_BYTES, "%s%s%s%s", places[i].prefix,
                     reference->path, which[0] != '\0' ? ":" : "", which);
}
