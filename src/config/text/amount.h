/* SPDX-License-Identifier: Apache-2.0 */
/*
 * amount.h - sizes and times as people write them, whatever the embedder's
 * locale: "256M", "1.5G", "250ms"; a number without a unit is bytes or seconds.
 *
 * Threads: any.
 */
#ifndef CONFIG_TEXT_AMOUNT_H
#define CONFIG_TEXT_AMOUNT_H

#include <stdbool.h>
#include <stdint.h>

enum amount_kind { AMOUNT_SIZE, AMOUNT_TIME, AMOUNT_NUMBER };

/* False: it is none.  One that is too large is UINT64_MAX. */
bool amount_read(enum amount_kind kind, const char *text, uint64_t *value);

/* In the largest unit that leaves a whole number. */
void amount_show(enum amount_kind kind, uint64_t value, char text[32]);

#endif
