/* SPDX-License-Identifier: Apache-2.0 */
/* missing.c - instead of client.c, without libwebsockets. */
#include <stdio.h>

#include "baseline/baseline.h"

bool baseline_open(struct baseline **baseline, const char *folder,
                   const char *script, enum baseline_form form,
                   enum place place, char why[BASELINE_WHY_BYTES])
{
    (void)folder, (void)script, (void)form, (void)place;
    *baseline = NULL;
    snprintf(why, BASELINE_WHY_BYTES,
             "built without libwebsockets: apt-get install libwebsockets-dev, "
             "and build again");
    return false;
}

void baseline_close(struct baseline *baseline)
{
    (void)baseline;
}

bool baseline_stream(struct baseline *baseline, const void *data, size_t bytes)
{
    (void)baseline, (void)data, (void)bytes;
    return false;
}

bool baseline_integer(struct baseline *baseline, int64_t value)
{
    (void)baseline, (void)value;
    return false;
}

const void *baseline_answer(const struct baseline *baseline, size_t *bytes)
{
    (void)baseline;
    *bytes = 0;
    return NULL;
}

int64_t baseline_answer_integer(const struct baseline *baseline)
{
    (void)baseline;
    return 0;
}
