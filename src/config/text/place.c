/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text/place.h"

#include <stdbool.h>

static void step(struct place *place)
{
    if (place->at < place->end && *place->at++ == '\n')
        place->line++;
}

static bool is_at(const struct place *place, char c)
{
    return place->at < place->end && *place->at == c;
}

static void over_space(struct place *place)
{
    while (is_at(place, ' ') || is_at(place, '\t') || is_at(place, '\r') ||
           is_at(place, '\n'))
        step(place);
}

static void over_string(struct place *place)
{
    step(place);
    while (place->at < place->end && !is_at(place, '"')) {
        if (is_at(place, '\\'))
            step(place);
        step(place);
    }
    step(place);
}

void place_enter(struct place *place)
{
    over_space(place);
    step(place);
}

void place_next(struct place *place)
{
    over_space(place);
    if (is_at(place, ','))
        step(place);
    over_space(place);
}

void place_value(struct place *place)
{
    over_string(place);
    over_space(place);
    step(place);
    over_space(place);
}

/* A value ends where the one around it goes on, or ends. */
void place_skip(struct place *place)
{
    uint32_t depth = 0;

    over_space(place);
    while (place->at < place->end) {
        if (is_at(place, '"')) {
            over_string(place);
            continue;
        }
        if (depth == 0 &&
            (is_at(place, ',') || is_at(place, '}') || is_at(place, ']')))
            return;
        depth += is_at(place, '{') || is_at(place, '[');
        depth -= is_at(place, '}') || is_at(place, ']');
        step(place);
    }
}
