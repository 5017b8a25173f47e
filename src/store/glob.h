/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glob.h - does a key match a pattern?
 *
 *  *  any characters    [abc] [a-z]    one of these
 *  ?  one character     [!abc] [^abc]  one that is none of these
 *  \x the character x   [              itself, where no ] follows
 *
 * Not fnmatch(3): its time is exponential in a script's stars, and what it
 * takes for a character is up to the embedding program's locale.
 */
#ifndef STORE_GLOB_H
#define STORE_GLOB_H

#include <stdbool.h>
#include <stdint.h>

#include "store/table.h"

/*
 * Both are UTF-8.  *steps falls by the work done; the answer only counts while
 * it is above 0.
 */
bool store_glob(struct store_key pattern, struct store_key key, int64_t *steps);

#endif
