/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/actor_state.h - what an actor in C remembers from run to run.
 *
 * Included by glovebox/actor.h.
 *
 *  int64_t count;
 *
 *  rc = gbx_actor_state_increment(actor, "count", 1, &count);
 *  if (rc < 0)
 *      return rc;
 *
 * Each node has a state of its own, of keys and values: what scripts have as
 * context.state, and means the same (docs/python.md).  A run that fails has
 * changed nothing of it: what it changed is taken back before it is tried
 * again.  So what must not be counted twice belongs here, not into self.
 *
 * A value is a message: null (Flow, Optional without a body), Boolean, Integer,
 * Float, String, bytes (Stream), Array, Object; others come back as the one of
 * these that they look like.  At most 64 MiB in all, 1024 bytes a key.
 *
 * Functions return what they say; or a code below 0, and what is wrong is the
 * run's reason then, if it returns that code: GBX_EARGUMENT (not that kind of
 * value, no key), GBX_ELIMIT (full, too long), GBX_EFORMAT, GBX_EHOST.
 *
 * Threads: the run's.
 * Memory:  what is set is copied; what is got is lent until the next of these
 *          functions, or run returns.
 */
#ifndef GBX_ACTOR_STATE_H
#define GBX_ACTOR_STATE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_actor;
struct gbx_message;

/* Returns 0, or GBX_EAGAIN: there is none. */
int gbx_actor_state_get(struct gbx_actor *actor, const char *key,
                        struct gbx_message *value);

/* Returns 0.  It stays, also if it was to expire. */
int gbx_actor_state_set(struct gbx_actor *actor, const char *key,
                        const struct gbx_message *value);

/* Return 1, or 0: there was, or is none. */
int gbx_actor_state_delete(struct gbx_actor *actor, const char *key);
int gbx_actor_state_exists(struct gbx_actor *actor, const char *key);

/* An Integer, 0 if there is none.  Returns 0; sum may be NULL. */
int gbx_actor_state_increment(struct gbx_actor *actor, const char *key,
                              int64_t by, int64_t *sum);

/* To the end of an Array, which is made; the second, each of an Array's.
 * Returns 0; count, of its items then, may be NULL. */
int gbx_actor_state_push(struct gbx_actor *actor, const char *key,
                         const struct gbx_message *value, uint64_t *count);
int gbx_actor_state_extend(struct gbx_actor *actor, const char *key,
                           const struct gbx_message *values, uint64_t *count);

/* From its front.  Returns 0, or GBX_EAGAIN: there is none. */
int gbx_actor_state_pop(struct gbx_actor *actor, const char *key,
                        struct gbx_message *value);

/* In so many seconds; 0 or less: now.  Returns 1, or 0: there is none. */
int gbx_actor_state_expire(struct gbx_actor *actor, const char *key,
                           double seconds);

/* Seconds until then, rounded up; -1: it stays; -2: there is none.  Returns 0.
 */
int gbx_actor_state_ttl(struct gbx_actor *actor, const char *key,
                        int64_t *seconds);

/* An Array of Strings, sorted; the pattern has * ? [a-z].  Returns 0. */
int gbx_actor_state_keys(struct gbx_actor *actor, const char *pattern,
                         struct gbx_message *keys);

#ifdef __cplusplus
}
#endif

#endif
