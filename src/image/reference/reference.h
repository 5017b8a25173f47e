/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reference.h - what people call an image, taken apart.
 *
 *   python                        docker.io/library/python:latest
 *   ghcr.io/a/b:1                 registry, repository, tag
 *   localhost:5000/a@sha256:...   a digest; a tag beside it does not count
 *   sha256:3f2a91                 one that is in the store, by its digest's
 *                                 first digits
 *   oci:DIR[:TAG]                 an OCI layout
 *   docker-archive:FILE[:NAME]    what docker save wrote
 *   rootfs:DIR                    a folder that is a root, used where it lies
 *
 *  reference_parse(&reference, "python:3.11-slim", err);
 *  reference_name(&reference, name);
 *
 * Threads: any.
 */
#ifndef IMAGE_REFERENCE_REFERENCE_H
#define IMAGE_REFERENCE_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "glovebox/error.h"

#define DIGEST_BYTES         72u /* "sha256:", 64 digits, NUL */
#define REFERENCE_REPO_MAX   255u
#define REFERENCE_TAG_MAX    128u
#define REFERENCE_PATH_MAX   4096u
#define REFERENCE_NAME_BYTES 4500u

enum reference_kind {
    REFERENCE_REGISTRY,
    REFERENCE_DIGEST, /* of the store */
    REFERENCE_LAYOUT,
    REFERENCE_ARCHIVE,
    REFERENCE_FOLDER
};

struct reference {
    enum reference_kind kind;
    char registry[REFERENCE_REPO_MAX + 1];
    char repository[REFERENCE_REPO_MAX + 1];
    char tag[REFERENCE_REPO_MAX + REFERENCE_TAG_MAX + 2]; /* or a NAME */
    char digest[DIGEST_BYTES];                            /* or "" */
    char path[REFERENCE_PATH_MAX]; /* of what is on this host */
};

/* Returns 0; GBX_EARGUMENT, with what would be right. */
int reference_parse(struct reference *reference, const char *text,
                    struct gbx_error *err);

/* One name for all that means the same: "docker.io/library/python:latest". */
void reference_name(const struct reference *reference,
                    char name[REFERENCE_NAME_BYTES]);

/* "sha256:" and 64 digits in lower case? */
bool digest_is_valid(const char *text);

/* The digits of a valid one. */
const char *digest_hex(const char *digest);

/* Is it on this host, so that http is what is meant? */
bool reference_is_loopback(const struct reference *reference);

#endif
