/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - JSON text as it grows: strings, numbers, bytes.
 *
 *  struct text t = {0};
 *  text_put(&t, "[", 1);
 *  text_real(&t, 0.1);              "[0.1"
 *  if (t.failed) ...                no memory, at some time
 *  free(t.bytes);
 */
#ifndef MESSAGE_TEXT_H
#define MESSAGE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes; /* owned */
    size_t count, room;
    bool failed; /* sticks; all else is then without effect */
};

void text_put(struct text *t, const char *bytes, size_t count);
void text_puts(struct text *t, const char *string);

/* In quotes, escaped.  The bytes must be UTF-8. */
void text_string(struct text *t, const char *bytes, size_t count);

void text_integer(struct text *t, int64_t value);
void text_natural(struct text *t, uint64_t value);

/*
 * The shortest of 15 to 17 digits that reads back as the same double, and never
 * without a point or an exponent.  The value must be finite.
 */
void text_real(struct text *t, double value);

/* [1,2,255] */
void text_octets(struct text *t, const void *bytes, size_t count);

#endif
