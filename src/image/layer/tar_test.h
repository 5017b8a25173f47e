/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar_test.h - for tests: archives, entry by entry, with whatever names; and a
 * folder to unpack them in.
 */
#ifndef IMAGE_LAYER_TAR_TEST_H
#define IMAGE_LAYER_TAR_TEST_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "image/layer/hash.h"
#include "image/layer/layer.h"
#include "image/store/folder.h"

#define TAR_BLOCK 512u

struct tar {
    uint8_t bytes[256 * TAR_BLOCK];
    size_t count;
};

struct tar_entry {
    const char *name;
    char type; /* '0' file, '1' hard link, '2' link, '5' folder, ... */
    const char *target;
    const char *data; /* or NULL */
    unsigned mode, uid;
};

static inline void tar_number(uint8_t *at, size_t digits, uint64_t value)
{
    for (at[digits] = '\0'; digits-- > 0; value /= 8)
        at[digits] = (uint8_t)('0' + value % 8);
}

static inline void tar_add(struct tar *tar, const struct tar_entry *entry)
{
    const size_t bytes = entry->data != NULL ? strlen(entry->data) : 0;
    uint8_t *head = tar->bytes + tar->count;
    unsigned sum = 0;

    must(tar->count + 3 * TAR_BLOCK + bytes <= sizeof(tar->bytes));
    memset(head, 0, 2 * TAR_BLOCK);
    strncpy((char *)head, entry->name, 100);
    tar_number(head + 100, 7, entry->mode != 0 ? entry->mode : 0755);
    tar_number(head + 108, 7, entry->uid);
    tar_number(head + 116, 7, 0);
    tar_number(head + 124, 11, bytes);
    tar_number(head + 136, 11, 1000000000);
    memset(head + 148, ' ', 8);
    head[156] = (uint8_t)entry->type;
    if (entry->target != NULL)
        strncpy((char *)head + 157, entry->target, 100);
    memcpy(head + 257, "ustar\00000", 8);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += head[i];
    tar_number(head + 148, 6, sum);
    tar->count += TAR_BLOCK;
    if (bytes > 0)
        memcpy(tar->bytes + tar->count, entry->data, bytes);
    tar->count += (bytes + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    memset(tar->bytes + tar->count, 0, TAR_BLOCK);
}

/* Unpack bytes into DIR/name, which is made.  Returns layer_unpack's. */
static inline int tar_unpack(int dir_fd, const char *name, const void *bytes,
                             size_t count, const struct layer_limits *limits,
                             struct gbx_error *err)
{
    char digest[DIGEST_BYTES];
    struct layer_source source = {.digest = digest, .bytes = count};
    int folder, rc;

    must(hash_bytes(bytes, count, digest));
    source.fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    must(source.fd >= 0);
    must(write(source.fd, bytes, count) == (ssize_t)count);
    must(mkdirat(dir_fd, name, 0700) == 0);
    folder = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = layer_unpack(folder, &source, limits, err);
    close(folder);
    close(source.fd);
    return rc;
}

#endif
