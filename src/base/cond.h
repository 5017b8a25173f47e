/* SPDX-License-Identifier: Apache-2.0 */
/* cond.h - conditions that are waited for until a deadline (clock.h). */
#ifndef BASE_COND_H
#define BASE_COND_H

#include <pthread.h>
#include <time.h>

#include "base/check.h"

/* pthread_cond_timedwait counts CLOCK_MONOTONIC. */
static inline void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t clock;

    must(pthread_condattr_init(&clock) == 0);
    must(pthread_condattr_setclock(&clock, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(cond, &clock) == 0);
    pthread_condattr_destroy(&clock);
}

#endif
