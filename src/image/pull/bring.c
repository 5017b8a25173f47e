/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bring.c - a pull, from a name to an image that is there.
 *
 *   ask     which image is it?           source.h
 *   lock    its layers, in the order of their digests: so of all that pull at
 *           the same time one does each thing, and the others find it done
 *   fetch   what is not there            source.h
 *   unpack  what has not been            each layer in a thread
 *   root    layers put together          unless there is one alone
 *   record, and then the name
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/layer/hash.h"
#include "image/pull/bring.h"
#include "image/pull/report.h"
#include "image/pull/unpack.h"
#include "image/store/find.h"
#include "image/store/kept.h"
#include "image/store/names.h"

#define REPORT_NS 100000000ull

void source_progress(struct pull *pull, enum gbx_image_phase phase)
{
    static uint64_t told_ns;
    static enum gbx_image_phase told = GBX_IMAGE_UNPACK;
    const uint64_t now_ns = clock_about_ns();

    if (phase == told && now_ns - told_ns < REPORT_NS)
        return;
    told = phase;
    told_ns = now_ns;
    report_progress(phase, pull->bytes, pull->bytes_all);
}

static int host_failed(int rc, const struct pull *pull, const char *what,
                       struct gbx_error *err)
{
    errno = -rc;
    return fail(err, GBX_EHOST, "%s in %.120s", what, pull->images->path);
}

/* A small blob whose digest is right, to free(); one that is damaged goes.
 * Returns 0, GBX_EFILE: it is not there (any more), or GBX_EHOST. */
static int read_checked(const struct pull *pull, const char *digest,
                        char **text, size_t *bytes, struct gbx_error *err)
{
    char path[STORE_PATH_BYTES], is[DIGEST_BYTES];
    int rc = GBX_EFILE;

    store_blob(path, digest);
    *text = store_read(pull->images, path, MANIFEST_BYTES_MAX, bytes);
    if (*text == NULL)
        return errno == ENOENT || errno == EFBIG
                   ? GBX_EFILE
                   : fail(err, GBX_EHOST, "%s/%s", pull->images->path, path);
    if (!hash_bytes(*text, *bytes, is))
        rc = fail(err, GBX_EHOST, "no memory for a digest");
    else if (strcmp(is, digest) == 0)
        return 0;
    else
        unlinkat(pull->images->fd, path, 0);
    free(*text);
    return rc;
}

int source_read(struct pull *pull, struct gbx_error *err)
{
    size_t bytes;
    char *text;
    int rc = read_checked(pull, pull->digest, &text, &bytes, err);

    if (rc == GBX_EFILE)
        return fail(err, GBX_EFORMAT,
                    "image %.80s: its manifest was damaged "
                    "in the store; pull it again",
                    pull->name);
    if (rc < 0)
        return rc;
    manifest_fini(&pull->manifest);
    rc = manifest_read(&pull->manifest, text, bytes, &pull->wanted, err);
    free(text);
    if (rc < 0)
        return rc;
    rc = read_checked(pull, pull->manifest.config, &text, &bytes, err);
    if (rc == GBX_EFILE)
        return fail(err, rc, "image %.80s: no configuration", pull->name);
    if (rc < 0)
        return rc;
    rc = manifest_add_config(&pull->manifest, text, bytes, &pull->wanted, err);
    free(text);
    return rc;
}

/* ---- locks ---- */

static bool wait_more(void *context)
{
    source_progress(context, GBX_IMAGE_ASK);
    return true;
}

static int lock(struct pull *pull, const char *name, bool alone,
                struct gbx_error *err)
{
    int fd = store_lock(pull->images, name, alone, pull->options.deadline_ns,
                        wait_more, pull);

    if (fd == -EAGAIN)
        return fail(err, GBX_ETIME, "image %.100s: another pull took too long",
                    pull->name);
    return fd < 0 ? host_failed(fd, pull, "a lock", err) : fd;
}

struct locks {
    int fds[RECORD_LAYERS_MAX]; /* owned */
    uint32_t count;
};

static int by_digest(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* All in the same order, or two could wait for each other. */
static int lock_layers(struct pull *pull, struct locks *locks,
                       struct gbx_error *err)
{
    const uint32_t count = pull->manifest.count;
    char(*sorted)[DIGEST_BYTES] = calloc(count + 1, sizeof(*sorted));
    int rc = 0;

    locks->count = 0;
    if (sorted == NULL)
        return fail(err, GBX_EHOST, "no memory for layers");
    for (uint32_t i = 0; i < count; i++)
        strcpy(sorted[i], pull->manifest.layers[i].digest);
    qsort(sorted, count, sizeof(*sorted), by_digest);
    for (uint32_t i = 0; rc >= 0 && i < count; i++) {
        if (i > 0 && strcmp(sorted[i - 1], sorted[i]) == 0)
            continue;
        rc = lock(pull, digest_hex(sorted[i]), true, err);
        if (rc >= 0)
            locks->fds[locks->count++] = rc;
    }
    free(sorted);
    return rc < 0 ? rc : 0;
}

static void unlock(struct locks *locks)
{
    while (locks->count > 0)
        close_fd(&locks->fds[--locks->count]);
}

/* ---- all of it ---- */

static int note(struct pull *pull, const char *root, struct gbx_error *err)
{
    const struct manifest *manifest = &pull->manifest;
    struct record record = {.name = pull->name,
                            .pulled_s = time(NULL),
                            .layers = manifest->layers,
                            .layer_count = manifest->count};
    struct record before;
    int rc;

    strcpy(record.digest, pull->digest);
    strcpy(record.config, manifest->config);
    strcpy(record.platform, manifest->platform);
    strcpy(record.root, root);
    if (record_read(&before, pull->images, pull->digest, NULL) == 0)
        record.name = before.name;
    rc = record_write(&record, pull->images, err);
    if (record.name == before.name)
        record_fini(&before);
    if (rc == 0)
        rc = name_write(pull->images, pull->name, pull->digest, err);
    if (rc == 0 && pull->options.name != NULL)
        rc = name_write(pull->images, pull->options.name, pull->digest, err);
    return rc;
}

/* In a child of its own, which nobody waits for.  It has no lock: what it marks
 * may be gone by then. */
static void keep(const struct pull *pull, const char *root)
{
    char path[STORE_PATH_BYTES];

    if (kept_is_marked(pull->images, root) || fork() != 0)
        return;
    close(STDOUT_FILENO);
    if (syncfs(pull->images->fd) == 0) {
        for (uint32_t i = 0; i < pull->manifest.count; i++) {
            snprintf(path, sizeof(path), STORE_LAYERS "/%s",
                     digest_hex(pull->manifest.layers[i].diff));
            kept_mark(pull->images, path);
        }
        kept_mark(pull->images, root);
    }
    _exit(0);
}

static int bring_layers(struct pull *pull, const struct source *source,
                        struct gbx_error *err)
{
    char root[STORE_PATH_BYTES];
    struct locks locks;
    int rc;

    for (uint32_t i = 0; i < pull->manifest.count; i++)
        pull->bytes_all += pull->manifest.layers[i].bytes;
    rc = lock_layers(pull, &locks, err);
    if (rc == 0)
        rc = source->fetch(pull, err);
    if (rc == 0)
        rc = unpack_layers(pull, err);
    if (rc == 0)
        rc = unpack_root(pull, root, err);
    if (rc == 0)
        rc = note(pull, root, err);
    unlock(&locks);
    if (rc == 0)
        strcpy(pull->root, root);
    return rc;
}

static int begin(struct pull *pull, const char *text, struct gbx_error *err)
{
    int rc;

    if ((rc = find_settle(&pull->reference, text, err)) < 0 ||
        (rc = wanted_parse(&pull->wanted, pull->options.platform, err)) < 0)
        return rc;
    reference_name(&pull->reference, pull->name);
    pull->wanted.name = pull->name;
    if (pull->reference.kind == REFERENCE_DIGEST ||
        pull->reference.kind == REFERENCE_FOLDER)
        return fail(err, GBX_EARGUMENT, "%.120s is nothing that is pulled%s",
                    pull->name,
                    pull->reference.kind == REFERENCE_FOLDER
                        ? ": a rootfs is used where it lies"
                        : "; say NAME@sha256:...");
    if ((rc = name_check(pull->name, err)) < 0)
        return rc;
    pull->store_lock = lock(pull, "store", false, err);
    if (pull->store_lock < 0)
        return pull->store_lock;
    pull->draft_fd = store_draft(pull->images, pull->draft);
    return pull->draft_fd < 0
               ? host_failed(pull->draft_fd, pull, "a draft", err)
               : 0;
}

/* The other name is one of a registry's, too: a digest is none. */
static int settle_name(struct pull_options *options,
                       char name[REFERENCE_NAME_BYTES], struct gbx_error *err)
{
    struct reference reference;
    int rc;

    if (options->name == NULL)
        return 0;
    if ((rc = reference_parse(&reference, options->name, err)) < 0)
        return rc;
    if (reference.kind != REFERENCE_REGISTRY || reference.digest[0] != '\0')
        return fail(err, GBX_EARGUMENT,
                    "--name %.80s: a name is one as my/image:1", options->name);
    reference_name(&reference, name);
    options->name = name;
    return name_check(name, err);
}

int bring(struct gbx_images *images, const char *reference,
          const struct pull_options *options, struct gbx_error *err)
{
    static const struct source *const sources[] = {
        [REFERENCE_REGISTRY] = &source_registry,
        [REFERENCE_LAYOUT] = &source_layout,
        [REFERENCE_ARCHIVE] = &source_archive};
    static struct pull pull; /* it is large, and there is one */
    static char name[REFERENCE_NAME_BYTES];
    int rc;

    pull = (struct pull){.images = images,
                         .options = *options,
                         .draft_fd = -1,
                         .store_lock = -1};
    rc = settle_name(&pull.options, name, err);
    if (rc == 0)
        rc = begin(&pull, reference, err);
    if (rc == 0)
        rc = sources[pull.reference.kind]->ask(&pull, err);
    if (rc == 0)
        rc = bring_layers(&pull, sources[pull.reference.kind], err);
    store_drop(images, &pull.draft_fd, pull.draft);
    close_fd(&pull.store_lock);
    if (rc == 0)
        keep(&pull, pull.root);
    manifest_fini(&pull.manifest);
    return rc;
}
