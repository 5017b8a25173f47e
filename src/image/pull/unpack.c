/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/pull/unpack.h"
#include "image/store/find.h"
#include "image/store/folder.h"
#include "image/store/kept.h"

#define THREADS_MAX 4
#define REPORT_NS   100000000ull

static int host_failed(int rc, const struct pull *pull, const char *what,
                       struct gbx_error *err)
{
    errno = -rc;
    return fail(err, GBX_EHOST, "%s in %.120s", what, pull->images->path);
}

struct unpacking {
    struct pull *pull;
    atomic_uint next; /* the layer that the next thread takes */
    _Atomic uint64_t packed;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    unsigned running;
    int code;
    struct gbx_error err;
};

static void layer_path(char path[STORE_PATH_BYTES], const char *diff)
{
    snprintf(path, STORE_PATH_BYTES, STORE_LAYERS "/%s", digest_hex(diff));
}

/* What may lack something goes, unless somebody uses it. */
static bool is_there(const struct gbx_images *images, const char *path)
{
    auto_fd int held = -1;

    if (kept_is_whole(images, path))
        return true;
    held = find_hold(images, path, true);
    if (held >= 0)
        folder_remove(images->fd, path, NULL);
    return false;
}

/* A draft gets its name; another pull, of the same layer packed in another way,
 * may have been faster. */
static int place(const struct pull *pull, const char *draft, int draft_fd,
                 const char *path, struct gbx_error *err)
{
    int rc = kept_begin(draft_fd);

    if (rc < 0)
        return host_failed(rc, pull, "a draft", err);
    if (renameat(pull->images->fd, draft, pull->images->fd, path) == 0 ||
        errno == EEXIST || errno == ENOTEMPTY)
        return 0;
    return fail(err, GBX_EHOST, "%s/%s", pull->images->path, path);
}

static int unpack_into(struct unpacking *self, int fd,
                       const struct record_layer *layer, struct gbx_error *err)
{
    const struct gbx_images *images = self->pull->images;
    char blob[STORE_PATH_BYTES];
    auto_fd int from = -1;
    struct layer_source source = {.digest = layer->digest,
                                  .diff = layer->diff,
                                  .bytes = layer->bytes,
                                  .packed = &self->packed};
    int rc;

    store_blob(blob, layer->digest);
    from = source.fd = openat(images->fd, blob, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return fail(err, GBX_EHOST, "%s/%s", images->path, blob);
    rc = layer_unpack(fd, &source, &self->pull->options.limits, err);
    if (rc == GBX_EFORMAT) /* it may be damaged: it is fetched anew, then */
        unlinkat(images->fd, blob, 0);
    return rc;
}

static int unpack(struct unpacking *self, const struct record_layer *layer,
                  struct gbx_error *err)
{
    const struct gbx_images *images = self->pull->images;
    char path[STORE_PATH_BYTES], draft[STORE_PATH_BYTES];
    int fd, rc;

    layer_path(path, layer->diff);
    if (is_there(images, path)) {
        atomic_fetch_add(&self->packed, layer->bytes);
        return 0;
    }
    fd = store_draft(images, draft);
    if (fd < 0)
        return host_failed(fd, self->pull, "a draft", err);
    rc = unpack_into(self, fd, layer, err);
    if (rc == 0)
        rc = place(self->pull, draft, fd, path, err);
    store_drop(images, &fd, draft);
    return rc;
}

static void *work(void *context)
{
    struct unpacking *self = context;
    const struct manifest *manifest = &self->pull->manifest;
    struct gbx_error err = {0};
    int rc = 0;

    for (;;) {
        const unsigned i = atomic_fetch_add(&self->next, 1);

        if (i >= manifest->count)
            break;
        rc = unpack(self, &manifest->layers[i], &err);
        if (rc < 0) {
            atomic_store(&self->next, manifest->count); /* nobody begins one */
            break;
        }
    }
    pthread_mutex_lock(&self->lock);
    if (rc < 0 && self->code == 0) {
        self->code = rc;
        self->err = err;
    }
    self->running--;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static void wait_for_all(struct unpacking *self)
{
    pthread_mutex_lock(&self->lock);
    while (self->running > 0) {
        const struct timespec until =
            clock_timespec(clock_now_ns() + REPORT_NS);

        pthread_cond_timedwait(&self->changed, &self->lock, &until);
        self->pull->bytes = atomic_load(&self->packed);
        source_progress(self->pull, GBX_IMAGE_UNPACK);
    }
    pthread_mutex_unlock(&self->lock);
}

int unpack_layers(struct pull *pull, struct gbx_error *err)
{
    struct unpacking self = {.pull = pull};
    pthread_t threads[THREADS_MAX];
    unsigned count = 0;

    pthread_mutex_init(&self.lock, NULL);
    cond_init(&self.changed);
    for (; count < THREADS_MAX && count < pull->manifest.count; count++) {
        pthread_mutex_lock(&self.lock);
        self.running++;
        pthread_mutex_unlock(&self.lock);
        errno = pthread_create(&threads[count], NULL, work, &self);
        if (errno == 0)
            continue;
        pthread_mutex_lock(&self.lock);
        self.running--;
        pthread_mutex_unlock(&self.lock);
        break;
    }
    if (count == 0 && pull->manifest.count > 0) { /* then this one does it */
        self.running = 1;
        work(&self);
    }
    wait_for_all(&self);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&self.changed);
    pthread_mutex_destroy(&self.lock);
    if (self.code < 0 && err != NULL)
        *err = self.err;
    return self.code;
}

/* ---- the root ---- */

static int open_layer(const struct pull *pull, uint32_t i,
                      struct gbx_error *err)
{
    char path[STORE_PATH_BYTES];
    int fd;

    layer_path(path, pull->manifest.layers[i].diff);
    fd = openat(pull->images->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? fail(err, GBX_EHOST, "%s/%s", pull->images->path, path)
                  : fd;
}

static int merge_all(struct pull *pull, int draft_fd, struct gbx_error *err)
{
    auto_fd int root = -1;
    int rc = 0;

    if (mkdirat(draft_fd, LAYER_FILES, 0755) == 0)
        root =
            openat(draft_fd, LAYER_FILES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return host_failed(-errno, pull, "a root", err);
    for (uint32_t i = 0; rc == 0 && i < pull->manifest.count; i++) {
        auto_fd int layer = open_layer(pull, i, err);

        rc = layer < 0 ? layer : layer_merge(root, layer, err);
    }
    return rc;
}

static int make_root(struct pull *pull, const char *path, struct gbx_error *err)
{
    char draft[STORE_PATH_BYTES];
    int fd, rc;

    if (is_there(pull->images, path))
        return 0;
    fd = store_draft(pull->images, draft);
    if (fd < 0)
        return host_failed(fd, pull, "a draft", err);
    rc = merge_all(pull, fd, err);
    if (rc == 0)
        rc = place(pull, draft, fd, path, err);
    store_drop(pull->images, &fd, draft);
    return rc;
}

int unpack_root(struct pull *pull, char path[STORE_PATH_BYTES],
                struct gbx_error *err)
{
    char chain[DIGEST_BYTES];
    int rc;

    if (pull->manifest.count == 1) {
        auto_fd int layer = open_layer(pull, 0, err);

        rc = layer < 0 ? layer : layer_is_root(layer, err);
        layer_path(path, pull->manifest.layers[0].diff);
        if (rc != 0)
            return rc < 0 ? rc : 0;
    }
    if ((rc = manifest_chain(&pull->manifest, chain, err)) < 0)
        return rc;
    snprintf(path, STORE_PATH_BYTES, STORE_ROOTS "/%s", digest_hex(chain));
    return make_root(pull, path, err);
}
