/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h - in which line something stands, in text that is known to be JSON.
 *
 * jansson says what a text means, but not where; so whoever looks at its values
 * walks along the text meanwhile.  Members come in the order of the text, and
 * none comes twice.
 *
 *  place_enter(&place);              at { or [: now behind it
 *  for each member:
 *      place_next(&place);           at its key (or element): place.line
 *      place_value(&place);          at its value
 *      ... a copy of the place goes on to what is in it ...
 *      place_skip(&place);           behind it
 *
 * Threads: none.
 */
#ifndef CONFIG_TEXT_PLACE_H
#define CONFIG_TEXT_PLACE_H

#include <stdint.h>

struct place {
    const char *at, *end; /* borrowed */
    uint32_t line;
};

void place_enter(struct place *place);
void place_next(struct place *place);
void place_value(struct place *place);
void place_skip(struct place *place);

#endif
