/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.h - a sandbox of the isolation remote, to its room.
 *
 * Its region has a guest's end, and its owner's thread is both sides: run and
 * ring look at what the host's side has written, and put into the guest's half
 * what has come from a host (inbox).
 *
 *   NONE -> LOADING -> IDLE -> PLACING -> SENT -> IDLE
 *                                 ^         |
 *                                 +---------+  not run there, or may be run
 * twice
 */
#ifndef SANDBOX_REMOTE_REMOTE_H
#define SANDBOX_REMOTE_REMOTE_H

#include "channel/channel.h"
#include "sandbox/backend.h"
#include "sandbox/remote/fleet.h"

#define REMOTE_INPUTS_MAX 65u   /* as a call may have, and one */
#define REMOTE_INBOX_MAX  4096u /* that its owner has not looked at */

enum remote_phase {
    REMOTE_NONE,    /* no script */
    REMOTE_LOADING, /* it is brought to a first host */
    REMOTE_IDLE,
    REMOTE_PLACING, /* a call looks for a host */
    REMOTE_SENT
};

/* What has come for it. */
struct event {
    STAILQ_ENTRY(event) next;
    enum frame_kind kind;
    uint8_t type, flags;
    uint64_t scalar;
    uint8_t
        *body; /* owned, or NULL: there is none, or it lies in the landing */
    uint64_t bytes;
    uint64_t off; /* its owner's: the block that it was put into, or 0 */
    char name[];  /* a port's */
};

STAILQ_HEAD(event_queue, event);

struct remote_input {
    struct gbx_descriptor descriptor;
    char port[GBX_NAME_BYTES_MAX + 1];
};

struct remote {
    LIST_ENTRY(remote) next; /* of the fleet's */
    struct fleet *fleet;
    struct bundle what;
    struct region *shared;
    struct channel guest; /* its end of the region */
    int wake_fd;          /* eventfd: something has come */
    bool is_listed;
    uint64_t number; /* its key at the hosts */
    atomic_bool killed;

    /* Its owner's: */
    enum remote_phase phase;
    struct fleet_script *script; /* counted */
    struct remote_input *inputs; /* owned: of the call; their blocks are held */
    unsigned input_count;
    uint32_t shown_call;     /* the number that the host's side gave it */
    uint64_t deadline_ns;    /* of the call, 0: none */
    uint64_t placing_ns;     /* since when it looks for a host */
    unsigned tries;          /* it was refused so often */
    uint64_t again_ns;       /* it is tried then */
    bool is_anew;            /* it is run once more */
    bool has_said;           /* an output of it was handed on */
    bool grows;              /* a GROW is not answered yet */
    unsigned asks;           /* that were handed on, and are not answered */
    uint64_t stuck_ns;       /* since when there is no room, or 0 */
    struct event_queue held; /* taken from the inbox, not handed on */
    uint64_t landing_off, landing_bytes; /* a block that a body may come to */
    uint64_t last_bytes;                 /* of the largest output, lately */
    int end;                             /* it is over, with: */
    char why[GBX_ERROR_TEXT_MAX];

    /* With the fleet's lock: */
    struct fleet_host *host; /* SENT: where */
    uint32_t call;           /* and its number there */
    struct event_queue inbox;
    unsigned inbox_count;
    uint64_t inbox_bytes;
    uint8_t *landing; /* lent to whoever receives, or NULL */
    bool is_lost;     /* its host is */
    bool wants_look;  /* its owner may sleep, and is to look again soon */
    bool is_flooded;  /* more has come than is kept */
    /* Of the frame that runs it: 0 it waits to be sent, 1 it may have been, 2
     * it has not. */
    atomic_int sent;
};

/* call.c: the host's side has written something, or something has changed. */
void remote_read(struct remote *self);
void remote_advance(struct remote *self);
/* Nobody waits for its call any more; with the lock. */
void remote_detach_locked(struct remote *self);
/* Over: what a run returns from now on, and why. */
void remote_end(struct remote *self, int code, const char *why, ...)
    __attribute__((format(printf, 3, 4)));

/* inbox.c: hand on what has come.  Returns how many things. */
unsigned remote_hand_on(struct remote *self);
void remote_prepare_landing(struct remote *self);
void remote_drop_events(struct event_queue *queue);

/* Its owner looks again; any thread. */
void remote_wake(struct remote *self);

/* As GBX_KIND_FAILED and LOADED carry them (abi/message.h), from a frame's
 * texts: what, traceback, type, message.  type "": none. */
struct failed_texts {
    const char *what, *traceback, *type, *message;
};
/* The body ends with a zero that is not counted. */
void failed_read(struct failed_texts *texts, const uint8_t *body,
                 uint64_t bytes);

#endif
