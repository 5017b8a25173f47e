/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/body.h - bodies that outlive their call, and are read where they lie
 * by whoever they are passed on to: other scripts, too.
 *
 *  gbx_body_make(&body, bytes, &data, &err);       memory of yours, to fill
 *  gbx_call_keep(call, &message, &body, &err);     what a script sent (call.h)
 *  gbx_call_put_body(call, port, &message, body, &err);    to another script
 *  gbx_body_put(body);
 *
 * A script that is given a body from GBX_BODY_SHOWN bytes on sees these bytes
 * and no others, read-only, until it has dropped its last view of them: whole
 * pages are mapped, the parts of a page at either end are copied.  What cannot
 * be shown so (a process's memory is its kernel's, and small bodies are cheaper
 * copied) is copied once; so is what a script is found to look at as a whole,
 * where a copy takes less time than to show it.
 *
 * A body that a script wrote may be changed by that script as long as it lives:
 * gbx_body_is_loose.  Copy such a body once before you look at it twice; a
 * script that is given it is promised nothing, either.
 *
 * Threads: any.  A body that you have made is yours alone until it is given to
 *          somebody.
 * Memory:  counted.  A script's kept body holds memory of that script: at most
 *          half of its gbx_limits.message_bytes are kept so, more are copied.
 *          It is there until the last holder puts it, also when its script has
 *          ended.  What is made lies in memory of this process's that is used
 *          again; a child of fork() has none of it.
 */
#ifndef GBX_BODY_H
#define GBX_BODY_H

#include "glovebox/message.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GBX_BODY_SHOWN 65536u

/* In front of what was made, for its maker: no script sees it. */
#define GBX_BODY_HEAD 64u

struct gbx_body;

/*
 * *data has `bytes` bytes to fill, not cleared, on a page, and GBX_BODY_HEAD
 * bytes before them.
 * Returns 0 and a body to put; GBX_ELIMIT (too large, too many), GBX_EHOST.
 */
int gbx_body_make(struct gbx_body **body, size_t bytes, void **data,
                  struct gbx_error *err);

struct gbx_body *gbx_body_get(struct gbx_body *body); /* one holder more */
void gbx_body_put(struct gbx_body *body);             /* NULL is allowed */

/* Borrowed while it is held.  Returns how many bytes there are at *data. */
size_t gbx_body_view(const struct gbx_body *body, const void **data);

/* 1: a script may still change it. */
int gbx_body_is_loose(const struct gbx_body *body);

#ifdef __cplusplus
}
#endif

#endif
