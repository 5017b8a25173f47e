/* SPDX-License-Identifier: Apache-2.0 */
/* near.h - the word that was meant.  Threads: any. */
#ifndef CONFIG_TEXT_NEAR_H
#define CONFIG_TEXT_NEAR_H

#include <stddef.h>

/* Returns the one of `count` words that is nearest to this one, or NULL: none
 * is near. */
const char *near_word(const char *word, const char *const *words, size_t count);

#endif
