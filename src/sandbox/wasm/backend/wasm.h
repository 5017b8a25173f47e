/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasm.h - the backend: what its files share.
 *
 *   imports.c   what a module may import, joined to who does it
 *   window.c    the region, as addresses of the module
 *   keep.c      what open was told
 *   open.c      a module's way in and out
 *   snapshot.c  templates, clones, wiping
 *   run.c       the module runs
 *   wasm.c      the door
 *
 * The thread that calls run is the module's processor.  A guest program (one
 * that imports from "glovebox") starts with main, says READY, and parks; each
 * run is then a turn of it, a call of its glovebox_turn, which takes what the
 * host has sent.  In the middle of a turn it may wait for an answer: then its
 * stack stays, and the next run goes on there.
 */
#ifndef SANDBOX_WASM_BACKEND_WASM_H
#define SANDBOX_WASM_BACKEND_WASM_H

#include <stdatomic.h>

#include "channel/region.h"
#include "sandbox/backend.h"
#include "sandbox/wasm/instance.h"
#include "sandbox/wasm/wasi/wasi.h"

/* Where a module is on its way. */
enum wasm_phase {
    WASM_NEW,     /* its data is not there yet */
    WASM_READY,   /* _initialize is to be called, if it has one, or runs */
    WASM_BEGUN,   /* its main is to be called, or runs */
    WASM_SERVING, /* it has parked */
};

struct wasm;

/* An import, joined. */
struct wasm_bound {
    const struct wasi_function *wasi; /* or, if NULL: */
    void (*own)(struct wasm *self, uint64_t *cells);
};

struct wasm {
    struct bundle what;    /* its texts are: */
    void *kept;            /* owned */
    struct module *module; /* counted */
    struct image *image;   /* counted: it begins there; or NULL; another one
                              than the module's own: it is a clone */
    struct instance instance;
    struct wasm_bound *imports; /* owned; as many as the module has */
    /* Borrowed of the module. */
    const struct wasm_export *initialize, *start, *turn;
    struct wasi *wasi;           /* owned */
    struct region *shared;       /* borrowed, or NULL */
    uint64_t window_at;          /* of the region, as the module counts */
    uint64_t mapped[HALF_COUNT]; /* how much of each half */
    uint64_t stack_bytes;

    int wake_fd;  /* owned: readable once killed, or while it could run on */
    bool is_told; /* it is readable because it could run on */
    atomic_bool killed;

    enum wasm_phase phase;
    bool rang;  /* since the last look */
    bool waits; /* for its host, in the middle of something */
    uint64_t waits_until_ns;
    uint64_t deadline_ns; /* of this run */
    uint64_t cpu_ns;      /* used, where it is limited */
    int end;              /* the code with which it ended, or 0 */
};

/* ---- open.c ---- */

int wasm_open(void *self, const struct bundle *what, struct region *shared,
              struct gbx_error *err);
void wasm_close(void *self);

/* Its parts: the module is set between them; fill is the part that a wipe does
 * again. */
void wasm_init(struct wasm *self, const struct bundle *what,
               struct region *shared);
int wasm_make(struct wasm *self, const struct bundle *what,
              uint64_t stack_bytes, struct gbx_error *err);
int wasm_fill(struct wasm *self, struct gbx_error *err);

/* An instance without a region, of which any function is called: for
 * glovebox/wasm.h.  Nothing has run.  close is called even after an error. */
int wasm_begin(struct wasm *self, struct module *module,
               const struct bundle *what, uint64_t stack_bytes,
               struct gbx_error *err);

/* A guest program that has parked for the first time: an image of it starts
 * there (image.h).  As begin. */
int wasm_stand(struct wasm *self, const struct bundle *what, uint64_t until_ns,
               struct gbx_error *err);

/* ---- run.c ---- */

int wasm_run(void *self, uint64_t deadline_ns);
void wasm_kill(void *self);

/* Run it to its end: 0, or a code after which it is of no more use. */
int wasm_do(struct wasm *self, void (*code)(void *instance, uint64_t *cells),
            uint64_t *cells, uint64_t deadline_ns);

/* Until it parks for the first time. */
int wasm_run_to_park(struct wasm *self, uint64_t until_ns,
                     struct gbx_error *err);

/* For functions of WASI that wait: as ppoll, with this run's end. */
int wasm_wait(void *self, struct pollfd *fds, unsigned count,
              uint64_t until_ns);

/* ---- wasm.c, keep.c, snapshot.c, imports.c ---- */

void wasm_explain(void *self, struct gbx_error *err);

int wasm_keep(struct wasm *self, const struct bundle *what,
              struct gbx_error *err);

int wasm_snapshot(void *self, struct snapshot **snapshot,
                  struct gbx_error *err);
int wasm_clone(void *self, const struct bundle *what, struct snapshot *snapshot,
               struct region *shared, struct gbx_error *err);
void wasm_put(struct snapshot *snapshot);
int wasm_wipe(void *self, struct gbx_error *err);

/* GBX_ELOAD, and err names what is not there. */
int wasm_join(struct wasm *self, struct gbx_error *err);
void wasm_call(void *self, uint32_t import, uint64_t *cells);

/* window.c */
uint64_t wasm_window_bytes(const struct region *shared); /* of addresses */
int wasm_map(struct wasm *self, struct gbx_error *err);
int wasm_borrow(void *self, uint64_t off, uint64_t bytes, int fd, uint64_t at);
int wasm_reach(struct wasm *self); /* as much as exists now; or GBX_EHOST */

#endif
