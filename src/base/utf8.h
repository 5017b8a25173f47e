/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - is it UTF-8?  Threads: any. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/*
 * True when text is UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing
 * above U+10FFFF.  NUL is a character like any other.
 */
bool utf8_valid(const char *text, size_t bytes);

#endif
