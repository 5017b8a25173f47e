/* SPDX-License-Identifier: Apache-2.0 */
/* guest_private.h - what the files of the guest library share. */
#ifndef GUEST_LIB_GUEST_PRIVATE_H
#define GUEST_LIB_GUEST_PRIVATE_H

#include "channel/channel.h"

/* There is one a process. Its thread: the one that attached. */
struct gbx_guest {
    struct channel channel;
    uint64_t window_bytes;
    uint32_t call;       /* the host's number of what came last */
    int bell_fd;         /* owned, or -1 */
    bool detached;       /* a fork()ed child */
    bool lost;           /* the bell cannot be rung any more */
    uint64_t copy;       /* which one it is, as it knows */
    uint64_t handler_ns; /* of the call, for its last word */
};

/* Map what the program was born with, then guest_begin. */
int guest_map(struct gbx_guest *guest);

/* As channel.h says of a bell's; context is the guest. */
int guest_sleep(void *context, uint32_t seen, uint64_t deadline_ns);
void guest_ring(void *context);

/* Start the channel over a mapped window. */
int guest_begin(struct gbx_guest *guest, uint8_t *base, uint64_t half_bytes);

#endif
