/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern.c - one walk over the path.
 *
 * Where it does not go on, the last * takes one character more; where that is
 * a /, or there is none, the last ** takes one folder more.  Earlier ones need
 * no second look: what stood between them was found as early as could be.
 */
#include "config/text/pattern.h"

#include <stddef.h>

/* A character is all of its bytes (UTF-8). */
static const char *after(const char *at)
{
    for (at++; ((unsigned char)*at & 0xc0) == 0x80;)
        at++;
    return at;
}

/* The set behind a [: where it ends, or NULL: nothing ends it. */
static const char *set_end(const char *set)
{
    const char *at = set + (*set == '!' || *set == '^');

    for (at += *at != '\0'; *at != '\0' && *at != ']';)
        at++;
    return *at == ']' ? at : NULL;
}

static bool is_in_set(const char *set, const char *end, char c)
{
    const bool negated = *set == '!' || *set == '^';
    bool found = false;

    for (set += negated; set < end; set++) {
        const unsigned char low = (unsigned char)*set;
        unsigned char high = low;

        if (end - set > 2 && set[1] == '-') {
            set += 2;
            high = (unsigned char)*set;
        }
        found |= low <= (unsigned char)c && (unsigned char)c <= high;
    }
    return found != negated;
}

/* The pattern's next sign, no star, takes the path's next character: behind it;
 * or NULL. */
static const char *take(const char *pattern, const char *path)
{
    const char *end;

    if (*pattern == '?')
        return *path != '/' ? pattern + 1 : NULL;
    if (*pattern == '[' && (end = set_end(pattern + 1)) != NULL)
        return *path != '/' && is_in_set(pattern + 1, end, *path) ? end + 1
                                                                  : NULL;
    if (*pattern == '\\' && pattern[1] != '\0')
        pattern++;
    return *pattern == *path ? pattern + 1 : NULL;
}

/* Is it a whole name of two stars?  Then what is behind it, else NULL. */
static const char *over_folders(const char *pattern, const char *start)
{
    if ((pattern != start && pattern[-1] != '/') || pattern[0] != '*' ||
        pattern[1] != '*')
        return NULL;
    return pattern[2] == '/'    ? pattern + 3
           : pattern[2] == '\0' ? pattern + 2
                                : NULL;
}

static const char *next_folder(const char *path)
{
    while (*path != '\0' && *path != '/')
        path++;
    return *path == '/' ? path + 1 : NULL;
}

bool pattern_matches(const char *pattern, const char *path)
{
    const char *const start = pattern;
    const char *star = NULL, *taken = NULL;    /* after *, what it left */
    const char *folders = NULL, *below = NULL; /* after **, the same */
    const char *next;

    while (*path != '\0') {
        if ((next = over_folders(pattern, start)) != NULL) {
            if (*next == '\0')
                return true;
            pattern = folders = next;
            below = path;
            star = NULL;
        } else if (*pattern == '*') {
            while (*pattern == '*')
                pattern++;
            star = pattern;
            taken = path;
        } else if (*pattern != '\0' && (next = take(pattern, path)) != NULL) {
            path = *pattern == '?' || *pattern == '[' ? after(path) : path + 1;
            pattern = next;
        } else if (star != NULL && *taken != '/' && *taken != '\0') {
            pattern = star;
            path = taken = after(taken);
        } else if (folders != NULL && (next = next_folder(below)) != NULL) {
            pattern = folders;
            path = below = next;
            star = NULL;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}
