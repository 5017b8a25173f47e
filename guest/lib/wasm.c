/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasm.c - a guest that is WebAssembly: its region lies in its own memory's
 * addresses, and its host is the thread that runs it (src/sandbox/wasm).
 *
 * So nobody ever waits here: a guest with nothing to do returns to its host,
 * and one that needs an answer in the middle of a call leaves its stack as it
 * is.
 */
#include <stdlib.h>

#include "guest.h"
#include "guest_private.h"

#define IMPORT(name)                                                           \
    __attribute__((import_module("glovebox"), import_name(#name))) host_##name
#define EXPORT(name) __attribute__((export_name(#name)))

/* Where the region lies; 0: it was not started by a Glovebox. */
uint32_t IMPORT(region)(void);
/* There is something for the host to read. */
void IMPORT(ring)(void);
/* Let the host run; it comes back when it may have published something, or at
 * the deadline (CLOCK_MONOTONIC; 0: none). */
void IMPORT(wait)(uint64_t deadline_ns);
/* Let the host run, and never come back: it calls glovebox_turn. */
__attribute__((noreturn)) void IMPORT(park)(void);

/*
 * Its host calls _initialize, which is the C library's, then glovebox_main,
 * then glovebox_turn whenever there is something to take.
 * (-mexec-model=reactor: of a command, each export would begin and end the C
 * library once more.)
 */
EXPORT(glovebox_main) void glovebox_main(void);
EXPORT(glovebox_turn) void glovebox_turn(void);

int __main_void(void); /* main, as the C library finds it */

static struct {
    void (*begin)(void); /* before the first turn, or NULL */
    struct gbx_guest *guest;
    gbx_guest_take_fn *take;
    void *context;
} serving;

int guest_map(struct gbx_guest *guest)
{
    uint8_t *base = (uint8_t *)host_region(); /* NOLINT: it is so */
    const struct gbx_half_head *host = (const void *)base;
    struct gbx_half_head *mine;

    if (base == NULL)
        return GBX_EHOST;
    if (host->magic != GBX_REGION_MAGIC || host->version != GBX_ABI_VERSION ||
        host->half_bytes > UINT32_MAX / 2)
        return GBX_EFORMAT;
    mine = (struct gbx_half_head *)(base + host->half_bytes);
    mine->magic = GBX_REGION_MAGIC;
    mine->version = GBX_ABI_VERSION;
    mine->half_bytes = host->half_bytes;
    return guest_begin(guest, base, host->half_bytes);
}

int guest_sleep(void *context, uint32_t seen, uint64_t deadline_ns)
{
    (void)context;
    (void)seen;
    host_wait(deadline_ns);
    return 0;
}

void guest_ring(void *context)
{
    (void)context;
    host_ring();
}

void glovebox_main(void)
{
    exit(__main_void()); /* it parks, or has not begun to serve */
}

void glovebox_turn(void)
{
    void (*begin)(void) = serving.begin;
    struct gbx_descriptor d;

    serving.begin = NULL;
    if (begin != NULL) {
        begin();
        exit(70); /* else it would serve */
    }
    while (gbx_guest_try_recv(serving.guest, &d) == 0)
        if (serving.take(serving.context, &d) < 0)
            __builtin_trap();
}

void gbx_guest_stand(void (*begin)(void))
{
    serving.begin = begin;
    host_park();
}

int gbx_guest_serve(struct gbx_guest *guest, gbx_guest_take_fn *take,
                    void *context)
{
    serving.guest = guest;
    serving.take = take;
    serving.context = context;
    host_park();
}

/* Its host copies it as it stands. */
bool gbx_guest_is_template(void)
{
    return false;
}

void gbx_guest_multiply(void)
{
}
