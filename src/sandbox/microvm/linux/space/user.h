/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user.h - the one place where a pointer that the guest gave becomes memory.
 *
 * Nothing is ever read where it lies and trusted: values are copied out, once;
 * only bytes that nobody interprets are used in place, as pieces.
 *
 *  if ((rc = user_read(space, &pair, address, sizeof(pair))) < 0)
 *      return rc;
 *
 * Answers are Linux's: -EFAULT where it may not.  What was written before a
 * fault stays written.
 *
 * Threads: the machine's, while the guest stands still.
 */
#ifndef SANDBOX_MICROVM_LINUX_SPACE_USER_H
#define SANDBOX_MICROVM_LINUX_SPACE_USER_H

#include "sandbox/microvm/linux/space/space.h"

#define USER_PIECES 64 /* handed out at once */

int user_read(struct space *space, void *to, uint64_t address, size_t bytes);
int user_write(struct space *space, uint64_t address, const void *from,
               size_t bytes);
int user_zero(struct space *space, uint64_t address, size_t bytes);

/* A string with its NUL.  Returns its length, -ENAMETOOLONG or -EFAULT. */
int64_t user_string(struct space *space, char *to, size_t room,
                    uint64_t address);

/*
 * Host memory behind [address, address + bytes), as far as `max` pieces reach:
 * *reached bytes.  access: TABLES_READ or TABLES_WRITE.
 * Returns how many pieces: 0 only where bytes is 0; or -EFAULT where not even
 * the first byte may be accessed.
 */
int user_pieces(struct space *space, uint64_t address, uint64_t bytes,
                unsigned access, struct iovec *pieces, int max,
                uint64_t *reached);

/*
 * Where a word of 4 bytes lies in host memory, to load it from; and what it is
 * known by, as Linux does it: its guest-physical address where memory is
 * shared, else its address, for the page behind that may be another one later.
 * -EINVAL unless it is aligned.
 */
#define USER_WORD_PRIVATE (1ull << 63)

int user_word(struct space *space, uint64_t address, unsigned access,
              uint64_t *key, void **host);

#endif
