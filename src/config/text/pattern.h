/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern.h - does a path match a pattern?
 *
 *  *  any characters but /     [abc] [a-z]    one of these
 *  ?  one character but /      [!abc] [^abc]  one that is none of these, nor /
 *  \x the character x          **  as a whole name: any folders, or none;
 *                                  at the end: all that is below
 *
 * Not fnmatch(3), which knows no ** and follows the embedder's locale.
 */
#ifndef CONFIG_TEXT_PATTERN_H
#define CONFIG_TEXT_PATTERN_H

#include <stdbool.h>

bool pattern_matches(const char *pattern, const char *path);

#endif
