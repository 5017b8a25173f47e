/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.h - a program's side of a Glovebox: what runs inside speaks to its host
 * with these few functions, whatever its language and whatever seals it.
 *
 *  gbx_guest_attach(&guest);
 *  gbx_guest_say(guest, GBX_KIND_READY);
 *  while (gbx_guest_recv(guest, &d) == 0)
 *      ... LOAD, INPUT, CALL (abi/message.h): use gbx_guest_at(guest,
 *      d.body_off), answer by reserve + send, give the body back ...
 *
 * Threads: one at a time.  After fork() the child is detached: it keeps its
 *          views of the memory, and every function returns GBX_ECANCELED.
 * Memory:  there is one guest a process; nothing is allocated.
 * Codes:   0 or a GBX_E* of glovebox/error.h.  What is not GBX_EARENA or
 *          GBX_ELIMIT is the end: leave the process.
 */
#ifndef GBX_GUEST_H
#define GBX_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/abi/message.h"
#include "glovebox/abi/region.h"
#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_guest;

/* How long reserve waits for the host to give blocks back. */
#define GBX_GUEST_RESERVE_NS 1000000000u

/*
 * Map the region that this process was born with and close its descriptors, so
 * that nothing run later can find them.  Once, before other threads exist.
 * Returns 0 and the guest; GBX_EHOST (not started by a Glovebox), GBX_EFORMAT
 * (one of another version).
 */
int gbx_guest_attach(struct gbx_guest **guest);

/*
 * Was this program started to be copied?  Then it has no region yet: it makes
 * its language ready, with one thread and no file open, and runs nothing of
 * anybody's, for it is not sealed.  Before attach.
 */
bool gbx_guest_is_template(void);

/*
 * Of a template, once: makes copies as the host wants them.  Returns in each of
 * them, which is a process of its own, is sealed, and goes on with attach;
 * never in the template.
 */
void gbx_guest_multiply(void);

/*
 * What was done up to here is the same in all copies of this program, however
 * its isolation makes them.  begin is called in each of them, attaches and
 * serves.  Returns where begin does; in WebAssembly, never: main is over.
 */
void gbx_guest_stand(void (*begin)(void));

/* Is this a fork()ed child, which has no host? */
bool gbx_guest_is_detached(const struct gbx_guest *guest);

/* The next LOAD, INPUT or CALL; waits as long as it takes. Returns 0. */
int gbx_guest_recv(struct gbx_guest *guest, struct gbx_descriptor *d);

/* The same without waiting: GBX_EAGAIN, there is none. */
int gbx_guest_try_recv(struct gbx_guest *guest, struct gbx_descriptor *d);

/*
 * The same until it fails, or take does; take is called for each, borrows it,
 * and returns 0 to go on.  Returns that code.  A guest that is WebAssembly
 * leaves main here for good: its host calls it when there is something to take,
 * and then nothing lies on its stack that could not be copied.
 */
typedef int gbx_guest_take_fn(void *context, const struct gbx_descriptor *d);
int gbx_guest_serve(struct gbx_guest *guest, gbx_guest_take_fn *take,
                    void *context);

/*
 * True once after this guest has become a copy of another one (abi/region.h),
 * seen by recv: whatever was drawn by chance is somebody else's as well.  seed:
 * bytes to draw anew from.
 */
bool gbx_guest_is_copied(struct gbx_guest *guest, uint8_t seed[32]);

/* Where an offset lies, and the offset of a place; UINT64_MAX when it is none
 * of the region's. */
void *gbx_guest_at(const struct gbx_guest *guest, uint64_t off);
uint64_t gbx_guest_off(const struct gbx_guest *guest, const void *place);

/* Does the offset lie in memory of mine (true) or of the host's (false)? */
bool gbx_guest_is_mine(const struct gbx_guest *guest, uint64_t off);

/* A received descriptor's name, terminated.  Returns 0 or GBX_EFORMAT. */
int gbx_guest_get_name(struct gbx_guest *guest, const struct gbx_descriptor *d,
                       char name[GBX_NAME_BYTES_MAX + 1]);

/* The body that came with a descriptor is no longer needed. */
void gbx_guest_give(struct gbx_guest *guest, uint64_t off);

/*
 * A block for a body.  It is the host's once sent; else drop it.
 * Returns 0 and its offset; GBX_EARENA while the host holds all of the arena;
 * GBX_ELIMIT for what can never fit.
 */
int gbx_guest_reserve(struct gbx_guest *guest, size_t bytes, uint64_t *off);
void gbx_guest_drop(struct gbx_guest *guest, uint64_t off);

/* One more send or drop for a block of mine. Returns 0 or GBX_EBOUNDS. */
int gbx_guest_hold(struct gbx_guest *guest, uint64_t off, uint64_t bytes);

/* Name a descriptor.  Returns 0, GBX_EARGUMENT (too long), or as reserve. */
int gbx_guest_set_name(struct gbx_guest *guest, struct gbx_descriptor *d,
                       const char *name, size_t bytes);

/* Send; the call's number is filled in.  Waits while the ring is full. */
int gbx_guest_send(struct gbx_guest *guest, struct gbx_descriptor *d);

/* Send a descriptor that is only a kind: READY, DONE. */
int gbx_guest_say(struct gbx_guest *guest, enum gbx_kind kind);

/* A message with a body that is copied.  Returns as reserve does. */
int gbx_guest_send_copy(struct gbx_guest *guest, struct gbx_descriptor *d,
                        const void *body, size_t bytes);

/*
 * Send an ASK (or a GROW) and wait for the ANSWER, whose body is given back by
 * the caller; with GBX_IS_ERROR it is the error's text.
 */
int gbx_guest_ask(struct gbx_guest *guest, struct gbx_descriptor *question,
                  struct gbx_descriptor *answer);

/* Text for the caller's stdout (1) or stderr (2).  Any length. */
int gbx_guest_print(struct gbx_guest *guest, int stream, const char *text,
                    size_t bytes);

/* For the host's statistics: the last call's own time, bodies copied so far. */
void gbx_guest_took(struct gbx_guest *guest, uint64_t handler_ns);
void gbx_guest_copied(struct gbx_guest *guest, uint64_t bytes);

#ifdef __cplusplus
}
#endif

#endif
