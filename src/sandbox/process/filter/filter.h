/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h - which system calls a guest may make; the list is in make.c.
 */
#ifndef SANDBOX_PROCESS_FILTER_H
#define SANDBOX_PROCESS_FILTER_H

#include "sandbox/process/plan.h"

extern const struct filter process_filter;

/*
 * The same in two parts.  Under the first, one may seal oneself; under both,
 * each call is answered as by the whole.
 */
extern const struct filter process_filter_outer, process_filter_inner;

/* Before the whole, of a program that holds what is its user's outside, too. */
extern const struct filter process_filter_streams;

#endif
