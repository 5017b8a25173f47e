/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.h - the options of SOL_SOCKET that are only remembered.
 *
 * They change nothing between two tasks of one guest: buffers keep their size,
 * nothing is kept alive.  But programs set them, and some read them back.
 */
#ifndef SANDBOX_MICROVM_LINUX_EVENT_OPTION_H
#define SANDBOX_MICROVM_LINUX_EVENT_OPTION_H

#define OPTION_COUNT 13

struct options {
    int values[OPTION_COUNT];
};

void options_init(struct options *options);
/* 0, or -ENOPROTOOPT where there is none, or it is only read. */
int options_get(const struct options *options, int name, int *value);
int options_set(struct options *options, int name, int value);

#endif
