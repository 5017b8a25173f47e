/* SPDX-License-Identifier: Apache-2.0 */
/*
 * box.h - a script in Glovebox, called again and again.
 *
 *  how = (struct box_how){.script = "echo.py", .place = PLACE_TWO,
 *                         .isolation = GBX_ISOLATION_PROCESS, .spin = true};
 *  box_open(&box, paths, &how, &err);
 *  call = (struct box_call){.data = data, .bytes = 64};
 *  box_call(&box, &call);                     call.call_ns is how long
 *  box_close(&box);
 */
#ifndef BENCH_BOX_H
#define BENCH_BOX_H

#include "glovebox/runtime.h"
#include "measure.h"

/* Where things lie. */
struct paths {
    char libexec[4096];  /* guest programs */
    char bench[4160];    /* scripts/ and baseline/ */
    char glovebox[4160]; /* the command */
};

struct box {
    struct gbx_runtime *runtime; /* owned; NULL: not open */
    struct gbx_script *script;   /* owned */
};

/* How long a side that spins does so: longer than any pause between calls. */
#define BOX_SPIN_NS 60000000000u

struct box_how {
    const char *script;
    enum gbx_isolation isolation;
    enum place place;
    bool spin; /* always; else never */
    enum gbx_wipe wipe;
    struct gbx_pool_config pool;
    const char *url; /* of a remote host, or NULL */
};

/* Returns true and a box to close, else says why not. */
bool box_open(struct box *box, const struct paths *paths,
              const struct box_how *how, struct gbx_error *err);
void box_close(struct box *box);

/* What the answer has to be. */
enum box_want {
    BOX_SAME,   /* what went in */
    BOX_NUMBER, /* an Integer: want_number */
    BOX_BYTES,  /* a Stream of want_number bytes, a 1 first and a 2 last */
    BOX_ANY     /* an Integer, whatever it is */
};

struct box_call {
    const void *data; /* borrowed; NULL: the input is the Integer `number` */
    size_t bytes;     /* 8 at least */
    /* Not 0: only this is written and checked, at both ends; and the clock is
     * looked at before and after all of it, no more: a look costs as much as a
     * message. */
    uint64_t stamp;
    int64_t number;
    const char *key; /* of the actor, or NULL */
    enum box_want want;
    int64_t want_number;

    /* What came of it. */
    uint64_t call_ns; /* begin to finish, without filling and checking */
    /* These without a stamp: */
    uint64_t begin_ns;  /* of it, until there is a sandbox */
    uint64_t answer_ns; /* begin to the answer, the same */
    uint64_t fill_ns;   /* a memcpy of data into the message's place */
    int64_t answer;     /* when it is an Integer */
    struct gbx_call_stats stats;
};

/* Returns false, and err says why, also for an answer that is wrong. */
bool box_call(struct box *box, struct box_call *call, struct gbx_error *err);

#endif
