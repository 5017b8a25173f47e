/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/secret.h"
#include "base/utf8.h"
#include "runtime/script/secret.h"
#include "runtime/script/secret_source.h"

struct secrets {
    atomic_uint references;
    size_t mapped_bytes, count;
    struct secret {
        char name[GBX_SECRET_NAME_MAX + 1];
        const char *value; /* behind all of these */
        size_t bytes;
    } all[];
};

static const struct secret *find(const struct secrets *secrets,
                                 const char *name, size_t bytes)
{
    for (size_t i = 0; i < secrets->count; i++)
        if (strlen(secrets->all[i].name) == bytes &&
            memcmp(secrets->all[i].name, name, bytes) == 0)
            return &secrets->all[i];
    return NULL;
}

/* ---- its life ---- */

static int check(const struct gbx_secret *given, size_t count,
                 struct gbx_error *err)
{
    if (count > GBX_SECRETS_MAX)
        return fail(err, GBX_ELIMIT, "a script has at most %d secrets, not %zu",
                    GBX_SECRETS_MAX, count);
    for (size_t i = 0; i < count; i++) {
        const char *name = given[i].name != NULL ? given[i].name : "";

        if (!secret_is_name(name))
            return fail(err, GBX_EARGUMENT, SECRET_NAME_RULE, name,
                        GBX_SECRET_NAME_MAX);
        if (given[i].source != NULL && given[i].value != NULL)
            return fail(err, GBX_EARGUMENT,
                        "secret \"%s\" has a value and a source", name);
        if (given[i].bytes > GBX_SECRET_BYTES_MAX ||
            (given[i].value == NULL && given[i].bytes > 0))
            return fail(err, GBX_ELIMIT,
                        "secret \"%s\": a value has at most %d bytes", name,
                        GBX_SECRET_BYTES_MAX);
        for (size_t k = 0; k < i; k++)
            if (strcmp(given[k].name, name) == 0)
                return fail(err, GBX_EARGUMENT, "secret \"%s\" is given twice",
                            name);
    }
    return 0;
}

/* Kept out of swap, of core dumps and of children; that is only more, where it
 * is refused. */
static void *map(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED)
        return NULL;
    (void)mlock(pages, bytes);
    (void)madvise(pages, bytes, MADV_DONTDUMP);
    (void)madvise(pages, bytes, MADV_DONTFORK);
    return pages;
}

/* They have values, all of them. */
static struct secrets *keep(const struct gbx_secret *given, size_t count)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = sizeof(struct secrets) + count * sizeof(struct secret);
    struct secrets *made;
    char *at;

    for (size_t i = 0; i < count; i++)
        bytes += given[i].bytes;
    bytes = (bytes + page - 1) / page * page;
    made = map(bytes);
    if (made == NULL)
        return NULL;
    atomic_init(&made->references, 1);
    made->mapped_bytes = bytes;
    made->count = count;
    at = (char *)&made->all[count];
    for (size_t i = 0; i < count; i++) {
        strcpy(made->all[i].name, given[i].name);
        made->all[i].value = at;
        made->all[i].bytes = given[i].bytes;
        if (given[i].bytes > 0)
            memcpy(at, given[i].value, given[i].bytes);
        at += given[i].bytes;
    }
    return made;
}

int secrets_open(struct secrets **secrets, const struct gbx_secret *given,
                 size_t count, struct gbx_error *err)
{
    struct gbx_secret all[GBX_SECRETS_MAX];
    size_t done = 0;
    int rc = check(given, count, err);

    *secrets = NULL;
    if (rc < 0 || count == 0)
        return rc;
    for (; done < count && rc == 0; done++) {
        all[done] = given[done];
        if (given[done].source != NULL)
            rc = secret_source_read(&all[done], err);
    }
    if (rc == 0) {
        *secrets = keep(all, count);
        if (*secrets == NULL)
            rc = fail(err, GBX_EHOST, "no memory for secrets");
    }
    for (size_t i = 0; i < done; i++)
        if (given[i].source != NULL)
            secret_source_free(&all[i]);
    return rc;
}

struct secrets *secrets_get(struct secrets *secrets)
{
    if (secrets != NULL)
        atomic_fetch_add(&secrets->references, 1);
    return secrets;
}

void secrets_put(struct secrets *secrets)
{
    size_t bytes;

    if (secrets == NULL || atomic_fetch_sub(&secrets->references, 1) > 1)
        return;
    bytes = secrets->mapped_bytes;
    explicit_bzero(secrets, bytes);
    munmap(secrets, bytes);
}

/* ---- a script asks ---- */

static int refuse(const struct secrets *secrets, const char *name,
                  size_t name_bytes, struct gbx_error *err)
{
    char known[GBX_ERROR_TEXT_MAX / 2] = "none";
    size_t at = 0;

    for (size_t i = 0; secrets != NULL && i < secrets->count; i++)
        if (at < sizeof(known))
            at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s",
                                   at > 0 ? ", " : "", secrets->all[i].name);
    return fail(err, GBX_EARGUMENT,
                "secret \"%.*s\" is not granted to this script, which has %s",
                name_bytes > 64 ? 64 : (int)name_bytes, name, known);
}

int secrets_tell(void *asker, const struct gbx_message *arguments,
                 struct gbx_builder *answer, struct gbx_error *err)
{
    const struct gbx_call *call =
        asker == NULL
            ? NULL
            : (struct gbx_call *)(void *)((char *)asker -
                                          offsetof(struct gbx_call, journal));
    const struct secret *secret = NULL;
    const struct secrets *secrets;
    struct gbx_reader reader;
    struct gbx_item items, name;

    gbx_reader_init(&reader, arguments->body, arguments->body_bytes);
    if (gbx_read(&reader, &items) < 0 || items.kind != GBX_ITEM_ARRAY ||
        items.count != 1 || gbx_read(&reader, &name) < 0 ||
        name.kind != GBX_ITEM_TEXT || gbx_read(&reader, &items) != GBX_EAGAIN)
        return fail(err, GBX_EARGUMENT, "secret(name) takes a text");
    if (call == NULL)
        return fail(err, GBX_EARGUMENT,
                    "secret: none while the script is loaded, as what it knows "
                    "then is kept in templates: ask in a call");
    secrets = call->script->secrets;
    if (secrets != NULL)
        secret = find(secrets, name.bytes, name.count);
    if (secret == NULL)
        return refuse(secrets, name.bytes, name.count, err);
    if (utf8_valid(secret->value, secret->bytes))
        gbx_build_text(answer, secret->value, secret->bytes);
    else
        gbx_build_bytes(answer, secret->value, secret->bytes);
    return 0;
}
