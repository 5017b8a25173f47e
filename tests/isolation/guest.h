/* SPDX-License-Identifier: Apache-2.0 */
/* guest.h - the parts of the hostile guest program. */
#ifndef TESTS_ISOLATION_GUEST_H
#define TESTS_ISOLATION_GUEST_H

struct guest_kind {
    const char *name;
    int (*run)(void); /* returns the status to exit with */
};

/* Tables, to a kind without a name. */
extern const struct guest_kind guest_calls[], guest_limits[], guest_machine[],
    guest_siblings[], guest_threads[];

extern const char *guest_argument;

#endif
