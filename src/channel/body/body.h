/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body.h - what glovebox/body.h hands out: bytes in a file of memory, so that
 * they can be mapped a second time, and who still holds them.
 *
 * Threads: any.  Nothing in it changes but the count.
 */
#ifndef CHANNEL_BODY_H
#define CHANNEL_BODY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "glovebox/body.h"

struct gbx_body {
    atomic_uint holders;
    bool is_loose;
    const uint8_t *bytes; /* mapped here */
    size_t count;
    int fd;       /* and there, */
    uint64_t off; /* from here on; bytes and off lie alike on a page */
    void (*end)(struct gbx_body *body); /* nobody holds it any more */
};

/* Where in its body this lies; false: not all of it does. */
bool body_find(const struct gbx_body *body, const void *data, size_t bytes,
               uint64_t *at);

/* The memory of bodies that are made stays for the next ones while it is held;
 * else it ends with the last of them. */
void body_store_hold(void);
void body_store_release(void);

#endif
