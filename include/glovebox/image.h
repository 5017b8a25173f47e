/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/image.h - OCI images: pulled into a store, and opened as a root for
 * programs.
 *
 *  gbx_images_open(&images, NULL, &err);
 *  gbx_image_pull(images, "python:3.11-slim", NULL, &err);
 *  gbx_image_open(&image, images, "python:3.11-slim", &err);
 *  config.root = gbx_image_root(image);            of a program (program.h)
 *  ...
 *  gbx_image_close(image);                         after the program's close
 *  gbx_images_close(images);
 *
 * An image is named as people do it: python, python:3.11-slim,
 * HOST:PORT/NAME:TAG, NAME@sha256:..., sha256:3f2a91 (one in the store),
 * oci:DIR[:TAG], docker-archive:FILE[:NAME], rootfs:DIR (a folder, used where
 * it lies).
 *
 * The store is a directory of files that are named by their digests; all
 * processes of a user share it.  What ends in the middle, by whatever, leaves
 * nothing but drafts, which the next prune removes, and whole layers, which the
 * next pull uses.  Hostile bytes are read by a program of its own.
 *
 * Threads: any, also of one store or image, but close: the last.
 * Memory:  what open returns is owned by the caller and freed by close; texts
 *          and the store are borrowed until then.
 * Signals: none; a pull starts child processes, and waits for them.
 */
#ifndef GBX_IMAGE_H
#define GBX_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_images; /* a store */
struct gbx_image;  /* an image of it that is in use */

/* $XDG_DATA_HOME/glovebox/images, or ~/.local/share/glovebox/images.  Returns
 * 0; GBX_EFILE where neither is known, GBX_ELIMIT where `bytes` are too few. */
int gbx_images_default(char *dir, size_t bytes);

/* A store; NULL is the default one.  It is made where it is missing, and must
 * be the user's alone to write.  Returns 0, GBX_EFILE or GBX_EHOST. */
int gbx_images_open(struct gbx_images **images, const char *dir,
                    struct gbx_error *err);
void gbx_images_close(struct gbx_images *images); /* NULL is allowed */

/* How far a pull is: bytes of its layers that have come (or, in the second
 * phase, been unpacked), and how many there are; 0: not known yet. */
enum gbx_image_phase { GBX_IMAGE_ASK, GBX_IMAGE_FETCH, GBX_IMAGE_UNPACK };
struct gbx_image_progress {
    enum gbx_image_phase phase;
    const char *name; /* of the image; borrowed until fn returns */
    uint64_t bytes, bytes_all;
};
/* Some ten times a second, in the thread of pull.  False: it is to end
 * (GBX_ECANCELED). */
typedef bool (*gbx_image_progress_fn)(void *context,
                                      const struct gbx_image_progress *);

/* Zero in any field means the default. */
struct gbx_image_pull_config {
    size_t struct_bytes;
    const char *platform;    /* "linux/arm64"; default: this computer's */
    const char *auth_file;   /* of credentials; default: skopeo's own places */
    const char *name;        /* which it gets in the store, too */
    const char *libexec_dir; /* where the programs are; as of runtimes */
    bool is_insecure;        /* http, and certificates that nobody knows; a
                              * registry on this computer may have it anyway */
    uint64_t deadline_ns;    /* CLOCK_MONOTONIC */
    uint64_t silence_ns;     /* longest time without a byte; default 60 s */
    uint64_t size_max;       /* of a layer, unpacked; default 16 GiB */
    uint32_t ratio_max;      /* unpacked to packed; default 200 */
    gbx_image_progress_fn progress;
    void *progress_context;
};

/*
 * Have the image as it is now in the store; what is there already is not
 * fetched again.
 * Returns 0; GBX_EARGUMENT (no name of an image), GBX_EFILE (no such image, or
 * none that may be read), GBX_EFORMAT (what came is not what its digest says),
 * GBX_ELIMIT (it unpacks to too much), GBX_EUNSUPPORTED (none for this
 * platform; no skopeo here), GBX_ETIME, GBX_ECANCELED or GBX_EHOST (no such
 * registry, a full disk).
 */
int gbx_image_pull(struct gbx_images *images, const char *reference,
                   const struct gbx_image_pull_config *config,
                   struct gbx_error *err);

struct gbx_image_info {
    const char *name;     /* or NULL: another image has it now */
    const char *from;     /* the name it was first pulled by */
    const char *digest;   /* of its manifest: "sha256:..."; "" of a rootfs */
    const char *platform; /* "linux/amd64" */
    uint32_t layers;
    uint64_t packed_bytes; /* of its layers, as they came */
    int64_t pulled_s;      /* seconds since 1970 */
};
typedef void (*gbx_image_fn)(void *context, const struct gbx_image_info *info);

/* fn for each name, and each image without one, sorted; the info is borrowed
 * until it returns.  Returns 0, GBX_EFORMAT (a damaged store) or GBX_EHOST. */
int gbx_images_list(struct gbx_images *images, gbx_image_fn fn, void *context,
                    struct gbx_error *err);

/*
 * Hold an image: nobody removes it until close.
 * Returns 0; GBX_EFILE (it is not in the store: pull it), GBX_EARGUMENT,
 * GBX_EFORMAT (a damaged store: pull it again) or GBX_EHOST.
 */
int gbx_image_open(struct gbx_image **image, struct gbx_images *images,
                   const char *reference, struct gbx_error *err);
void gbx_image_close(struct gbx_image *image); /* NULL is allowed */

/* All of it is borrowed until close. */
const char *gbx_image_root(const struct gbx_image *image); /* a directory */
const struct gbx_image_info *gbx_image_info(const struct gbx_image *image);
/* As they came, JSON; NULL of a rootfs. */
const char *gbx_image_manifest(const struct gbx_image *image);
const char *gbx_image_config(const struct gbx_image *image);

/* What the image wants to be run, and how; lists end with NULL. */
struct gbx_image_run {
    const char *const *entrypoint; /* what is always run; or empty */
    const char *const *command;    /* its arguments, unless others are given */
    const char *const *env;        /* NAME=VALUE */
    const char *working_dir;       /* or "" */
    const char *user;              /* or "" */
};
const struct gbx_image_run *gbx_image_run(const struct gbx_image *image);

/* Forget a name, and free what only that image had.  bytes: what the disk gets
 * back.  Returns 0; GBX_EFILE (no such image), GBX_EAGAIN (it is in use, or a
 * pull is under way), GBX_EFORMAT or GBX_EHOST. */
int gbx_image_remove(struct gbx_images *images, const char *reference,
                     uint64_t *bytes, struct gbx_error *err);

/* Free what no name leads to and nobody uses; all: names, too.  fn is told of
 * each image that goes; or NULL.  Returns as remove. */
int gbx_images_prune(struct gbx_images *images, bool all, gbx_image_fn fn,
                     void *context, uint64_t *bytes, struct gbx_error *err);

/* Read all that is there and compare it with the digests; fn is told of each
 * damage, in words.  Returns 0 (fn was not called), GBX_EFORMAT (what is
 * damaged has been put away: pull the image again), GBX_EAGAIN (a pull is under
 * way) or other codes. */
int gbx_images_verify(struct gbx_images *images, const char *libexec_dir,
                      void (*fn)(void *context, const char *text),
                      void *context, struct gbx_error *err);

#ifdef __cplusplus
}
#endif

#endif
