/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/doctor.h - what this host can and cannot do, and the remedy.
 *
 *  struct gbx_check checks[GBX_CHECKS_MAX];
 *  count = gbx_doctor(checks, GBX_CHECKS_MAX, NULL);
 *  for (i = 0; i < count; i++)
 *      printf("%s: %s\n", checks[i].name, checks[i].text);
 *
 * Threads: any.  It tries things out, which takes some milliseconds.
 */
#ifndef GBX_DOCTOR_H
#define GBX_DOCTOR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GBX_CHECKS_MAX 48

enum gbx_check_state {
    GBX_CHECK_MISSING, /* something does not work without it */
    GBX_CHECK_OK,
    GBX_CHECK_PARTLY, /* works, with less: the text says with what */
};

struct gbx_check {
    char name[32];    /* "user namespaces" */
    int state;        /* enum gbx_check_state */
    char text[200];   /* what was found */
    char remedy[200]; /* what to do; empty where nothing is to be done */
};

/*
 * Fill at most `room` checks.  libexec_dir as in gbx_runtime_config.
 * Returns how many there are.
 */
size_t gbx_doctor(struct gbx_check *checks, size_t room,
                  const char *libexec_dir);

#ifdef __cplusplus
}
#endif

#endif
