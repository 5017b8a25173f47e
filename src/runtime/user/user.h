/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user.h - whom a guest takes itself for: from the text that an image or a
 * person gives to numbers.
 *
 *  text          uid                       gid
 *  1000          1000                      that user's in etc/passwd, else 0
 *  1000:50       1000                      50
 *  app           app's in etc/passwd       there, too
 *  app:staff     the same                  staff's in etc/group
 *
 * The files are those of the root that the guest will have, found with it as /,
 * and as hostile as all of it: what is no line of such a file is passed over,
 * as the C library does.
 */
#ifndef RUNTIME_USER_USER_H
#define RUNTIME_USER_USER_H

#include "sandbox/backend.h"

#define USER_NO_ID UINT32_MAX /* no user has this number */

/*
 * root: a host folder; NULL: there is none, and only numbers are known.
 * Returns 0; GBX_EARGUMENT (no user of this name, and err says where it was
 * looked for), GBX_EFILE (a file that cannot be read) or GBX_EHOST.
 */
int user_find(struct guest_ids *ids, const char *text, const char *root,
              struct gbx_error *err);

/* What a name (or, where that is NULL, a uid) has in the bytes of a passwd
 * file.  False: nothing. */
bool user_in_passwd(struct guest_ids *ids, const char *name, uint32_t uid,
                    const char *bytes, size_t count);
/* Of a group's name: its gid. */
bool user_in_group(uint32_t *gid, const char *name, const char *bytes,
                   size_t count);

#endif
