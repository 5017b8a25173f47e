/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.h - the life of one member of a pool; for the files of this folder.
 *
 * Threads: whoever has it, without the pool's lock, unless the name says so.
 */
#ifndef POOL_MEMBER_H
#define POOL_MEMBER_H

#include "pool/pool.h"

/* One that has its place among all, and its key, but no sandbox yet.  NULL, and
 * its place is somebody else's, where there is no memory. */
struct pool_member *member_begin_locked(struct pool *pool, const char *key);

/* Its sandbox; or a code, and the member is gone. */
int member_make(struct pool *pool, struct pool_member *member,
                uint64_t deadline_ns, struct gbx_error *err);

/* Clean again.  False: it is of no more use, or of an older template. */
bool member_wipe(struct pool *pool, struct pool_member *member);

/* A member becomes clean, or another one comes into its place. */
int member_renew(struct pool *pool, struct pool_member *member,
                 uint64_t deadline_ns, struct gbx_error *err);

/* It is free again: as it is, or from now on. */
void member_put_back_locked(struct pool *pool, struct pool_member *member);
void member_set_free_locked(struct pool *pool, struct pool_member *member);

/* Its sandbox ends; the member itself, which counts no longer; both. */
void member_end(struct pool *pool, struct pool_member *member);
void member_free(struct pool_member *member);
void member_drop(struct pool *pool, struct pool_member *member);

#endif
