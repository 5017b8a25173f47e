/* SPDX-License-Identifier: Apache-2.0 */
/* guest.h - the parts of the hostile guest program. */
#ifndef TESTS_ISOLATION_GUEST_H
#define TESTS_ISOLATION_GUEST_H

/* Prints the calls that were not refused as they should be. */
int forbidden_calls(void);

#endif
